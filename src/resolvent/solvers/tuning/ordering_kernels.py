"""Compiled search for an ordering vector."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def consistently_ordered(indptr, indices, data):  # type: ignore[no-untyped-def]
    """Return whether numbers γ exist with γ_j − γ_i = 1 for j > i and −1 for j < i, wherever a_ij ≠ 0.

    Goes from neighbour to neighbour, breadth first; the pattern is taken to be symmetric.

    Parameters
    ----------
    indptr, indices, data : arrays
        A matrix in compressed sparse rows.
    """
    n = indptr.size - 1
    unseen = np.iinfo(np.int64).min
    gamma, queue = np.full(n, unseen, dtype=np.int64), np.empty(n, dtype=np.int64)
    for root in range(n):
        if gamma[root] != unseen:
            continue
        gamma[root] = 0
        queue[0] = root
        head, tail = 0, 1
        while head < tail:
            i = queue[head]
            head += 1
            for p in range(indptr[i], indptr[i + 1]):
                j = indices[p]
                if j == i or data[p] == 0:
                    continue
                wanted = gamma[i] + (1 if j > i else -1)
                if gamma[j] == unseen:
                    gamma[j] = wanted
                    queue[tail] = j
                    tail += 1
                elif gamma[j] != wanted:
                    return False
    return True
