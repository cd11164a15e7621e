"""What a callback is told after each iteration."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..operators import Array

if TYPE_CHECKING:
    from .monitor import Monitor
    from .result import Counts


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
    counts : Counts or None
        Products so far, those of the set-up of a recycled space included; it goes on counting, so do not keep it.
    """

    iteration: int
    residual_norm: np.ndarray
    tolerance: np.ndarray
    x: Array | None
    counts: Counts | None = None


Callback = Callable[[Progress], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class EachCycle:
    """A callback for restarted methods: `receive` is called with x and its true residual wherever they are formed.

    That is with the initial guess, at iteration 0, and at the end of every cycle, the last one included, after the test
    for convergence; returning True stops the solve. `each_iteration` is called after each iteration as well.
    """

    receive: Callback
    each_iteration: Callback | None = None

    def __call__(self, progress: Progress) -> Any:
        """Be a `Callback`: what is called after each iteration."""
        return self.each_iteration is not None and self.each_iteration(progress)


def progress_of(monitor: Monitor, norms: np.ndarray, x: Array | None) -> Progress:
    """Return what the callback is told, in the scale of the system that was given."""
    v, scale, tolerance = monitor.vectors, monitor.scale[monitor.active], monitor.tolerance[monitor.active]
    if (scale == 1.0).all():
        return Progress(monitor.iteration, norms, tolerance, None if x is None else v.protected(x), monitor.counts)
    x = None if x is None else v.scaled(scale, x)
    return Progress(monitor.iteration, norms * scale, tolerance * scale, x, monitor.counts)
