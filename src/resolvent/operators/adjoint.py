"""The adjoint and the transpose of an operator."""

from __future__ import annotations

import scipy.sparse as sp

from .base import Array, LinearOperator
from .props import of_adjoint


class Adjoint(LinearOperator):
    """Aᴴ, or Aᵀ with ``conjugate=False``, without copying A.

    Examples
    --------
    >>> from resolvent.operators import Dense
    >>> Dense([[1.0, 2.0], [0.0, 1.0]]).H @ [1.0, 1.0]
    array([1., 3.])
    """

    def __init__(self, A: LinearOperator, *, conjugate: bool = True) -> None:
        # The grid of the adjoint is the shape of a vector of length m, known here only for a square operator.
        grid = A.grid if A.shape[0] == A.shape[1] else None
        super().__init__(A.shape[::-1], A.dtype, props=of_adjoint(A.props), grid=grid, device=A.device)
        self.A = A
        self.conjugate = conjugate or A.dtype.kind != "c"

    def _parts(self) -> tuple[LinearOperator, ...]:
        return (self.A,)

    def _holds_torch(self) -> bool:
        return self.A._holds_torch()

    def _matmat(self, X: Array) -> Array:
        return self.A._rmatmat(X) if self.conjugate else self.A._rmatmat(X.conj()).conj()

    def _matmat_into(self, X: Array, out: Array) -> None:
        if self.conjugate:
            self.A._rmatmat_into(X, out)
        else:
            out[...] = self._matmat(X)

    def _rmatmat(self, X: Array) -> Array:
        return self.A._matmat(X) if self.conjugate else self.A._matmat(X.conj()).conj()

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        if self.conjugate:
            self.A._matmat_into(X, out)
        else:
            out[...] = self._rmatmat(X)

    def is_adjoint_of(self, other: LinearOperator) -> bool:
        """Whether `other` is the operator this is the adjoint of."""
        return self.conjugate and other is self.A

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        d = self.A.diagonal()
        return d.conj() if self.conjugate else d

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as CSR."""
        matrix = self.A.to_sparse().T
        return sp.csr_array(matrix.conj() if self.conjugate else matrix)

    def _summary(self) -> str:
        return f"{'adjoint' if self.conjugate else 'transpose'} of {self.A!r}"
