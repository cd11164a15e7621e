"""Compiled relaxation sweeps over compressed sparse rows, point by point.

A sweep goes from an iterate x to the next one, y, and returns ‖b − A x‖² on the way: each entry of A is read once and
multiplied with the old value and, where the sweep has been already, with the new one. So the residual of every iterate
costs no product of its own. Given one array as x and as y the sweep is done in place; what it returns is then of no
meaning.

Nothing is allocated or checked. Kernels are compiled on first use for the dtypes at hand, cached on disk, and release
the GIL.
"""

from __future__ import annotations

from numba import njit, uint64

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
