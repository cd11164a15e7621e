"""GCRO-DR for many right-hand sides that share one Krylov space and one recycle space."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...operators import Array, LinearOperator, Props, StructureError
from ..krylov.gmres import check_restart
from ..krylov.small_matrices import back_substitution, reciprocal_condition
from ..monitor import Monitor
from ..solver import Solver, refuse_variable
from ..status import Status
from .gcrodr import GAIN
from .kept import KeptSpace
from .orthonormal import orthonormalise

ROUNDING = 100.0
"""Allowance, in units of roundoff of b, for the residuals of columns that depend on others."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockGCRODR(Solver):
    """Block GCRO-DR(m, k): all columns of b are minimised over one space of k recycled and m − k new vectors.

    The space grows by one vector for each column at a time, so that every column profits from the products of all.
    Columns of the residual that depend on the others are left out of the block at the start of a cycle, vectors of the
    new block that depend on the basis within it; columns that have converged leave at the end of a cycle.

    Storage for s columns: m + 3k + 3s + 3 vectors besides x and b, with a preconditioner 2m + 5k + 5s + 5. Each
    iteration: s products with A and s with M, and orthogonalisation as products of matrices.

    The columns share the length of a cycle: it should leave room for some ten steps, m ≥ k + 10 s, or `GCRODR`, column
    by column with one recycle space, takes fewer products. It pays where M costs more than A and takes many columns
    at once (triangular solves, sweeps). At least two steps fit, for which m is enlarged.

    Parameters
    ----------
    restart : int
        Vectors of a cycle, m.
    k : int
        Size of the recycle space.
    flexible : bool
        For an M that varies from one application to the next.
    dependent : float
        Relative size below which a residual column, or a new vector, counts as dependent on the others.

    References
    ----------
    Parks, Soodhalter & Szyld 2016, arXiv:1604.01713; Baker, Dennis & Jessup 2006, doi:10.1137/040608088 (blocks).

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import GMRES, SSOR, BlockGCRODR
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(150, 150))
    >>> B = np.random.default_rng(0).standard_normal((150, 4))
    >>> [method.solve(A, B, M=SSOR()).iterations for method in (BlockGCRODR(), GMRES(restart=60))]
    [29, 64]
    """

    restart: int = 60
    k: int = 20
    flexible: bool = False
    dependent: float = 1e-12
    recycles: ClassVar[bool] = True
    block: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_restart(self.restart)
        if int(self.k) != self.k or not 1 <= self.k < self.restart:
            raise ValueError(f"k must be a whole number from 1 to restart − 1 = {self.restart - 1}, got {self.k!r}")
        if not 0.0 < self.dependent < 1.0:
            raise ValueError(f"dependent must lie between 0 and 1, both excluded, got {self.dependent!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if not self.flexible:
            refuse_variable(A, M, "BlockGCRODR", "BlockGCRODR(flexible=True)")
        elif Props.VARIABLE in A.props:
            raise StructureError(f"BlockGCRODR needs a fixed operator, but {A!r} is VARIABLE")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        _Run(self, b, x, monitor).run()


class _Run:
    """One solve: its arrays, and its recycle space."""

    def __init__(self, options: BlockGCRODR, b: Array, x: Array, monitor: Monitor) -> None:
        v, (n, s) = monitor.vectors, b.shape
        self.v, self.x, self.monitor, self.options = v, x, monitor, options
        keep = min(int(options.k), max(n - 1, 0))
        self.m = min(max(int(options.restart), keep + 2 * s), n)
        keep = max(min(keep, self.m - 1), 0)
        self.W = v.basis(b, self.m + s)
        """C in the first rows, then the blocks of Arnoldi vectors, the last one beyond m."""
        self.Z = v.basis(b, self.m) if monitor.M is not None else None
        self.kept = KeptSpace(
            monitor,
            b,
            keep,
            max(min(keep + 1, self.m - 1), 0),
            self.W,
            in_solutions=options.flexible and monitor.M is not None,
        )
        self.block = v.basis(b, s)
        """Rows: the residuals, later the corrections, of the columns at work."""
        self.r = v.empty_like(b)
        # A block as columns, and its image: triangular solves and sweeps take little longer for many columns than for
        # one, whereas products with a sparse A are faster one by one than with the transposition that blocks need.
        self.columns = v.basis(b, 2 * s).reshape(2, -1) if monitor.M is not None else None

    def run(self) -> None:
        """Run cycles until the monitor has finished all columns."""
        monitor, r = self.monitor, self.r
        norms = monitor.start(self.x, r)
        if monitor.running:  # otherwise the space that was given goes on as it came
            self.kept.adopt(r, max(self.m - 2 * len(norms), self.kept.room))  # which leaves room for two steps
            self._iterate(norms)
            self.kept.hand_on()

    def _iterate(self, norms: np.ndarray) -> None:
        monitor, x, r, v, s = self.monitor, self.x, self.r, self.v, len(norms)
        best, stalls, breakdowns = np.full(s, np.inf), np.zeros(s, dtype=int), np.zeros(s, dtype=int)
        while monitor.running:
            x, r, best, stalls, breakdowns, norms = monitor.compact(x, r, best, stalls, breakdowns, norms)
            stalls = np.where(norms < best * (1.0 - GAIN), 0, stalls + 1)
            best = np.fmin(best, norms)
            monitor.retire_inconsistent((stalls > 0) | (breakdowns > 0), x, r)
            monitor.retire(breakdowns >= 2, Status.BREAKDOWN, x, "the Krylov space holds no solution")
            monitor.retire(stalls >= 2, Status.STAGNATED, x, "2 cycles without progress")
            if stalls.any() or breakdowns.any():
                self.kept.drop()
            x, r, best, stalls, breakdowns, norms = monitor.compact(x, r, best, stalls, breakdowns, norms)
            if monitor.running:
                breakdowns = breakdowns + self._cycle(x, r)
                if x is not self.x:
                    v.put(self.x, monitor.active, x)
            x, r, best, stalls, breakdowns, norms = monitor.compact(x, r, best, stalls, breakdowns, norms)
            if monitor.running:
                norms = monitor.start(x, r)

    def _cycle(self, x: Array, r: Array) -> np.ndarray:
        """Run one cycle from the true residuals; return which columns were left without a way to go on."""
        monitor, v, W, kept, options = self.monitor, self.v, self.W, self.kept, self.options
        s, k = x.shape[1], kept.size
        R = self.block[:s]
        R[...] = r.T
        if kept.basis is not None:
            c = v.gram(kept.basis.C, R)
            v.mix(-c, kept.basis.C, R, add=True)
            x += v.mix(c, kept.basis.U).T
        # Columns that depend on others do so up to the rounding of b − A x only, which grows in relation to r.
        norms = np.sqrt(np.abs(np.diagonal(v.gram(R, R))))
        rounding = ROUNDING * monitor.eps * float((monitor.rhs_norm[monitor.active] / norms).max())
        first, _ = orthonormalise(R, v, max(options.dependent, min(rounding, 0.1)))
        width = len(first)
        nothing = np.zeros(s, dtype=int)
        if width == 0:
            return nothing
        right = np.zeros((self.m + s, s), dtype=np.result_type(v.gram(first[:1], first[:1]), np.float64))
        right[:width] = v.gram(first, R)
        if np.all(np.linalg.norm(right, axis=0) <= monitor.tolerance[monitor.active]):
            return nothing  # the space alone has solved it, if the true residual agrees
        if width > self.m - k:  # hardly any unknowns are left besides C
            kept.drop()
            k = 0
        W[k : k + width] = first
        H, B = np.zeros((self.m + s - k, self.m - k), dtype=right.dtype), np.zeros((k, self.m - k), dtype=right.dtype)
        p, rows = 0, width  # columns of H so far, and vectors so far
        while p + width <= self.m - k:
            self._multiply(k + p, p, k + rows, width)
            new = W[k + rows : k + rows + width]
            before = np.sqrt(np.abs(np.diagonal(v.gram(new, new))))
            h = np.zeros((k + rows, width), dtype=right.dtype)
            for _ in range(2):
                correction = v.gram(W[: k + rows], new)
                v.mix(-correction, W[: k + rows], new, add=True)
                h += correction
            after = np.sqrt(np.abs(np.diagonal(v.gram(new, new))))
            for i in np.flatnonzero(~(after > 10.0 * monitor.eps * before)):
                new[int(i)] = 0.0
            basis, _ = orthonormalise(new, v, options.dependent)
            grown = len(basis)
            B[:, p : p + width], H[:rows, p : p + width] = h[:k], h[k:]
            H[rows : rows + grown, p : p + width] = v.gram(basis, new)
            new[:grown] = basis
            p, rows, width = p + width, rows + grown, grown
            y, norms = _least_squares(H[:rows, :p], right[:rows], max(1e-12, 10.0 * monitor.eps))
            proposals = monitor.advance(norms)
            if not np.isfinite(norms).all() or monitor.finished():
                break
            if proposals[monitor.unfinished].all() or width == 0 or monitor.iteration >= monitor.maxiter:
                break
        if not np.isfinite(y).all():
            return nothing
        V = W[k : k + p]
        step = v.mix(y, V if self.Z is None else self.Z[:p], self.block[:s])
        if kept.basis is not None:
            v.mix(-(B[:, :p] @ y), kept.basis.U, step, add=True)
        x += step.T
        if kept.k:
            kept.renew(V, None if self.Z is None else self.Z[:p], B[:, :p], H[:rows, :p])
        stuck: np.ndarray = (width == 0) & ~(norms <= monitor.floor)
        return stuck.astype(int)

    def _multiply(self, start: int, p: int, target: int, width: int) -> None:
        """Write A M times the rows of W from `start` on into those from `target` on."""
        monitor, directions = self.monitor, self.W[start : start + width]
        if self.Z is not None and self.columns is not None:
            n = directions.shape[1]
            block, image = (part[: n * width].reshape(n, width) for part in self.columns)
            block[...] = directions.T
            directions = self.Z[p : p + width]
            directions[...] = monitor.precondition(block, image).T
        for i in range(width):
            monitor.multiply(directions[i].reshape(-1, 1), self.W[target + i].reshape(-1, 1))


def _least_squares(H: np.ndarray, right: np.ndarray, rcond: float) -> tuple[np.ndarray, np.ndarray]:
    """Return y that minimises ‖right − H y‖ by column, the shortest one below a reciprocal condition, and the norms."""
    if not np.isfinite(H).all():
        return np.full((H.shape[1], right.shape[1]), np.nan), np.full(right.shape[1], np.nan)
    columns = H.shape[1]
    Q, R = np.linalg.qr(H, mode="complete")
    rotated = Q.conj().T @ right
    if reciprocal_condition(R[:columns]) < rcond:
        y = np.linalg.lstsq(H, right, rcond=rcond)[0]
        return y, np.linalg.norm(right - H @ y, axis=0)
    return back_substitution(R[:columns], rotated[:columns]), np.linalg.norm(rotated[columns:], axis=0)
