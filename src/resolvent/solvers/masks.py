"""Questions about (k,) masks, one entry a column.

For the few columns of a solve, searching a list costs less than the call of a numpy reduction.
"""

from __future__ import annotations

import numpy as np


def any_of(mask: np.ndarray) -> bool:
    """Return whether any entry is set."""
    return True in mask.tolist()


def all_of(mask: np.ndarray) -> bool:
    """Return whether every entry is set."""
    return False not in mask.tolist()


def spread(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a full-length bool array that holds `values` where `mask` is set."""
    full = np.zeros(len(mask), dtype=bool)
    full[mask] = values
    return full
