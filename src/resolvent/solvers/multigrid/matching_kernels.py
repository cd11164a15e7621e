"""Compiled edge weights and matchings over compressed sparse rows of a symmetric matrix.

Edges are ordered by weight, equal ones by their vertices, so that every method that takes locally heaviest edges finds
the same matching.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def edge_weights(indptr, indices, data, diagonal, passive, w, out):  # type: ignore[no-untyped-def]
    """Write 1 − 2 a_ij w_i w_j / (a_ii w_i² + a_jj w_j²) for each stored a_ij ≠ 0 into `out`, 0 where there is no edge.

    Parameters
    ----------
    indptr, indices, data : arrays
        The (n, n) matrix, symmetric to the last bit.
    diagonal : (n,) array
    passive : (n,) bool array
        Vertices without edges.
    w : (n,) array
        The smooth vector, largest magnitude about one.
    out : (nnz,) array
    """
    least = np.finfo(np.float64).eps
    for i in range(indptr.size - 1):
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            out[p] = 0.0
            if j == i or data[p] == 0.0 or passive[i] or passive[j]:
                continue
            # Both ends compute this in the same order, so that they agree on the weight.
            first, second = (i, j) if i < j else (j, i)
            energy = diagonal[first] * w[first] * w[first] + diagonal[second] * w[second] * w[second]
            if energy > 0.0:
                out[p] = max(abs(1.0 - 2.0 * data[p] * (w[first] * w[second]) / energy), least)


@njit(cache=True, nogil=True)
def suitor(indptr: Any, indices: Any, weights: Any, mate: Any) -> None:
    """Write the partner of each vertex into `mate`, −1 where it has none.

    Each vertex proposes to the neighbour with the heaviest edge among those that have no better suitor; whoever is
    displaced proposes anew.
    """
    n = mate.size
    suitors = np.full(n, -1, dtype=np.int64)
    offers = np.zeros(n)
    for start in range(n):
        u = start
        while u >= 0:
            partner, heaviest = -1, 0.0
            for p in range(indptr[u], indptr[u + 1]):
                v, weight = indices[p], weights[p]
                if weight <= 0.0 or not _heavier(weight, u, v, heaviest, u, partner):
                    continue
                if _heavier(weight, u, v, offers[v], suitors[v], v):
                    partner, heaviest = v, weight
            if partner < 0:
                break
            displaced = suitors[partner]
            suitors[partner], offers[partner] = u, heaviest
            u = displaced
    for i in range(n):
        s = suitors[i]
        mate[i] = s if s >= 0 and suitors[s] == i else -1


@njit(cache=True, nogil=True)
def _heavier(weight, i, j, other, k, m):  # type: ignore[no-untyped-def]
    """Whether edge (i, j) comes before edge (k, m), which is none where k or m is negative."""
    if k < 0 or m < 0 or weight > other:
        return True
    if weight < other:
        return False
    low, low_other = min(i, j), min(k, m)
    return low < low_other or (low == low_other and max(i, j) < max(k, m))
