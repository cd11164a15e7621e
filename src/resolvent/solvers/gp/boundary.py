"""Boundary data of a box: which sides, what values, how noisy."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Side = tuple[int, int]
"""An axis and its end: 0 for the lower, 1 for the upper."""
CORNER = 1e-9
"""Relative difference of two sides' values at a point they share, beyond which they contradict each other."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dirichlet:
    """Values of u on sides of a box.

    Parameters
    ----------
    value : callable, number or array
        A function of the coordinates, ``value(x, y, …)`` on arrays; a number; or, for one side, values at the nodes of
        that side, which fix the grid.
    sides : sequence of (axis, end), optional
        Where it holds; end 0 is the lower, 1 the upper one. All sides by default.
    noise : float
        Standard deviation of independent errors of the values; 0 for exact data.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.gp import Dirichlet
    >>> Dirichlet(np.sin, sides=[(0, 0)], noise=0.01).sides
    ((0, 0),)
    """

    value: Callable[..., Any] | float | np.ndarray
    sides: Sequence[Side] | None = None
    noise: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.noise) and self.noise >= 0.0):
            raise ValueError(f"noise must be a standard deviation, at least 0, got {self.noise!r}")
        if self.sides is not None:
            sides = tuple((int(axis), int(end)) for axis, end in self.sides)
            if len(set(sides)) < len(sides) or any(axis < 0 or end not in (0, 1) for axis, end in sides):
                raise ValueError(f"sides must be different pairs (axis, end) with end 0 or 1, got {self.sides!r}")
            object.__setattr__(self, "sides", sides)

    def on(self, side: Side, coordinates: Sequence[np.ndarray]) -> np.ndarray:
        """Return the values at points of a side, given the broadcastable coordinates of these points."""
        shape = np.broadcast_shapes(*(x.shape for x in coordinates))
        values = self.value(*coordinates) if callable(self.value) else self.value
        values = np.asarray(values, float)
        if values.ndim and values.shape != shape and not callable(self.value):
            if values.size != int(np.prod(shape)):
                raise ValueError(
                    f"boundary values on side {side} have shape {values.shape}, the nodes there {shape}: give a "
                    "function of the coordinates, or values at these nodes"
                )
            values = values.reshape(shape)
        if not np.isfinite(values).all():
            raise ValueError(f"boundary values on side {side} must be finite: correct the data")
        return np.broadcast_to(values, shape).copy()


@dataclasses.dataclass(frozen=True)
class SideValues:
    """Values at the nodes of one side: `index` selects them in the array of the grid."""

    side: Side
    index: tuple[slice | int, ...]
    values: np.ndarray
    noise: float


def side_values(pieces: Sequence[Dirichlet], axes: Sequence[np.ndarray]) -> list[SideValues]:
    """Return the values on every side that has data, at the nodes of a grid, after comparing shared edges.

    Raises
    ------
    ValueError
        If exact data of two sides differ where they meet.
    """
    found: dict[Side, SideValues] = {}
    for piece in pieces:
        for side in piece.sides if piece.sides is not None else every_side(len(axes)):
            axis, end = side
            index = tuple(-end if j == axis else slice(None) for j in range(len(axes)))
            points = [x[-end : None if end else 1] if j == axis else x for j, x in enumerate(axes)]
            values = piece.on(side, np.meshgrid(*points, indexing="ij", sparse=True))
            found[side] = SideValues(side, index, np.squeeze(values, axis=axis), piece.noise)
    _check_corners(list(found.values()), tuple(x.size for x in axes))
    return list(found.values())


def check_sides(pieces: Sequence[Dirichlet], dimensions: int) -> None:
    """Raise ValueError where a side does not exist or has data twice."""
    seen: set[Side] = set()
    for piece in pieces:
        for side in piece.sides if piece.sides is not None else every_side(dimensions):
            if side[0] >= dimensions:
                raise ValueError(f"there is no side {side}: the box has {dimensions} dimensions")
            if side in seen:
                raise ValueError(f"boundary data are given twice on side {side}: remove one of them")
            seen.add(side)


def every_side(dimensions: int) -> tuple[Side, ...]:
    """Return all sides of a box."""
    return tuple(itertools.product(range(dimensions), (0, 1)))


def _check_corners(sides: list[SideValues], shape: tuple[int, ...]) -> None:
    for one, other in itertools.combinations(sides, 2):
        if one.side[0] == other.side[0] or one.noise or other.noise:
            continue
        common = tuple(i if isinstance(i, int) else j for i, j in zip(one.index, other.index, strict=True))
        # Where a side fixes an axis, its values have lost it.
        left = one.values[tuple(i for j, i in enumerate(common) if j != one.side[0])]
        right = other.values[tuple(i for j, i in enumerate(common) if j != other.side[0])]
        scale = max(np.abs(one.values).max(), np.abs(other.values).max(), np.finfo(float).tiny)
        gap = float(np.abs(left - right).max())
        if gap > CORNER * scale:
            raise ValueError(
                f"inconsistent boundary data: sides {one.side} and {other.side} differ by {gap:.3g} where they meet; "
                "correct the values, or declare their noise"
            )
