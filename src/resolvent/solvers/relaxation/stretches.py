"""Relaxation in stretches of many sweeps between two looks of the monitor."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..monitor import Monitor
from ..status import Status
from .sweeps import Relaxation

STRETCH = 256
"""Most sweeps of a stretch."""
WORK = 100_000_000
"""Most entries that a stretch reads, about a tenth of a second: an interrupt is noticed between stretches only."""


class Idle:
    """Ends a column whose residual has not been below the least so far for too long.

    Parameters
    ----------
    patience : int
        Iterations.
    """

    def __init__(self, patience: int) -> None:
        self.patience, self.least, self.count = patience, np.inf, 0

    def see(self, norms: np.ndarray, monitor: Monitor, x: Array) -> None:
        """Take the residual norms of the iterations of a stretch."""
        place = int(np.argmin(norms))
        self.count = len(norms) - 1 - place if norms[place] < self.least else self.count + len(norms)
        self.least = min(self.least, float(norms[place]))
        if self.count >= self.patience:
            monitor.retire(np.ones(1, dtype=bool), Status.STAGNATED, x)


def run_in_stretches(state: Relaxation | str, b: Array, x: Array, monitor: Monitor, *, patience: int) -> None:
    """Sweep until the monitor has finished the one column of x.

    The compiled loop notes the residual norm of each iterate and stops at one that needs a look: small enough, too
    large, or the last. Under a callback each sweep is a stretch.

    Parameters
    ----------
    state : Relaxation, or str
        The sweeps, or why there are none.
    b, x : (n, 1) arrays
    monitor : Monitor
    patience : int
        Sweeps without a residual below the least so far that are STAGNATED.
    """
    v = monitor.vectors
    r = v.empty_like(b)
    monitor.start(x, r, keep_best=True)
    if isinstance(state, str):
        monitor.retire(np.ones(1, dtype=bool), Status.NONFINITE, x, state)
    if monitor.finished() or isinstance(state, str):
        return
    right = np.ascontiguousarray(state.arranged(b.reshape(-1)))
    now = np.array(state.arranged(x.reshape(-1)))
    # Zeros, not whatever was there: a stencil has zero entries beyond the ends of its lines, which are multiplied too.
    following, norms = np.zeros_like(now), np.empty(STRETCH + 1)
    most = max(1, min(STRETCH, WORK // max(state.nnz, 1)))
    length, skipped = 1, 1  # the norm of the initial guess is known
    idle = Idle(patience)
    while monitor.running:
        length = 1 if monitor.watched else min(2 * length, most)
        looked_at = norms[: skipped + min(length, monitor.maxiter - monitor.iteration)]
        limits = float(monitor.floor[0]), float(monitor.limit[0])
        count = state.iterate(right, now, following, looked_at, *limits)
        if count % 2 == 0:
            now, following = following, now
        found = norms[skipped:count]
        if len(found):
            state.restore(now, x[:, 0])
            monitor.record(found[:-1, None])
            monitor.step(found[-1:].copy(), x, r)
            idle.see(found, monitor, x)
        now, following, skipped = following, now, 0
