"""What is to be solved: equation, box, boundary data and observations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .boundary import Dirichlet, Side, SideValues, check_sides, every_side, side_values

Coefficient = float | Callable[..., Any]
Orders = tuple[int, ...]
HIGHEST = 2
"""Highest derivative along an axis: covariances of equations need twice that, which kernels have up to 4."""
PROBES = np.array([-1.3, -0.4, 0.2, 0.9])
"""Values of u at which a derivative of a nonlinearity is compared with differences."""


@dataclasses.dataclass(frozen=True, eq=False)
class Observations:
    """Values of u at points inside the box, with independent Gaussian errors.

    Parameters
    ----------
    points : (m, d) array
        Coordinates; (m,) in one dimension.
    values : (m,) array
    noise : float
        Standard deviation of the errors.
    """

    points: npt.ArrayLike
    values: npt.ArrayLike
    noise: float = 0.0

    def __post_init__(self) -> None:
        points, values = np.asarray(self.points, float), np.asarray(self.values, float).ravel()
        points = points[:, None] if points.ndim == 1 else points
        if points.ndim != 2 or len(points) != len(values) or not len(values):
            raise ValueError(
                f"give m points of shape (m, d) and m values, got shapes {points.shape} and {values.shape}"
            )
        if not (np.isfinite(points).all() and np.isfinite(values).all()):
            raise ValueError("observations must be finite: remove the points where they are not")
        if not (np.isfinite(self.noise) and self.noise >= 0.0):
            raise ValueError(f"noise must be a standard deviation, at least 0, got {self.noise!r}")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "values", values)


@dataclasses.dataclass(frozen=True, eq=False)
class PDE:
    """L u + N(u) = f on a box, with Dirichlet data on sides of it and perhaps observations inside.

    Parameters
    ----------
    box : sequence of (lower, upper)
        One interval an axis, one to three axes.
    operator : mapping of orders to coefficient
        L = Σ c ∂^orders: ``{(2, 0): 1.0, (0, 2): 1.0}`` is the Laplacian in two dimensions, as is ``laplacian(2)``.
        Orders are at most 2 along an axis; a coefficient is a number or a function of the coordinates.
    source : callable, number or array
        f(x, y, …) on arrays of coordinates; or values at the nodes of a uniform grid, which fix it.
    boundary : Dirichlet, sequence of Dirichlet, callable or number, optional
        Values on the boundary; a function or a number holds exactly on all sides.
    nonlinear : (N, dN), optional
        Functions of u, pointwise: the nonlinear term and its derivative.
    source_noise : float
        Standard deviation of independent errors of f at the nodes; 0 where f is exact.
    observations : Observations, optional
        Values inside the box.

    Raises
    ------
    ValueError
        If any part does not fit: it says what was expected.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.gp import PDE, laplacian
    >>> PDE([(0.0, 1.0)], laplacian(1), source=lambda x: -np.sin(x), boundary=np.sin)
    PDE(∂_x² u = f on [0, 1], all sides)
    """

    box: Sequence[tuple[float, float]]
    operator: Mapping[Orders, Coefficient]
    source: Callable[..., Any] | float | np.ndarray
    boundary: Dirichlet | Sequence[Dirichlet] | Callable[..., Any] | float | None = None
    nonlinear: tuple[Callable[[np.ndarray], Any], Callable[[np.ndarray], Any]] | None = None
    source_noise: float = 0.0
    observations: Observations | None = None
    pieces: tuple[Dirichlet, ...] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        box = tuple((float(low), float(high)) for low, high in self.box)
        if not 1 <= len(box) <= 3:
            raise ValueError(f"the box must have one to three axes, got {len(box)}")
        for j, (low, high) in enumerate(box):
            if not (np.isfinite(low) and np.isfinite(high) and low < high):
                raise ValueError(f"axis {j} of the box must be an interval (lower, upper), got {(low, high)}")
        object.__setattr__(self, "box", box)
        object.__setattr__(self, "operator", _checked_terms(self.operator, len(box)))
        object.__setattr__(self, "pieces", _pieces(self.boundary))
        check_sides(self.pieces, len(box))
        if not (np.isfinite(self.source_noise) and self.source_noise >= 0.0):
            raise ValueError(f"source_noise must be a standard deviation, at least 0, got {self.source_noise!r}")
        if self.nonlinear is not None:
            _check_derivative(*self.nonlinear)
        if self.observations is not None:
            points = np.asarray(self.observations.points)
            if points.shape[1] != len(box):
                raise ValueError(f"observations have {points.shape[1]} coordinates, the box has {len(box)} axes")
            low, high = np.transpose(box)
            if ((points < low) | (points > high)).any():
                raise ValueError("observations must lie in the box: remove the points outside")

    @property
    def dimensions(self) -> int:
        """Axes of the box."""
        return len(self.box)

    @property
    def constant(self) -> bool:
        """Whether every coefficient is a number."""
        return not any(callable(c) for c in self.operator.values())

    @property
    def sides(self) -> tuple[Side, ...]:
        """Sides that have data."""
        return tuple(
            side for p in self.pieces for side in (p.sides if p.sides is not None else every_side(self.dimensions))
        )

    @property
    def tabulated(self) -> bool:
        """Whether any data are values at nodes rather than functions or numbers."""
        return any(not callable(v) and np.ndim(v) > 0 for v in (self.source, *(p.value for p in self.pieces)))

    @property
    def exact(self) -> bool:
        """Whether source and boundary data are exact and nothing is observed inside."""
        return self.source_noise == 0.0 and self.observations is None and not any(p.noise for p in self.pieces)

    def highest(self, axis: int) -> int:
        """Return the highest order of a derivative along an axis."""
        return max(orders[axis] for orders in self.operator)

    def grid(self, shape: Sequence[int]) -> list[np.ndarray]:
        """Return the nodes of a uniform grid with end points, one array an axis."""
        return [np.linspace(low, high, n) for (low, high), n in zip(self.box, shape, strict=True)]

    def source_at(self, axes: Sequence[np.ndarray]) -> np.ndarray:
        """Return f at the nodes of a tensor grid."""
        return on_grid(self.source, axes, "source")

    def coefficient_at(self, orders: Orders, axes: Sequence[np.ndarray]) -> float | np.ndarray:
        """Return a coefficient at the nodes of a tensor grid, or the number it is."""
        c = self.operator[orders]
        return on_grid(c, axes, f"coefficient of {orders}") if callable(c) else float(c)

    def boundary_at(self, axes: Sequence[np.ndarray]) -> list[SideValues]:
        """Return the values on each side that has data, at the nodes of a tensor grid."""
        return side_values(self.pieces, axes)

    def replace(self, **changes: Any) -> PDE:
        """Return the same problem with some parts changed."""
        return dataclasses.replace(self, **changes)

    def __repr__(self) -> str:
        sides = self.sides
        known = "all sides" if set(sides) == set(every_side(self.dimensions)) else f"sides {list(sides)}"
        where = " × ".join(f"[{low:g}, {high:g}]" for low, high in self.box)
        terms = " + ".join(_term(orders, c) for orders, c in self.operator.items())
        parts = [f"{terms}{' + N(u)' if self.nonlinear else ''} = f on {where}", known if sides else "no boundary data"]
        if self.source_noise:
            parts.append(f"source noise {self.source_noise:g}")
        if self.observations is not None:
            parts.append(f"{len(np.asarray(self.observations.values))} observations")
        return f"PDE({', '.join(parts)})"


def laplacian(dimensions: int, factor: float = 1.0) -> dict[Orders, Coefficient]:
    """Return the operator factor · Δ for `PDE`.

    Examples
    --------
    >>> from resolvent.solvers.gp import laplacian
    >>> laplacian(2)
    {(2, 0): 1.0, (0, 2): 1.0}
    """
    return {tuple(2 if i == j else 0 for i in range(dimensions)): float(factor) for j in range(dimensions)}


def on_grid(function: Any, axes: Sequence[np.ndarray], what: str) -> np.ndarray:
    """Return a function, a number or an array as an array at the nodes of a tensor grid, finite and of its shape."""
    shape = tuple(x.size for x in axes)
    values = function(*np.meshgrid(*axes, indexing="ij", sparse=True)) if callable(function) else function
    values = np.asarray(values)
    if np.iscomplexobj(values):
        raise ValueError(f"the {what} must be real, got {values.dtype}: solve for real and imaginary part separately")
    values = values.astype(float)
    try:
        values = np.broadcast_to(values, shape) if callable(function) or not values.ndim else values.reshape(shape)
    except ValueError:
        raise ValueError(
            f"the {what} has shape {values.shape}, the grid {shape}: give a function of the coordinates, or values "
            "at the nodes and n of the same shape"
        ) from None
    if not np.isfinite(values).all():
        bad = np.argwhere(~np.isfinite(values))
        where = tuple(float(x[i]) for x, i in zip(axes, bad[0], strict=True))
        raise ValueError(f"the {what} is not finite at {len(bad)} nodes, the first at {where}: correct it there")
    return values.copy()


def _checked_terms(operator: Mapping[Orders, Coefficient], dimensions: int) -> dict[Orders, Coefficient]:
    if not operator:
        raise ValueError("the operator has no terms: give a mapping such as laplacian(2) or {(2,): 1.0}")
    terms: dict[Orders, Coefficient] = {}
    for orders, c in operator.items():
        key = tuple(int(r) for r in np.atleast_1d(orders))
        if len(key) != dimensions or min(key) < 0:
            raise ValueError(f"orders must be {dimensions} numbers, one an axis of the box, got {orders!r}")
        if max(key) > HIGHEST:
            raise ValueError(f"derivatives of order at most {HIGHEST} along an axis can be solved for, got {orders!r}")
        if not callable(c) and not np.isfinite(float(c)):
            raise ValueError(f"the coefficient of {orders!r} must be finite, got {c!r}")
        terms[key] = c if callable(c) else float(c)
    return terms


def _pieces(boundary: Any) -> tuple[Dirichlet, ...]:
    if boundary is None:
        return ()
    if isinstance(boundary, Dirichlet):
        return (boundary,)
    if callable(boundary) or (np.ndim(boundary) == 0 and not isinstance(boundary, str)):
        return (Dirichlet(boundary),)
    if isinstance(boundary, Sequence) and all(isinstance(p, Dirichlet) for p in boundary):
        return tuple(boundary)
    raise ValueError(f"boundary must be Dirichlet data, a sequence of them, a function or a number, got {boundary!r}")


def _check_derivative(value: Callable[..., Any], derivative: Callable[..., Any]) -> None:
    """Compare dN with central differences of N, relative to the size of both."""
    h = 1e-5
    given = np.broadcast_to(np.asarray(derivative(PROBES), float), PROBES.shape)
    high, low = (np.broadcast_to(np.asarray(value(PROBES + s * h), float), PROBES.shape) for s in (1, -1))
    difference = (high - low) / (2.0 * h)
    wrong = np.abs(given - difference) > 1e-4 * (1.0 + np.abs(difference))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"nonlinear must be (N, dN) with dN the derivative of N: at u = {PROBES[i]:g} dN is {given[i]:.6g}, "
            f"differences of N give {difference[i]:.6g}"
        )


def _term(orders: Orders, c: Coefficient) -> str:
    named = zip("xyz", orders, strict=False)
    powers = {0: "", 1: "", 2: "²"}
    text = "".join(f"∂_{name}{powers[r]}" for name, r in named if r)
    factor = "c(x) " if callable(c) else "" if c == 1.0 else f"{c:g} "
    return f"{factor}{text + ' ' if text else ''}u"
