"""A sum of Kronecker products over the same axes."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
import scipy.sparse as sp

from .base import Array, LinearOperator
from .kronecker import Kronecker
from .kronecker_factors import apply_factors, result_type
from .props import Props, of_sum
from .workspace import Workspace


class SumOfKroneckers(LinearOperator):
    """Σ_t A_t1 ⊗ A_t2 ⊗ … ⊗ A_td: the terms share their axes, and each is applied factor by factor.

    Tensor-product finite elements are of this form (stiffness along one axis, mass along the others), so are general
    Sylvester equations A X Bᵀ + C X Dᵀ = F and the Gram matrix of a differential operator and a product kernel.

    Parameters
    ----------
    *terms : Kronecker
        With the same shapes axis by axis, and one order.
    props : Props
        Claims besides those that follow from the terms.

    Attributes
    ----------
    terms : tuple of Kronecker

    Notes
    -----
    A product costs the products of the terms; two scratch vectors. `resolvent.solvers.KroneckerSolver` solves where
    the factors of each axis are two matrices or fewer that can be diagonalised together, so always with two terms; it
    is a preconditioner, by the nearest Kronecker product, for more.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Kronecker
    >>> K, M = np.array([[2.0, -1.0], [-1.0, 2.0]]), np.array([[4.0, 1.0], [1.0, 4.0]])
    >>> Kronecker(K, M) + Kronecker(M, K)
    SumOfKroneckers(4 x 4, float64, 2 terms, factors 2, 2)
    """

    def __init__(self, *terms: Kronecker, props: Props = Props.NONE) -> None:
        if not terms:
            raise ValueError("a sum of Kronecker products needs at least one term")
        for term in terms:
            if not isinstance(term, Kronecker):
                raise TypeError(f"terms must be Kronecker products, got {type(term).__name__}: wrap factors with it")
        if len({factor_shapes(term) for term in terms}) != 1 or len({(t.device, t._holds_torch()) for t in terms}) != 1:
            shown = ", ".join(repr(term) for term in terms)
            raise ValueError(f"terms must have the same factor shapes and storage, got {shown}")
        grids = {term.grid for term in terms}
        super().__init__(
            terms[0].shape,
            result_type(terms),
            props=of_sum(term.props for term in terms) | props,
            grid=grids.pop() if len(grids) == 1 else None,
            device=terms[0].device,
        )
        self.terms = tuple(terms)
        self._work = Workspace()

    @property
    def order(self) -> str:
        """Order of the terms, "C" where they differ."""
        return "F" if all(term.order == "F" for term in self.terms) else "C"

    def _parts(self) -> tuple[LinearOperator, ...]:
        return self.terms

    def _holds_torch(self) -> bool:
        return self.terms[0]._holds_torch()

    def _matmat(self, X: Array) -> Array:
        if self._holds_torch():
            return functools.reduce(operator.add, (term._matmat(X) for term in self.terms))
        out = np.empty((self.shape[0], X.shape[1]), dtype=X.dtype)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        if self._holds_torch():
            out[...] = self._matmat(X)
            return
        for number, term in enumerate(self.terms):
            apply_factors(term.axes, X, out, self._work, add=number > 0)

    def _rmatmat(self, X: Array) -> Array:
        if self._holds_torch():
            return functools.reduce(operator.add, (term._rmatmat(X) for term in self.terms))
        out = np.empty((self.shape[1], X.shape[1]), dtype=X.dtype)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        if self._holds_torch():
            out[...] = self._rmatmat(X)
            return
        for number, term in enumerate(self.terms):
            apply_factors(term.axes, X, out, self._work, adjoint=True, add=number > 0)

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return functools.reduce(operator.add, (term.diagonal() for term in self.terms))

    def trace(self) -> Any:
        """Return the sum of the diagonal."""
        return sum(term.trace() for term in self.terms)

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as CSR."""
        return sp.csr_array(functools.reduce(operator.add, (term.to_sparse() for term in self.terms)))

    def to_dense(self) -> Array:
        """Return the entries as a dense array."""
        return functools.reduce(operator.add, (term.to_dense() for term in self.terms))

    def _stored_on(self, device: Any, dtype: Any) -> LinearOperator:
        moved: list[Any] = [term._stored_on(device, dtype) for term in self.terms]
        return SumOfKroneckers(*moved, props=self.props)

    def _summary(self) -> str:
        return f"{len(self.terms)} terms, {self.terms[0]._summary()}"


def factor_shapes(term: Kronecker) -> tuple[tuple[int, int], ...]:
    """Return the shapes of the factors in the order of C-ordered memory."""
    return tuple(factor.shape for factor in term.axes)
