"""GMRES that deflates, and carries its deflation space from one system to the next."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np

from ...operators import Array, LinearOperator, Props, StructureError
from ..krylov.arnoldi import LeastSquares, orthogonalise
from ..krylov.gmres import check_restart
from ..monitor import Monitor
from ..solver import Solver, refuse_variable
from ..status import Status
from .adoption import project_out
from .kept import KeptSpace

GAIN = 1e-8
"""Relative gain below which a cycle counts as none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GCRODR(Solver):
    """GCRO with deflated restarting, GCRO-DR(m, k), for sequences of nonsymmetric systems.

    A cycle minimises ‖b − A x‖₂ over the k vectors U of the recycle space together with m − k Arnoldi vectors of
    (I − C Cᴴ) A M, where A U = C and CᴴC = I. Then it keeps k harmonic Ritz vectors of smallest modulus as the new U.
    Given a space the method starts with it; without one the first cycle is a GMRES cycle, and the method equals GMRES
    with deflated restarting. ``result.space`` is the space to hand on.

    Storage: m + 3k + 5 vectors besides x and b, and with a preconditioner m + 2k + 2 more (m more for a flexible one,
    one on the left); the space handed on is 2k vectors, 3k with a fixed preconditioner on the right. Each iteration:
    one product with A, one with M, 4 (k + j) inner products or updates at step j. A cycle: one product more for the
    true residual, and about 3 (m + 1) k n multiplications in products of matrices. A space made for another A costs k
    products, counted as set-up, another M also k with M.

    Do not use it where a cold solve takes fewer than about 4k iterations, as with multigrid, nor where A can be
    factorised once for many systems; for a positive definite A `DeflatedCG` needs far less storage. On sequences whose
    systems have little in common (independent random fields) the gain is that of deflated restarting alone.

    Parameters
    ----------
    restart : int
        Vectors of a cycle, m: the k recycled ones and m − k new ones.
    k : int
        Size of the recycle space, less than `restart`. One more is kept where the last is one of a complex pair.
    side : {"right", "flexible", "left"}
        On the right the residual is that of the system. "flexible" is for an M that varies from one application to the
        next. On the left convergence is estimated from M r and then checked.
    update : bool
        Whether to renew the space after each cycle; otherwise the given one is kept as it is.

    References
    ----------
    Parks, de Sturler, Mackey, Johnson & Maiti 2006, doi:10.1137/040607277; Carvalho, Gratton, Lago & Vasseur 2011,
    doi:10.1137/10082439X (flexible); Morgan 2002, doi:10.1137/S1064827599364659 (GMRES-DR).

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import GCRODR, GMRES
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(150, 150)).tocsr()
    >>> b, method = np.ones(150), GCRODR(restart=30, k=10, rtol=1e-6)
    >>> first = method.solve(A, b)
    >>> A.setdiag(2.0 + 1e-6 * np.arange(150))
    >>> second = method.solve(A, b, space=first.space)
    >>> second.iterations < first.iterations < GMRES(rtol=1e-6).solve(A, b).iterations, second.counts.setup
    (True, 10)
    """

    restart: int = 40
    k: int = 20
    side: Literal["right", "flexible", "left"] = "right"
    update: bool = True
    lockstep: ClassVar[bool] = False
    recycles: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_restart(self.restart)
        if int(self.k) != self.k or not 1 <= self.k < self.restart:
            raise ValueError(f"k must be a whole number from 1 to restart − 1 = {self.restart - 1}, got {self.k!r}")
        if self.side not in ("right", "flexible", "left"):
            raise ValueError(f"side must be 'right', 'flexible' or 'left', got {self.side!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if self.side != "flexible":
            refuse_variable(A, M, f"GCRODR(side={self.side!r})", "GCRODR(side='flexible')")
        elif Props.VARIABLE in A.props:
            raise StructureError(f"GCRODR needs a fixed operator, but {A!r} is VARIABLE")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        _Run(self, b, x, monitor).run()


class _Run:
    """One solve: the arrays it works with, and what it knows of its recycle space."""

    def __init__(self, options: GCRODR, b: Array, x: Array, monitor: Monitor) -> None:
        v = monitor.vectors
        self.x, self.monitor, self.options = x, monitor, options
        self.m = min(int(options.restart), b.shape[0])
        self.keep = max(min(int(options.k), self.m - 1), 0)
        self.left = options.side == "left" and monitor.M is not None
        self.W = v.basis(b, self.m + 1)
        """C in the first rows, then the Arnoldi vectors."""
        self.Z = v.basis(b, self.m) if monitor.M is not None and not self.left else None
        """The Arnoldi vectors after preconditioning."""
        self.kept = KeptSpace(
            monitor,
            b,
            self.keep,
            max(min(self.keep + 1, self.m - 1), 0),
            self.W,
            left=self.left,
            in_solutions=options.side == "flexible" and monitor.M is not None,
        )
        self.r = v.empty_like(b)
        self.s = v.empty_like(b) if self.left else self.r

    def run(self) -> None:
        """Run cycles until the monitor has finished the column."""
        monitor, x, r = self.monitor, self.x, self.r
        every = np.ones(1, dtype=bool)
        best, stalls, breakdowns = np.inf, 0, 0
        norm = float(monitor.start(x, r)[0])
        if monitor.finished():
            return  # the space that was given goes on as it came
        self.kept.adopt(r, self.m - 1)
        while monitor.running:
            stalls = 0 if norm < best * (1.0 - GAIN) else stalls + 1
            best = min(best, norm)
            if stalls or breakdowns:
                monitor.retire_inconsistent(every, x, r)
            if stalls >= 2 or breakdowns >= 2:
                monitor.retire(every & (breakdowns >= 2), Status.BREAKDOWN, x, "the Krylov space holds no solution")
                monitor.retire(every, Status.STAGNATED, x, f"{stalls} cycles without progress")
                break
            if stalls or breakdowns:  # without what may have misled it
                self.kept.drop()
            breakdowns += self._cycle(norm)
            if not np.isfinite(norm) or monitor.finished():
                break
            norm = float(monitor.start(x, r)[0])
        self.kept.hand_on()

    def _cycle(self, true_norm: float) -> int:
        """Run one cycle from the true residual r; return 1 if the Krylov space came to an end without a solution."""
        monitor, x, W, v, basis = self.monitor, self.x, self.W, self.monitor.vectors, self.kept.basis
        r = monitor.precondition(self.r, self.s) if self.left else self.r
        norm = float(v.norm(r)[0])
        if not np.isfinite(norm):
            monitor.retire(np.ones(1, dtype=bool), Status.NONFINITE, x, "the preconditioned residual is not finite")
            return 0
        if norm == 0.0:
            return 1  # a singular preconditioner has lost the residual
        scale = true_norm / norm if self.left else 1.0
        k = self.kept.size
        if basis is not None:
            project_out(basis, monitor, x, r)
            norm = float(v.norm(r)[0])
        if not norm * scale > monitor.tolerance[monitor.active[0]]:
            return 0  # the space alone has solved it, if the true residual agrees
        v.assign(np.array([1.0 / norm]), r, _column(W, k))
        p = self.m - k
        problem = LeastSquares(norm, p, v.dot(r, r).dtype)
        B = np.zeros((k, p), dtype=problem.H.dtype)
        broken = 0
        while problem.size < p:
            j = problem.size
            w = _column(W, k + j + 1)
            if self.left:
                monitor.multiply(_column(W, k + j), self.r)
                monitor.precondition(self.r, w)
            elif self.Z is None:
                monitor.multiply(_column(W, k + j), w)
            else:
                monitor.multiply(monitor.precondition(_column(W, k + j), _column(self.Z, j)), w)
            h, h_next, before = orthogonalise(w, W[: k + j + 1], v)
            B[:, j] = h[:k]
            residual = problem.append(h[k:], h_next)
            proposal = bool(monitor.advance(np.array([residual * scale]))[0])
            if not np.isfinite(residual):
                return 0
            invariant = h_next <= monitor.eps * before
            broken = int(invariant and not proposal)
            if not invariant:
                v.assign(np.array([1.0 / h_next]), w, w)
            if proposal or invariant or monitor.finished() or monitor.iteration >= monitor.maxiter:
                break
        y = problem.solve()
        v.combine(y, W[k : k + problem.size] if self.Z is None else self.Z[: problem.size], x)
        if basis is not None:
            v.combine(-(B[:, : problem.size] @ y), basis.U, x)
        if self.options.update and self.keep:
            p = problem.size
            Z = None if self.Z is None else self.Z[:p]
            self.kept.renew(W[k : k + p], Z, B[:, :p], problem.H[: p + 1, :p])
        return broken


def _column(V: Array, j: int) -> Array:
    return V[j].reshape(-1, 1)
