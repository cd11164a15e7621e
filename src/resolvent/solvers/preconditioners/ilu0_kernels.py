"""Compiled incomplete LU factorisation without fill."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def find_diagonal(indptr, indices, positions):  # type: ignore[no-untyped-def]
    """Set `positions` to where the diagonal entries stand; return the first row without one, or −1."""
    for i in range(positions.size):
        found = False
        for p in range(indptr[i], indptr[i + 1]):
            if indices[p] == i:
                positions[i] = p
                found = True
        if not found:
            return i
    return -1


@njit(cache=True, nogil=True)
def factorise_lu_in_pattern(indptr, diagonal, indices, data, inverse_pivots, relative):  # type: ignore[no-untyped-def]
    """Turn A into L and U in place, keeping the pattern; rows in order, as the factors will be read.

    Returns −1, or the first row whose pivot is not above `relative` times the largest entry it began with.
    """
    n = inverse_pivots.size
    place = np.full(n, -1, dtype=indptr.dtype)  # of column j in the present row, if within its bounds
    for i in range(n):
        first, last = indptr[i], indptr[i + 1]
        largest = 0.0
        for p in range(first, last):
            place[indices[p]] = p
            largest = max(largest, abs(data[p]))
        for p in range(first, diagonal[i]):
            k = indices[p]
            entry = data[p] * inverse_pivots[k]
            data[p] = entry
            for q in range(diagonal[k] + 1, indptr[k + 1]):
                target = place[indices[q]]
                if first <= target < last:
                    data[target] -= entry * data[q]
        pivot = data[diagonal[i]]
        if not (relative * largest < abs(pivot) < np.inf):
            return i
        inverse_pivots[i] = 1 / pivot
    return -1
