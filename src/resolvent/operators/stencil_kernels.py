"""Products with stencils on structured grids.

On the flattened field a stencil is a sum of diagonals, because the coefficients that point outside of the grid are
zero: term t contributes ``coefficients[starts[t] + i] * x[i + shifts[t]]`` to row i. One kernel therefore serves every
dimension, every set of offsets, the transpose and the mirrored storage, which differ only in `starts` and `shifts`.
The kernels are compiled on first use for the dtypes at hand, cached on disk, and release the GIL.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import uint64

from .threads import run_in_parts

# Products (terms · points · columns) that pay for a thread, so that two are used from 1 000 000 on. In the
# committed run of benchmarks/operators.py two threads lost at 128² points (80 000 products of the 5-point stencil), won
# a little at 256² (330 000), and were 1.6 to 2.2 times faster from 512² (1 300 000) and 64³ (1 800 000) on.
PART = 500_000

# Points of a block whose sums stay in the first-level cache between the passes over groups of terms.
BLOCK = 1024


def stencil_matmat(starts: Any, shifts: Any, coefficients: Any, X: Any, out: Any) -> None:
    """Write A X into `out` for a stencil A of s terms on n points; 2 s n k flops, no allocation.

    Parameters
    ----------
    starts : (s,) array of int64
        Where the coefficients of row 0 begin; may be outside of the array where the term does not apply to row 0.
    shifts : (s,) array of int64
        Distance of the neighbour in the flattened field.
    coefficients : (c n,) array
    X : (n, k) C-contiguous array
    out : (n, k) C-contiguous array of dtype ``result_type(coefficients, X)``
        Must not overlap with X.

    Examples
    --------
    The matrix ``[[2, 1], [1, 2]]``:

    >>> import numpy as np
    >>> coefficients = np.array([2.0, 2.0, 0.0, 1.0, 1.0, 0.0])
    >>> out = np.empty((2, 1))
    >>> stencil_matmat(np.array([0, 2, 4]), np.array([0, -1, 1]), coefficients, np.array([[1.0], [10.0]]), out)
    >>> out.ravel()
    array([12., 21.])
    """
    n, k = X.shape
    parts = starts.size * n * k // PART
    if k == 1:
        run_in_parts(_vector, n, parts, starts, shifts, coefficients, X.reshape(-1), out.reshape(-1))
    else:
        run_in_parts(_columns, n, parts, starts, shifts, coefficients, X, out)


# Indices are cast to unsigned integers because numba wraps negative ones around, a test that prevents SIMD code.


@numba.njit(cache=True, nogil=True)
def _vector(starts, shifts, coefficients, x, out, start, stop):  # type: ignore[no-untyped-def]
    reach = np.abs(shifts).max() if shifts.size else 0
    first, last = max(start, min(stop, reach)), min(stop, max(start, x.size - reach))
    if first >= last:
        _clipped(starts, shifts, coefficients, x, out, start, stop)
        return
    _clipped(starts, shifts, coefficients, x, out, start, first)
    for block in range(first, last, BLOCK):
        _block(starts, shifts, coefficients, x, out, block, min(block + BLOCK, last))
    _clipped(starts, shifts, coefficients, x, out, last, stop)


@numba.njit(cache=True, nogil=True)
def _clipped(starts, shifts, coefficients, x, out, start, stop):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        out[uint64(i)] = 0
    for t in range(starts.size):
        c, d = starts[t], shifts[t]
        for i in range(max(start, -d), min(stop, x.size - d)):
            out[uint64(i)] += coefficients[uint64(i + c)] * x[uint64(i + d)]


@numba.njit(cache=True, nogil=True)
def _block(starts, shifts, coefficients, x, out, start, stop):  # type: ignore[no-untyped-def]
    # Three terms a pass: as fast as one loop written out for the number of terms, for any number of terms.
    t = starts.size % 3
    if t == 0:
        for i in range(start, stop):
            out[uint64(i)] = 0
    elif t == 1:
        c0, d0 = starts[0], shifts[0]
        for i in range(start, stop):
            out[uint64(i)] = coefficients[uint64(i + c0)] * x[uint64(i + d0)]
    else:
        c0, d0, c1, d1 = starts[0], shifts[0], starts[1], shifts[1]
        for i in range(start, stop):
            out[uint64(i)] = (
                coefficients[uint64(i + c0)] * x[uint64(i + d0)] + coefficients[uint64(i + c1)] * x[uint64(i + d1)]
            )
    while t < starts.size:
        c0, d0, c1, d1 = starts[t], shifts[t], starts[t + 1], shifts[t + 1]
        c2, d2 = starts[t + 2], shifts[t + 2]
        for i in range(start, stop):
            out[uint64(i)] += (
                coefficients[uint64(i + c0)] * x[uint64(i + d0)]
                + coefficients[uint64(i + c1)] * x[uint64(i + d1)]
                + coefficients[uint64(i + c2)] * x[uint64(i + d2)]
            )
        t += 3


@numba.njit(cache=True, nogil=True)
def _columns(starts, shifts, coefficients, X, out, start, stop):  # type: ignore[no-untyped-def]
    # Four columns at a time are summed in registers.
    zero = out.dtype.type(0)
    n, columns = X.shape
    one, two, three, four = uint64(1), uint64(2), uint64(3), uint64(4)
    for i in range(start, stop):
        row = uint64(i)
        j = uint64(0)
        while j + four <= uint64(columns):
            y0, y1, y2, y3 = zero, zero, zero, zero
            for t in range(starts.size):
                neighbour = i + shifts[t]
                if 0 <= neighbour < n:
                    c, p = coefficients[uint64(i + starts[t])], uint64(neighbour)
                    y0 += c * X[p, j]
                    y1 += c * X[p, j + one]
                    y2 += c * X[p, j + two]
                    y3 += c * X[p, j + three]
            out[row, j], out[row, j + one], out[row, j + two], out[row, j + three] = y0, y1, y2, y3
            j += four
        while j < uint64(columns):
            y0 = zero
            for t in range(starts.size):
                neighbour = i + shifts[t]
                if 0 <= neighbour < n:
                    y0 += coefficients[uint64(i + starts[t])] * X[uint64(neighbour), j]
            out[row, j] = y0
            j += one


@numba.njit(cache=True, nogil=True)
def csr_from_stencil(starts, shifts, offsets, grid, coefficients, indptr, indices, data):  # type: ignore[no-untyped-def]
    """Write the entries whose neighbour is inside of the grid, row by row in the order of the terms.

    `offsets` has shape (s, 3) and `grid` three extents, with leading ones for fewer dimensions; terms are sorted by
    shift, which makes the column indices of a row increase.
    """
    entry = uint64(0)
    row = 0
    indptr[0] = 0
    for i in range(grid[0]):
        for j in range(grid[1]):
            for k in range(grid[2]):
                for t in range(starts.size):
                    a, b, c = i + offsets[t, 0], j + offsets[t, 1], k + offsets[t, 2]
                    if 0 <= a < grid[0] and 0 <= b < grid[1] and 0 <= c < grid[2]:
                        indices[entry] = row + shifts[t]
                        data[entry] = coefficients[uint64(row + starts[t])]
                        entry += uint64(1)
                row += 1
                indptr[uint64(row)] = entry
