"""GMRES that keeps the directions of its cycles, and carries them from one system to the next."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np

from ...operators import Array, LinearOperator, Props, StructureError
from ..krylov.arnoldi import LeastSquares, orthogonalise
from ..krylov.gmres import check_restart
from ..monitor import Monitor
from ..solver import Solver
from ..status import Status
from .adoption import adopt
from .orthonormal import ORTHOGONAL, orthonormalise
from .space import RecycleSpace

GAIN = 1e-8
"""Relative gain below which a cycle counts as none."""

NEW = 1e-8
"""The solution joins the space if more than this part of its image lies outside it, and more than √ε: less would be
rounding."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GCROT(Solver):
    """Flexible GCROT(m, k) for nonsymmetric systems and sequences of them.

    A cycle minimises ‖b − A x‖₂ over the pairs kept so far, A U = C with CᴴC = I, together with m Arnoldi vectors of
    (I − C Cᴴ) A M, more while fewer than k pairs are there. Its correction and the image of that become the next pair;
    of more than k one is dropped. No eigenproblem is solved. At the end the solution joins the space, so that the same
    system again takes two products. ``result.space`` is the space to hand on, of at most k + 1 pairs.

    Storage: m + 2k + 6 vectors, m + k more with a preconditioner, and twice as many as the space while C is
    orthonormalised at the start and the end. Each iteration: one product with A, one with M, 4 (i + j) inner products
    or updates at step j with i pairs. A cycle: one combination of all its vectors, no product. A space made for another
    A costs a product for each vector, counted as set-up. `Progress.x` is the iterate at the end of each cycle, None on
    the way.

    Do not use it where a cold solve takes only a few cycles' worth of iterations, as with multigrid, nor where A can be
    factorised once for many systems. `GCRODR` chooses its space better but solves an eigenproblem a cycle; for a
    positive definite A use `CG` or `DeflatedCG`.

    Parameters
    ----------
    m : int
        Arnoldi steps of a cycle.
    k : int, optional
        Pairs kept; `m` by default.
    truncate : {"oldest", "smallest"}
        Which to drop: the oldest, or the direction that mattered least in the last cycle.
    discard_C : bool
        Hand on U alone, for half the storage between systems whose matrices differ anyway.

    References
    ----------
    Hicken & Zingg 2010, doi:10.1137/090754674; de Sturler 1999, doi:10.1137/S0036142997315950 ("smallest").

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import GCROT
    >>> A = sp.diags_array([-1.0, 2.1, -1.0], offsets=[-1, 0, 1], shape=(150, 150)).tocsr()
    >>> b, method = np.ones(150), GCROT(m=10)
    >>> first = method.solve(A, b)
    >>> again = method.solve(A, b, space=first.space)
    >>> again.iterations, again.counts.matvec, again.counts.setup
    (0, 2, 0)
    """

    m: int = 20
    k: int | None = None
    truncate: Literal["oldest", "smallest"] = "oldest"
    discard_C: bool = False
    lockstep: ClassVar[bool] = False
    recycles: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_restart(self.m, "m")
        if self.k is not None and (int(self.k) != self.k or self.k < 1):
            raise ValueError(f"k must be a whole number ≥ 1, or None for m, got {self.k!r}")
        if self.truncate not in ("oldest", "smallest"):
            raise ValueError(f"truncate must be 'oldest' or 'smallest', got {self.truncate!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if Props.VARIABLE in A.props:
            raise StructureError(f"GCROT needs a fixed operator, but {A!r} is VARIABLE")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        _Run(self, b, x, monitor).run()


class _Run:
    """One solve: the arrays it works with, and the pairs it has."""

    def __init__(self, options: GCROT, b: Array, x: Array, monitor: Monitor) -> None:
        v, n = monitor.vectors, b.shape[0]
        self.b, self.x, self.monitor, self.options = b, x, monitor, options
        self.m = min(int(options.m), n)
        self.keep = min(int(options.m if options.k is None else options.k), n)
        self.W = v.basis(b, self.m + self.keep + 2)
        """C in the first rows, then the Arnoldi vectors: one product orthogonalises against both."""
        self.U = v.basis(b, self.keep + 1)
        self.Z = None if monitor.M is None else v.basis(b, self.m + self.keep)
        self.order: list[int] = []
        """Rows of the pairs, the oldest first."""
        self.r, self.c, self.u = v.empty_like(b), v.empty_like(b), v.empty_like(b)

    @property
    def count(self) -> int:
        """Number of pairs."""
        return len(self.order)

    def run(self) -> None:
        """Run cycles until the monitor has finished the column."""
        monitor, x, r = self.monitor, self.x, self.r
        every = np.ones(1, dtype=bool)
        norm = float(monitor.start(x, r)[0])
        if monitor.finished():
            return  # and the space that was given goes on as it is
        goal = max(monitor.tolerance[0], monitor.eps * monitor.rhs_norm[0])
        true, best, least = True, np.inf, norm
        stalls, breakdowns = 0, 0
        if self._adopt():
            norm, true = float(monitor.vectors.norm(r)[0]), False
        while True:
            if not true and (
                norm <= goal
                or not norm < least * (1.0 - GAIN)
                or stalls + breakdowns
                or monitor.iteration >= monitor.maxiter
            ):
                norm, true = float(monitor.start(x, r)[0]), True
                if monitor.finished():
                    break
            if true:  # only the true residual says whether there was a gain
                gained = norm < best * (1.0 - GAIN)
                stalls = 0 if gained else stalls + 1
                breakdowns = 0 if norm < 0.5 * best else breakdowns
                best = min(best, norm)
                if stalls or breakdowns:
                    monitor.retire_inconsistent(every, x, r)
                if stalls >= 2 or breakdowns >= 2:
                    monitor.retire(every & (breakdowns >= 2), Status.BREAKDOWN, x, "the Krylov space holds no solution")
                    monitor.retire(every, Status.STAGNATED, x, f"{stalls} cycles without progress")
                if monitor.finished():
                    break
                if stalls or breakdowns:  # without what may have misled it
                    self.order = []
            least = norm
            norm, broken = self._cycle(norm)
            true = False
            breakdowns += broken
            if monitor.finished():
                break
        self._hand_on()

    def _adopt(self) -> bool:
        """Take the space that was given, and make the residual orthogonal to it."""
        monitor, v = self.monitor, self.monitor.vectors
        basis = adopt(monitor, self.r, limit=self.keep + 1, preimages=False)
        monitor.extra["recycled"] = 0 if basis is None else basis.k
        if basis is None:
            return False
        k = basis.k
        self.W[:k], self.U[:k] = basis.C, basis.U
        self.order = list(range(k))[::-1]  # the newest, or the least dependent, come first in a space
        c = v.project(self.W[:k], self.r)
        v.combine(c, self.U[:k], self.x)
        v.combine(-c, self.W[:k], self.r)
        return True

    def _cycle(self, norm: float) -> tuple[float, int]:
        """Run one cycle from r; return the norm of the new r, and 1 if the Krylov space came to an end too early."""
        monitor, v, W, Z, k = self.monitor, self.monitor.vectors, self.W, self.Z, self.count
        goal = max(monitor.tolerance[0], monitor.eps * monitor.rhs_norm[0])
        p = max(1, min(self.m + max(self.keep - k, 0), W.shape[1] - k))
        v.assign(np.array([1.0 / norm]), self.r, _column(W, k))
        problem = LeastSquares(norm, p, v.dot(self.r, self.r).dtype)
        B = np.zeros((k, p), dtype=problem.H.dtype)
        while True:
            j = problem.size
            z, w = _column(W, k + j), _column(W, k + j + 1)
            monitor.multiply(z if Z is None else monitor.precondition(z, _column(Z, j)), w)
            h, h_next, before = orthogonalise(w, W[: k + j + 1], v)
            B[:, j] = h[:k]
            residual = problem.append(h[k:], h_next)
            if not np.isfinite(residual):
                monitor.advance(np.array([residual]))
                return residual, 0
            invariant = h_next <= monitor.eps * before
            last = problem.size == p or monitor.iteration + 1 >= monitor.maxiter
            if last or invariant or residual <= goal:
                break
            monitor.advance(np.array([residual]))
            if monitor.finished():
                break
            v.assign(np.array([1.0 / h_next]), w, w)
        if not invariant and not monitor.finished():
            v.assign(np.array([1.0 / h_next]), w, w)
        going = not monitor.finished()  # the last step of a cycle is told after x is there
        norm = self._update(problem, B[:, : problem.size], norm)
        if going:
            monitor.advance(np.array([norm]), self.x)
        return norm, int(invariant and residual > goal)

    def _update(self, problem: LeastSquares, B: np.ndarray, norm: float) -> float:
        """Move x and r, and keep the step with its image as a new pair; return the norm of r."""
        v, W, Z, U, c, u = self.monitor.vectors, self.W, self.Z, self.U, self.c, self.u
        k, p = self.count, problem.size
        y = problem.solve()
        u[...] = 0.0
        v.combine(y, W[k : k + p] if Z is None else Z[:p], u)
        if k:
            v.combine(-(B @ y), U[:k], u)
        c[...] = 0.0
        v.combine(problem.H[: p + 1, :p] @ y, W[k : k + p + 1], c)
        size = float(v.norm(c)[0])
        if not (size > 0.0 and np.isfinite(1.0 / size)):
            return norm
        for vector in (c, u):
            v.assign(np.array([1.0 / size]), vector, vector)
        norm = float(v.step(v.dot(c, self.r), u, c, self.x, self.r)[0])
        if self.options.truncate == "smallest" and k >= self.keep:
            self._truncate(problem.H[: p + 1, :p], B)
        while self.count > self.keep:
            self._drop_oldest()
        row = self.order.pop(0) if self.count == self.keep else self.count
        self.order.append(row)
        W[row], U[row] = c[:, 0], u[:, 0]
        return norm

    def _drop_oldest(self) -> None:
        """Drop the oldest pair; the last rows take its place."""
        last, row = self.count - 1, self.order.pop(0)
        if row != last:
            self.W[row], self.U[row] = self.W[last], self.U[last]
            self.order[self.order.index(last)] = row

    def _truncate(self, H: np.ndarray, B: np.ndarray) -> None:
        """Keep the k − 1 combinations of pairs that orthogonality to them cost the Arnoldi vectors most (B R⁻¹)."""
        v, k = self.monitor.vectors, self.count
        R: np.ndarray = np.linalg.qr(H)[1]
        try:
            D = np.linalg.solve(R.T, B.T).T
        except np.linalg.LinAlgError:
            return
        if not np.isfinite(D).all():
            return
        kept = np.linalg.svd(D)[0][:, : self.keep - 1]
        order = np.arange(kept.shape[1])
        self.W[: len(order)], self.U[: len(order)] = v.mix(kept, self.W[:k]), v.mix(kept, self.U[:k])
        self.order = order.tolist()

    def _hand_on(self) -> None:
        """Leave the pairs, and the solution as one more, with the monitor: the newest first."""
        monitor, v, k = self.monitor, self.monitor.vectors, self.count
        C, U, c, u = self.W, self.U, self.c, self.u
        order = self.order[::-1]
        c[...] = self.b  # A x = b − r, without a product
        v.axpy(-np.ones(1), self.r, c)
        u[...] = self.x
        before = float(v.norm(c)[0])
        if k:
            for _ in range(2):
                h = v.project(C[:k], c)
                v.combine(-h, C[:k], c)
                v.combine(-h, U[:k], u)
        size = float(v.norm(c)[0])
        if size > max(NEW, monitor.eps**0.5) * before and np.isfinite(1.0 / size) and v.finite(u)[0] and k <= self.keep:
            v.assign(np.array([1.0 / size]), c, c)
            v.assign(np.array([1.0 / size]), u, u)
            C[k], U[k] = c[:, 0], u[:, 0]
            order = [k, *order]
        if not order:
            monitor.space = None
            return
        U, C = v.rows(U, np.array(order)), v.rows(C, np.array(order))
        loss = float(np.linalg.norm(v.gram(C, C) - np.eye(len(order))))
        if not loss <= max(ORTHOGONAL, 10.0 * len(order) * monitor.eps):
            C, mixture = orthonormalise(C, v)
            U = v.mix(mixture, U)
        stamp_A, stamp_M = monitor.stamps
        monitor.space = RecycleSpace(U.T, None if self.options.discard_C else C.T, None, stamp_A, stamp_M)


def _column(V: Array, j: int) -> Array:
    return V[j].reshape(-1, 1)
