"""Products of a compressed sparse row matrix with one axis of a field, compiled.

Nothing is checked here: the caller guarantees a valid matrix and matching shapes.
"""

from __future__ import annotations

from typing import Any

import numba

from .threads import run_in_parts

_PART = 500_000
"""Multiplications that pay for a second thread, as for products of whole sparse matrices (`sparse_kernels`)."""

_COLUMNS = 2048
"""Columns taken at a time: a row of `out` of that width stays in the first cache while its entries are added."""


def csr_along(indptr: Any, indices: Any, data: Any, X: Any, out: Any, *, add: bool) -> None:
    """Write A X[i] into ``out[i]`` for every i, or add it to what is there; 2 nnz flops for each line.

    Parameters
    ----------
    indptr, indices, data
        A, (m, n) in compressed sparse rows.
    X : (outer, n, inner) C-contiguous array
    out : (outer, m, inner) C-contiguous array
        Must not overlap with X.
    add : bool
    """
    outer, _, inner = X.shape
    parts = data.size * outer * inner // _PART
    if inner == 1:
        run_in_parts(_lines, outer, parts, indptr, indices, data, X[:, :, 0], out[:, :, 0], add)
    else:
        blocks = -(-inner // _COLUMNS)
        run_in_parts(_blocks, outer * blocks, parts, indptr, indices, data, X, out, add, _COLUMNS)


@numba.njit(cache=True, nogil=True)
def _lines(indptr, indices, data, X, out, add, start, stop):  # type: ignore[no-untyped-def]
    for line in range(start, stop):
        x, y = X[line], out[line]
        for i in range(y.size):
            total = y[i] if add else y.dtype.type(0)
            for p in range(indptr[i], indptr[i + 1]):
                total += data[p] * x[indices[p]]
            y[i] = total


@numba.njit(cache=True, nogil=True)
def _blocks(indptr, indices, data, X, out, add, width, start, stop):  # type: ignore[no-untyped-def]
    inner = X.shape[2]
    count = (inner + width - 1) // width
    for unit in range(start, stop):
        outer, first = unit // count, (unit % count) * width
        last = min(first + width, inner)
        for i in range(out.shape[1]):
            y = out[outer, i, first:last]
            if not add:
                y[:] = 0
            for p in range(indptr[i], indptr[i + 1]):
                entry, x = data[p], X[outer, indices[p], first:last]
                for c in range(y.size):
                    y[c] += entry * x[c]
