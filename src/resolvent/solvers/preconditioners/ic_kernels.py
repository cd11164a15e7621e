"""Compiled incomplete Cholesky factorisations A ≈ Uᴴ D U, row by row of U, and the test for A = Aᴴ.

Row i needs the rows k < i with u_ki ≠ 0: they hang in a list at the column of their next entry, and move on to the
following one when they have been used. Both forms do the same operations in the same order on the entries they keep.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def is_self_adjoint(indptr, indices, data, rtol):  # type: ignore[no-untyped-def]
    """Whether |a_ij − conj(a_ji)| ≤ rtol (|a_ij| + |a_ji|) for all entries of CSR rows with sorted indices.

    One pass: rows are visited in order, so that the entries left of the diagonal of any row are asked for in order.
    """
    n = indptr.size - 1
    cursor = indptr[:-1].copy()
    for i in range(n):
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            if j < i:
                continue
            if j == i:
                if abs(data[p].imag) > rtol * abs(data[p]):
                    return False
                continue
            q = cursor[j]
            while q < indptr[j + 1] and indices[q] < i and data[q] == 0:
                q += 1
            if q < indptr[j + 1] and indices[q] == i:
                if not abs(data[p] - np.conj(data[q])) <= rtol * (abs(data[p]) + abs(data[q])):
                    return False
                cursor[j] = q + 1
            elif data[p] != 0:
                return False
            else:
                cursor[j] = q
    for i in range(n):  # what is left of the diagonal and was never asked for
        for q in range(cursor[i], indptr[i + 1]):
            if indices[q] >= i:
                break
            if data[q] != 0:
                return False
    return True


@njit(cache=True, nogil=True)
def upper_triangle(indptr, indices):  # type: ignore[no-untyped-def]
    """Return indptr and indices of the strict upper triangle, and where its entries stand in the matrix."""
    n = indptr.size - 1
    starts = np.zeros(n + 1, dtype=indptr.dtype)
    for i in range(n):
        count = 0
        for p in range(indptr[i], indptr[i + 1]):
            count += indices[p] > i
        starts[i + 1] = starts[i] + count
    columns, source = np.empty(starts[n], dtype=indices.dtype), np.empty(starts[n], dtype=indptr.dtype)
    q = 0
    for i in range(n):
        for p in range(indptr[i], indptr[i + 1]):
            if indices[p] > i:
                columns[q], source[q] = indices[p], p
                q += 1
    return starts, columns, source


@njit(cache=True, nogil=True)
def factorise_in_pattern(indptr, indices, data, pivots, smallest):  # type: ignore[no-untyped-def]
    """Turn the strict upper triangle of A into that of U, and its diagonal into D, in place, keeping the pattern.

    Returns −1, or the first row whose pivot does not exceed ``smallest``; the arrays are spoilt then.
    """
    n = pivots.size
    cursor = np.empty(n, dtype=indptr.dtype)
    head, link = np.full(n, -1, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    place = np.full(n, -1, dtype=indptr.dtype)  # of column j in the present row, if within its bounds
    for i in range(n):
        first, last = indptr[i], indptr[i + 1]
        for p in range(first, last):
            place[indices[p]] = p
        pivot = pivots[i]
        k = head[i]
        while k >= 0:
            following = link[k]
            p, end = cursor[k], indptr[k + 1]
            entry = data[p]
            factor = np.conj(entry) * pivots[k]
            pivot -= (factor * entry).real
            for q in range(p + 1, end):
                target = place[indices[q]]
                if first <= target < last:
                    data[target] -= factor * data[q]
            if p + 1 < end:
                cursor[k] = p + 1
                j = indices[p + 1]
                link[k] = head[j]
                head[j] = k
            k = following
        if not (smallest[i] < pivot < np.inf):
            return i
        pivots[i] = pivot
        for p in range(first, last):
            data[p] = data[p] / pivot
        if first < last:
            cursor[i] = first
            j = indices[first]
            link[i] = head[j]
            head[j] = i
    return -1


@njit(cache=True, nogil=True)
def factorise_with_threshold(indptr, indices, data, pivots, smallest, drop, fill):  # type: ignore[no-untyped-def]
    """Factorise with fill: entries below ``drop[i]`` leave row i, of the rest the largest stay.

    At most `fill` more than A has there. `data` is left alone, `pivots` becomes D. Returns the row of the failure or
    −1, and indptr, indices and data of U.
    """
    n = pivots.size
    capacity = 2 * indices.size + 16
    row_start = np.zeros(n + 1, dtype=np.int64)
    columns, entries = np.empty(capacity, dtype=indices.dtype), np.empty(capacity, dtype=data.dtype)
    cursor = np.zeros(n, dtype=np.int64)
    head, link = np.full(n, -1, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    row, seen, found = np.zeros(n, dtype=data.dtype), np.full(n, -1, dtype=np.int64), np.empty(n, dtype=np.int64)
    used = 0
    for i in range(n):
        count = 0
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            row[j] = data[p]
            seen[j] = i
            found[count] = j
            count += 1
        pivot = pivots[i]
        k = head[i]
        while k >= 0:
            following = link[k]
            p, end = cursor[k], row_start[k + 1]
            entry = entries[p]
            factor = np.conj(entry) * pivots[k]
            pivot -= (factor * entry).real
            for q in range(p + 1, end):
                j = columns[q]
                if seen[j] != i:
                    seen[j] = i
                    row[j] = 0
                    found[count] = j
                    count += 1
                row[j] -= factor * entries[q]
            if p + 1 < end:
                cursor[k] = p + 1
                j = columns[p + 1]
                link[k] = head[j]
                head[j] = k
            k = following
        if not (smallest[i] < pivot < np.inf):
            return i, row_start, columns[:0], entries[:0]
        pivots[i] = pivot
        kept = 0
        for m in range(count):
            j = found[m]
            if abs(row[j]) > drop[i]:
                found[kept] = j
                kept += 1
        allowed = indptr[i + 1] - indptr[i] + fill
        if kept > allowed:
            sizes = np.empty(kept, dtype=np.float64)
            for m in range(kept):
                sizes[m] = -abs(row[found[m]])
            found[:allowed] = found[:kept][np.argsort(sizes, kind="mergesort")[:allowed]]
            kept = allowed
        if used + kept > columns.size:
            more = max(2 * columns.size, used + kept)
            longer, wider = np.empty(more, dtype=indices.dtype), np.empty(more, dtype=data.dtype)
            longer[:used], wider[:used] = columns[:used], entries[:used]
            columns, entries = longer, wider
        chosen = np.sort(found[:kept])
        for m in range(kept):
            columns[used + m] = chosen[m]
            entries[used + m] = row[chosen[m]] / pivot
        if kept > 0:
            cursor[i] = used
            j = chosen[0]
            link[i] = head[j]
            head[j] = i
        used += kept
        row_start[i + 1] = used
    return -1, row_start, columns[:used].copy(), entries[:used].copy()
