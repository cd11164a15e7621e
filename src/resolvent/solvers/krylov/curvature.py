"""What the sign and size of dᴴAd say about a method that needs A positive definite."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..masks import all_of, any_of
from ..monitor import Monitor
from ..status import Status

FLAT = 10.0
"""A curvature below this many units of roundoff times the largest one may be that of a null vector."""

NOISE = 100.0
"""It is one if it is also below this many units of roundoff times the size of the terms it is the sum of."""

LIFT = 2e-4
"""A step that multiplies the residual by more than this over roundoff, 1e12 in double precision, is useless."""

REASON = (
    "a direction lies in the null space of A up to rounding: the system is inconsistent, or too ill-conditioned for"
    " the tolerance"
)


def judge_curvature(
    monitor: Monitor,
    curvature: np.ndarray,
    length: np.ndarray,
    stiffness: np.ndarray,
    d: Array,
    q: Array,
    x: Array,
    r: Array,
) -> tuple[bool, np.ndarray]:
    """Finish columns with dᴴAd ≤ 0 or nothing but rounding: INDEFINITE, or STAGNATED in a null space.

    A consistent system never sends a direction into the null space of A. With an inconsistent one, conjugate gradients
    follow the part of b outside the range, where ½ xᴴAx − bᴴx has no minimum: steps and residuals grow without bound.

    A small Rayleigh quotient alone proves nothing: A may be badly scaled, as with boundary values set by a penalty of
    1e20, and d live where A is small. It is given up only if the terms of dᴴAd cancel, so that the quotient is
    rounding, or if the step would lift the residual beyond use, as when d is rounding outside the null space.

    Parameters
    ----------
    curvature : (k,) array
        dᴴAd.
    length : (k,) array
        Square of a norm of d, the same in every call, so that curvature/length is a Rayleigh quotient.
    stiffness : (k,) array
        Largest Rayleigh quotient so far, zero at first.
    d, q : (n, k) arrays
        Directions and their products with A.
    x, r : (n, k) arrays
        Iterates and residuals before the step along d.

    Returns
    -------
    finished : bool
        Whether any column was finished.
    stiffness : (k,) array
        With this quotient taken in. Where a small quotient turned out to be sound it counts as the largest, so that
        the next ones are not questioned again.
    """
    if all_of(curvature > FLAT * monitor.eps * stiffness * length):
        return False, np.fmax(stiffness, curvature / length)
    suspect = (stiffness > 0.0) & (abs(curvature) <= FLAT * monitor.eps * stiffness * length)
    finished = False
    if any_of(suspect):
        v = monitor.vectors
        sound = abs(curvature) > NOISE * monitor.eps * size_of_terms(monitor, d)
        sound &= abs(v.dot(d, r)) * v.norm(q) * monitor.eps <= LIFT * abs(curvature) * v.norm(r)
        finished = monitor.retire(suspect & ~sound, Status.STAGNATED, x, REASON)
        stiffness = np.where(suspect, 0.0, stiffness)
    finished |= monitor.retire_inconsistent(curvature == 0.0, x, r)  # b itself may lie in the null space
    finished |= monitor.reject_nonpositive(curvature, "pᴴAp", x)
    return finished, np.fmax(stiffness, curvature / length)


def size_of_terms(monitor: Monitor, d: Array) -> np.ndarray:
    """Return about Σ aᵢᵢ|dᵢ|², which bounds the terms of dᴴAd for a positive semi-definite A: one product.

    It is the mean of (Sd)ᴴA(Sd) over all diagonal matrices S of signs. These signs follow no pattern of a grid.
    """
    v = monitor.vectors
    signed, product = v.empty_like(d), v.empty_like(d)
    v.assign(np.ones(d.shape[1]), d, signed)
    for stride in (2, 3, 5, 7):
        signed[1::stride] *= -1.0
    monitor.multiply(signed, product)
    return abs(v.dot(signed, product))
