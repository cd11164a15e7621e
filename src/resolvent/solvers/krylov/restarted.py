"""The cycle that GMRES and flexible GMRES share: Arnoldi, Givens rotations, restart from the true residual."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack, solve_triangular

from ...operators import Array
from ..monitor import Monitor
from ..status import Status

GAIN = 1e-8
"""Relative gain below which a cycle counts as none."""


def run_cycles(b: Array, x: Array, monitor: Monitor, *, restart: int, flexible: bool) -> None:
    """Run cycles of at most `restart` Arnoldi steps on one column until the monitor has finished it.

    Each basis vector is orthogonalised by two passes of classical Gram–Schmidt, which is as good as Householder
    ("twice is enough", Giraud, Langou & Rozložník 2005, doi:10.1016/j.camwa.2005.01.020) and runs as matrix-vector
    products of BLAS. The small least-squares problem is solved in double precision whatever the vectors are.
    """
    v = monitor.vectors
    m = min(restart, b.shape[0])
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
        if monitor.finished:
            return
        v.assign(np.array([1.0 / norm]), r, _column(V, 0))
        problem = LeastSquares(norm, m, v.dot(b, b).dtype)
        while problem.size < m:
            j = problem.size
            direction = monitor.precondition(_column(V, j), z)
            if Z is not None:
                v.assign(np.ones(1), direction, _column(Z, j))
            monitor.multiply(direction, w)
            before = float(v.norm(w)[0])
            h = v.project(V[: j + 1], w)
            v.combine(-h, V[: j + 1], w)
            correction = v.project(V[: j + 1], w)
            v.combine(-correction, V[: j + 1], w)
            h_next = float(v.norm(w)[0])
            residual = problem.append(h + correction, h_next)
            proposal = bool(monitor.advance(np.array([residual]))[0])
            if not np.isfinite(residual):
                return
            invariant = h_next <= monitor.eps * before
            breakdowns += int(invariant and not proposal)
            if proposal or invariant or monitor.finished or monitor.iteration >= monitor.maxiter:
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


class LeastSquares:
    """min ‖norm e₁ − H̄ y‖ for a growing Hessenberg matrix H̄, kept triangular by Givens rotations.

    Parameters
    ----------
    norm : float
        Norm of the residual at the start of the cycle.
    m : int
        Largest number of columns.
    dtype : dtype
        Of the basis vectors: what is below their rounding counts as zero.
    """

    def __init__(self, norm: float, m: int, dtype: np.dtype) -> None:
        wide = np.result_type(dtype, np.float64)
        self.size = 0
        self._R = np.zeros((m, m), dtype=wide)
        self._g = np.zeros(m + 1, dtype=wide)
        self._g[0] = norm
        self._rotations: list[tuple[float, complex]] = []
        self._rcond = max(1e-12, 10.0 * float(np.finfo(dtype).eps))

    def append(self, h: np.ndarray, h_next: float) -> float:
        """Append the column (h, h_next); return the norm of the least-squares residual."""
        j, g = self.size, self._g
        column = np.append(h, 0.0).astype(g.dtype)
        for i, (c, s) in enumerate(self._rotations):
            column[i], column[i + 1] = c * column[i] + s * column[i + 1], -np.conj(s) * column[i] + c * column[i + 1]
        diagonal = column[j]
        length = float(np.hypot(abs(diagonal), h_next))
        if diagonal == 0.0:  # a column of zeros leaves the residual as it is
            c, s = 0.0, 1.0
        else:
            c, s = float(abs(diagonal)) / length, diagonal / abs(diagonal) * h_next / length
        self._rotations.append((c, s))
        self._R[:j, j], self._R[j, j] = column[:j], c * diagonal + s * h_next
        g[j], g[j + 1] = c * g[j], -np.conj(s) * g[j]
        self.size += 1
        return float(abs(g[self.size]))

    def solve(self) -> np.ndarray:
        """Return y; where R is singular to working precision, the shortest y that minimises up to that precision.

        A singular operator makes R singular in the end. Back substitution would then return a huge y whose rounding
        errors increase the residual, whereas leaving singular values out can only leave the residual as it was.
        """
        R, g = self._R[: self.size, : self.size], self._g[: self.size]
        (trcon,) = lapack.get_lapack_funcs(("trcon",), (R,))
        if trcon(R)[0] < self._rcond:
            shortest: np.ndarray = np.linalg.lstsq(R, g, rcond=self._rcond)[0]
            return shortest
        y: np.ndarray = solve_triangular(R, g, check_finite=False)
        return y


def _column(V: Array, j: int) -> Array:
    return V[j].reshape(-1, 1)
