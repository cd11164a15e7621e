"""What the direct solvers of Kronecker-structured systems have in common."""

from __future__ import annotations

import abc
from typing import Any

from ...operators import Array, LinearOperator, Props, StructureError


class StructuredFactors(abc.ABC):
    """A⁻¹ as factors axis by axis: applied in place of A⁻¹, with the log-determinant that they show.

    Attributes
    ----------
    shape : (int, int)
        Of A.
    failure : str
        Why A⁻¹ does not exist, empty where it does.
    """

    shape: tuple[int, int]
    failure: str = ""

    @abc.abstractmethod
    def solve_into(self, R: Array, out: Array, *, adjoint: bool) -> None:
        """Write A⁻¹ R, or A⁻ᴴ R, for an (n, k) array into `out`, which does not overlap."""

    @abc.abstractmethod
    def logdet(self) -> tuple[Any, float]:
        """Return the sign of det A, a unit complex number where A is complex, and log|det A|."""

    def shifted(self, A: LinearOperator) -> StructuredFactors | None:
        """Return the factors of A if they are these with another multiple of the identity added, else None."""
        return None

    @abc.abstractmethod
    def describe(self) -> str:
        """Return the way of solving in a few words."""


class StructuredInverse(LinearOperator):
    """M = B⁻¹ for a structured operator B near to A: what the recipe `KroneckerSolver` builds.

    Attributes
    ----------
    factors : StructuredFactors
        Of B.
    setup_products : int
        Products with A that building M took: none.
    """

    setup_products = 0

    def __init__(self, B: LinearOperator, factors: StructuredFactors, claims: Props) -> None:
        super().__init__(B.shape, B.dtype, props=claims, grid=B.grid, device=B.device)
        self.B, self.factors = B, factors
        self._torch = B._holds_torch()
        if factors.failure:
            raise StructureError(f"no preconditioner can be built of {B!r}: {factors.failure}")

    def _holds_torch(self) -> bool:
        return self._torch

    def _matmat(self, X: Array) -> Array:
        out = _like(X)
        self.factors.solve_into(X, out, adjoint=False)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        self.factors.solve_into(X, out, adjoint=False)

    def _rmatmat(self, X: Array) -> Array:
        out = _like(X)
        self.factors.solve_into(X, out, adjoint=True)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        self.factors.solve_into(X, out, adjoint=True)

    def _summary(self) -> str:
        return f"inverse of {self.B!r} by {self.factors.describe()}"


def _like(X: Array) -> Array:
    from ..vectors import vectors_for

    return vectors_for(X).empty_like(X)
