"""Direct solution by factorisation, with iterative refinement and reuse of what depends on the pattern alone."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from ..operators import Array, Dense, LinearOperator, Props, StructureError
from ..operators.arrays import is_torch
from ..operators.detect import entries_equal
from .factorisations import Analysis, BandedCholesky, DenseLU, Pattern, SingularError, SparseLU
from .factorisations.analysis import Solve
from .factorisations.banded import WIDEST
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

    With another `backend` the factorisation is done by MUMPS, CHOLMOD or UMFPACK through PETSc, whose symbolic
    analysis is kept while the pattern stays; right-hand sides are solved in one block. What A claims decides: Cholesky
    for positive definite matrices, LDLᴴ for self-adjoint ones (MUMPS; half the work and memory of LU), LU for others.
    Where that fails the next one is tried, as above. Complex matrices take twice the unknowns where PETSc is real.
    Dense operators go to LAPACK all the same. These packages are as fast as the BLAS that PETSc is linked to, which on
    Debian is the reference BLAS unless another one is installed (``libopenblas0``).

    Cost for a grid of n unknowns: O(n^1.5) time and O(n log n) memory in 2-D, O(n²) and O(n^4/3) in 3-D. Do not use
    it for large 3-D problems.

    Parameters
    ----------
    ordering : {"auto", "band", "symmetric", "column"}
        "band" keeps the numbering and factorises within the band, "symmetric" orders A + Aᵀ, "column" orders AᵀA
        (COLAMD) with partial pivoting; "auto" looks at pattern and claims. The packages of PETSc have their own.
    backend : {"scipy", "mumps", "cholmod", "umfpack"}
        LAPACK and SuperLU, or a package of PETSc. CHOLMOD is for matrices that are self-adjoint and positive definite,
        UMFPACK always factorises LU.

    Raises
    ------
    ImportError
        Without petsc4py, for a backend that needs it, when a system is prepared.
    StructureError
        For a package that this PETSc was built without, and for CHOLMOD with a matrix that is not self-adjoint.

    References
    ----------
    Li 2005, doi:10.1145/1089014.1089017 (SuperLU); Liu 1985, doi:10.1145/214392.214398 (minimum degree); Amestoy et
    al. 2001, doi:10.1137/S0895479899358194 (MUMPS); Chen et al. 2008, doi:10.1145/1391989.1391995 (CHOLMOD); Davis
    2004, doi:10.1145/992200.992206 (UMFPACK).

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import Direct
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(3, 3))
    >>> Direct().solve(A, np.array([1.0, 0.0, 1.0])).x.round(12)
    array([1., 1., 1.])
    """

    ordering: Literal["auto", "band", "symmetric", "column"] = "auto"
    backend: Literal["scipy", "mumps", "cholmod", "umfpack"] = "scipy"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backend not in ("scipy", "mumps", "cholmod", "umfpack"):
            raise ValueError(f"backend must be 'scipy', 'mumps', 'cholmod' or 'umfpack', got {self.backend!r}")
        if self.backend != "scipy" and self.ordering != "auto":
            raise ValueError(f"ordering is for backend='scipy': {self.backend} orders by itself, got {self.ordering!r}")
        if self.ordering not in ("auto", "band", "symmetric", "column"):
            raise ValueError(f"ordering must be 'auto', 'band', 'symmetric' or 'column', got {self.ordering!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if M is not None:
            raise StructureError("Direct takes no preconditioner: leave M out, or use an iterative method")
        if A.device != "cpu":
            raise StructureError(f"Direct runs on the host, but {A!r} is on {A.device}: use an iterative method there")

    def _setup(self, A: LinearOperator) -> Factorisation:
        return Factorisation(self, A)

    def _refresh(self, state: Factorisation, A: LinearOperator) -> Factorisation:
        return Factorisation(self, A, previous=state)

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
            stalled = monitor.step_recomputed(x, r, gain=0.5, patience=3)
            if stalled.any():
                # The bound that rounding of b − A x alone explains: no factors could do better.
                size = state.norm() * v.norm(x) + monitor.rhs_norm[monitor.active]
                rounding = stalled & (v.norm(r) <= 10.0 * monitor.eps * size)
                monitor.retire(rounding, Status.STAGNATED, x, "the residual is as small as rounding allows")
                if (stalled & ~rounding).any():
                    state.fall_back()

    def _analyse(self, A: LinearOperator, pattern: Pattern) -> Analysis:
        if self.backend != "scipy":
            return self._by_petsc(A, pattern)
        definite = _definite(A)
        if self.ordering == "band" or (self.ordering == "auto" and definite and pattern.half_bandwidth() <= WIDEST):
            return BandedCholesky(pattern)
        claimed = bool(A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT))
        symmetric = self.ordering == "symmetric" or (self.ordering == "auto" and (claimed or pattern.symmetric()))
        return SparseLU(pattern, symmetric=symmetric)

    def _by_petsc(self, A: LinearOperator, pattern: Pattern) -> Analysis:
        from .factorisations.petsc_factors import PETScFactorisation, require_package

        assert self.backend != "scipy"
        require_package(self.backend)
        self_adjoint = Props.SELF_ADJOINT in A.props
        if self.backend == "cholmod":
            matrix = A.to_sparse()
            if not self_adjoint and not entries_equal(matrix, matrix.conj().T, 1e-14):
                raise StructureError(f"CHOLMOD factorises matrices with A = Aᴴ, but {A!r} is not one: use 'mumps'")
            return PETScFactorisation(pattern, "cholmod", "cholesky")
        if self.backend == "umfpack" or not self_adjoint:
            return PETScFactorisation(pattern, self.backend, "lu")
        return PETScFactorisation(pattern, "mumps", "cholesky" if _definite(A) else "ldl")


class Factorisation:
    """The factors of one matrix, or the reason why there are none.

    Parameters
    ----------
    options : Direct
    A : LinearOperator
        With entries.
    previous : Factorisation, optional
        Of an earlier matrix: its analysis is kept if it fits. Its factors are dropped first, so that two sets of
        factors never exist at the same time.
    """

    def __init__(self, options: Direct, A: LinearOperator, previous: Factorisation | None = None) -> None:
        self._matrix = A.to_dense() if isinstance(A, Dense) else A.to_sparse()
        self._claims = A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE | Props.SINGULAR)
        self._transposed = False
        self._solve: Solve | None = None
        self.failure = ""
        self.analysis: Analysis
        self.chosen: Analysis
        if previous is not None and previous._claims == self._claims and previous.chosen.fits(self._matrix):
            self.analysis = previous.chosen
        elif isinstance(A, Dense):
            self.analysis = DenseLU()
        else:
            self.analysis = options._analyse(A, Pattern.of(self._matrix))
        self.chosen = self.analysis
        """Where the next matrix begins: a fallback of this one does not bind it."""
        if previous is not None:
            previous._solve = None
        entries = self._matrix if isinstance(self._matrix, np.ndarray) else self._matrix.data
        if np.isfinite(entries).all():
            self._factorise(self.analysis)
        else:
            self.failure = "the matrix holds NaN or infinity"

    def solve(self, r: Array) -> Array:
        """Return A⁻¹ r, or A⁻ᴴ r for an adjoint, for an (n, k) array."""
        assert self._solve is not None
        trans = "H" if self._transposed else "N"
        if is_torch(r):
            from ._torch import on_host

            solve = self._solve
            return on_host(lambda array: solve(array, trans), r)
        return self._solve(r, trans)

    def adjoint(self) -> Factorisation:
        """Return the same factors, solving with Aᴴ."""
        other = object.__new__(Factorisation)
        other.__dict__.update(self.__dict__)
        other._transposed = not self._transposed
        return other

    def norm(self) -> float:
        """Return the largest row sum of |A|, a bound of the size of the terms in A x."""
        return float(abs(self._matrix).sum(axis=1).max(initial=0.0))

    def fall_back(self) -> None:
        """Factorise again in a more stable way; without one that succeeds, keep the factors there are."""
        more_stable = self.analysis.fallback()
        if more_stable is not None:
            self._factorise(more_stable)

    def _factorise(self, analysis: Analysis | None) -> None:
        while analysis is not None:
            self.analysis = analysis
            try:
                self._solve = analysis.factorise(self._matrix)
            except SingularError as error:
                if self._solve is None:
                    self.failure = f"the matrix is singular ({error})"
                analysis = analysis.fallback()
            else:
                self.failure = ""
                return


def _definite(A: LinearOperator) -> bool:
    return Props.POSITIVE_DEFINITE in A.props and Props.SINGULAR not in A.props
