"""A sum of operators."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from .base import Array, LinearOperator
from .props import of_sum


class Sum(LinearOperator):
    """A₁ + A₂ + … of one shape; a product needs one temporary vector.

    Examples
    --------
    >>> from resolvent.operators import Dense, Diagonal
    >>> (Dense([[0.0, 1.0], [1.0, 0.0]]) + Diagonal([1.0, 2.0])) @ [1.0, 1.0]
    array([2., 3.])
    """

    def __init__(self, terms: Sequence[LinearOperator]) -> None:
        shapes = {term.shape for term in terms}
        devices = {term.device for term in terms}
        if len(shapes) != 1:
            raise ValueError(f"operators of one shape can be added, got {' and '.join(map(str, sorted(shapes)))}")
        if len(devices) != 1:
            raise ValueError(f"operators on one device can be added, got {' and '.join(sorted(devices))}")
        grids = {term.grid for term in terms} - {None}
        super().__init__(
            shapes.pop(),
            np.result_type(*(term.dtype for term in terms)),
            props=of_sum(term.props for term in terms),
            grid=grids.pop() if len(grids) == 1 else None,
            device=devices.pop(),
        )
        self.terms = tuple(terms)

    def _parts(self) -> tuple[LinearOperator, ...]:
        return self.terms

    def _holds_torch(self) -> bool:
        return any(term._holds_torch() for term in self.terms)

    def _matmat(self, X: Array) -> Array:
        Y = self.terms[0]._matmat(X)
        for term in self.terms[1:]:
            Y += term._matmat(X)
        return Y

    def _matmat_into(self, X: Array, out: Array) -> None:
        self.terms[0]._matmat_into(X, out)
        for term in self.terms[1:]:
            out += term._matmat(X)

    def _rmatmat(self, X: Array) -> Array:
        Y = self.terms[0]._rmatmat(X)
        for term in self.terms[1:]:
            Y = Y + term._rmatmat(X)
        return Y

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return functools.reduce(operator.add, (term.diagonal() for term in self.terms))

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as CSR."""
        return sp.csr_array(functools.reduce(operator.add, (term.to_sparse() for term in self.terms)))

    def _summary(self) -> str:
        return " + ".join(type(term).__name__ for term in self.terms)
