"""GMRES whose cycles remember the corrections of earlier ones."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np

from ...operators import Array, LinearOperator
from ..monitor import Monitor
from ..recycling.adoption import adopt
from ..recycling.orthonormal import orthonormalise
from ..recycling.space import RecycleSpace
from ..solver import Solver, refuse_variable
from ..status import Status
from .arnoldi import LeastSquares, orthogonalise
from .gmres import check_restart

GAIN = 1e-8
"""Relative gain below which a cycle counts as none."""

TIGHTER, LOOSER, TIGHTEST = 0.25, 1.5, 1e-16
"""How the tolerance of a cycle follows whether the last cycle met its own: as in scipy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LGMRES(Solver):
    """LGMRES: restarted GMRES, each cycle augmented by the corrections of the last few.

    The residuals of restarted GMRES tend to alternate between two directions. A cycle therefore minimises ‖b − A x‖₂
    over inner_m Arnoldi vectors and outer_k earlier corrections, whose images under A are kept, so that these cost no
    product. Vectors near the solution, from earlier solves, may be given as a recycle space; the last corrections are
    handed on as ``result.space``, orthonormalised, and as they are, the oldest first, as the list of pairs
    ``result.extra["outer_v"]`` of vectors and their images (A v, and M A v on the left).

    Storage: inner_m + 3 outer_k + 6 vectors, one more with a preconditioner, and 2 outer_k more while the space handed
    on is made. Each iteration with an Arnoldi vector: one product with A, one with M; each of the outer_k others none;
    4 j inner products or updates at step j. A cycle: one product for the true residual, and one with M. `Progress.x` is
    the iterate at the end of each cycle, None on the way.

    Do not use it for a self-adjoint A, where CG and MINRES need no basis; where GMRES converges within one cycle the
    two are equal.

    Parameters
    ----------
    inner_m : int
        Arnoldi vectors of a cycle.
    outer_k : int
        Corrections kept; 1 to 3 suffice within one solve, more to serve later ones.
    prepend_outer_v : bool
        Whether the corrections come before the Arnoldi vectors, as helps when they come from a similar system.
    side : {"right", "left"}
        On the right the residual is that of the system. On the left, as scipy does it, M r is minimised, and each cycle
        is judged by the true residual.

    References
    ----------
    Baker, Jessup & Manteuffel 2005, doi:10.1137/S0895479803422014.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import GMRES, LGMRES
    >>> A = sp.diags_array([-1.0, 2.0, -0.9], offsets=[-1, 0, 1], shape=(100, 100))
    >>> few = LGMRES(inner_m=17, outer_k=3).solve(A, np.ones(100))
    >>> many = GMRES(restart=20).solve(A, np.ones(100))
    >>> few.status.name, few.counts.matvec < many.counts.matvec
    ('CONVERGED', True)
    """

    inner_m: int = 30
    outer_k: int = 3
    prepend_outer_v: bool = False
    side: Literal["right", "left"] = "right"
    lockstep: ClassVar[bool] = False
    recycles: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_restart(self.inner_m, "inner_m")
        if int(self.outer_k) != self.outer_k or self.outer_k < 0:
            raise ValueError(f"outer_k must be a whole number ≥ 0, got {self.outer_k!r}")
        if self.side not in ("right", "left"):
            raise ValueError(f"side must be 'right' or 'left', got {self.side!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "LGMRES", "GCROT")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        _Run(self, b, x, monitor).run()


class _Run:
    """One solve: the arrays it works with, and the corrections it keeps."""

    def __init__(self, options: LGMRES, b: Array, x: Array, monitor: Monitor) -> None:
        v, n = monitor.vectors, b.shape[0]
        self.x, self.monitor, self.options = x, monitor, options
        self.left = options.side == "left" and monitor.M is not None
        self.m, self.keep = min(int(options.inner_m), n), int(options.outer_k)
        self.r, self.d = v.empty_like(b), v.empty_like(b)
        self.s = self.r if monitor.M is None else v.empty_like(b)
        self.outer: list[tuple[Array, Array]] = []
        """Corrections and their images, the oldest first: each of unit length, or as they were given."""

    def run(self) -> None:
        """Run cycles until the monitor has finished the column."""
        monitor, x, r = self.monitor, self.x, self.r
        every = np.ones(1, dtype=bool)
        norm = float(monitor.start(x, r)[0])
        if monitor.finished():
            return  # and the space that was given goes on as it is
        given = 0 if monitor.space is None else monitor.space.k
        basis = adopt(monitor, r, limit=max(self.keep, given), left=self.left, preimages=False)
        if basis is not None:
            U, C = (monitor.vectors.rows(part, np.arange(basis.k)[::-1]) for part in (basis.U, basis.C))
            self.outer = list(zip(U, C, strict=True))  # copies, and the newest come first in a space
        monitor.extra["recycled"] = len(self.outer)
        self.V = monitor.vectors.basis(r, self.m + max(len(self.outer), self.keep) + 1)
        best, stalls, breakdowns, factor = np.inf, 0, 0, 1.0
        while monitor.running:
            stalls = 0 if norm < best * (1.0 - GAIN) else stalls + 1
            breakdowns = 0 if norm < 0.5 * best else breakdowns
            best = min(best, norm)
            if stalls or breakdowns:
                monitor.retire_inconsistent(every, x, r)
            if stalls >= 3 or breakdowns >= 2:
                monitor.retire(every & (breakdowns >= 2), Status.BREAKDOWN, x, "the Krylov space holds no solution")
                monitor.retire(every, Status.STAGNATED, x, f"{stalls} cycles without progress")
                break
            if stalls or breakdowns:  # without what may have misled it
                self.outer = []
            wanted = min(factor, float(max(monitor.tolerance[0], monitor.eps * monitor.rhs_norm[0])) / norm)
            reached, broken = self._cycle(norm, wanted)
            breakdowns += broken
            factor = min(1.0, LOOSER * factor) if reached > wanted else max(TIGHTEST, TIGHTER * factor)
            if monitor.finished():
                break
            norm = float(monitor.start(x, r)[0])
        self._hand_on()

    def _cycle(self, true_norm: float, wanted: float) -> tuple[float, int]:
        """Run one cycle from the true residual r until its relative residual is `wanted`; return what it reached.

        And 1 if the Krylov space came to an end too early.
        """
        monitor, v, V, outer, x = self.monitor, self.monitor.vectors, self.V, self.outer, self.x
        r = monitor.precondition(self.r, self.s) if self.left else self.r
        norm = float(v.norm(r)[0])
        if not (norm > 0.0 and np.isfinite(norm)):  # M r = 0, or not a number
            monitor.advance(np.array([true_norm if norm == 0.0 else norm]))
            return 1.0, 1
        scale = true_norm / norm
        v.assign(np.array([1.0 / norm]), r, _column(V, 0))
        p = self.m + len(outer)
        first = 0 if self.options.prepend_outer_v else self.m
        problem = LeastSquares(norm, p, v.dot(r, r).dtype)
        while True:
            j = problem.size
            w = _column(V, j + 1)
            if first <= j < first + len(outer):
                w[...] = outer[j - first][1].reshape(-1, 1)
            else:
                # A prepended correction leaves its image in the basis; the Krylov space still starts from r.
                source = 0 if j == first + len(outer) else j
                self._image(_column(V, source), w)
            h, h_next, before = orthogonalise(w, V[: j + 1], v)
            residual = problem.append(h, h_next)
            if not np.isfinite(residual):
                monitor.advance(np.array([residual]))
                return residual, 0
            invariant = not h_next > monitor.eps * before
            last = problem.size == p or monitor.iteration + 1 >= monitor.maxiter
            if last or invariant or residual < wanted * norm:
                break
            monitor.advance(np.array([residual * scale]))
            if monitor.finished():
                break
            v.assign(np.array([1.0 / h_next]), w, w)
        if not invariant and not monitor.finished():
            v.assign(np.array([1.0 / h_next]), w, w)
        self._update(problem, first)
        if not monitor.finished():
            monitor.advance(np.array([residual * scale]), x)  # the last step of a cycle is told after x is there
        return residual / norm, int(invariant and not residual < wanted * norm)

    def _image(self, z: Array, out: Array) -> None:
        """Write A M z into `out`, M A z on the left."""
        monitor = self.monitor
        if self.left:
            monitor.multiply(z, self.s)
            monitor.precondition(self.s, out)
        else:
            monitor.multiply(monitor.precondition(z, self.s), out)

    def _update(self, problem: LeastSquares, first: int) -> None:
        """Add the correction to x, and keep it with its image."""
        monitor, v, V, outer, d = self.monitor, self.monitor.vectors, self.V, self.outer, self.d
        y, p = problem.solve(), problem.size
        weights = np.zeros(p, dtype=y.dtype)  # of the rows of V; V[0] starts the Krylov part after prepended vectors
        after = first + len(outer)
        weights[: min(first, p)] = y[: min(first, p)]
        if p > after:  # only where they are prepended
            weights[after + 1 :] = y[after + 1 :]
            weights[0] += y[after]
        if monitor.M is None or self.left:
            d[...] = 0.0
            v.combine(weights, V[:p], d)
        else:
            self.s[...] = 0.0
            v.combine(weights, V[:p], self.s)
            monitor.precondition(self.s, d)
        for (u, _), weight in zip(outer, y[first:after], strict=False):
            v.axpy(np.array([weight]), u.reshape(-1, 1), d)
        length = float(v.norm(d)[0])
        if not np.isfinite(length):
            return
        v.axpy(np.ones(1), d, self.x)
        if self.keep and length > 0.0 and np.isfinite(1.0 / length):
            pair = outer[0] if len(outer) >= self.keep else tuple(v.basis(d, 2))
            u, image = pair[0].reshape(-1, 1), pair[1].reshape(-1, 1)
            image[...] = 0.0
            v.combine(problem.H[: p + 1, :p] @ y / length, V[: p + 1], image)
            v.assign(np.array([1.0 / length]), d, u)
            self.outer = [*outer, (pair[0], pair[1])][-self.keep :]

    def _hand_on(self) -> None:
        """Leave the corrections with the monitor: the newest first."""
        monitor, v = self.monitor, self.monitor.vectors
        self.outer = self.outer[max(0, len(self.outer) - self.keep) :]
        monitor.extra["outer_v"] = self.outer
        monitor.space = None
        if not self.outer:
            return
        U, C = v.basis(self.r, len(self.outer)), v.basis(self.r, len(self.outer))
        for i, (u, image) in enumerate(self.outer[::-1]):
            U[i], C[i] = u, image
        C, W = orthonormalise(C, v)
        if len(C):
            stamp_A, stamp_M = monitor.stamps
            monitor.space = RecycleSpace(v.mix(W, U).T, C.T, None, stamp_A, stamp_M, left=self.left)


def _column(V: Array, j: int) -> Array:
    return V[j].reshape(-1, 1)
