"""Compiled steps of ChebCB: Chebyshev features, the choice by inverse gaps, and the refitted arms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .bounded_least_squares import bounded_least_squares
from .tsallis_kernels import draw

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
def inverse_gap_choice(predicted: Any, eta: float, uniform: float, p: Any) -> int:
    """Write p_i = 1/(d + η (ŷ_i − ŷ_best)) for i ≠ best, the rest for the best; return the arm drawn."""
    best, total = predicted.argmin(), 0.0
    for i in range(p.size):
        if i != best:
            p[i] = 1.0 / (p.size + eta * (predicted[i] - predicted[best]))
            total += p[i]
    p[best] = 1.0 - total
    return draw(p, uniform)


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
