"""Rules of the algebra for operators with Kronecker structure; each returns None where structure cannot be kept."""

from __future__ import annotations

from typing import Any

from .base import LinearOperator
from .diagonal import Diagonal
from .kronecker import Kronecker
from .kronecker_plus_diagonal import KroneckerPlusDiagonal
from .kronecker_sum import KroneckerSum
from .masked import Masked
from .props import Props
from .sum_of_kroneckers import SumOfKroneckers, factor_shapes

_CARRIED = Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE | Props.SINGULAR
"""Claims that a user may have made beyond those of the factors, and that stay true for the adjoint."""


def add(A: LinearOperator, B: LinearOperator) -> LinearOperator | None:
    """Return A + B.

    A product or sum plus a diagonal keeps its eigen-solve, sums over the same axes add axis by axis, and products over
    the same axes are collected.
    """
    if isinstance(A, Diagonal):
        A, B = B, A
    if A.shape != B.shape or A.device != B.device or A._holds_torch() != B._holds_torch():
        return None
    if isinstance(B, Diagonal):
        return _plus_diagonal(A, B)
    if isinstance(A, KroneckerSum) and isinstance(B, KroneckerSum) and _same_axes(A, B):
        return KroneckerSum(*(a + b for a, b in zip(*_paired(A, B), strict=True)), order=_order(A, B))
    if isinstance(A, Kronecker | SumOfKroneckers) and isinstance(B, Kronecker | SumOfKroneckers):
        terms = [*_terms(A), *_terms(B)]
        if len({factor_shapes(term) for term in terms}) == 1 and len(terms[0].axes) > 1:
            return SumOfKroneckers(*terms)
    return None


def compose(A: LinearOperator, B: LinearOperator) -> LinearOperator | None:
    """Return A B: products whose factors fit together axis by axis are multiplied factor by factor."""
    if not (isinstance(A, Kronecker) and isinstance(B, Kronecker)) or len(A.axes) != len(B.axes):
        return None
    fit = all(a.shape[1] == b.shape[0] for a, b in zip(A.axes, B.axes, strict=True))
    if not fit or A.device != B.device or A._holds_torch() != B._holds_torch():
        return None
    return Kronecker(*(a @ b for a, b in zip(*_paired(A, B), strict=True)), order=_order(A, B))


def scale(A: LinearOperator, scalar: Any) -> LinearOperator | None:
    """Return scalar · A: of a product the first factor is scaled, of a sum every one."""
    if isinstance(A, Kronecker):
        return Kronecker(scalar * A.factors[0], *A.factors[1:], order=A.order)
    if isinstance(A, KroneckerSum):
        return KroneckerSum(*(scalar * factor for factor in A.factors), order=A.order)
    if isinstance(A, SumOfKroneckers):
        return SumOfKroneckers(*(scale(term, scalar) for term in A.terms))  # type: ignore[arg-type]
    return None


def adjoint(A: LinearOperator) -> LinearOperator | None:
    """Return Aᴴ."""
    claims = A.props & _CARRIED
    if isinstance(A, Kronecker):
        return Kronecker(*(factor.H for factor in A.factors), order=A.order, props=claims)
    if isinstance(A, KroneckerSum):
        return KroneckerSum(*(factor.H for factor in A.factors), order=A.order, props=claims)
    if isinstance(A, KroneckerPlusDiagonal):
        return KroneckerPlusDiagonal(A.structured.H, _turned(A, conjugate=True), props=claims)
    if isinstance(A, SumOfKroneckers):
        return SumOfKroneckers(*(term.H for term in A.terms), props=claims)  # type: ignore[arg-type]
    if isinstance(A, Masked):
        return Masked(A.A.H, A.columns, "same" if A.rows is A.columns else A.rows, props=claims)
    return None


def transpose(A: LinearOperator) -> LinearOperator | None:
    """Return Aᵀ of a complex operator."""
    claims = A.props & _CARRIED
    if isinstance(A, Kronecker):
        return Kronecker(*(factor.T for factor in A.factors), order=A.order, props=claims)
    if isinstance(A, KroneckerSum):
        return KroneckerSum(*(factor.T for factor in A.factors), order=A.order, props=claims)
    if isinstance(A, KroneckerPlusDiagonal):
        return KroneckerPlusDiagonal(A.structured.T, _turned(A, conjugate=False), props=claims)
    if isinstance(A, SumOfKroneckers):
        return SumOfKroneckers(*(term.T for term in A.terms), props=claims)  # type: ignore[arg-type]
    return None


def _plus_diagonal(A: LinearOperator, D: Diagonal) -> LinearOperator | None:
    if isinstance(A, Kronecker | KroneckerSum):
        return KroneckerPlusDiagonal(A, D)
    if isinstance(A, KroneckerPlusDiagonal):
        return KroneckerPlusDiagonal(A.structured, A.d + D._d)
    return None


def _turned(A: KroneckerPlusDiagonal, *, conjugate: bool) -> Any:
    """Return the diagonal of the adjoint or transpose; a real `Diagonal` itself, so that it is followed."""
    if A._source is not None and A._source.dtype.kind != "c":
        return A._source
    return A.d.conj() if conjugate else A.d


def _terms(A: Kronecker | SumOfKroneckers) -> tuple[Kronecker, ...]:
    return A.terms if isinstance(A, SumOfKroneckers) else (A,)


def _same_axes(A: KroneckerSum, B: KroneckerSum) -> bool:
    return [f.shape for f in A.axes] == [f.shape for f in B.axes]


def _order(A: Any, B: Any) -> Any:
    return A.order if A.order == B.order else "C"


def _paired(A: Any, B: Any) -> tuple[Any, Any]:
    """Return the factors of two operators such that they belong to the same axes, in the common order or in C order."""
    return (A.factors, B.factors) if A.order == B.order else (A.axes, B.axes)
