"""Which method to use for operators of Kronecker or Toeplitz structure, told by their classes alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...operators import (
    Dense,
    Diagonal,
    Kronecker,
    KroneckerPlusDiagonal,
    KroneckerSum,
    LinearOperator,
    Masked,
    Props,
    Sparse,
    StructureError,
    SumOfKroneckers,
    Toeplitz,
)
from ..krylov.cg import CG
from ..krylov.gmres import GMRES
from ..krylov.minres import MINRES
from ..separable.from_factors import reference_of_factors
from ..solver import Solver
from ..toeplitz_solver import ToeplitzSolver
from .axis_bases import LONGEST
from .balanced import separable_parts
from .nearest import nearest_structured
from .solver import KroneckerSolver

_ENTRIES = 32
"""Entries a row up to which a structured operator is assembled for methods that look at entries."""

_LEVINSON = 20_000
"""Unknowns up to which a Toeplitz matrix is inverted by the recursion of Levinson and Durbin: 4 n² flops, a second."""


def structured_choice(A: LinearOperator, options: dict[str, Any]) -> tuple[Solver, Any, str] | None:
    """Return solver, preconditioner and reason for an operator whose structure decides, None for any other.

    Parameters
    ----------
    A : LinearOperator
    options : dict
        rtol, atol, maxiter.
    """
    if Props.VARIABLE in A.props or Props.SINGULAR in A.props or A.shape[0] != A.shape[1]:
        return None
    if isinstance(A, Toeplitz):
        if A.circulant or A.shape[0] <= _LEVINSON:
            return ToeplitzSolver(**options), None, "Toeplitz: its inverse is known by two columns"
        return _iterative(A, options, ToeplitzSolver(), "Toeplitz: preconditioned by the nearest circulant")
    if isinstance(A, Masked):
        inner = structured_choice(A.A, options) if A.rows is A.columns else None
        if inner is None or not isinstance(inner[0] if inner[1] is None else inner[1], KroneckerSolver):
            return None
        return _iterative(A, options, KroneckerSolver(), "masked Kronecker structure: preconditioned by the whole grid")
    if not isinstance(A, Kronecker | KroneckerSum | KroneckerPlusDiagonal | SumOfKroneckers) or not _finite(A):
        return None
    reason = f"{type(A).__name__}: factors of its axes"
    if isinstance(A, KroneckerSum | KroneckerPlusDiagonal) and reference_of_factors(A) is not None:
        return KroneckerSolver(**options), None, f"{type(A).__name__} with constant coefficients: fast transforms"
    if not _short_and_square(A):
        return None
    if _direct(A):
        return KroneckerSolver(**options), None, reason
    try:
        nearest_structured(A)
    except StructureError:
        return None
    return _iterative(A, options, KroneckerSolver(), f"{type(A).__name__}: preconditioned by what is near to it")


def assembled_is_large(A: LinearOperator) -> bool:
    """Whether the entries of a structured operator are too many to look at: more than `_ENTRIES` a row."""
    if isinstance(A, Masked):
        return assembled_is_large(A.A)
    if isinstance(A, KroneckerPlusDiagonal):
        return assembled_is_large(A.structured)
    if isinstance(A, Toeplitz):
        return bool(np.count_nonzero(A.c) + np.count_nonzero(A.r) > _ENTRIES)
    if isinstance(A, SumOfKroneckers):
        return any(assembled_is_large(term) for term in A.terms)
    if isinstance(A, Kronecker | KroneckerSum):
        rows = [_entries(factor) / max(factor.shape[0], 1) for factor in A.factors]
        return (sum(rows) if isinstance(A, KroneckerSum) else math.prod(rows)) > _ENTRIES
    return False


def _entries(factor: LinearOperator) -> int:
    if isinstance(factor, Sparse):
        return factor.nnz
    return factor.shape[0] if isinstance(factor, Diagonal) else factor.shape[0] * factor.shape[1]


def _finite(A: LinearOperator) -> bool:
    """Whether no entry of a dense, sparse or Toeplitz factor, and of the diagonal, is NaN or infinite."""
    if isinstance(A, KroneckerPlusDiagonal):
        return bool((abs(A.d) < np.inf).all()) and _finite(A.structured)
    if isinstance(A, SumOfKroneckers):
        return all(_finite(term) for term in A.terms)
    if isinstance(A, Kronecker | KroneckerSum):
        return all(_finite(factor) for factor in A.factors)
    if isinstance(A, Dense):
        return bool(np.isfinite(A.to_dense()).all())
    if isinstance(A, Toeplitz):
        return bool(np.isfinite(A.c).all() and np.isfinite(A.r).all())
    return not isinstance(A, Sparse) or bool(np.isfinite(A.matrix.data).all())


def _direct(A: LinearOperator) -> bool:
    """Whether KroneckerSolver solves it directly, as far as looking tells."""
    if isinstance(A, KroneckerPlusDiagonal):
        return A.constant is not None or separable_parts(A) is not None
    if isinstance(A, SumOfKroneckers):
        few = len(A.terms) <= 2 or all(
            len(set(map(id, axis))) <= 2 for axis in zip(*(t.axes for t in A.terms), strict=True)
        )
        return few and not A._holds_torch()
    return True


def _short_and_square(A: LinearOperator) -> bool:
    part = A.structured if isinstance(A, KroneckerPlusDiagonal) else A
    part = part.terms[0] if isinstance(part, SumOfKroneckers) else part
    factors: tuple[LinearOperator, ...] = part.factors  # type: ignore[attr-defined]
    return all(f.shape[0] == f.shape[1] <= LONGEST for f in factors)


def _iterative(A: LinearOperator, options: dict[str, Any], M: Any, reason: str) -> tuple[Solver, Any, str]:
    """Return the Krylov method that A and what M will claim allow."""
    claims = M.claims(A)
    if Props.POSITIVE_DEFINITE in A.props and Props.POSITIVE_DEFINITE in claims:
        return CG(**options), M, f"{reason}, positive definite: conjugate gradients"
    if Props.SELF_ADJOINT in A.props and Props.POSITIVE_DEFINITE in claims:
        return MINRES(**options), M, f"{reason}, self-adjoint: MINRES"
    return GMRES(restart=50, **options), M, f"{reason}: GMRES, 50 vectors"
