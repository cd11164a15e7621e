"""An operator stored as a dense array."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .base import Array, LinearOperator
from .props import Props


class Dense(LinearOperator):
    """A dense (m, n) array applied by BLAS.

    Parameters
    ----------
    A : (m, n) array
        Shared, not copied, when it already is a floating array.
    props : Props
        Claims.

    Examples
    --------
    >>> from resolvent.operators import Dense
    >>> Dense([[2.0, 1.0], [0.0, 3.0]]) @ [1.0, 1.0]
    array([3., 3.])
    """

    def __init__(self, A: Any, *, props: Props = Props.NONE, grid: tuple[int, ...] | None = None) -> None:
        array = np.asarray(A)
        if array.ndim != 2:
            raise ValueError(f"a matrix needs two dimensions, got an array of shape {array.shape}")
        if array.dtype.kind in "iub":
            array = array.astype(np.float64)
        elif array.dtype == np.float16:
            array = array.astype(np.float32)
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        super().__init__(array.shape, array.dtype, props=props, grid=grid)
        self._array = array

    def _matmat(self, X: Array) -> Array:
        return self._array @ X

    def _matmat_into(self, X: Array, out: Array) -> None:
        np.matmul(self._array, X, out=out)

    def _rmatmat(self, X: Array) -> Array:
        if self.dtype.kind != "c":
            return self._array.T @ X
        # conj(Aᵀ conj(X)) conjugates two vectors instead of the matrix.
        return (self._array.T @ X.conj()).conj()

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return np.diagonal(self._array).copy()

    def to_sparse(self) -> sp.csr_array:
        """Return the non-zero entries as CSR."""
        return sp.csr_array(self._array)

    def to_dense(self) -> Array:
        """Return the stored array (shared, not copied)."""
        return self._array

    def update(self, **values: Any) -> None:
        """Replace the entries: ``update(A=array)`` of the same shape."""
        if set(values) != {"A"} or np.shape(values["A"]) != self.shape:
            raise ValueError(f"update takes A=array of shape {self.shape}")
        self._array = np.asarray(values["A"]).astype(self.dtype, casting="same_kind")
        self._changed()
