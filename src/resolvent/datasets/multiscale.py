"""Eleven problems with high frequencies and several scales, with exact solutions and classical references.

They are those of a paper on Gaussian processes for high-frequency equations. A solver is given
`MultiscaleProblem.pde` alone: its boundary values cannot be evaluated inside the box, so that the exact solution
stays unknown to it.

References
----------
Fang, Cooley, Long, Li, Kirby & Zhe 2024, arXiv:2311.04465.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.fft
from numpy.polynomial import chebyshev

from ..operators.spectral_mixture import Shape
from ..solvers.gp import PDE, Dirichlet, SpectralMixture, laplacian, mixture, solve_chebyshev

TURN = 2.0 * math.pi


class OnBoundary:
    """A function that can be evaluated on the boundary of a box only."""

    def __init__(self, function: Callable[..., Any], box: Sequence[tuple[float, float]]) -> None:
        self._function, self._box = function, tuple(box)

    def __call__(self, *x: np.ndarray) -> np.ndarray:
        """Return the values, after a look at where they are asked for."""
        arrays = np.broadcast_arrays(*x)
        on = np.zeros(arrays[0].shape, bool)
        for values, (low, high) in zip(arrays, self._box, strict=True):
            on |= (values == low) | (values == high)
        if not on.all():
            raise ValueError("the boundary values were asked for inside the box, where the solution is not to be known")
        return np.asarray(self._function(*x))


@dataclasses.dataclass(frozen=True, eq=False)
class MultiscaleProblem:
    """One problem.

    Attributes
    ----------
    name : str
        u1 … u7 (linear), a1 … a3 (with u (u² − 1)) or v1 (advection).
    formula : str
        The exact solution.
    pde : PDE
        What a solver is given; v1 with data where the flow comes in.
    exact : callable
        The exact solution, for judging only.
    nodes : tuple of int
        Published grid.
    frequencies : float
        Published F.
    steps : str
        Published number of updates.
    angular : tuple of tuple of float
        Angular frequencies of the solution along each axis.
    kernel : tuple
        Shape, log_ls and jitter of a good fixed kernel.
    classical : tuple of int
        Chebyshev points a classical solution takes.
    """

    name: str
    formula: str
    pde: PDE
    exact: Callable[..., np.ndarray]
    nodes: tuple[int, ...]
    frequencies: float
    steps: str
    angular: tuple[tuple[float, ...], ...]
    kernel: tuple[Shape, float, float]
    classical: tuple[int, ...]

    @property
    def published_pde(self) -> PDE:
        """The problem as published: data on all sides, also where the flow goes out."""
        return self.pde.replace(boundary=OnBoundary(self.exact, self.pde.box))

    def kernels(self) -> list[SpectralMixture]:
        """Return the fixed kernels, frequencies known."""
        shape, log_ls, _ = self.kernel
        return [mixture(np.array([0.0, *omega]) / TURN, log_ls, shape) for omega in self.angular]

    def error(self, function: Any, points: int | None = None) -> float:
        """Return the relative L2 error of a function with ``on_tensor`` or ``on_grid`` on a uniform grid."""
        n = points or (3001 if len(self.nodes) == 1 else 300)
        axes = [np.linspace(low, high, n) for low, high in self.pde.box]
        u = np.broadcast_to(self.exact(*np.meshgrid(*axes, indexing="ij", sparse=True)), (n,) * len(axes))
        found = function.on_grid(axes) if hasattr(function, "on_grid") else function.on_tensor(axes, (0,) * len(axes))
        return float(np.linalg.norm(found - u) / np.linalg.norm(u))


class ChebyshevLine:
    """A polynomial on an interval, by its Chebyshev coefficients."""

    def __init__(self, box: tuple[float, float], c: np.ndarray) -> None:
        self.box, self.c = box, c

    def on_tensor(self, axes: Sequence[np.ndarray], orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative at points."""
        low, high = self.box
        t = (2.0 * np.asarray(axes[0], float) - low - high) / (high - low)
        return np.asarray(chebyshev.chebval(t, chebyshev.chebder(self.c, orders[0], scl=2.0 / (high - low))))


def classical_solution(problem: MultiscaleProblem, size: Sequence[int] | None = None) -> Any:
    """Return the solution by Chebyshev polynomials, a function with ``on_tensor``.

    u1 … u5: coefficients of f by a cosine transform, integrated twice. u6, u7: fast diagonalisation. a1 … a3: Newton,
    in two dimensions with Krylov solves. v1: space and time together, inflow data only.
    """
    shape = tuple(size or problem.classical)
    pde = problem.pde
    if pde.dimensions == 1 and pde.nonlinear is None:
        return _integrated_twice(pde, shape[0])
    return solve_chebyshev(pde, shape)[0]


def _integrated_twice(pde: PDE, n: int) -> ChebyshevLine:
    low, high = pde.box[0]
    t = np.cos(math.pi * np.arange(n) / (n - 1))
    f = pde.source_at([low + (high - low) * 0.5 * (t + 1.0)])
    c = scipy.fft.dct(f, type=1) / (n - 1)
    c[0] *= 0.5
    c[-1] *= 0.5
    c = chebyshev.chebint(c, 2, scl=0.5 * (high - low))
    left, right = (float(s.values) for s in sorted(pde.boundary_at(pde.grid((2,))), key=lambda s: s.side))
    left -= float(chebyshev.chebval(-1.0, c))
    right -= float(chebyshev.chebval(1.0, c))
    c[0] += 0.5 * (left + right)
    c[1] += 0.5 * (right - left)
    return ChebyshevLine((low, high), c)


def multiscale_problem(name: str) -> MultiscaleProblem:
    """Return one of the eleven problems.

    Examples
    --------
    >>> from resolvent.datasets.multiscale import multiscale_problem
    >>> multiscale_problem("u1").pde
    PDE(∂_x² u = f on [0, 6.28319], all sides)
    """
    if name not in MULTISCALE:
        raise ValueError(f"there is no problem {name!r}: expected one of {', '.join(MULTISCALE)}")
    return MULTISCALE[name]()


def _line(
    name: str, formula: str, u: Any, second: Any, high: float, nodes: int, F: float, steps: str, *further: Any
) -> MultiscaleProblem:
    angular, kernel, classical = further
    box = [(0.0, high)]
    cubic = name.startswith("a")
    source = (lambda x: second(x) + u(x) * (u(x) ** 2 - 1.0)) if cubic else second
    pde = PDE(box, laplacian(1), source, OnBoundary(u, box), nonlinear=CUBIC if cubic else None)
    return MultiscaleProblem(name, formula, pde, u, (nodes,), F, steps, (angular,), kernel, (classical,))


def _square(
    name: str, formula: str, u: Any, laplacian_u: Any, high: float, nodes: int, F: float, steps: str, *further: Any
) -> MultiscaleProblem:
    angular, kernel, classical = further
    box = [(0.0, high)] * 2
    cubic = name.startswith("a")
    source = (lambda x, y: laplacian_u(x, y) + u(x, y) * (u(x, y) ** 2 - 1.0)) if cubic else laplacian_u
    pde = PDE(box, laplacian(2), source, OnBoundary(u, box), nonlinear=CUBIC if cubic else None)
    return MultiscaleProblem(
        name, formula, pde, u, (nodes,) * 2, F, steps, (angular, angular), kernel, (classical, classical)
    )


def _cubic(u: np.ndarray) -> np.ndarray:
    return np.asarray(u * (u * u - 1.0))


def _cubic_slope(u: np.ndarray) -> np.ndarray:
    return np.asarray(3.0 * u * u - 1.0)


CUBIC = (_cubic, _cubic_slope)
s, c = np.sin, np.cos
LINE = ("student-t", -2.0, 1e-10)


def _u1(name: str = "u1") -> MultiscaleProblem:
    return _line(
        name, "sin 100x", lambda x: s(100 * x), lambda x: -1e4 * s(100 * x), TURN, 400, 20.0, "1e5",
        (100.0,), LINE, 400 if name == "u1" else 420,
    )  # fmt: skip


def _u2() -> MultiscaleProblem:
    return _line(
        "u2", "sin x + 0.1 sin 20x + 0.05 sin 100x", lambda x: s(x) + 0.1 * s(20 * x) + 0.05 * s(100 * x),
        lambda x: -s(x) - 40 * s(20 * x) - 500 * s(100 * x), 1.0, 900, 30.0, "1e6 + stage 2",
        (20.0, 100.0), ("student-t", 0.0, 1e-13), 200,
    )  # fmt: skip


def _u3(name: str = "u3") -> MultiscaleProblem:
    return _line(
        name, "sin 6x cos 100x", lambda x: s(6 * x) * c(100 * x),
        lambda x: -10036.0 * s(6 * x) * c(100 * x) - 1200.0 * c(6 * x) * s(100 * x), TURN, 400, 20.0, "1e5",
        (94.0, 106.0), LINE, 400 if name == "u3" else 420,
    )  # fmt: skip


def _u4() -> MultiscaleProblem:
    return _line(
        "u4", "x sin 200x", lambda x: x * s(200 * x), lambda x: 400 * c(200 * x) - 4e4 * x * s(200 * x),
        TURN, 900, 50.0, "1e5", (200.0,), LINE, 1000,
    )  # fmt: skip


def _u5() -> MultiscaleProblem:
    return _line(
        "u5", "sin 500x − 2 (x − 0.5)²", lambda x: s(500 * x) - 2 * (x - 0.5) ** 2,
        lambda x: -25e4 * s(500 * x) - 4.0, 1.0, 400, 100.0, "1e6 + stage 2",
        (500.0,), ("student-t", 0.0, 1e-10), 400,
    )  # fmt: skip


def _u6() -> MultiscaleProblem:
    return _square(
        "u6", "sin 100x sin 100y", lambda x, y: s(100 * x) * s(100 * y),
        lambda x, y: -2e4 * s(100 * x) * s(100 * y), TURN, 400, 20.0, "1e6",
        (100.0,), ("student-t", -6.0, 1e-12), 400,
    )  # fmt: skip


def _u7() -> MultiscaleProblem:
    def h(t: Any) -> Any:
        return s(6 * t) * c(20 * t)

    def second(t: Any) -> Any:
        return -436.0 * s(6 * t) * c(20 * t) - 240.0 * c(6 * t) * s(20 * t)

    return _square(
        "u7", "sin 6x cos 20x + sin 6y cos 20y", lambda x, y: h(x) + h(y), lambda x, y: second(x) + second(y),
        TURN, 200, 20.0, "1e6", (14.0, 26.0), ("gaussian", 0.0, 1e-12), 130,
    )  # fmt: skip


def _a3() -> MultiscaleProblem:
    def h(t: Any) -> Any:
        return s(t) + 0.1 * s(20 * t) + c(100 * t)

    def second(t: Any) -> Any:
        return -s(t) - 40.0 * s(20 * t) - 1e4 * c(100 * t)

    return _square(
        "a3", "h(x) h(y), h = sin t + 0.1 sin 20t + cos 100t", lambda x, y: h(x) * h(y),
        lambda x, y: second(x) * h(y) + h(x) * second(y), 1.0, 400, 30.0, "3e6",
        (20.0, 100.0), ("student-t", -2.0, 1e-12), 120,
    )  # fmt: skip


def _v1() -> MultiscaleProblem:
    def u(x: Any, t: Any) -> Any:
        return s(x - 200 * t)

    box = [(0.0, 1.0)] * 2
    pde = PDE(box, {(1, 0): 200.0, (0, 1): 1.0}, 0.0, Dirichlet(OnBoundary(u, box), sides=[(0, 0), (1, 0)]))
    return MultiscaleProblem(
        "v1",
        "sin(x − 200t)",
        pde,
        u,
        (200, 200),
        40.0,
        "1e6",
        ((1.0,), (200.0,)),
        ("student-t", 0.0, 1e-12),
        (150, 150),
    )


MULTISCALE: dict[str, Callable[[], MultiscaleProblem]] = {
    "u1": _u1, "u2": _u2, "u3": _u3, "u4": _u4, "u5": _u5, "u6": _u6, "u7": _u7,
    "a1": lambda: _u1("a1"), "a2": lambda: _u3("a2"), "a3": _a3, "v1": _v1,
}  # fmt: skip
"""The problems by their names."""
