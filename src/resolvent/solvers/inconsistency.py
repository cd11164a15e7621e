"""Telling a system without a solution from one that converges slowly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..operators import Array, StructureError

if TYPE_CHECKING:
    from .monitor import Monitor

REASON = (
    "Aᴴr = 0 up to rounding: the system is inconsistent, or too ill-conditioned for the tolerance, and x is nearly a"
    " least-squares solution"
)
POWER_STEPS = 3
ROUNDING = 100.0
"""Allowance, in units of roundoff, for the sums behind a computed residual and its product with Aᴴ."""


def least_squares_solved(monitor: Monitor, x: Array, r: Array) -> np.ndarray:
    """Return, by column, whether Aᴴr = 0 up to rounding although r ≠ 0.

    Then r is orthogonal to the range of A, so that x solves the least-squares problem and nothing solves A x = b:

        ‖Aᴴr‖ ≤ c ε ‖A‖ (‖A‖‖x‖ + ‖b‖),   ‖Aᴴr‖ ≤ 10 √ε ‖A‖‖r‖   and   ‖Aᴴr‖ tol ≤ c ε ‖A‖‖r‖².

    The first bound is what rounding of r alone would leave. The second keeps residuals out that are themselves
    rounding. A nonsingular A of condition beyond 1/√ε may meet both with a residual along its smallest singular
    vectors. Where A stretches r by σ = ‖Aᴴr‖/‖r‖, a solution needs an x of size ‖r‖/σ, whose rounding leaves a residual
    of ε ‖A‖‖r‖/σ: the third bound says that the tolerance is out of reach even so.

    Parameters
    ----------
    monitor : Monitor
        Counts the products this takes.
    x, r : (n, k) arrays
        Iterates and their true residuals.
    """
    v = monitor.vectors
    s, t = v.empty_like(r), v.empty_like(r)
    try:
        monitor.multiply_adjoint(r, s)
    except (StructureError, NotImplementedError):  # scipy's operators without an adjoint raise the latter
        return np.zeros(r.shape[1], dtype=bool)
    gradient = v.norm(s)
    # A lower bound of ‖A‖ by the power method. Alternating signs are where difference operators are largest.
    v.assign(np.ones(r.shape[1]), r, t)
    t[1::2] *= -1.0
    norm_A = np.zeros(r.shape[1])
    for _ in range(POWER_STEPS):
        v.assign(1.0 / v.norm(t), t, t)
        monitor.multiply(t, s)
        norm_A = np.fmax(norm_A, v.norm(s))
        s, t = t, s
    rhs_norm, tolerance = monitor.rhs_norm[monitor.active], monitor.tolerance[monitor.active]
    r_norm, eps = v.norm(r), monitor.eps
    rounding = ROUNDING * eps * norm_A * (norm_A * v.norm(x) + rhs_norm)
    proven: np.ndarray = (r_norm > 0.0) & (gradient <= rounding) & (gradient <= 10.0 * eps**0.5 * norm_A * r_norm)
    proven &= gradient * tolerance <= ROUNDING * eps * norm_A * r_norm**2
    return proven


def no_gain(history: np.ndarray) -> np.ndarray:
    """Return, by column of a history of residual norms, whether its second half gained nothing on the first.

    Only then is a solve that ran out of iterations worth the products that tell why; never after fewer than 20.
    """
    half = len(history) // 2
    if half < 10:
        return np.zeros(history.shape[1], dtype=bool)
    result: np.ndarray = ~(np.nanmin(history[half:], axis=0) < 0.9 * np.nanmin(history[:half], axis=0))
    return result
