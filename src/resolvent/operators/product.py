"""A product of operators."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from .base import Array, LinearOperator
from .props import of_product


class Product(LinearOperator):
    """A₁ A₂ … A_k, applied from the right; a product needs one temporary a factor.

    A palindrome such as Bᴴ B or Bᴴ D B is recognised as self-adjoint.

    Examples
    --------
    >>> from resolvent.operators import Dense, Props
    >>> B = Dense([[1.0, 2.0], [0.0, 1.0]])
    >>> Props.SELF_ADJOINT in (B.H @ B).props
    True
    """

    def __init__(self, factors: Sequence[LinearOperator]) -> None:
        for left, right in itertools.pairwise(factors):
            if left.shape[1] != right.shape[0]:
                raise ValueError(
                    f"cannot compose {left.shape[0]} x {left.shape[1]} with {right.shape[0]} x {right.shape[1]}: "
                    "the inner sizes differ"
                )
            if left.device != right.device:
                raise ValueError(f"operators on one device can be composed, got {left.device} and {right.device}")
        shape = (factors[0].shape[0], factors[-1].shape[1])
        square_fields = shape[0] == shape[1] and factors[0].grid == factors[-1].grid
        super().__init__(
            shape,
            np.result_type(*(f.dtype for f in factors)),
            props=of_product(factors),
            grid=factors[-1].grid if square_fields else None,
            device=factors[0].device,
        )
        self.factors = tuple(factors)

    def _parts(self) -> tuple[LinearOperator, ...]:
        return self.factors

    def _holds_torch(self) -> bool:
        return any(f._holds_torch() for f in self.factors)

    def _matmat(self, X: Array) -> Array:
        for f in reversed(self.factors):
            X = f._matmat(X)
        return X

    def _matmat_into(self, X: Array, out: Array) -> None:
        for f in self.factors[:0:-1]:
            X = f._matmat(X)
        self.factors[0]._matmat_into(X, out)

    def _rmatmat(self, X: Array) -> Array:
        for f in self.factors:
            X = f._rmatmat(X)
        return X

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as CSR."""
        return sp.csr_array(functools.reduce(operator.matmul, (f.to_sparse() for f in self.factors)))

    def diagonal(self) -> Array:
        """Return the main diagonal, by forming all entries of the product."""
        return self.to_sparse().diagonal()

    def _summary(self) -> str:
        return " @ ".join(type(f).__name__ for f in self.factors)
