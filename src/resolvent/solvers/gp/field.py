"""What `solve` returns: a function that is known everywhere, with its uncertainty and how it was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from .defect import Defect
from .pde import PDE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .averaged_posterior import AveragedPosterior
    from .grid_posterior import GridPosterior
    from .posterior import Posterior


class Evaluable(Protocol):
    """A function with derivatives, at scattered points and on tensor grids."""

    def at(self, points: np.ndarray, orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative at points of shape (m, d)."""

    def on_tensor(self, axes: list[np.ndarray], orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative at the nodes of a tensor grid."""


class Field:
    """The solution of a PDE as a function of its coordinates.

    ``field(x, y)`` evaluates at broadcastable coordinates, ``field(x, y, orders=(2, 0))`` its derivative.

    Attributes
    ----------
    pde : PDE
        What was solved.
    method : str
        How.
    function : object with ``at`` and ``on_tensor``
        The representation: features, a kernel interpolant, or a posterior.
    defect : Defect or None
        The estimated error, for exact and complete data.
    posterior : Posterior, AveragedPosterior, GridPosterior or None
        For noisy or incomplete data.
    diagnostics : dict
        What the method found and took.
    nodes : list of arrays
        The grid the equation was imposed on.
    """

    def __init__(
        self,
        pde: PDE,
        method: str,
        function: Evaluable,
        nodes: Sequence[np.ndarray],
        diagnostics: Mapping[str, Any],
        defect: Defect | None = None,
        posterior: Posterior | AveragedPosterior | GridPosterior | None = None,
    ) -> None:
        self.pde, self.method, self.function, self.nodes = pde, method, function, list(nodes)
        self.diagnostics, self.defect, self.posterior = dict(diagnostics), defect, posterior

    def __call__(self, *coordinates: npt.ArrayLike, orders: Sequence[int] | None = None) -> np.ndarray:
        """Return u, or a derivative, at points of the box; one broadcastable array an axis."""
        points, shape = self._points(coordinates)
        return self.function.at(points, self._orders(orders)).reshape(shape)

    def on_grid(self, axes: Sequence[npt.ArrayLike], orders: Sequence[int] | None = None) -> np.ndarray:
        """Return u, or a derivative, at the nodes of a tensor grid: much faster than point by point."""
        given = [np.atleast_1d(np.asarray(x, float)) for x in axes]
        self._check_inside(given)
        return self.function.on_tensor(given, self._orders(orders))

    def error(self, *coordinates: npt.ArrayLike) -> np.ndarray:
        """Return an error bar at points of the box: one standard deviation.

        For noisy or incomplete data that of the posterior. For exact and complete data, where the variance at the
        nodes is zero and no error bar, the root mean square of the estimated error, the same everywhere.
        """
        points, shape = self._points(coordinates)
        if self.posterior is not None:
            return np.asarray(np.sqrt(self.posterior.variance(points)).reshape(shape))
        if self.defect is None:
            raise ValueError(f"method {self.method!r} gives no error estimate: use method='auto'")
        return np.full(shape, self.defect.error * self._root_mean_square())

    def samples(self, size: int, *coordinates: npt.ArrayLike, rng: np.random.Generator | int) -> np.ndarray:
        """Return draws from the posterior at points of the box, of shape (size, *points)."""
        if self.posterior is None:
            raise ValueError("the data are exact and complete: there is no posterior to draw from; see error()")
        points, shape = self._points(coordinates)
        return self.posterior.samples(points, size, rng).reshape(size, *shape)

    def plot(self, n: int | None = None) -> Figure:
        """Draw the solution with its error bars; a figure of matplotlib, not shown."""
        from .plots import plot_field

        return plot_field(self, n)

    def _root_mean_square(self) -> float:
        values = self.function.on_tensor(self.nodes, (0,) * len(self.nodes))
        return float(np.sqrt(np.mean(values * values)))

    def _orders(self, orders: Sequence[int] | None) -> tuple[int, ...]:
        d = self.pde.dimensions
        chosen = (0,) * d if orders is None else tuple(int(r) for r in np.atleast_1d(orders))
        if len(chosen) != d or min(chosen) < 0:
            raise ValueError(f"orders must be {d} numbers, one an axis, got {orders!r}")
        return chosen

    def _points(self, coordinates: Sequence[npt.ArrayLike]) -> tuple[np.ndarray, tuple[int, ...]]:
        d = self.pde.dimensions
        if len(coordinates) != d:
            raise ValueError(f"give {d} coordinates, one array an axis, got {len(coordinates)}")
        arrays = np.broadcast_arrays(*(np.asarray(x, float) for x in coordinates))
        self._check_inside(arrays)
        return np.stack([a.ravel() for a in arrays], axis=1), arrays[0].shape

    def _check_inside(self, arrays: Sequence[np.ndarray]) -> None:
        for axis, (values, (low, high)) in enumerate(zip(arrays, self.pde.box, strict=True)):
            slack = 1e-12 * (high - low)
            if values.size and not (values.min() >= low - slack and values.max() <= high + slack):
                raise ValueError(f"coordinates along axis {axis} must lie in the box [{low:g}, {high:g}]")

    def __repr__(self) -> str:
        return f"Field({self.method}, {' × '.join(str(x.size) for x in self.nodes)} nodes)"

    def __str__(self) -> str:
        lines = [("problem", repr(self.pde)), ("method", self.method)]
        lines.append(("nodes", " × ".join(str(x.size) for x in self.nodes)))
        if self.defect is not None:
            lines.append(("error", f"about {self.defect.error:.1e} of the solution, estimated from its defect"))
            # Both are small unless the problem is singular, or too rough for the method.
            lines.append(
                ("defect", f"{self.defect.residual:.1e} of the source, {self.defect.boundary:.1e} at the boundary")
            )
        lines += [(name, _text(value)) for name, value in self.diagnostics.items()]
        return "\n".join(f"{name:<12}{value}" for name, value in lines)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, np.ndarray | tuple | list):
        return ", ".join(_text(v) for v in value) or "none"
    return str(value)
