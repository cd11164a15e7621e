"""Direct solution by factorisation, with iterative refinement and reuse of what depends on the pattern alone."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from ..operators import Array, Dense, LinearOperator, Props, StructureError
from ..operators.arrays import is_torch
from ..operators.sparse import same_pattern
from .factorisations import Analysis, BandedCholesky, DenseLU, SingularError, SparseLU
from .factorisations.analysis import Solve
from .factorisations.banded import WIDEST, half_bandwidth
from .monitor import Monitor
from .solver import Solver
from .status import Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Direct(Solver):
    """Factorisation followed by iterative refinement.

    `prepare` factorises once; each right-hand side then costs one pair of triangular solves, and further ones only
    where rounding left the residual above the tolerance. `Prepared.update` with a matrix of the same pattern keeps the
    analysis: band positions or fill-reducing ordering.

    A positive definite matrix with a narrow band (a two-dimensional grid of up to 160 points a row) is factorised by
    LAPACK's band Cholesky. Other symmetric patterns are ordered by minimum degree on A + Aᵀ and factorised by SuperLU
    with diagonal pivots, which in two dimensions leaves about half the fill of the column ordering that SciPy uses by
    default. Where diagonal pivots fail or are not stable enough for the tolerance, the matrix is factorised again with
    partial pivoting. Dense operators go to LAPACK.

    Cost for a grid of n unknowns: O(n^1.5) time and O(n log n) memory in 2-D, O(n²) and O(n^4/3) in 3-D. Do not use
    it for large 3-D problems.

    Parameters
    ----------
    ordering : {"auto", "band", "symmetric", "column"}
        "band" keeps the numbering and factorises within the band, "symmetric" orders A + Aᵀ, "column" orders AᵀA
        (COLAMD) with partial pivoting; "auto" looks at pattern and claims.

    References
    ----------
    Li 2005, doi:10.1145/1089014.1089017 (SuperLU); Liu 1985, doi:10.1145/214392.214398 (minimum degree).

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import Direct
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(3, 3))
    >>> Direct().solve(A, np.array([1.0, 0.0, 1.0])).x.round(12)
    array([1., 1., 1.])
    """

    ordering: Literal["auto", "band", "symmetric", "column"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ordering not in ("auto", "band", "symmetric", "column"):
            raise ValueError(f"ordering must be 'auto', 'band', 'symmetric' or 'column', got {self.ordering!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if M is not None:
            raise StructureError("Direct takes no preconditioner: leave M out, or use an iterative method")
        if A.device != "cpu":
            raise StructureError(f"Direct runs on the host, but {A!r} is on {A.device}: use an iterative method there")

    def _setup(self, A: LinearOperator) -> Factorisation:
        if isinstance(A, Dense):
            return Factorisation(DenseLU(), A.to_dense())
        matrix = A.to_sparse()
        return Factorisation(self._analyse(A, matrix), matrix)

    def _refresh(self, state: Factorisation, A: LinearOperator) -> Factorisation:
        matrix = A.to_dense() if isinstance(A, Dense) else A.to_sparse()
        return Factorisation(state.analysis, matrix) if state.analysis.fits(matrix) else self._setup(A)

    def _adjoint(self, state: Factorisation, A: LinearOperator) -> Factorisation:
        return state.adjoint()

    def _run(self, state: Factorisation, b: Array, x: Array, monitor: Monitor) -> None:
        v = monitor.vectors
        r = v.empty_like(b)
        monitor.start(x, r, keep_best=True)
        if state.failure:
            monitor.retire(np.ones(b.shape[1], dtype=bool), Status.BREAKDOWN, x, state.failure)
        while monitor.running:
            x, r = monitor.compact(x, r)
            v.axpy(np.ones(r.shape[1]), state.solve(r), x)
            if monitor.step_recomputed(x, r).any():
                state.fall_back()

    def _analyse(self, A: LinearOperator, matrix: sp.csr_array) -> Analysis:
        definite = Props.POSITIVE_DEFINITE in A.props and Props.SINGULAR not in A.props
        if self.ordering == "band" or (self.ordering == "auto" and definite and half_bandwidth(matrix) <= WIDEST):
            return BandedCholesky(matrix)
        symmetric = self.ordering == "symmetric" or (self.ordering == "auto" and _symmetric_pattern(A, matrix))
        return SparseLU(matrix, symmetric=symmetric)


class Factorisation:
    """The factors of one matrix, or the reason why there are none."""

    def __init__(self, analysis: Analysis, matrix: Any) -> None:
        self.analysis = analysis
        self.failure = ""
        self._matrix = matrix
        self._transposed = False
        self._solve: Solve
        entries = matrix if isinstance(matrix, np.ndarray) else matrix.data
        if np.isfinite(entries).all():
            self._factorise()
        else:
            self.failure = "the matrix holds NaN or infinity"

    def solve(self, r: Array) -> Array:
        """Return A⁻¹ r, or A⁻ᴴ r for an adjoint, for an (n, k) array."""
        trans = "H" if self._transposed else "N"
        if is_torch(r):
            from ._torch import on_host

            return on_host(lambda array: self._solve(array, trans), r)
        return self._solve(r, trans)

    def adjoint(self) -> Factorisation:
        """Return the same factors, solving with Aᴴ."""
        other = object.__new__(Factorisation)
        other.__dict__.update(self.__dict__)
        other._transposed = not self._transposed
        return other

    def fall_back(self) -> None:
        """Factorise again in a more stable way, if there is one and it succeeds."""
        weaker, self.analysis = self.analysis, self.analysis.fallback() or self.analysis
        if self.analysis is not weaker:
            self._factorise()

    def _factorise(self) -> None:
        analysis: Analysis | None = self.analysis
        while analysis is not None:
            self.analysis = analysis
            try:
                self._solve = analysis.factorise(self._matrix)
            except SingularError as error:
                self.failure = f"the matrix is singular ({error})"
                analysis = analysis.fallback()
            else:
                self.failure = ""
                return


def _symmetric_pattern(A: LinearOperator, matrix: sp.csr_array) -> bool:
    if A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT):
        return True
    return same_pattern(matrix, sp.csr_array(matrix.T))
