"""Offsets of stencils, and where their coefficients lie in memory."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

Offset: TypeAlias = tuple[int, ...]


def cut(dimension: int, axis: int, part: slice | int) -> tuple[slice | int, ...]:
    """Index of a part along one axis."""
    return tuple(part if a == axis else slice(None) for a in range(dimension))


def inside(grid: tuple[int, ...], offset: Offset) -> tuple[slice, ...]:
    """Index of the points whose neighbour at `offset` is in the grid."""
    return tuple(slice(max(0, -d), max(0, min(g, g - d))) for g, d in zip(grid, offset, strict=True))


def with_opposites(offsets: Sequence[Offset]) -> tuple[Offset, ...]:
    """Offsets in the order of the terms of a mirrored stencil: each is followed by its opposite."""
    return tuple(dict.fromkeys(itertools.chain.from_iterable((o, tuple(-d for d in o)) for o in offsets)))


@functools.lru_cache(maxsize=64)
def flat_terms(offsets: tuple[Offset, ...], grid: tuple[int, ...], *, mirrored: bool) -> tuple[Any, Any]:
    """Return starts and shifts for `stencil_kernels.stencil_matmat`: made once for all stencils of a kind."""
    n = math.prod(grid)
    strides = [math.prod(grid[a + 1 :]) for a in range(len(grid))]
    terms = []
    for array, offset in enumerate(offsets):
        shift = sum(d * stride for d, stride in zip(offset, strides, strict=True))
        terms.append((array * n, shift))
        if mirrored and any(offset):
            terms.append((array * n - shift, -shift))
    starts, shifts = np.ascontiguousarray(np.array(terms, dtype=np.int64).reshape(-1, 2).T)
    return starts, shifts


def checked_offsets(
    offsets: Sequence[Sequence[int]] | None, count: int, dimension: int, *, mirrored: bool
) -> tuple[Offset, ...]:
    """Return the offsets as tuples, the default ones for None; ValueError where they do not fit the coefficients."""
    if offsets is None:
        return _default_offsets(count, dimension, mirrored=mirrored)
    checked = tuple(tuple(int(d) for d in offset) for offset in offsets)
    if len(checked) != count or any(len(offset) != dimension for offset in checked):
        raise ValueError(f"{count} coefficient arrays need {count} offsets of {dimension} integers, got {checked}")
    if len(set(checked)) != count:
        raise ValueError(f"each offset can occur once, got {checked}: add the coefficients of repeated ones")
    if mirrored and any(any(o) and tuple(-d for d in o) in checked for o in checked):
        raise ValueError(f"mirrored storage needs one offset of each opposite pair, got {checked}")
    return checked


@functools.lru_cache(maxsize=64)
def _default_offsets(count: int, dimension: int, *, mirrored: bool) -> tuple[Offset, ...]:
    units = [tuple(int(a == axis) for a in range(dimension)) for axis in range(dimension)]
    centre = (0,) * dimension
    if mirrored and count == 1 + dimension:
        return (centre, *units)
    if not mirrored and (count == 1 + 2 * dimension or (count, dimension) == (9, 2)):
        pairs = itertools.chain.from_iterable((tuple(-d for d in unit), unit) for unit in units)
        corners = ((-1, -1), (-1, 1), (1, -1), (1, 1)) if count == 9 else ()
        return (centre, *pairs, *corners)
    raise ValueError(
        f"there is no default for {count} offsets in {dimension} dimensions{' (mirrored)' if mirrored else ''}: give "
        "offsets=…"
    )


def check_boundary(coefficients: Any, offsets: Sequence[Offset]) -> None:
    """Raise ValueError if a non-zero coefficient points outside of the grid."""
    grid = coefficients.shape[1:]
    for c, offset in zip(coefficients, offsets, strict=True):
        for axis, d in enumerate(offset):
            if not d:
                continue
            extent = min(abs(d), grid[axis])
            outside = c[cut(len(grid), axis, slice(0, extent) if d < 0 else slice(grid[axis] - extent, None))]
            if outside.any():
                raise ValueError(
                    f"{int(np.count_nonzero(outside))} coefficients of offset {offset} point outside of the grid "
                    f"{grid} along axis {axis} and are not zero: set them to zero, and put the boundary condition "
                    "into the diagonal and the right-hand side"
                )
