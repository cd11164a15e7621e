"""Keeping right-hand sides of extreme size away from overflow and underflow.

Inner products square their arguments, so that a vector of entries near 1e200 has an infinite norm and one near 1e-200
a norm of zero, which would pass for a solution. Dividing by a power of two is exact and keeps every digit.
"""

from __future__ import annotations

import dataclasses
from typing import Any

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


def out_of_range(largest: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return which columns may have lost something when they were scaled back, by their largest entries since.

    Numbers below `tiny` are spaced by ε tiny, so that a vector whose largest entry is above it loses nothing.
    """
    lost: np.ndarray = (scale != 1.0) & ~((largest >= np.finfo(largest.dtype).tiny) & np.isfinite(largest))
    return lost


def within_range(
    columns: tuple[Column, ...], lost: np.ndarray, norms: np.ndarray, scale: np.ndarray, dtype: Any
) -> tuple[Column, ...]:
    """Return the verdicts on what is left of the solutions: NONFINITE where the number format cannot hold one.

    Parameters
    ----------
    columns : tuple of Column
        Verdicts on the scaled solutions.
    lost : (k,) bool array
        Which of them may have lost something.
    norms : (k,) array
        Residual norms of what is left, divided by `scale`.
    scale : (k,) array
        1 where nothing was scaled.
    dtype : dtype
        The number format.
    """
    return tuple(
        _left(column, float(norm), float(factor), dtype) if gone else column
        for column, gone, norm, factor in zip(columns, lost, norms, scale, strict=True)
    )


def _left(column: Column, norm: float, scale: float, dtype: Any) -> Column:
    held = norm <= column.tolerance / scale if column.status is Status.CONVERGED else column.iterations == 0
    column = dataclasses.replace(column, residual_norm=norm * scale)
    # A solve that failed for another reason is not told to scale its system.
    if held or column.status not in (Status.CONVERGED, Status.LEAST_SQUARES):
        return column
    reason = f"the solution leaves the range of {dtype}: scale the system"
    return dataclasses.replace(column, status=Status.NONFINITE, reason=reason)
