"""The smoothing that turns iterates of biconjugate gradients, or their squares, into quasi-minimal ones."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..monitor import Monitor
from .shadow import judge_step


def quasi_minimal_step(
    monitor: Monitor,
    memory: np.ndarray,
    trust: np.ndarray,
    alpha: np.ndarray,
    direction: Array,
    image: Array,
    w_norm: np.ndarray,
    d: Array,
    Ad: Array,
    x: Array,
    r: Array,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Take one step of x and r.

    The underlying method moves by alpha times `direction`, whose product with A is `image`, and then has a residual w.
    With 1/τ² the sum of 1/‖w‖² over all of them so far, x is the mean of its iterates with weights 1/‖w‖²: the
    coefficients that minimise the residual in the basis of normalised w, as if that were orthonormal.

    Parameters
    ----------
    memory : (4, k) array
        τ, what part of the last step is still to come, the number of steps, and ‖r‖.
    trust : (2, k) array
        See `judge_step`.
    d, Ad : (n, k) arrays
        Smoothed direction and its product with A, overwritten; zero at the beginning.

    Returns
    -------
    norms : (k,) array
        Norms of r, or their bound √(steps + 1) τ where that is smaller: a larger r is rounding.
    memory, trust
        The new ones.
    blind : (k,) bool array
        Columns whose step was not taken: see `judge_step`.

    References
    ----------
    Zhou & Walker 1994, doi:10.1137/0915021.
    """
    v = monitor.vectors
    rest, (tau, _, steps, r_norm) = memory[1], memory.real
    # A column whose method stands still has no direction.
    weight = np.where(alpha == 0.0, 0.0, rest / alpha)
    v.aypx(weight, direction, d)
    v.aypx(weight, image, Ad)
    theta = w_norm / tau
    length = np.hypot(1.0, theta)
    eta = alpha / length**2
    _, d_norm, image_norm = v.dot_norms(d, Ad)
    blind, trust = judge_step(monitor, trust, eta, d_norm, image_norm, r_norm)
    norms = v.step(np.where(blind, 0.0, eta), d, Ad, x, r)
    tau, steps = w_norm / length, steps + 1.0
    norms = np.where(blind, norms, np.fmin(norms, np.sqrt(steps + 1.0) * tau))
    return norms, np.stack((tau, (theta / length) ** 2 * alpha, steps, norms)), trust, blind


def quasi_minimal_memory(r_norm: np.ndarray, fresh: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Return the memory with the columns that begin at residuals of the given norms."""
    begun = np.stack((r_norm, 0.0 * r_norm, 0.0 * r_norm, r_norm))
    return np.where(fresh, begun, memory)
