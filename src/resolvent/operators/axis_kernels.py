"""Products of a compressed sparse row matrix with one axis of a field, compiled.

Nothing is checked here: the caller guarantees a valid matrix and matching shapes.
"""

from __future__ import annotations

from typing import Any

import numba
from numba import uint64

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


# Indices are cast to unsigned integers because numba wraps negative ones around, a test that halves the speed.


@numba.njit(cache=True, nogil=True)
def _lines(indptr, indices, data, X, out, add, start, stop):  # type: ignore[no-untyped-def]
    rows, one = uint64(out.shape[1]), uint64(1)
    for line in range(uint64(start), uint64(stop)):
        for i in range(rows):
            total = out[line, i] if add else out.dtype.type(0)
            for p in range(uint64(indptr[i]), uint64(indptr[i + one])):
                total += data[p] * X[line, uint64(indices[p])]
            out[line, i] = total


@numba.njit(cache=True, nogil=True)
def _blocks(indptr, indices, data, X, out, add, width, start, stop):  # type: ignore[no-untyped-def]
    inner, one = X.shape[2], uint64(1)
    count = (inner + width - 1) // width
    for unit in range(start, stop):
        outer, first = uint64(unit // count), uint64((unit % count) * width)
        last = uint64(min(first + width, inner))
        for i in range(uint64(out.shape[1])):
            if not add:
                for c in range(first, last):
                    out[outer, i, c] = 0
            for p in range(uint64(indptr[i]), uint64(indptr[i + one])):
                entry, j = data[p], uint64(indices[p])
                for c in range(first, last):
                    out[outer, i, c] += entry * X[outer, j, c]
