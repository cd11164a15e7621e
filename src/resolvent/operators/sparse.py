"""An operator stored as a sparse matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .base import Array, LinearOperator
from .errors import StructureError
from .props import Props


class Sparse(LinearOperator):
    """A sparse matrix in compressed row storage, applied by compiled kernels on one or both cores.

    Parameters
    ----------
    A : scipy sparse array or matrix, or dense (m, n) array
        Converted to CSR once; a CSR argument with sorted indices is shared, not copied.
    props : Props
        Claims. `resolvent.operators.detect_props` finds the provable ones.
    grid : tuple of int, optional
        Shape of x as a field.

    Notes
    -----
    A product reads each entry and index once: 12 bytes per entry in float64 with 32-bit indices, plus the vectors.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from resolvent.operators import Sparse
    >>> A = Sparse(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4)))
    >>> A @ [1.0, 1.0, 1.0, 1.0]
    array([1., 0., 0., 1.])
    """

    def __init__(self, A: Any, *, props: Props = Props.NONE, grid: tuple[int, ...] | None = None) -> None:
        matrix = _as_csr(A)
        super().__init__(matrix.shape, matrix.dtype, props=props, grid=grid)
        self._matrix = matrix

    @property
    def matrix(self) -> sp.csr_array:
        """The stored matrix itself, not a copy: treat it as read-only and change values through `update`."""
        return self._matrix

    @property
    def nnz(self) -> int:
        """Number of stored entries."""
        return int(self._matrix.nnz)

    def _matmat(self, X: Array) -> Array:
        out = np.empty((self.shape[0], X.shape[1]), dtype=X.dtype)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        from .sparse_kernels import csr_matmat

        csr_matmat(self._matrix.indptr, self._matrix.indices, self._matrix.data, X, out)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty((self.shape[1], X.shape[1]), dtype=X.dtype)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        from .sparse_kernels import csr_adjoint_matmat

        if Props.SELF_ADJOINT in self.props:  # rows run in parallel, columns would have to be scattered
            self._matmat_into(X, out)
        else:
            csr_adjoint_matmat(self._matrix.indptr, self._matrix.indices, self._matrix.data, X, out)

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return self._matrix.diagonal()

    def to_sparse(self) -> sp.csr_array:
        """Return the stored matrix (shared, not copied)."""
        return self._matrix

    def to_dense(self) -> Array:
        """Return the entries as a dense array."""
        return self._matrix.toarray()

    def update(self, **values: Any) -> None:
        """Replace the entries: ``update(A=matrix)`` of the same pattern, or ``update(data=array)`` in CSR order.

        Raises
        ------
        StructureError
            If the pattern differs: build a new operator, so that nothing computed for the old pattern is reused.
        """
        if set(values) == {"data"}:
            data = np.asarray(values["data"])
            if data.shape != self._matrix.data.shape:
                raise StructureError(f"data needs {self.nnz} entries in CSR order, got an array of shape {data.shape}")
            matrix = sp.csr_array(
                (data.astype(self.dtype, casting="same_kind"), self._matrix.indices, self._matrix.indptr), self.shape
            )
        elif set(values) == {"A"}:
            matrix = _as_csr(values["A"])
            if not same_pattern(matrix, self._matrix):
                raise StructureError(
                    f"update needs the same pattern ({self.shape[0]} x {self.shape[1]}, {self.nnz} entries), got "
                    f"{matrix.shape[0]} x {matrix.shape[1]} with {matrix.nnz} entries: build a new Sparse"
                )
            matrix = matrix.astype(self.dtype, casting="same_kind")
        else:
            raise TypeError(f"update takes A=matrix or data=array, got {', '.join(values) or 'nothing'}")
        self._matrix = matrix
        self._changed()

    def _summary(self) -> str:
        return f"{self.nnz} entries"


def same_pattern(A: sp.csr_array, B: sp.csr_array) -> bool:
    """Whether two CSR matrices store the same positions in the same order. O(nnz)."""
    return (
        A.shape == B.shape
        and A.nnz == B.nnz
        and np.array_equal(A.indptr, B.indptr)
        and np.array_equal(A.indices, B.indices)
    )


def _as_csr(A: Any) -> sp.csr_array:
    if not sp.issparse(A):
        A = np.asarray(A)
        if A.ndim != 2:
            raise ValueError(f"a matrix needs two dimensions, got an array of shape {A.shape}")
    if A.dtype.kind in "iub":
        A = A.astype(np.float64)
    if A.dtype.kind == "f" and A.dtype.itemsize == 2:
        A = A.astype(np.float32)
    if A.dtype.kind not in "fc":
        raise TypeError(f"a matrix needs numeric entries, got dtype {A.dtype}")
    if not A.dtype.isnative:
        A = A.astype(A.dtype.newbyteorder("="))
    matrix = sp.csr_array(A)
    _check_indices(matrix)
    if not matrix.has_canonical_format:
        # Never alter what the caller gave us: sum duplicates in a copy.
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix


def _check_indices(matrix: sp.csr_array) -> None:
    """Raise ValueError for indices outside of the matrix: compiled kernels would read and write outside of memory."""
    indptr, indices = matrix.indptr, matrix.indices
    if len(indptr) != matrix.shape[0] + 1 or indptr[0] != 0 or indptr[-1] > len(indices) or (np.diff(indptr) < 0).any():
        raise ValueError(f"indptr must grow from 0 to the number of entries in {matrix.shape[0]} steps: it does not")
    if len(indices) and (indices.min() < 0 or indices.max() >= matrix.shape[1]):
        raise ValueError(
            f"column indices must lie in 0 … {matrix.shape[1] - 1}, got {indices.min()} … {indices.max()}: "
            "the matrix is damaged"
        )
