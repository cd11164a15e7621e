"""Compiled gathering and scattering between the unknowns and overlapping subdomains, and their matrices."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64


@njit(cache=True, nogil=True)
def stacked_pattern(starts, index, indptr, indices, n):  # type: ignore[no-untyped-def]
    """Return the block-diagonal matrix of all A_i = R_i A R_iᵀ: indptr, indices (unsorted), positions in A's data."""
    place = np.full(n, -1, dtype=np.int64)
    rows = np.zeros(index.size + 1, dtype=np.int64)
    for s in range(starts.size - 1):
        for i in range(starts[s], starts[s + 1]):
            place[index[i]] = i
        for i in range(starts[s], starts[s + 1]):
            count = 0
            for p in range(indptr[index[i]], indptr[index[i] + 1]):
                j = place[indices[p]]
                if starts[s] <= j < starts[s + 1] and index[j] == indices[p]:
                    count += 1
            rows[i + 1] = rows[i] + count
    columns, source = np.empty(rows[-1], dtype=np.int64), np.empty(rows[-1], dtype=np.int64)
    for s in range(starts.size - 1):
        for i in range(starts[s], starts[s + 1]):
            place[index[i]] = i
        for i in range(starts[s], starts[s + 1]):
            q = rows[i]
            for p in range(indptr[index[i]], indptr[index[i] + 1]):
                j = place[indices[p]]
                if starts[s] <= j < starts[s + 1] and index[j] == indices[p]:
                    columns[q], source[q] = j, p
                    q += 1
    return rows, columns, source


@njit(cache=True, nogil=True)
def gather(index, weight, X, Y):  # type: ignore[no-untyped-def]
    """Y[i] = weight[i] X[index[i]]."""
    if X.shape[1] == 1:
        x, y = X.reshape(X.size), Y.reshape(Y.size)
        for i in range(index.size):
            y[i] = weight[i] * x[uint64(index[i])]
        return
    for i in range(index.size):
        for c in range(X.shape[1]):
            Y[i, c] = weight[i] * X[uint64(index[i]), c]


@njit(cache=True, nogil=True)
def scatter_add(index, weight, Y, out):  # type: ignore[no-untyped-def]
    """out[index[i]] += weight[i] Y[i]."""
    if Y.shape[1] == 1:
        y, flat = Y.reshape(Y.size), out.reshape(out.size)
        for i in range(index.size):
            flat[uint64(index[i])] += weight[i] * y[i]
        return
    for i in range(index.size):
        for c in range(Y.shape[1]):
            out[uint64(index[i]), c] += weight[i] * Y[i, c]


@njit(cache=True, nogil=True)
def restrict(starts, index, weight, X, C):  # type: ignore[no-untyped-def]
    """C = Uᴴ X for a basis of one function a subdomain, with the values `weight` on it."""
    C[:] = 0
    for s in range(starts.size - 1):
        for i in range(starts[s], starts[s + 1]):
            for c in range(X.shape[1]):
                C[s, c] += weight[i] * X[index[i], c]


@njit(cache=True, nogil=True)
def prolong_add(starts, index, weight, C, out):  # type: ignore[no-untyped-def]
    """out += U C."""
    for s in range(starts.size - 1):
        for i in range(starts[s], starts[s + 1]):
            for c in range(out.shape[1]):
                out[index[i], c] += weight[i] * C[s, c]
