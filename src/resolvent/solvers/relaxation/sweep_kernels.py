"""Compiled relaxation sweeps over rows, blocks and stencils, and loops of them.

A sweep goes from an iterate x to the next one, y, and returns ‖b − A x‖² on the way: each entry of A is read once and
multiplied with the old value and, where the sweep has been already, with the new one. So the residual of every iterate
costs no product of its own. Given one array as x and as y the sweep is done in place; what it returns is then of no
meaning.

Nothing is allocated or checked. Kernels are compiled on first use for the dtypes at hand, cached on disk, and release
the GIL. They are in one file because numba compiles what is called into the caller, but looks at the caller's file
alone to tell whether its cache is stale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types, uint64
from numba.extending import overload

from .storage import Blocks, Checkerboard, Points, Rows

FORWARD, BACKWARD, SYMMETRIC = 0, 1, 2

# An unknown waits for the one before: that one is added last, from a register instead of from memory, and products may
# be fused with sums, so that two operations are left to do.
FUSED = {"contract"}


@njit(cache=True, nogil=True, fastmath=FUSED)
def rows_forward(A, b, x, y):  # type: ignore[no-untyped-def]
    """Set y_i to x_i + ω (b_i − Σ_{j<i} a_ij y_j − Σ_{j≥i} a_ij x_j) / a_ii for i = 0, 1, …; return ‖b − A x‖².

    Parameters
    ----------
    A : Rows
    b, x, y : (n,) arrays
    """
    one, squares, before = uint64(1), 0.0, y.dtype.type(0)
    for i in range(uint64(b.size)):
        first, last = uint64(A.indptr[i]), uint64(A.indptr[i + one])
        total = b[i]
        while last > first:
            j = uint64(A.indices[last - one])
            if j < i:
                break
            last -= one
            total -= A.data[last] * x[j]
        old = new = total
        for p in range(first, last):
            j = uint64(A.indices[p])
            old -= A.data[p] * x[j]
            new -= A.data[p] * (before if j + one == i else y[j])
        squares += old.real * old.real + old.imag * old.imag
        before = x[i] + A.omega * A.inverse[i] * new
        y[i] = before
    return squares


@njit(cache=True, nogil=True, fastmath=FUSED)
def rows_backward(A, b, x, y):  # type: ignore[no-untyped-def]
    """The same from the last unknown to the first: y_i takes y_j for j > i and x_j for j ≤ i."""
    one, squares, before = uint64(1), 0.0, y.dtype.type(0)
    n = uint64(b.size)
    for back in range(n):
        i = n - one - back
        first, p = uint64(A.indptr[i]), uint64(A.indptr[i + one])
        total = b[i]
        while first < p:
            j = uint64(A.indices[first])
            if j > i:
                break
            total -= A.data[first] * x[j]
            first += one
        old = new = total
        while p > first:
            p -= one
            j = uint64(A.indices[p])
            old -= A.data[p] * x[j]
            new -= A.data[p] * (before if j == i + one else y[j])
        squares += old.real * old.real + old.imag * old.imag
        before = x[i] + A.omega * A.inverse[i] * new
        y[i] = before
    return squares


@njit(cache=True, nogil=True)
def blocks_sweep(A, backward, b, x, y):  # type: ignore[no-untyped-def]
    """Set y_s to x_s + ω B_s⁻¹ (b − A z)_s for one block after the other; return ‖b − A x‖².

    z holds y in the blocks that the sweep has been to, x in the others.

    Parameters
    ----------
    A : Blocks
    backward : bool
        Whether to go from the last block to the first.
    b, x, y : (n,) arrays
    """
    zero, squares = y.dtype.type(0), 0.0
    count = A.starts.size - 1
    t = A.work
    for step in range(count):
        s = count - 1 - step if backward else step
        first, last = uint64(A.starts[s]), uint64(A.starts[s + 1])
        for i in range(first, last):
            old = new = b[i]
            for p in range(uint64(A.indptr[i]), uint64(A.indptr[i + uint64(1)])):
                j = uint64(A.indices[p])
                product = A.data[p] * x[j]
                old -= product
                if (j >= last) if backward else (j < first):
                    new -= A.data[p] * y[j]
                else:
                    new -= product
            squares += old.real * old.real + old.imag * old.imag
            t[i - first] = new
        place = uint64(A.offsets[s])
        for i in range(first, last):
            total = zero
            for q in range(last - first):
                total += A.entries[place] * t[q]
                place += uint64(1)
            y[i] = x[i] + A.omega * total
    return squares


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


def one_sweep(A: Any, backward: bool, b: Any, x: Any, y: Any) -> float:
    """Sweep from x to y, return ‖b − A x‖²: the kernel for the storage of A, chosen when compiled."""
    raise NotImplementedError("only for compiled code")


@overload(one_sweep)
def _one_sweep(A, backward, b, x, y):  # type: ignore[no-untyped-def]
    storage = A.instance_class if isinstance(A, types.NamedTuple) else None
    if storage is Rows:

        def rows(A, backward, b, x, y):  # type: ignore[no-untyped-def]
            return rows_backward(A, b, x, y) if backward else rows_forward(A, b, x, y)

        return rows
    if storage is Blocks:
        return lambda A, backward, b, x, y: blocks_sweep(A, backward, b, x, y)
    if storage is Points:
        return lambda A, backward, b, x, y: points_sweep(A, backward, b, x, y)
    if storage is Checkerboard:
        return lambda A, backward, b, x, y: checkerboard_sweep(A, backward, b, x, y)
    return None


@njit(cache=True, nogil=True)
def iterate(A, sweep, b, x, y, norms, floor, limit):  # type: ignore[no-untyped-def]
    """Sweep until an iterate has a residual norm that is at most `floor`, or above `limit`, or not a number.

    Parameters
    ----------
    A : Rows, Blocks, Points or Checkerboard
    sweep : int
        FORWARD, BACKWARD or SYMMETRIC: forward, then backward.
    b : (n,) array
    x, y : (n,) arrays
        x is the first iterate; both are overwritten.
    norms : (m,) array
        The residual norm of each iterate that was looked at; at most m are.

    Returns
    -------
    count : int
        How many iterates were looked at. The last of them lies in x if `count` is odd, else in y, and the other array
        holds the next one.
    """
    for step in range(norms.size):
        if step:
            x, y = y, x
        squares = one_sweep(A, sweep == BACKWARD, b, x, y)
        if sweep == SYMMETRIC:
            one_sweep(A, True, b, y, y)
        norms[step] = np.sqrt(squares)
        if not floor < norms[step] <= limit:
            return step + 1
    return norms.size


@njit(cache=True, nogil=True)
def smooth(A, sweep, b, x, count):  # type: ignore[no-untyped-def]
    """Sweep `count` times over x in place."""
    for _ in range(count):
        one_sweep(A, sweep == BACKWARD, b, x, x)
        if sweep == SYMMETRIC:
            one_sweep(A, True, b, x, x)


@njit(cache=True, nogil=True)
def count_sweeps(indptr, indices, data, diagonal, sweep, omegas, shifts, B, rtol, counts):  # type: ignore[no-untyped-def]
    """Fill counts[s, t] with the sweeps from zero to ‖r‖ ≤ rtol ‖b‖ for A + shifts[t] I, B[t] and omegas[s].

    Parameters
    ----------
    indptr, indices, data : arrays
        A, indices sorted in each row.
    diagonal : (n,) int array
        Where its diagonal entries stand in `data`.
    sweep : int
    omegas : (d,) array
    shifts : (T,) array
    B : (T, n) array
    rtol : float
    counts : (d, T) int array
        Holds the largest number of sweeps to begin with.
    """
    n = diagonal.size
    shifted, inverse = data.copy(), np.empty(n, dtype=data.dtype)
    x, y = np.empty(n, dtype=B.dtype), np.empty(n, dtype=B.dtype)
    norms = np.empty(counts.max() + 1, dtype=np.float64)
    for t in range(shifts.size):
        for i in range(n):
            shifted[diagonal[i]] = data[diagonal[i]] + shifts[t]
            inverse[i] = 1 / shifted[diagonal[i]]
        floor = rtol * np.linalg.norm(B[t])
        for s in range(omegas.size):
            x[:] = 0
            A = Rows(indptr, indices, shifted, inverse, omegas[s])
            found = iterate(A, sweep, B[t], x, y, norms[: counts[s, t] + 1], floor, np.inf)
            if norms[found - 1] <= floor:
                counts[s, t] = found - 1
