"""Compiled relaxation sweeps over compressed sparse rows with sorted column indices.

Everything happens in `out`; nothing is allocated or checked. Kernels are compiled on first use for the dtypes at hand,
cached on disk, and release the GIL. One column is passed flat, which saves the inner loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64


def sweeps(indptr: Any, indices: Any, data: Any, inverse: Any, omega: float, X: Any, out: Any) -> None:
    """Write ω(2 − ω) (D + ωU)⁻¹ D (D + ωL)⁻¹ X into `out`; about 2 nnz k flops.

    Parameters
    ----------
    indptr, indices, data : arrays
        The (n, n) matrix, indices sorted in each row.
    inverse : (n,) array
        The reciprocal of its diagonal: each unknown waits for the one before, and a division would make it wait long.
    omega : float
    X, out : (n, k) C-contiguous arrays
        Must not overlap.
    """
    omega = inverse.real.dtype.type(omega)
    if X.shape[1] == 1:
        _sweeps_one(indptr, indices, data, inverse, omega, X.reshape(-1), out.reshape(-1))
    else:
        _sweeps_many(indptr, indices, data, inverse, omega, X, out)


def adjoint_sweeps(indptr: Any, indices: Any, data: Any, inverse: Any, omega: float, X: Any, out: Any) -> None:
    """Write the adjoint of the same, ω(2 − ω) (D + ωL)⁻ᴴ Dᴴ (D + ωU)⁻ᴴ X, into `out`."""
    _adjoint_sweeps(indptr, indices, data, inverse, inverse.real.dtype.type(omega), X, out)


@njit(cache=True, nogil=True)
def _sweeps_one(indptr, indices, data, inverse, omega, x, out):  # type: ignore[no-untyped-def]
    n = uint64(x.size)
    zero = out.dtype.type(0)
    scale = omega * (2 - omega)
    for i in range(n):
        total = zero
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            j = uint64(indices[p])
            if j >= i:
                break
            total += data[p] * out[j]
        out[i] = (x[i] - omega * total) * inverse[i]
    for back in range(n):
        i = n - uint64(1) - back
        total = zero
        first, p = uint64(indptr[i]), uint64(indptr[i + uint64(1)])
        while p > first:
            p -= uint64(1)
            j = uint64(indices[p])
            if j <= i:
                break
            total += data[p] * out[j]
        out[i] = scale * out[i] - omega * total * inverse[i]


@njit(cache=True, nogil=True)
def _sweeps_many(indptr, indices, data, inverse, omega, X, out):  # type: ignore[no-untyped-def]
    n, columns = uint64(X.shape[0]), uint64(X.shape[1])
    scale = omega * (2 - omega)
    for i in range(n):
        factor = omega * inverse[i]
        for c in range(columns):
            out[i, c] = X[i, c] * inverse[i]
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            j = uint64(indices[p])
            if j >= i:
                break
            entry = factor * data[p]
            for c in range(columns):
                out[i, c] -= entry * out[j, c]
    for back in range(n):
        i = n - uint64(1) - back
        factor = omega * inverse[i]
        for c in range(columns):
            out[i, c] *= scale
        first, p = uint64(indptr[i]), uint64(indptr[i + uint64(1)])
        while p > first:
            p -= uint64(1)
            j = uint64(indices[p])
            if j <= i:
                break
            entry = factor * data[p]
            for c in range(columns):
                out[i, c] -= entry * out[j, c]


@njit(cache=True, nogil=True)
def _adjoint_sweeps(indptr, indices, data, inverse, omega, X, out):  # type: ignore[no-untyped-def]
    # Rows of A are columns of Aᴴ: each unknown, once known, is subtracted from the equations that hold it.
    n, columns = uint64(X.shape[0]), uint64(X.shape[1])
    scale = omega * (2 - omega)
    out[:, :] = X
    for i in range(n):
        pivot = np.conj(inverse[i])
        for c in range(columns):
            out[i, c] *= pivot
        first, p = uint64(indptr[i]), uint64(indptr[i + uint64(1)])
        while p > first:
            p -= uint64(1)
            j = uint64(indices[p])
            if j <= i:
                break
            entry = omega * np.conj(data[p])
            for c in range(columns):
                out[j, c] -= entry * out[i, c]
    for i in range(n):
        diagonal = scale / np.conj(inverse[i])
        for c in range(columns):
            out[i, c] *= diagonal
    for back in range(n):
        i = n - uint64(1) - back
        pivot = np.conj(inverse[i])
        for c in range(columns):
            out[i, c] *= pivot
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            j = uint64(indices[p])
            if j >= i:
                break
            entry = omega * np.conj(data[p])
            for c in range(columns):
                out[j, c] -= entry * out[i, c]
