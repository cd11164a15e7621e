"""What the sign and size of dᴴAd say about a method that needs A positive definite."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..monitor import Monitor
from ..status import Status

FLAT = 10.0
"""A curvature below this many units of roundoff times the largest one belongs to a null vector."""


def judge_curvature(
    monitor: Monitor, curvature: np.ndarray, length: np.ndarray, stiffness: np.ndarray, x: Array, r: Array
) -> tuple[bool, np.ndarray]:
    """Finish columns with dᴴAd ≤ 0 or next to nothing: INDEFINITE, or STAGNATED in a null space.

    A consistent system never sends a direction into the null space of A. With an inconsistent one, conjugate gradients
    follow the part of b outside the range, where ½ xᴴAx − bᴴx has no minimum: steps and residuals grow without bound.

    Parameters
    ----------
    curvature : (k,) array
        dᴴAd.
    length : (k,) array
        Square of a norm of d, the same in every call, so that curvature/length is a Rayleigh quotient.
    stiffness : (k,) array
        Largest Rayleigh quotient so far, zero at first.
    x, r : (n, k) arrays
        Iterates and residuals before the step along d.

    Returns
    -------
    finished : bool
        Whether any column was finished.
    stiffness : (k,) array
        With this quotient taken in.
    """
    if (curvature > FLAT * monitor.eps * stiffness * length).all():
        return False, np.fmax(stiffness, curvature / length)
    flat = (stiffness > 0.0) & (abs(curvature) <= FLAT * monitor.eps * stiffness * length)
    reason = "a direction lies in the null space of A: the system is singular and inconsistent"
    finished = monitor.retire(flat, Status.STAGNATED, x, reason)
    finished |= monitor.retire_inconsistent(curvature == 0.0, x, r)  # b itself may lie in the null space
    finished |= monitor.reject_nonpositive(curvature, "pᴴAp", x)
    return finished, np.fmax(stiffness, curvature / length)
