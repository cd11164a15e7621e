"""What a callback is told after each iteration."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..operators import Array


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """What a callback receives after each iteration; returning True stops the solve.

    Attributes
    ----------
    iteration : int
        Number of finished iterations.
    residual_norm, tolerance : (k,) arrays
        Of the columns still running.
    x : (n, k) array or None
        Their iterates, read-only; None where the method forms x only at restarts.
    """

    iteration: int
    residual_norm: np.ndarray
    tolerance: np.ndarray
    x: Array | None


Callback = Callable[[Progress], Any]
