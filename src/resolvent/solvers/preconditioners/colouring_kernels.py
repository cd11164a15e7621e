"""Compiled colouring of the graph of a matrix."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def greedy_colours(indptr, indices):  # type: ignore[no-untyped-def]
    """Return a colour for each vertex, the least that none of its neighbours before it has; O(edges).

    At most one more than the largest number of neighbours are used.

    Parameters
    ----------
    indptr, indices : arrays
        The symmetric pattern in compressed rows; entries on the diagonal do not count.

    References
    ----------
    Saad 2003, doi:10.1137/1.9780898718003, section 12.4.1.
    """
    n = indptr.size - 1
    colours = np.full(n, -1, dtype=np.int64)
    taken_by = np.full(n + 1, -1, dtype=np.int64)
    for i in range(n):
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            if j != i and colours[j] >= 0:
                taken_by[colours[j]] = i
        colour = 0
        while taken_by[colour] == i:
            colour += 1
        colours[i] = colour
    return colours


@njit(cache=True, nogil=True)
def two_colours(indptr, indices):  # type: ignore[no-untyped-def]
    """Return 0 or 1 for each vertex, 0 for the first of each component; −1 for some where two do not do."""
    n = indptr.size - 1
    colours, queue = np.full(n, -1, dtype=np.int64), np.empty(n, dtype=np.int64)
    for root in range(n):
        if colours[root] >= 0:
            continue
        colours[root], queue[0] = 0, root
        head, tail = 0, 1
        while head < tail:
            i = queue[head]
            head += 1
            for p in range(indptr[i], indptr[i + 1]):
                j = indices[p]
                if j == i:
                    continue
                if colours[j] < 0:
                    colours[j] = 1 - colours[i]
                    queue[tail] = j
                    tail += 1
                elif colours[j] == colours[i]:
                    colours[root] = -1
                    return colours
    return colours
