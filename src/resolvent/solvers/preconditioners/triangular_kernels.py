"""Compiled solves with incomplete or complete triangular factors in compressed sparse rows.

Two storages. Cholesky: A ≈ Uᴴ D U with unit upper triangular U, of which the entries above the diagonal are stored,
and D real; both sweeps read the same rows. LU: A ≈ L U in one matrix with the pattern of the two together, L below
the diagonal with a unit diagonal of its own, U from the diagonal on; `diagonal` holds the positions of the diagonal
entries.

Nothing is allocated or checked, and `out` may be X itself. Kernels are compiled on first use for the dtypes at hand,
cached on disk, and release the GIL. One column is passed flat, which saves the inner loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64


def cholesky_solve(indptr: Any, indices: Any, data: Any, inverse_pivots: Any, X: Any, out: Any) -> None:
    """Write (Uᴴ D U)⁻¹ X into `out`; 4 flops an entry and column.

    Parameters
    ----------
    indptr, indices, data : arrays
        The strict upper triangle of U.
    inverse_pivots : (n,) real array
        D⁻¹.
    X, out : (n, k) C-contiguous arrays
    """
    if X.shape[1] == 1:
        _cholesky_one(indptr, indices, data, inverse_pivots, X.reshape(-1), out.reshape(-1))
    else:
        _cholesky_many(indptr, indices, data, inverse_pivots, X, out)


def lu_solve(indptr: Any, diagonal: Any, indices: Any, data: Any, inverse_pivots: Any, X: Any, out: Any) -> None:
    """Write (L U)⁻¹ X into `out`; 2 flops an entry and column.

    Parameters
    ----------
    indptr, indices, data : arrays
        L and U, indices sorted in each row.
    diagonal : (n,) array
        Where in `indices` and `data` the diagonal entries stand.
    inverse_pivots : (n,) array
        The reciprocal diagonal of U.
    X, out : (n, k) C-contiguous arrays
    """
    if X.shape[1] == 1:
        _lu_one(indptr, diagonal, indices, data, inverse_pivots, X.reshape(-1), out.reshape(-1))
    else:
        _lu_many(indptr, diagonal, indices, data, inverse_pivots, X, out)


def lu_adjoint_solve(
    indptr: Any, diagonal: Any, indices: Any, data: Any, inverse_pivots: Any, X: Any, out: Any
) -> None:
    """Write (L U)⁻ᴴ X into `out`."""
    _lu_adjoint(indptr, diagonal, indices, data, inverse_pivots, X, out)


@njit(cache=True, nogil=True)
def _cholesky_one(indptr, indices, data, inverse_pivots, x, out):  # type: ignore[no-untyped-def]
    n, one = uint64(out.size), uint64(1)
    for i in range(n):
        out[i] = x[i]
    for i in range(n):
        y = out[i]
        for p in range(uint64(indptr[i]), uint64(indptr[i + one])):
            out[uint64(indices[p])] -= np.conj(data[p]) * y
        out[i] = y * inverse_pivots[i]
    for back in range(n):
        i = n - one - back
        y = out[i]
        for p in range(uint64(indptr[i]), uint64(indptr[i + one])):
            y -= data[p] * out[uint64(indices[p])]
        out[i] = y


@njit(cache=True, nogil=True)
def _cholesky_many(indptr, indices, data, inverse_pivots, X, out):  # type: ignore[no-untyped-def]
    n, columns, one = uint64(X.shape[0]), uint64(X.shape[1]), uint64(1)
    for i in range(n):
        for c in range(columns):
            out[i, c] = X[i, c]
    for i in range(n):
        for p in range(uint64(indptr[i]), uint64(indptr[i + one])):
            entry, j = np.conj(data[p]), uint64(indices[p])
            for c in range(columns):
                out[j, c] -= entry * out[i, c]
        for c in range(columns):
            out[i, c] *= inverse_pivots[i]
    for back in range(n):
        i = n - one - back
        for p in range(uint64(indptr[i]), uint64(indptr[i + one])):
            entry, j = data[p], uint64(indices[p])
            for c in range(columns):
                out[i, c] -= entry * out[j, c]


@njit(cache=True, nogil=True)
def _lu_one(indptr, diagonal, indices, data, inverse_pivots, x, out):  # type: ignore[no-untyped-def]
    n, one = uint64(out.size), uint64(1)
    for i in range(n):
        y = x[i]
        for p in range(uint64(indptr[i]), uint64(diagonal[i])):
            y -= data[p] * out[uint64(indices[p])]
        out[i] = y
    for back in range(n):
        i = n - one - back
        y = out[i]
        for p in range(uint64(diagonal[i]) + one, uint64(indptr[i + one])):
            y -= data[p] * out[uint64(indices[p])]
        out[i] = y * inverse_pivots[i]


@njit(cache=True, nogil=True)
def _lu_many(indptr, diagonal, indices, data, inverse_pivots, X, out):  # type: ignore[no-untyped-def]
    n, columns, one = uint64(X.shape[0]), uint64(X.shape[1]), uint64(1)
    for i in range(n):
        for c in range(columns):
            out[i, c] = X[i, c]
        for p in range(uint64(indptr[i]), uint64(diagonal[i])):
            entry, j = data[p], uint64(indices[p])
            for c in range(columns):
                out[i, c] -= entry * out[j, c]
    for back in range(n):
        i = n - one - back
        for p in range(uint64(diagonal[i]) + one, uint64(indptr[i + one])):
            entry, j = data[p], uint64(indices[p])
            for c in range(columns):
                out[i, c] -= entry * out[j, c]
        for c in range(columns):
            out[i, c] *= inverse_pivots[i]


@njit(cache=True, nogil=True)
def _lu_adjoint(indptr, diagonal, indices, data, inverse_pivots, X, out):  # type: ignore[no-untyped-def]
    # Rows of L and U are columns of their adjoints: each unknown, once known, leaves the equations that hold it.
    n, columns, one = uint64(X.shape[0]), uint64(X.shape[1]), uint64(1)
    for i in range(n):
        for c in range(columns):
            out[i, c] = X[i, c]
    for i in range(n):
        pivot = np.conj(inverse_pivots[i])
        for c in range(columns):
            out[i, c] *= pivot
        for p in range(uint64(diagonal[i]) + one, uint64(indptr[i + one])):
            entry, j = np.conj(data[p]), uint64(indices[p])
            for c in range(columns):
                out[j, c] -= entry * out[i, c]
    for back in range(n):
        i = n - one - back
        for p in range(uint64(indptr[i]), uint64(diagonal[i])):
            entry, j = np.conj(data[p]), uint64(indices[p])
            for c in range(columns):
                out[j, c] -= entry * out[i, c]
