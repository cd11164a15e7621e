"""Telling numpy arrays and torch tensors apart without importing torch."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def is_torch(x: Any) -> bool:
    """Whether x is a torch tensor; torch is never imported for the question."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def without_mask(name: str, x: Any) -> Any:
    """Return x, or raise ValueError for a masked array of numpy that masks entries, which no product would leave out.

    Parameters
    ----------
    name : str
        What x is, for the message.
    x : object
        Anything.
    """
    mask = getattr(x, "mask", None) if isinstance(x, np.ma.MaskedArray) else None
    if mask is not None and np.any(mask):
        raise ValueError(f"{name} has {int(np.sum(mask))} masked entries: fill them, as with .filled(0.0)")
    return x
