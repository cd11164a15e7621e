"""Compiled Gauss–Seidel sweeps."""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(cache=True, nogil=True)
def sweep(
    couplings: Any, inverse: Any, steps: Any, grid: Any, strides: Any, b: Any, x: Any, backward: bool
) -> None:  # pragma: no cover
    """Set each cell of x in turn to (b + Σ t x_q) / d.

    Parameters
    ----------
    couplings : (cells, 2d, B) array
    inverse : (cells, B) array
    steps : (2d,) int array
        From a cell of x to its neighbours.
    grid, strides : (3,) int arrays
        Cells along three axes, and the steps of x along them; x begins with a rim of ghost cells on the others.
    b : (cells, k) array
    x : (padded cells, k) array
    backward : bool
    """
    n1, n2 = grid[1], grid[2]
    cells, sides, members = couplings.shape
    k = b.shape[1]
    corner = strides[0] + strides[1] + strides[2]
    for count in range(cells):
        p = cells - 1 - count if backward else count
        i, rest = p // (n1 * n2), p % (n1 * n2)
        q = corner + i * strides[0] + (rest // n2) * strides[1] + (rest % n2) * strides[2]
        for c in range(k):
            m = c if members > 1 else 0
            total = b[p, c]
            for s in range(sides):
                total += couplings[p, s, m] * x[q + steps[s], c]
            x[q, c] = total * inverse[p, m]
