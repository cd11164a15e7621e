"""Where the points of a grid lie, and what each of them weighs in an integral."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Self, final, get_args

import numpy as np
import torch

from ...operators.neural.grids import Positions, points

_EQUAL = 1e-3
"""Deviation, in parts of the spacing, up to which points count as equidistant: coordinates may come as float32."""
_MARGINS: dict[str, float] = {"vertices": 0.0, "centres": 0.5, "interior": 1.0}
"""Distance from the first point to the end of the domain, in spacings."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Geometry:
    """A tensor-product grid: the coordinates of each axis, and how the domain ends.

    Parameters
    ----------
    axes : sequence of (n,) array
        Ascending coordinates of each axis, at least two of them.
    periodic : sequence of bool, optional
        Which axes are periodic; none by default. The last point of a periodic axis is not the first one again.
    ends : sequence of (float, float), optional
        Where the domain begins and ends on each axis. By default equidistant points that begin at 0 include both ends;
        those that begin at h/2 are centres of cells; those that begin at h leave out both ends; all others include
        both. A periodic axis has the length n h.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.training import Geometry
    >>> geometry = Geometry([np.linspace(0.0, 2.0, 5), np.arange(4) / 4], periodic=[False, True])
    >>> geometry.grid, geometry.positions, geometry.lengths, geometry.spacing
    ((5, 4), ('vertices', 'periodic'), (2.0, 1.0), (0.5, 0.25))
    >>> geometry.axis_weights[0]
    array([0.25, 0.5 , 0.5 , 0.5 , 0.25])
    """

    axes: tuple[np.ndarray, ...]
    periodic: tuple[bool, ...] = ()
    ends: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        axes = tuple(_checked(i, np.array(axis, dtype=np.float64)) for i, axis in enumerate(self.axes))
        if not 1 <= len(axes) <= 3:
            raise ValueError(f"a geometry has 1, 2 or 3 axes, got {len(axes)}")
        periodic = tuple(bool(p) for p in self.periodic) or (False,) * len(axes)
        if len(periodic) != len(axes):
            raise ValueError(f"periodic needs one entry for each of {len(axes)} axes, got {len(periodic)}")
        if self.ends and len(self.ends) != len(axes):
            raise ValueError(f"ends needs one pair for each of {len(axes)} axes, got {len(self.ends)}")
        ends = tuple(
            _checked_ends(i, axes[i], periodic[i], self.ends[i]) if self.ends else _found_ends(i, axes[i], periodic[i])
            for i in range(len(axes))
        )
        for name, value in (("axes", axes), ("periodic", periodic), ("ends", ends)):
            object.__setattr__(self, name, value)

    @classmethod
    def unit(cls, grid: Sequence[int], positions: Positions | Sequence[Positions] = "vertices") -> Self:
        """Return the geometry of a grid on the unit interval, square or cube.

        Examples
        --------
        >>> Geometry.unit([4], "centres").axes
        (array([0.125, 0.375, 0.625, 0.875]),)
        """
        each = [positions] * len(grid) if isinstance(positions, str) else list(positions)
        if len(each) != len(grid):
            raise ValueError(f"positions needs one entry for each of {len(grid)} axes, got {len(each)}")
        double = torch.zeros((), dtype=torch.float64)
        axes = tuple(points(n, p, double).numpy() for n, p in zip(grid, each, strict=True))
        return cls(axes, tuple(p == "periodic" for p in each), ((0.0, 1.0),) * len(axes))

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Return the geometry that `description` describes."""
        axes = tuple(np.asarray(axis) for axis in description["axes"])
        return cls(axes, tuple(description["periodic"]), tuple((a, b) for a, b in description["ends"]))

    def description(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        axes = [[float(x) for x in axis] for axis in self.axes]
        return {"axes": axes, "periodic": list(self.periodic), "ends": [list(pair) for pair in self.ends]}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Geometry) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        places = ", ".join(p or "other points" for p in self.positions)
        spans = " × ".join(f"[{a:g}, {b:g}]" for a, b in self.ends)
        return f"Geometry({' × '.join(map(str, self.grid))} points on {spans}, {places})"

    @functools.cached_property
    def _key(self) -> tuple[Any, ...]:
        return (*(axis.tobytes() for axis in self.axes), self.periodic, self.ends)

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.axes)

    @property
    def grid(self) -> tuple[int, ...]:
        """Points of each axis."""
        return tuple(len(axis) for axis in self.axes)

    @functools.cached_property
    def uniform(self) -> tuple[bool, ...]:
        """Which axes have equidistant points, over the joint of a periodic one too."""
        each = []
        for axis, periodic, (left, right) in zip(self.axes, self.periodic, self.ends, strict=True):
            gaps = np.diff(axis)
            if periodic:
                gaps = np.append(gaps, right - left - (axis[-1] - axis[0]))
            each.append(_equal(gaps))
        return tuple(each)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbours on each axis, on average."""
        return tuple(float(axis[-1] - axis[0]) / (len(axis) - 1) for axis in self.axes)

    @property
    def lengths(self) -> tuple[float, ...]:
        """Sides of the domain."""
        return tuple(right - left for left, right in self.ends)

    @functools.cached_property
    def positions(self) -> tuple[Positions | None, ...]:
        """Where the points of each axis lie on it; None where they are not equidistant, or lie otherwise."""
        found: list[Positions | None] = []
        for i, (axis, (left, right)) in enumerate(zip(self.axes, self.ends, strict=True)):
            margins = np.array([axis[0] - left, right - axis[-1]]) / self.spacing[i]
            place: Positions | None = "periodic" if self.periodic[i] else None
            for known in get_args(Positions)[:3]:
                if place is None and np.allclose(margins, _MARGINS[known], rtol=0.0, atol=10.0 * _EQUAL):
                    place = known
            found.append(place if self.uniform[i] else None)
        return tuple(found)

    @functools.cached_property
    def axis_weights(self) -> tuple[np.ndarray, ...]:
        """Weights of a second-order quadrature rule on each axis; they add up to its length.

        Half the distances to both neighbours, the trapezoidal rule, and at the first and last point the whole way to
        the end of the domain.
        """
        return tuple(self._weights(i) for i in range(self.dim))

    def _weights(self, i: int) -> np.ndarray:
        axis, (left, right), n = self.axes[i], self.ends[i], len(self.axes[i])
        if self.positions[i] in ("centres", "periodic"):
            return np.full(n, (right - left) / n)  # the same, but for rounding
        gaps = np.diff(axis)
        if self.periodic[i]:
            around = right - left - (axis[-1] - axis[0])
            return 0.5 * (np.append(gaps, around) + np.append(around, gaps))
        halves = np.concatenate([[0.0], 0.5 * gaps, [0.0]])
        weights = halves[:-1] + halves[1:]
        weights[0] += axis[0] - left
        weights[-1] += right - axis[-1]
        return weights

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """Weights of all points, of shape (*grid); they add up to the volume of the domain."""
        product = np.ones(())
        for weights in self.axis_weights:
            product = product[..., None] * weights
        return product

    def quadrature(self, like: torch.Tensor) -> torch.Tensor:
        """Return the weights of all points with the dtype and device of a tensor."""
        return self._kept("weights", self.weights, like)

    def gaps(self, i: int, like: torch.Tensor) -> torch.Tensor:
        """Return the distances between neighbours on an axis, with the dtype and device of a tensor.

        On a periodic axis the last one is that from the last point to the first.
        """
        gaps = np.diff(self.axes[i])
        if self.periodic[i]:
            gaps = np.append(gaps, self.lengths[i] - gaps.sum())
        return self._kept(f"gaps {i}", gaps, like)

    def _kept(self, name: str, values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
        """Return an array on the device of a tensor: copied once, since the device would wait for every copy."""
        key = (name, like.dtype, like.device)
        if key not in self._tensors:
            # Made in inference mode, it could never take part in training.
            with torch.inference_mode(False):
                self._tensors[key] = torch.as_tensor(values).to(like.device, like.dtype)
        return self._tensors[key]

    @functools.cached_property
    def _tensors(self) -> dict[tuple[str, torch.dtype, torch.device], torch.Tensor]:
        return {}

    def regridded(self, grid: Sequence[int]) -> Geometry:
        """Return the same box with other numbers of points, which lie on it as those of this one do.

        Raises
        ------
        ValueError
            For another number of axes, and for points that are not equidistant.

        Examples
        --------
        >>> Geometry.unit([8], "centres").regridded([4]) == Geometry.unit([4], "centres")
        True
        """
        if tuple(grid) == self.grid:
            return self
        if len(grid) != self.dim or None in self.positions:
            raise ValueError(f"{self!r} cannot be given {' × '.join(map(str, grid))} points: there is no rule for them")
        unit = Geometry.unit(grid, [place for place in self.positions if place is not None])
        axes = [a + (b - a) * axis for axis, (a, b) in zip(unit.axes, self.ends, strict=True)]
        return Geometry(tuple(axes), self.periodic, self.ends)

    def subsampling(self, stride: int) -> tuple[slice, ...]:
        """Return which points a grid with `stride` times the spacing has; index the fields with it.

        Ends stay ends, periodic axes periodic. Of cells, those at or beside the middle of each coarse cell are taken:
        for an even stride the points lie half a fine cell before the middle.

        Raises
        ------
        ValueError
            Where an axis does not divide, with the number that `stride` must divide.
        """
        if isinstance(stride, bool) or not isinstance(stride, int) or stride < 1:
            raise ValueError(f"stride must be a whole number of at least 1, got {stride!r}")
        taken = []
        for n, place in zip(self.grid, self.positions, strict=True):
            # Of uneven axes every point may be dropped but the ends, as if they were vertices.
            cells = {"centres": n, "periodic": n, "interior": n + 1}.get(place or "vertices", n - 1)
            start = {"centres": (stride - 1) // 2, "interior": stride - 1}.get(place or "vertices", 0)
            if cells % stride or len(range(start, n, stride)) < 2:
                raise ValueError(
                    f"an axis of {n} points ({place or 'not equidistant'}) cannot be subsampled by {stride}: choose a "
                    f"divisor of {cells} that leaves two points"
                )
            taken.append(slice(start, None, stride))
        return tuple(taken)

    def subsampled(self, stride: int) -> Geometry:
        """Return the geometry of the points of `subsampling`.

        Examples
        --------
        >>> fine = Geometry.unit([65, 65])
        >>> fine.subsampled(2) == Geometry.unit([33, 33])
        True
        """
        taken = self.subsampling(stride)
        axes = tuple(axis[part] for axis, part in zip(self.axes, taken, strict=True))
        ends = list(self.ends)
        for i, place in enumerate(self.positions):
            if place == "centres":  # the cells around the points, which an even stride shifts
                half = 0.5 * stride * self.spacing[i]
                ends[i] = (float(axes[i][0]) - half, float(axes[i][-1]) + half)
        return Geometry(axes, self.periodic, tuple(ends))


def _checked(i: int, axis: np.ndarray) -> np.ndarray:
    if axis.ndim != 1 or len(axis) < 2:
        raise ValueError(f"axis {i} must be a sequence of at least two coordinates, got shape {axis.shape}")
    if not (np.isfinite(axis).all() and (np.diff(axis) > 0.0).all()):
        raise ValueError(f"coordinates of axis {i} must be finite and ascending: flip the axis and the fields")
    axis.flags.writeable = False
    return axis


def _checked_ends(i: int, axis: np.ndarray, periodic: bool, pair: tuple[float, float]) -> tuple[float, float]:
    left, right = (float(end) for end in pair)
    slack = _EQUAL * float(np.diff(axis).min())
    if not (left <= axis[0] + slack and axis[-1] <= right + slack):
        raise ValueError(f"axis {i} reaches from {axis[0]:g} to {axis[-1]:g}, outside its ends {left:g} and {right:g}")
    if periodic and right - left <= axis[-1] - axis[0] + slack:
        raise ValueError(f"the last point of periodic axis {i} is the first one again: leave it out")
    return left, right


def _found_ends(i: int, axis: np.ndarray, periodic: bool) -> tuple[float, float]:
    gaps, n = np.diff(axis), len(axis)
    first, last = float(axis[0]), float(axis[-1])
    h = (last - first) / (n - 1)
    if not _equal(gaps):
        if periodic:
            raise ValueError(f"points of periodic axis {i} are not equidistant: give its ends")
        return first, last
    if periodic:
        return first, first + n * h
    for margin in _MARGINS.values():
        if abs(first - margin * h) <= _EQUAL * h:
            return first - margin * h, last + margin * h
    return first, last


def _equal(gaps: np.ndarray) -> bool:
    return bool(np.ptp(gaps) <= 2.0 * _EQUAL * gaps.mean())
