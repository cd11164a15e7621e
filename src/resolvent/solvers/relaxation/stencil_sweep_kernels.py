"""Compiled relaxation sweeps over stencils on structured grids, without a matrix.

As `row_sweep_kernels`, for the storage of `operators.stencil_kernels`: on the flattened field term t contributes
``coefficients[starts[t] + i] * x[i + shifts[t]]`` to row i, and coefficients that point outside of the grid are zero.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def points_sweep(A, backward, b, x, y):  # type: ignore[no-untyped-def]
    """Relax one point after the other, in C order or backwards; return ‖b − A x‖².

    A chunk of points at a time: what does not depend on new values of the same chunk is summed in passes that the
    compiler vectorises, which leaves the neighbour before each point to the loop that has to wait for it.

    Parameters
    ----------
    A : Points
    backward : bool
    b, x, y : (n,) arrays
    """
    n, zero, squares = b.size, y.dtype.type(0), 0.0
    chunk = A.old.size
    near, places = (A.after, A.after_starts) if backward else (A.before, A.before_starts)
    adjacent = near.size == 1 and abs(near[0]) == 1
    chunks = (n + chunk - 1) // chunk
    for step in range(chunks):
        start = (chunks - 1 - step if backward else step) * chunk
        stop = min(start + chunk, n)
        size = uint64(stop - start)
        old, new = A.old[:size], A.new[:size]
        for k in range(size):
            old[k] = b[uint64(start) + k]
        for k in range(size):
            new[k] = old[k]
        for t in range(A.shifts.size):
            shift = A.shifts[t]
            low, high = max(start, -shift), min(stop, n - shift)
            if low >= high:
                continue
            ahead = -shift if backward else shift
            k, count = uint64(low - start), uint64(high - low)
            c, j = uint64(low + A.starts[t]), uint64(low + shift)
            if ahead >= 0:
                for _ in range(count):
                    product = A.coefficients[c] * x[j]
                    old[k] -= product
                    new[k] -= product
                    k, c, j = k + uint64(1), c + uint64(1), j + uint64(1)
            elif ahead <= -chunk:
                for _ in range(count):
                    old[k] -= A.coefficients[c] * x[j]
                    new[k] -= A.coefficients[c] * y[j]
                    k, c, j = k + uint64(1), c + uint64(1), j + uint64(1)
            else:
                for _ in range(count):
                    old[k] -= A.coefficients[c] * x[j]
                    k, c, j = k + uint64(1), c + uint64(1), j + uint64(1)
        for k in range(size):
            squares += old[k].real * old[k].real + old[k].imag * old[k].imag
        if adjacent:
            # The value before is kept in a register: the loop waits for two operations a point.
            step_by, first, place = (-1, stop - 1, places[0]) if backward else (1, start, places[0])
            before = y[uint64(first - step_by)] if 0 <= first - step_by < n else zero
            for count in range(size):
                i = first + step_by * np.int64(count)
                j, c = uint64(i), zero
                if 0 <= i - step_by < n:
                    c = A.coefficients[uint64(i + place)]
                before = x[j] + A.omega * A.inverse[j] * (new[uint64(i - start)] - c * before)
                y[j] = before
            continue
        for count in range(stop - start):
            i = stop - 1 - count if backward else start + count
            total = new[uint64(i - start)]
            for t in range(near.size):
                if 0 <= i + near[t] < n:
                    total -= A.coefficients[uint64(i + places[t])] * y[uint64(i + near[t])]
            j = uint64(i)
            y[j] = x[j] + A.omega * A.inverse[j] * total
    return squares


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def checkerboard_sweep(A, backward, b, x, y):  # type: ignore[no-untyped-def]
    """Relax all points of even index sum (red), then the others (black), or the other way round; return ‖b − A x‖².

    Each point couples with points of the other colour only.

    Parameters
    ----------
    A : Checkerboard
    backward : bool
    b, x, y : (n,) arrays
    """
    n, squares = b.size, 0.0
    for phase in range(2):
        colour = 1 - phase if backward else phase
        for line in range(A.parities.size):
            for i in range(line * A.length + ((A.parities[line] + colour) & 1), (line + 1) * A.length, 2):
                old = new = b[i]
                for t in range(A.shifts.size):
                    shift = A.shifts[t]
                    if not 0 <= i + shift < n:
                        continue
                    c, j = A.coefficients[uint64(i + A.starts[t])], uint64(i + shift)
                    product = c * x[j]
                    old -= product
                    if phase and shift != 0:
                        new -= c * y[j]
                    else:
                        new -= product
                squares += old.real * old.real + old.imag * old.imag
                p = uint64(i)
                y[p] = x[p] + A.omega * A.inverse[p] * new
    return squares
