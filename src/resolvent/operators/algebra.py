"""Sums, products, multiples and adjoints of operators, simplified where structure allows.

Every operator sign ends here, so that a rule that keeps structure has one place. A rule returns the structured
result; without one the lazy classes Sum, Product, Scaled and Adjoint record the expression.
"""

from __future__ import annotations

from typing import Any

from . import kronecker_algebra
from .adjoint import Adjoint
from .base import LinearOperator
from .convert import as_operator
from .diagonal import Diagonal
from .product import Product
from .props import Props
from .scaled import Scaled
from .sum import Sum


def add(A: Any, B: Any) -> LinearOperator:
    """Return A + B; two diagonals stay diagonal, Kronecker structure is kept, nested sums become one."""
    A, B = as_operator(A), as_operator(B)
    if isinstance(A, Diagonal) and isinstance(B, Diagonal) and A.shape == B.shape:
        return Diagonal(A.diagonal() + B.diagonal(), grid=A.grid or B.grid)
    structured = kronecker_algebra.add(A, B)
    if structured is not None:
        return structured
    terms = [*(A.terms if isinstance(A, Sum) else [A]), *(B.terms if isinstance(B, Sum) else [B])]
    return Sum(terms)


def compose(A: Any, B: Any) -> LinearOperator:
    """Return A B; two diagonals, two Kronecker products stay that; nested products become one, scalars go first."""
    A, B = as_operator(A), as_operator(B)
    if isinstance(A, Diagonal) and isinstance(B, Diagonal) and A.shape == B.shape:
        return Diagonal(A.diagonal() * B.diagonal(), grid=A.grid or B.grid)
    if isinstance(A, Scaled):
        return scale(compose(A.A, B), A.scalar)
    if isinstance(B, Scaled):
        return scale(compose(A, B.A), B.scalar)
    structured = kronecker_algebra.compose(A, B)
    if structured is not None:
        return structured
    factors = [*(A.factors if isinstance(A, Product) else [A]), *(B.factors if isinstance(B, Product) else [B])]
    return Product(factors)


def scale(A: Any, scalar: Any) -> LinearOperator:
    """Return scalar · A; nested multiples become one."""
    A = as_operator(A)
    scalar = complex(scalar)
    scalar = scalar if scalar.imag else scalar.real
    if isinstance(A, Scaled):
        A, scalar = A.A, A.scalar * scalar
    if isinstance(A, Diagonal):
        return Diagonal(A.diagonal() * scalar, grid=A.grid)
    structured = A if scalar == 1.0 else kronecker_algebra.scale(A, scalar)
    return Scaled(A, scalar) if structured is None else structured


def adjoint(A: LinearOperator) -> LinearOperator:
    """Return Aᴴ: A itself where self-adjoint, the original of an adjoint, the reversed factors of a product."""
    if Props.SELF_ADJOINT in A.props:
        return A
    if isinstance(A, Adjoint) and A.conjugate:
        return A.A
    if isinstance(A, Product):
        return Product([adjoint(f) for f in reversed(A.factors)])
    if isinstance(A, Sum):
        return Sum([adjoint(term) for term in A.terms])
    if isinstance(A, Scaled):
        return scale(adjoint(A.A), A.scalar.conjugate())
    if isinstance(A, Diagonal):
        return Diagonal(A.diagonal().conj(), grid=A.grid)
    return kronecker_algebra.adjoint(A) or Adjoint(A)


def transpose(A: LinearOperator) -> LinearOperator:
    """Return Aᵀ: A itself where it is symmetric, the adjoint for a real dtype."""
    if Props.SYMMETRIC in A.props:
        return A
    if A.dtype.kind != "c":
        return adjoint(A)
    if isinstance(A, Adjoint) and not A.conjugate:
        return A.A
    return kronecker_algebra.transpose(A) or Adjoint(A, conjugate=False)
