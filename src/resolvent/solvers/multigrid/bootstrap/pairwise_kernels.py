"""Compiled coarsening: interpolation with at most one entry a row, and its Galerkin product."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def aggregate(indptr, indices, data, weights, mate, w, join, place, entry):  # type: ignore[no-untyped-def]
    """Write interpolation, entry[i] in column place[i] of row i, no column being −1; return the number of columns.

    A pair (i, j) has the column (w_i, w_j)/√(w_i² + w_j²), a vertex alone that of sign(w_i). Vertices without
    couplings, or where w vanishes, have none: a sweep of Gauss–Seidel solves for the first, and the smooth vector has
    no part in the second.

    Parameters
    ----------
    indptr, indices, data : arrays
        The (n, n) matrix.
    weights : (nnz,) array
        Of its edges, 0 where there is none.
    mate : (n,) int array
    w : (n,) array
    join : bool
        Whether a vertex alone joins the pair of its heaviest edge.
    place : (n,) int array
    entry : (n,) array
    """
    n, count = mate.size, 0
    for i in range(n):
        place[i], entry[i] = -1, 0.0
    for i in range(n):
        j = mate[i]
        if j > i:
            place[i] = place[j] = count
            count += 1
    for i in range(n):
        if mate[i] >= 0 or w[i] == 0.0:
            continue
        coupled, heaviest, best = False, 0.0, -1
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            if j == i or data[p] == 0.0:
                continue
            coupled = True
            if weights[p] > heaviest and mate[j] >= 0:
                heaviest, best = weights[p], j
        if join and best >= 0:
            place[i] = place[best]
        elif coupled:
            place[i] = count
            count += 1
    squares = np.zeros(count)
    for i in range(n):
        if place[i] >= 0:
            squares[place[i]] += w[i] * w[i]
    for i in range(n):
        if place[i] >= 0:
            entry[i] = w[i] / np.sqrt(squares[place[i]])
    return count


@njit(cache=True, nogil=True)
def galerkin(indptr, indices, data, place, entry, count):  # type: ignore[no-untyped-def]
    """Return PᵀAP by rows, sorted and symmetric to the last bit, for P with entry[i] in column place[i] of row i.

    Returns
    -------
    indptr, indices, data : arrays
    """
    n = place.size
    starts = np.zeros(count + 1, dtype=np.int64)
    for i in range(n):
        if place[i] >= 0:
            starts[place[i] + 1] += 1
    for c in range(count):
        starts[c + 1] += starts[c]
    members = np.empty(starts[count], dtype=np.int64)
    filled = starts[:count].copy()
    for i in range(n):
        c = place[i]
        if c >= 0:
            members[filled[c]] = i
            filled[c] += 1
    rows = np.zeros(count + 1, dtype=indptr.dtype)
    columns = np.empty(indices.size, dtype=indices.dtype)
    values = np.empty(indices.size)
    position = np.full(count, -1, dtype=np.int64)
    stored = 0
    for c in range(count):
        first = stored
        for q in range(starts[c], starts[c + 1]):
            i = members[q]
            for p in range(indptr[i], indptr[i + 1]):
                d = place[indices[p]]
                if d < 0:
                    continue
                value = entry[i] * data[p] * entry[indices[p]]
                if position[d] >= first:
                    values[position[d]] += value
                else:
                    position[d] = stored
                    columns[stored], values[stored] = d, value
                    stored += 1
        rows[c + 1] = stored
    T = transposed(rows, columns[:stored], values[:stored])
    S = transposed(T[0], T[1], T[2])
    # Sums of the two triangles are rounded in different orders.
    return S[0], S[1], 0.5 * (S[2] + T[2])


@njit(cache=True, nogil=True)
def transposed(indptr: Any, indices: Any, data: Any) -> Any:
    """Return the transpose of a square matrix by rows, column indices sorted."""
    n = indptr.size - 1
    rows = np.zeros(n + 1, dtype=indptr.dtype)
    columns = np.empty_like(indices)
    values = np.empty_like(data)
    for p in range(indices.size):
        rows[indices[p] + 1] += 1
    for i in range(n):
        rows[i + 1] += rows[i]
    filled = rows[:n].copy()
    for i in range(n):
        for p in range(indptr[i], indptr[i + 1]):
            q = filled[indices[p]]
            filled[indices[p]] += 1
            columns[q], values[q] = i, data[p]
    return rows, columns, values
