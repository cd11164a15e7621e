"""Compiled probabilities of Tsallis-INF, by Newton's method."""

from __future__ import annotations

import math
from typing import Any

from numba import njit


@njit(cache=True, nogil=True)
def tsallis_probabilities(scaled: Any, p: Any) -> tuple[int, float]:
    """Write p_i = 1/(s_i + y)² with Σ p = 1, given s_i = η (ℓ_i − min ℓ)/2; return Newton steps and Σ p − 1.

    With x of p_i = 4/(η (ℓ_i − x))², y = η (min ℓ − x)/2 lies between 1, where the best arm alone has p = 1, and √d,
    where no arm has more than 1/d. Σ p − 1 falls and is convex in y, so Newton's method from y = 1, the right end in x,
    approaches the root from one side and needs no safeguard but rounding's.

    Parameters
    ----------
    scaled, p : (d,) arrays
        `scaled` has a zero where ℓ is least.
    """
    y, last = 1.0, math.sqrt(scaled.size)
    steps = 0
    while True:
        total, slope = 0.0, 0.0
        for i in range(scaled.size):
            inverse = 1.0 / (scaled[i] + y)
            p[i] = inverse * inverse
            total += p[i]
            slope += p[i] * inverse
        excess = total - 1.0
        following = min(y + excess / (2.0 * slope), last)
        # From one side, so that an excess which is not positive, or a step that is lost in rounding, is the end.
        if excess <= 1e-14 or following <= y or steps == 50:
            return steps, excess
        y = following
        steps += 1


@njit(cache=True, nogil=True)
def choice_probabilities(losses: Any, shift: Any, scale: float, eta: float, scaled: Any, p: Any) -> tuple[int, float]:
    """Write the probabilities for ℓ = losses/scale + shift into p, by way of `scaled`; return what the root returns."""
    least = math.inf
    for i in range(p.size):
        scaled[i] = losses[i] / scale + shift[i]
        least = min(least, scaled[i])
    for i in range(p.size):
        scaled[i] = 0.5 * eta * (scaled[i] - least)
    return tsallis_probabilities(scaled, p)
