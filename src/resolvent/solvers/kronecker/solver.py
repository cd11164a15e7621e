"""Direct solution of Kronecker-structured systems, and preconditioners of the same structure."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from ...operators import (
    SPD,
    Array,
    Kronecker,
    KroneckerPlusDiagonal,
    KroneckerSum,
    LinearOperator,
    Masked,
    Props,
    StructureError,
    SumOfKroneckers,
)
from ..factorisations import SingularError
from ..monitor import Monitor
from ..preconditioners.recipe import Recipe
from ..separable.from_factors import reference_of_factors
from ..solver import Solver
from ..status import Status
from .balanced import balanced
from .diagonalisation import Diagonalisation
from .factorwise import FactorwiseLU
from .inverse import StructuredFactors, StructuredInverse
from .nearest import nearest_structured
from .schur import SchurFactors
from .transforms import TransformFactors

Method = Literal["auto", "eig", "schur", "lu", "transforms"]

CONDITION = 1e-9
"""Largest product of the condition numbers of eigenvectors and the unit roundoff with which they are used: eight digits
remain, and refinement gains the others. Beyond, Schur factors are stable."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class KroneckerSolver(Solver, Recipe):
    """Factors axis by axis for systems of Kronecker structure; a direct solver, and a preconditioner by the same name.

    As a solver, ``KroneckerSolver().prepare(A)`` factorises the small matrices of the axes once. Each right-hand side
    then takes products with them, and a refinement only where rounding left the residual above the tolerance.
    ``prepared.logdet()``, ``prepared.eigh()`` and ``prepared.solve_T(b)`` use the same factors.

    ==========================================  ====================================================================
    A                                           method="auto" takes
    ==========================================  ====================================================================
    `Kronecker`                                 LU of each factor
    `KroneckerSum`, also + c I                  fast transforms for second differences with constant coefficients;
                                                eigenvectors of each factor, if they are well enough conditioned;
                                                else Schur factors
    `Kronecker` + c I                           eigenvectors of each factor
    `Kronecker` + D, both definite, d a         eigenvectors of D^{−1/2} K D^{−1/2}
    Kronecker product of vectors
    `SumOfKroneckers`, at most two different    eigenvectors of the pencil of each axis
    matrices on each axis
    ==========================================  ====================================================================

    As a preconditioner, ``GMRES().solve(A, b, M=KroneckerSolver())``: the same for a structured operator near to A.
    For K + D with d varying that is K plus the mean of d; for three or more Kronecker products the nearest single one;
    for `Masked` the inverse on the whole grid, masked; eigenvalues that are zero become the smallest of the others.

    Cost on N^d points: O(N³) once; then 4 d N^{d+1} flops for eigenvectors, 2 d N^{d+1} for LU, and O(N^d log N) for
    transforms. Storage: the factors (N² numbers each), and one or two vectors. Do not use it for axes of many
    thousand points without constant coefficients, nor as a preconditioner where coefficients vary by orders of
    magnitude.

    Parameters
    ----------
    method : {"auto", "eig", "schur", "lu", "transforms"}
        "eig": eigenvectors whatever their condition. "schur": for Kronecker sums on numpy storage. "lu": for Kronecker
        products. "transforms": what `FastPoisson` does.
    rtol, atol, maxiter
        See `Solver`; of no meaning for the preconditioner.

    Raises
    ------
    StructureError
        For operators without such structure, naming what to use instead. A singular matrix is a status of the solve
        (BREAKDOWN), and an error of `logdet`.

    References
    ----------
    Lynch, Rice & Thomas 1964, doi:10.1007/BF01386067 (fast diagonalisation); Bartels & Stewart 1972,
    doi:10.1145/361573.361582 (Schur).

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import KroneckerSum
    >>> from resolvent.solvers import KroneckerSolver
    >>> A, B = np.array([[4.0, 1.0], [0.0, 3.0]]), np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> prepared = KroneckerSolver().prepare(KroneckerSum(A, B))
    >>> result = prepared.solve(np.ones(4))
    >>> result.converged, (A @ result.x.reshape(2, 2) + result.x.reshape(2, 2) @ B.T).round(12)
    (True, array([[1., 1.],
           [1., 1.]]))
    >>> sign, log = prepared.logdet()
    >>> round(sign * np.exp(log))
    840
    """

    method: Method = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method not in ("auto", "eig", "schur", "lu", "transforms"):
            raise ValueError(f"method must be 'auto', 'eig', 'schur', 'lu' or 'transforms', got {self.method!r}")

    # The preconditioner ----------------------------------------------------------------------------------------------

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return self.update(None, A)

    def update(self, M: LinearOperator | None, A: LinearOperator) -> LinearOperator:
        """Return M for a changed A: where only the shift is new, the factors of the axes are kept."""
        if isinstance(A, Masked):
            if A.rows is not A.columns:
                raise StructureError(f"{A!r} is no principal submatrix: use LSQR or LSMR without a preconditioner")
            previous = M.A if isinstance(M, Masked) else None
            return Masked(self.update(previous, A.A), A.rows)
        B = nearest_structured(A)
        old = M.factors if isinstance(M, StructuredInverse) else None
        factors = old.shifted(B) if old is not None else None
        if factors is None or factors.failure:
            factors = self._factors(B, preconditioner=True)
        return StructuredInverse(B, factors, self.claims(A))

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what is known of the structured operator that it inverts."""
        if isinstance(A, Masked):
            return self.claims(A.A) & ~Props.SINGULAR
        B = nearest_structured(A)
        return B.props & (SPD | Props.SYMMETRIC)

    # The solver ------------------------------------------------------------------------------------------------------

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if M is not None:
            raise StructureError("KroneckerSolver takes no preconditioner: leave M out, or use CG or GMRES")
        if not isinstance(A, Kronecker | KroneckerSum | KroneckerPlusDiagonal | SumOfKroneckers):
            raise StructureError(
                f"KroneckerSolver solves Kronecker products and sums, not {A!r}: use it as M=KroneckerSolver() "
                "for a masked one, or another solver"
            )

    def _setup(self, A: LinearOperator) -> StructuredFactors:
        return self._factors(A)

    def _refresh(self, state: StructuredFactors, A: LinearOperator) -> StructuredFactors:
        return state.shifted(A) or self._setup(A)

    def _factors(self, A: LinearOperator, *, preconditioner: bool = False) -> StructuredFactors:
        structured = A.structured if isinstance(A, KroneckerPlusDiagonal) else A
        if self.method in ("auto", "transforms"):
            reference = reference_of_factors(A)
            if reference is not None:
                return TransformFactors.of(A, reference, preconditioner=preconditioner)
            if self.method == "transforms":
                raise StructureError(
                    f"fast transforms are for Kronecker sums of second differences with constant coefficients, and "
                    f"{A!r} is none: use method='auto'"
                )
        if self.method == "lu" or (self.method == "auto" and isinstance(A, Kronecker)):
            if not isinstance(A, Kronecker):
                raise StructureError(f"method='lu' is for Kronecker products alone, not {A!r}: use 'auto'")
            factors = FactorwiseLU(A)
            if not (factors.failure and preconditioner):
                return factors
        if self.method == "schur":
            return SchurFactors(A)
        if isinstance(A, KroneckerPlusDiagonal) and A.constant is None:
            return balanced(A)
        found = Diagonalisation(A, replace_null=preconditioner)
        unstable = bool(found.failure) or found.condition * 0.5 * float(np.finfo(A.dtype).eps) > CONDITION
        if self.method == "auto" and unstable and isinstance(structured, KroneckerSum) and not A._holds_torch():
            return SchurFactors(A)
        return found

    def _adjoint(self, state: Any, A: LinearOperator) -> Any:
        return _Turned(state)

    def _run(self, state: StructuredFactors, b: Array, x: Array, monitor: Monitor) -> None:
        v = monitor.vectors
        r, z = v.empty_like(b), v.empty_like(b)
        monitor.start(x, r, keep_best=True)
        if state.failure and monitor.running:
            monitor.retire(np.ones(len(monitor.active), dtype=bool), Status.BREAKDOWN, x, state.failure)
        size = None
        while monitor.running:
            x, r, z = monitor.compact(x, r, z)
            state.solve_into(r, z, adjoint=False)
            v.axpy(np.ones(r.shape[1]), z, x)
            stalled = monitor.step_recomputed(x, r, gain=0.5, patience=3)
            if stalled.any():
                size = _norm_bound(monitor.A) if size is None else size
                bound = size * v.norm(x) + monitor.rhs_norm[monitor.active]
                rounding = stalled & (v.norm(r) <= 10.0 * monitor.eps * bound)
                monitor.retire(rounding, Status.STAGNATED, x, "the residual is as small as rounding allows")

    def _logdet(self, state: StructuredFactors, A: LinearOperator) -> tuple[Any, float]:
        if state.failure:
            raise SingularError(state.failure)
        return state.logdet()

    def _eigh(self, state: Any, A: LinearOperator) -> tuple[Array, LinearOperator]:
        found = state.factors if isinstance(state, _Turned) else state
        if not isinstance(found, Diagonalisation):
            found = Diagonalisation(A)
        if not hasattr(found, "bases"):
            raise SingularError(found.failure)
        if any(basis.condition != 1.0 for basis in found.bases):
            raise StructureError(f"eigh is for factors that are all self-adjoint, which those of {A!r} are not")
        return found.values, found.right

    def __str__(self) -> str:
        changed = [f for f in dataclasses.fields(self) if getattr(self, f.name) != f.default or f.name == "rtol"]
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in changed)})"


class _Turned(StructuredFactors):
    """The same factors, solving with the adjoint."""

    def __init__(self, factors: StructuredFactors) -> None:
        self.factors, self.shape, self.failure = factors, factors.shape, factors.failure

    def solve_into(self, R: Array, out: Array, *, adjoint: bool) -> None:
        self.factors.solve_into(R, out, adjoint=not adjoint)

    def logdet(self) -> tuple[Any, float]:
        sign, log = self.factors.logdet()
        return np.conj(sign), log

    def describe(self) -> str:
        return self.factors.describe()


def _norm_bound(A: LinearOperator) -> float:
    """Return a bound of ‖A‖₂ from the largest row sums of its factors, or their Frobenius norms on torch."""
    if isinstance(A, KroneckerPlusDiagonal):
        return _norm_bound(A.structured) + float(abs(A.d).max())
    if isinstance(A, SumOfKroneckers):
        return sum(_norm_bound(term) for term in A.terms)
    if isinstance(A, Kronecker | KroneckerSum):
        sizes = [float((abs(f.to_dense()) ** 2).sum()) ** 0.5 for f in A.factors]
        return float(np.prod(sizes)) if isinstance(A, Kronecker) else sum(sizes)
    return 0.0
