"""Compiled loops of sweeps, for every storage that there are sweeps for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from .block_sweep_kernels import blocks_sweep
from .row_sweep_kernels import rows_backward, rows_forward
from .stencil_sweep_kernels import checkerboard_sweep, points_sweep
from .storage import Blocks, Checkerboard, Points, Rows

FORWARD, BACKWARD, SYMMETRIC = 0, 1, 2


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
