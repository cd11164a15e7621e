"""Compiled steps of ChebCB: Chebyshev features, probabilities by inverse gaps, and least squares in a box.

The box is dealt with by an active-set method on the normal equations, of a handful of unknowns. All in one file: numba
compiles callees into their callers and notices changes in the file of the caller alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

# Relative to the trace of the normal equations. It takes the place of a minimum norm while an arm has fewer
# observations than features, and is far below what noise decides.
RIDGE = 1e-10


@njit(cache=True, nogil=True)
def chebyshev(z: float, features: Any) -> None:
    """Write T_0(z), …, T_{m−1}(z)."""
    for j in range(features.size):
        if j == 0:
            features[j] = 1.0
        elif j == 1:
            features[j] = z
        else:
            features[j] = 2.0 * z * features[j - 1] - features[j - 2]


@njit(cache=True, nogil=True)
def inverse_gap_probabilities(predicted: Any, eta: float, p: Any) -> None:
    """Write p_i = 1/(d + η (ŷ_i − ŷ_best)) for i ≠ best, the rest for the best."""
    best, total = predicted.argmin(), 0.0
    for i in range(p.size):
        if i != best:
            p[i] = 1.0 / (p.size + eta * (predicted[i] - predicted[best]))
            total += p[i]
    p[best] = 1.0 - total


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


@njit(cache=True, nogil=True)
def refit(G: Any, h: Any, square: float, mean_bound: float, spread: float, theta: Any) -> float:
    """Fit one arm: least squares, in a box |θ_0| ≤ mean_bound, |θ_j| ≤ 2 spread/j only where it would leave it.

    Returns
    -------
    residual : float
        Sum of squares of the bounded fit; negative where no bound was needed.
    """
    m = h.size
    ridge, regular, bounds = 0.0, np.empty((m, m)), np.empty(m)
    for j in range(m):
        ridge += G[j, j]
    for i in range(m):
        for j in range(m):
            regular[i, j] = G[i, j]
        regular[i, i] += RIDGE * ridge
        bounds[i] = mean_bound if i == 0 else 2.0 * spread / i
    needed, _ = bounded_least_squares(regular, h, bounds, theta)
    if not needed:
        return -1.0
    total = square
    for i in range(m):
        total -= 2.0 * theta[i] * h[i]
        for j in range(m):
            total += theta[i] * G[i, j] * theta[j]
    return max(total, 0.0)


@njit(cache=True, nogil=True)
def learn(
    arm: int,
    value: float,
    features: Any,
    discount: float,
    G: Any,
    h: Any,
    squares: Any,
    theta: Any,
    limits: Any,
    everything: bool,
) -> float:
    """Add an observation to the normal equations of an arm; refit it, or every arm that has any.

    Parameters
    ----------
    G, h, squares, theta : (d, m, m), (d, m), (d,), (d, m) arrays
        Normal equations, sums of squared values, and coefficients, of each arm.
    limits : (2,) array
        Bounds of θ_0, and the spread of costs that bounds the others.
    everything : bool
        Whether the limits have changed.

    Returns
    -------
    residual : float
        Of the last bounded fit, 0 if there was none.
    """
    if discount < 1.0:
        G *= discount
        h *= discount
        squares *= discount
    m = features.size
    for i in range(m):
        for j in range(m):
            G[arm, i, j] += features[i] * features[j]
        h[arm, i] += features[i] * value
    squares[arm] += value * value
    last = 0.0
    for a in range(squares.size):
        if a == arm or (everything and G[a, 0, 0] > 0.0):
            residual = refit(G[a], h[a], squares[a], limits[0], limits[1], theta[a])
            if residual >= 0.0:
                last = residual
    return last
