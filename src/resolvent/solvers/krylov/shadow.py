"""What methods with a shadow vector do when an inner product with it vanishes: go on with another one, or give up.

Nothing is wrong with the iterate then. The method begins again from the true residual; only if that has not halved the
residual twice in succession, the third loss is a BREAKDOWN.
"""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..masks import all_of, any_of
from ..monitor import Monitor
from ..status import Status

ORTHOGONAL = 10.0
"""An inner product below this many units of roundoff times the norms counts as zero."""

BLIND = 0.1
"""Rounding of A x is more than it should be once it may be this part of the residual."""

ASTRAY = 10.0
"""And where it may be this many times the residual, nothing more can come."""

FAR = "rounding of x hides the residual: the system is inconsistent, or too ill-conditioned for the tolerance"


def judge_step(
    monitor: Monitor,
    trust: np.ndarray,
    alpha: np.ndarray,
    d_norm: np.ndarray,
    image_norm: np.ndarray,
    r_norm: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return which steps alpha d are not worth taking, and the new `trust`.

    Along a null vector of A, or nearly one, steps may grow without bound, and the recurrence sees little of what
    rounding of A x does to the residual, which is roundoff times ‖A‖‖x‖.

    Parameters
    ----------
    trust : (2, k) array
        The largest ‖Ad‖/‖d‖ so far, and how far x has gone since its residual was last computed; zero at the start.
    """
    norm_A, travel = trust
    norm_A, length = np.fmax(norm_A, image_norm / d_norm), abs(alpha) * d_norm
    blind = monitor.eps * norm_A * length > BLIND * r_norm
    return blind, np.stack((norm_A, travel + np.where(blind, 0.0, length)))


def close_step(
    monitor: Monitor,
    norms: np.ndarray,
    x: Array,
    r: Array,
    lost: np.ndarray,
    losses: np.ndarray,
    names: str,
    *,
    trust: np.ndarray | None = None,
    hopeless: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Close an iteration: the monitor's verdict, and that on the columns that were lost or went too far.

    Parameters
    ----------
    norms : (k,) array
        Residual norms of the recurrence.
    x, r : (n, k) arrays
        Iterates and residuals.
    lost : (k,) bool array
        Columns whose inner products vanished in this iteration.
    losses : (2, k) array
        Record of them: how many without halving the residual, and the residual at the last one.
    names : str
        The inner products, for the reason.
    trust : (2, k) array, optional
        As `judge_step` returned it. Where rounding of A x may matter the true residual is computed.
    hopeless : (k,) bool array, optional
        Columns that, if lost, would be lost again at once if they began again.

    Returns
    -------
    fresh : (k,) bool array
        Columns that must begin again from r.
    replaced : (k,) bool array
        Columns whose r is the true residual now, whether they must or not.
    losses : (2, k) array
    """
    doubtful, astray = lost, None
    if trust is not None:
        doubtful = lost | (monitor.eps * trust[0] * trust[1] > BLIND * norms)
        if any_of(doubtful):
            trust[1] = np.where(doubtful, monitor.vectors.norm(x), trust[1])
            astray = doubtful & (monitor.eps * trust[0] * trust[1] > ASTRAY * norms)
    replaced = doubtful | (norms <= monitor.floor)
    astray = None if astray is None else astray & ~(norms <= monitor.floor)
    fresh = monitor.step(norms, x, r, recompute=doubtful) | lost
    if astray is not None and any_of(astray):
        monitor.retire(astray, Status.STAGNATED, x, FAR)
    return fresh, replaced, count_losses(monitor, lost, losses, x, r, names, hopeless)


def new_shadow(monitor: Monitor, fresh: np.ndarray, losses: np.ndarray, r: Array, image: Array, shadow: Array) -> None:
    """Set the shadow of the columns that begin again to r, or after a loss to r + ½ (‖r‖/‖image‖) image.

    r itself may just have failed; `image` is what A made of the last direction. Half of it, lest they cancel.
    """
    v, again = monitor.vectors, fresh & (losses[0] > 0)
    v.copy(r, np.flatnonzero(fresh), shadow)
    if any_of(again):
        weight = np.where(again, 0.5 * v.norm(r) / v.norm(image), 0.0)
        v.axpy(np.where(np.isfinite(weight), weight, 0.0), image, shadow)


def no_losses(k: int) -> np.ndarray:
    """Return the (2, k) record of losses at the start: how many without halving the residual, and the last one's."""
    return np.stack((np.zeros(k), np.full(k, np.inf)))


def count_losses(
    monitor: Monitor,
    lost: np.ndarray,
    losses: np.ndarray,
    x: Array,
    r: Array,
    names: str,
    hopeless: np.ndarray | None = None,
) -> np.ndarray:
    """Return the record with the columns that were lost; finish those that were lost too often."""
    lost = lost & monitor.unfinished
    if not any_of(lost):
        return losses
    count, failed_norm = losses
    norms = monitor.vectors.norm(r)
    count = np.where(lost, np.where(norms < 0.5 * failed_norm, 1.0, count + 1.0), count)
    over = lost & (count > 2.0)
    if hopeless is not None:
        over |= lost & hopeless
    monitor.retire_inconsistent(over, x, r)
    if hopeless is not None:
        monitor.retire(lost & hopeless, Status.BREAKDOWN, x, f"{names} vanished")
    monitor.retire(over, Status.BREAKDOWN, x, f"{names} vanished a third time")
    return np.stack((count, np.where(lost, norms, failed_norm)))


def reject_nonfinite(monitor: Monitor, coefficient: np.ndarray, name: str, x: Array, *directions: Array) -> bool:
    """Finish columns whose coefficient is not finite before it reaches x; return whether none is left.

    Their coefficients and directions become zero, so that the step that follows does nothing to them.
    """
    finite = np.isfinite(coefficient)
    if all_of(finite):
        return False
    bad = np.flatnonzero(~finite)
    monitor.retire(~finite, Status.NONFINITE, x, f"{name} is not finite")
    for array in directions:
        monitor.vectors.clear(array, bad)
    coefficient[bad] = 0.0
    return monitor.finished()
