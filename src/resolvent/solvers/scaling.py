"""Keeping right-hand sides of extreme size away from overflow and underflow.

Inner products square their arguments, so that a vector of entries near 1e200 has an infinite norm and one near 1e-200
a norm of zero, which would pass for a solution. Dividing by a power of two is exact and keeps every digit.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .result import Column
from .status import Status


def safe_scale(largest: np.ndarray) -> np.ndarray:
    """Return powers of two near the given largest entries, and 1 where squares are harmless anyway."""
    info = np.finfo(largest.dtype)
    # The fourth root leaves room for the square of a residual as small as √tiny ‖b‖.
    extreme = (largest < float(info.tiny) ** 0.25) | (largest > float(info.max) ** 0.25)
    extreme &= np.isfinite(largest) & (largest > 0.0)
    limit = info.maxexp - 8
    exponent = np.clip(np.frexp(largest)[1], -limit, limit)
    scale: np.ndarray = np.where(extreme, np.ldexp(1.0, exponent), 1.0)
    return scale


def within_range(columns: tuple[Column, ...], largest: np.ndarray, scale: np.ndarray) -> tuple[Column, ...]:
    """Return the verdicts on solutions scaled back, NONFINITE where the number format cannot hold them.

    Parameters
    ----------
    columns : tuple of Column
        Verdicts on the scaled solutions.
    largest : (k,) array
        Largest entries after scaling back.
    scale : (k,) array
        1 where nothing was scaled.
    """
    info = np.finfo(largest.dtype)
    # Numbers below `tiny` are spaced by ε tiny, so that a vector whose largest entry is above it loses nothing.
    lost = (scale != 1.0) & ~((largest >= info.tiny) & np.isfinite(largest))
    reason = f"the solution leaves the range of {largest.dtype}: scale the system"
    return tuple(
        dataclasses.replace(column, status=Status.NONFINITE, reason=reason) if gone and column.iterations else column
        for column, gone in zip(columns, lost, strict=True)
    )
