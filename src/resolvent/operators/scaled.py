"""A scalar multiple of an operator."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from .base import Array, LinearOperator
from .props import of_scaled


class Scaled(LinearOperator):
    """scalar · A, without copying A.

    Examples
    --------
    >>> from resolvent.operators import Diagonal
    >>> (2.0 * Diagonal([1.0, 3.0])) @ [1.0, 1.0]
    array([2., 6.])
    """

    def __init__(self, A: LinearOperator, scalar: complex) -> None:
        # A Python complex with zero imaginary part stays real, so that 1j * 1j * A is real again.
        self.scalar = scalar.real if isinstance(scalar, complex) and scalar.imag == 0 else scalar
        dtype = np.result_type(A.dtype, np.complex64) if isinstance(self.scalar, complex) else A.dtype
        super().__init__(A.shape, dtype, props=of_scaled(A, complex(self.scalar)), grid=A.grid, device=A.device)
        self.A = A

    def _parts(self) -> tuple[LinearOperator, ...]:
        return (self.A,)

    def _holds_torch(self) -> bool:
        return self.A._holds_torch()

    def _matmat(self, X: Array) -> Array:
        Y = self.A._matmat(X)
        Y *= self.scalar
        return Y

    def _matmat_into(self, X: Array, out: Array) -> None:
        self.A._matmat_into(X, out)
        out *= self.scalar

    def _rmatmat(self, X: Array) -> Array:
        Y = self.A._rmatmat(X)
        Y *= np.conj(self.scalar)
        return Y

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        self.A._rmatmat_into(X, out)
        out *= np.conj(self.scalar)

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return self.scalar * self.A.diagonal()

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as CSR."""
        return self.scalar * self.A.to_sparse()

    def _summary(self) -> str:
        return f"{self.scalar:g} times {self.A!r}"
