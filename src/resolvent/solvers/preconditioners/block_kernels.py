"""Compiled products with a block-diagonal matrix, and the gathering of diagonal blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64


def blocks_matmat(starts: Any, index: Any, offsets: Any, entries: Any, X: Any, out: Any) -> None:
    """Write Σ R_iᵀ B_i R_i X into `out`.

    Parameters
    ----------
    starts, index : arrays
        Block i concerns the unknowns ``index[starts[i] : starts[i + 1]]``, each of which is in one block.
    offsets, entries : arrays
        B_i by rows begins at ``entries[offsets[i]]``.
    X, out : (n, k) C-contiguous arrays
        Must not overlap.
    """
    if X.shape[1] == 1:
        _blocks_one(starts, index, offsets, entries, X.reshape(-1), out.reshape(-1))
    else:
        _blocks_many(starts, index, offsets, entries, X, out)


def adjoint_blocks_matmat(starts: Any, index: Any, offsets: Any, entries: Any, X: Any, out: Any) -> None:
    """Write Σ R_iᵀ B_iᴴ R_i X into `out`."""
    _adjoint_blocks(starts, index, offsets, entries, X, out)


@njit(cache=True, nogil=True)
def gather_blocks(starts, index, offsets, indptr, indices, data, entries):  # type: ignore[no-untyped-def]
    """Fill `entries` with the diagonal blocks of a CSR matrix."""
    n = indptr.size - 1
    place = np.full(n, -1, dtype=np.int64)
    entries[:] = 0
    for s in range(starts.size - 1):
        first, last = starts[s], starts[s + 1]
        size = last - first
        for i in range(first, last):
            place[index[i]] = i
        for i in range(first, last):
            for p in range(indptr[index[i]], indptr[index[i] + 1]):
                j = place[indices[p]]
                if first <= j < last:
                    entries[offsets[s] + (i - first) * size + j - first] = data[p]


@njit(cache=True, nogil=True)
def invert_blocks(starts, offsets, entries):  # type: ignore[no-untyped-def]
    """Overwrite each block with its inverse: Gauss and Jordan with partial pivoting. Returns the singular one or −1."""
    largest_size = 0
    for s in range(starts.size - 1):
        largest_size = max(largest_size, starts[s + 1] - starts[s])
    chosen = np.empty(largest_size, dtype=np.int64)
    for s in range(starts.size - 1):
        n = starts[s + 1] - starts[s]
        B = entries[offsets[s] : offsets[s] + n * n].reshape(n, n)
        for k in range(n):
            pivot_row = k
            for i in range(k + 1, n):
                if abs(B[i, k]) > abs(B[pivot_row, k]):
                    pivot_row = i
            chosen[k] = pivot_row
            if pivot_row != k:
                for j in range(n):
                    B[k, j], B[pivot_row, j] = B[pivot_row, j], B[k, j]
            if B[k, k] == 0:
                return s
            inverse = 1 / B[k, k]
            B[k, k] = 1
            for j in range(n):
                B[k, j] = B[k, j] * inverse
            for i in range(n):
                if i != k:
                    factor = B[i, k]
                    B[i, k] = 0
                    for j in range(n):
                        B[i, j] -= factor * B[k, j]
        for back in range(n):  # exchanges of rows of B are exchanges of columns of its inverse
            k = n - 1 - back
            if chosen[k] != k:
                for i in range(n):
                    B[i, k], B[i, chosen[k]] = B[i, chosen[k]], B[i, k]
        for i in range(n):
            for j in range(n):
                if not np.isfinite(B[i, j]):
                    return s
    return -1


@njit(cache=True, nogil=True)
def symmetrise_blocks(starts, offsets, entries):  # type: ignore[no-untyped-def]
    """Replace each block B by (B + Bᴴ)/2."""
    for s in range(starts.size - 1):
        n = starts[s + 1] - starts[s]
        B = entries[offsets[s] : offsets[s] + n * n].reshape(n, n)
        for i in range(n):
            for j in range(i + 1):
                mean = (B[i, j] + np.conj(B[j, i])) / 2
                B[i, j] = mean
                B[j, i] = np.conj(mean)


@njit(cache=True, nogil=True)
def _blocks_one(starts, index, offsets, entries, x, out):  # type: ignore[no-untyped-def]
    zero = out.dtype.type(0)
    for s in range(starts.size - 1):
        first, last, p = uint64(starts[s]), uint64(starts[s + 1]), uint64(offsets[s])
        for i in range(first, last):
            total = zero
            for j in range(first, last):
                total += entries[p] * x[uint64(index[j])]
                p += uint64(1)
            out[uint64(index[i])] = total


@njit(cache=True, nogil=True)
def _blocks_many(starts, index, offsets, entries, X, out):  # type: ignore[no-untyped-def]
    columns = uint64(X.shape[1])
    for s in range(starts.size - 1):
        first, last, p = uint64(starts[s]), uint64(starts[s + 1]), uint64(offsets[s])
        for i in range(first, last):
            row = uint64(index[i])
            for c in range(columns):
                out[row, c] = 0
            for j in range(first, last):
                entry, column = entries[p], uint64(index[j])
                for c in range(columns):
                    out[row, c] += entry * X[column, c]
                p += uint64(1)


@njit(cache=True, nogil=True)
def _adjoint_blocks(starts, index, offsets, entries, X, out):  # type: ignore[no-untyped-def]
    columns = uint64(X.shape[1])
    out[:, :] = 0
    for s in range(starts.size - 1):
        first, last, p = uint64(starts[s]), uint64(starts[s + 1]), uint64(offsets[s])
        for i in range(first, last):
            row = uint64(index[i])
            for j in range(first, last):
                entry, column = np.conj(entries[p]), uint64(index[j])
                for c in range(columns):
                    out[column, c] += entry * X[row, c]
                p += uint64(1)
