"""The cycle that GMRES and flexible GMRES share: Arnoldi, Givens rotations, restart from the true residual."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..monitor import Monitor
from ..status import Status
from .arnoldi import LeastSquares, orthogonalise

GAIN = 1e-8
"""Relative gain below which a cycle counts as none."""


def run_cycles(b: Array, x: Array, monitor: Monitor, *, restart: int, flexible: bool) -> None:
    """Run cycles of at most `restart` Arnoldi steps on one column until the monitor has finished it.

    The small least-squares problem is solved in double precision whatever the vectors are.
    """
    v = monitor.vectors
    m = min(restart, v.total(b.shape[0]))
    V = v.basis(b, m + 1)
    Z = v.basis(b, m) if flexible and monitor.M is not None else None
    r, w = v.empty_like(b), v.empty_like(b)
    z = r if monitor.M is None else v.empty_like(b)
    every = np.ones(1, dtype=bool)
    best, stalls, breakdowns = np.inf, 0, 0

    while True:
        norm = float(monitor.start(x, r)[0])
        stalls = 0 if norm < best * (1.0 - GAIN) else stalls + 1
        best = min(best, norm)
        if stalls or breakdowns:
            monitor.retire_inconsistent(every, x, r)
        if stalls >= 2 or breakdowns >= 2:
            monitor.retire(every & (breakdowns >= 2), Status.BREAKDOWN, x, "the Krylov space holds no solution")
            monitor.retire(every, Status.STAGNATED, x, f"{stalls} cycles without progress")
        if monitor.finished():
            return
        v.assign(np.array([1.0 / norm]), r, _column(V, 0))
        problem = LeastSquares(norm, m, v.dot(b, b).dtype)
        while problem.size < m:
            j = problem.size
            direction = monitor.precondition(_column(V, j), z)
            if Z is not None:
                v.assign(np.ones(1), direction, _column(Z, j))
            monitor.multiply(direction, w)
            h, h_next, before = orthogonalise(w, V[: j + 1], v)
            residual = problem.append(h, h_next)
            proposal = bool(monitor.advance(np.array([residual]))[0])
            if not np.isfinite(residual):
                return
            invariant = h_next <= monitor.eps * before
            breakdowns += int(invariant and not proposal)
            if proposal or invariant or monitor.finished() or monitor.iteration >= monitor.maxiter:
                break
            v.assign(np.array([1.0 / h_next]), w, _column(V, j + 1))
        y = problem.solve()
        if monitor.M is None:
            v.combine(y, V[: problem.size], x)
        elif Z is not None:
            v.combine(y, Z[: problem.size], x)
        else:
            w[...] = 0.0
            v.combine(y, V[: problem.size], w)
            v.axpy(np.ones(1), monitor.precondition(w, z), x)


def _column(V: Array, j: int) -> Array:
    return V[j].reshape(-1, 1)
