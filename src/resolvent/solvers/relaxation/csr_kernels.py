"""Compiled relaxation sweeps over compressed sparse rows with sorted column indices.

A sweep goes from an iterate x to the next one, y, and returns ‖b − A x‖² on the way: each entry of A is read once and
multiplied with the old value and, where the sweep has been already, with the new one. So the residual of every iterate
costs no product of its own. Given one array as x and as y the sweep is done in place; what it returns is then of no
meaning.

Nothing is allocated or checked. Kernels are compiled on first use for the dtypes at hand, cached on disk, and release
the GIL.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

FORWARD, BACKWARD, SYMMETRIC = 0, 1, 2


@njit(cache=True, nogil=True)
def forward(indptr, indices, data, inverse, omega, b, x, y):  # type: ignore[no-untyped-def]
    """Set y_i to x_i + ω (b_i − Σ_{j<i} a_ij y_j − Σ_{j≥i} a_ij x_j) / a_ii for i = 0, 1, …; return ‖b − A x‖².

    Parameters
    ----------
    indptr, indices, data : arrays
        The (n, n) matrix, indices sorted in each row.
    inverse : (n,) array
        The reciprocal of its diagonal.
    omega : float
        Of the precision of `inverse`.
    b, x, y : (n,) arrays
    """
    one, squares = uint64(1), 0.0
    for i in range(uint64(b.size)):
        p, last = uint64(indptr[i]), uint64(indptr[i + one])
        old = new = b[i]
        while p < last:
            j = uint64(indices[p])
            if j >= i:
                break
            old -= data[p] * x[j]
            new -= data[p] * y[j]
            p += one
        rest = old - old
        while p < last:
            rest += data[p] * x[uint64(indices[p])]
            p += one
        old -= rest
        squares += old.real * old.real + old.imag * old.imag
        y[i] = x[i] + omega * inverse[i] * (new - rest)
    return squares


@njit(cache=True, nogil=True)
def backward(indptr, indices, data, inverse, omega, b, x, y):  # type: ignore[no-untyped-def]
    """The same from the last unknown to the first: y_i takes y_j for j > i and x_j for j ≤ i."""
    one, squares = uint64(1), 0.0
    n = uint64(b.size)
    for back in range(n):
        i = n - one - back
        first, p = uint64(indptr[i]), uint64(indptr[i + one])
        old = new = b[i]
        while p > first:
            j = uint64(indices[p - one])
            if j <= i:
                break
            p -= one
            old -= data[p] * x[j]
            new -= data[p] * y[j]
        rest = old - old
        while p > first:
            p -= one
            rest += data[p] * x[uint64(indices[p])]
        old -= rest
        squares += old.real * old.real + old.imag * old.imag
        y[i] = x[i] + omega * inverse[i] * (new - rest)
    return squares


@njit(cache=True, nogil=True)
def iterate(indptr, indices, data, inverse, omega, sweep, b, x, y, norms, floor, limit):  # type: ignore[no-untyped-def]
    """Sweep until an iterate has a residual norm that is at most `floor`, or above `limit`, or not a number.

    Parameters
    ----------
    indptr, indices, data, inverse, omega
        As above.
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
        if sweep == 1:
            squares = backward(indptr, indices, data, inverse, omega, b, x, y)
        else:
            squares = forward(indptr, indices, data, inverse, omega, b, x, y)
        if sweep == 2:
            backward(indptr, indices, data, inverse, omega, b, y, y)
        norms[step] = np.sqrt(squares)
        if not floor < norms[step] <= limit:
            return step + 1
    return norms.size


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
            most = counts[s, t]
            found = iterate(
                indptr, indices, shifted, inverse, omegas[s], sweep, B[t], x, y, norms[: most + 1], floor, np.inf
            )
            if norms[found - 1] <= floor:
                counts[s, t] = found - 1
