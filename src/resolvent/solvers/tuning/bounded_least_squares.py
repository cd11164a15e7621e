"""Compiled least squares in a box, for a handful of unknowns: an active-set method on the normal equations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def solve_free(G: Any, h: Any, fixed: Any, x: Any, L: Any, y: Any) -> None:
    """Solve G x = h for the unknowns that are not fixed, the others staying at x, by Cholesky; writes into `y`."""
    m = h.size
    for i in range(m):
        if fixed[i]:
            y[i] = x[i]
            continue
        total = h[i]
        for j in range(m):
            if fixed[j]:
                total -= G[i, j] * x[j]
        for j in range(i):
            if fixed[j]:
                continue
            entry = G[i, j]
            for k in range(j):
                if not fixed[k]:
                    entry -= L[i, k] * L[j, k]
            L[i, j] = entry / L[j, j]
            total -= L[i, j] * y[j]
        pivot = G[i, i]
        for k in range(i):
            if not fixed[k]:
                pivot -= L[i, k] * L[i, k]
        L[i, i] = math.sqrt(max(pivot, 1e-16 * G[i, i]))
        y[i] = total / L[i, i]
    for back in range(m):
        i = m - 1 - back
        if fixed[i]:
            continue
        total = y[i]
        for j in range(i + 1, m):
            if not fixed[j]:
                total -= L[j, i] * y[j]
        y[i] = total / L[i, i]


@njit(cache=True, nogil=True)
def bounded_least_squares(G: Any, h: Any, bounds: Any, x: Any) -> tuple[bool, int]:
    """Write argmin xᵀGx/2 − hᵀx over |x_i| ≤ bounds_i into x; return whether a bound was needed, and solves.

    Parameters
    ----------
    G : (m, m) array
        Symmetric, positive definite: ridge regularised by the caller.
    h, bounds, x : (m,) arrays
        Without a bound that is needed this is the solution of G x = h.
    """
    m = h.size
    fixed = np.zeros(m, np.bool_)
    L, y = np.zeros((m, m)), np.zeros(m)
    solve_free(G, h, fixed, x, L, y)
    solves = 1
    inside = True
    for i in range(m):
        if abs(y[i]) > bounds[i]:
            inside = False
    if inside:
        x[:] = y
        return False, solves
    for i in range(m):  # a feasible start: the projection, what is outside held at its bound
        fixed[i] = abs(y[i]) >= bounds[i]
        x[i] = min(max(y[i], -bounds[i]), bounds[i])
    while solves < 60 * m:  # far more than it takes; ends cycling by rounding
        solve_free(G, h, fixed, x, L, y)
        solves += 1
        step, blocking = 1.0, -1
        for i in range(m):
            if not fixed[i] and abs(y[i]) > bounds[i]:
                border = bounds[i] if y[i] > 0.0 else -bounds[i]
                reach = (border - x[i]) / (y[i] - x[i]) if y[i] != x[i] else 0.0
                if reach < step:
                    step, blocking = reach, i
        for i in range(m):
            if not fixed[i]:
                x[i] += step * (y[i] - x[i])
        if blocking >= 0:
            fixed[blocking] = True
            x[blocking] = bounds[blocking] if y[blocking] > 0.0 else -bounds[blocking]
            continue
        # The least within this face: let go of the bound whose multiplier is most of the wrong sign.
        worst, least = -1, 0.0
        for i in range(m):
            if fixed[i] and bounds[i] > 0.0:
                slope = -h[i]
                for j in range(m):
                    slope += G[i, j] * x[j]
                inward = slope if x[i] > 0.0 else -slope
                if inward > least + 1e-12 * (abs(h[i]) + G[i, i] * bounds[i]):
                    worst, least = i, inward
        if worst < 0:
            break
        fixed[worst] = False
    return True, solves
