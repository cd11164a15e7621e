"""Constant coefficients of an equation from values of its solution at sensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from .along import along
from .chebyshev import ChebyshevFunction, chebyshev_system
from .newton import solve_newton
from .pde import PDE, Orders

STEPS = 40
"""Largest number of Gauss–Newton steps."""
SMALL = 1e-9
"""Relative change of the coefficients that ends the iteration."""


@dataclasses.dataclass(frozen=True, eq=False)
class CoefficientInversion:
    """Coefficients with their uncertainty.

    Attributes
    ----------
    coefficients, deviation : dict of orders to float
        Values and standard deviations, linearised at the values.
    covariance : (k, k) array
    noise : float
        Standard deviation of the observations: the given one, or that of the largest evidence.
    solution : ChebyshevFunction
        u with these coefficients.
    steps : int
        Gauss–Newton steps.
    """

    coefficients: dict[Orders, float]
    deviation: dict[Orders, float]
    covariance: np.ndarray
    noise: float
    solution: ChebyshevFunction
    steps: int


def invert_coefficients(
    pde: PDE,
    unknown: Sequence[Orders],
    n: int | Sequence[int] = 48,
    spread: Mapping[Orders, float] | None = None,
) -> CoefficientInversion:
    """Return coefficients of terms of the operator that explain observations of u.

    Gauss–Newton steps with Levenberg–Marquardt damping on the coefficients θ, u = u(θ) eliminated by a solve at
    Chebyshev points: each derivative ∂u/∂θ_t = −A⁻¹ ∂^t u is one further solve. Where the observations have no noise
    given, its level is the one of the largest evidence, ‖misfit‖²/(m − k).

    Parameters
    ----------
    pde : PDE
        With observations; the coefficients in it are the start, and the mean of the prior if there is one.
    unknown : sequence of orders
        Which terms have unknown, constant coefficients.
    n : int or sequence of int
        Chebyshev points along each axis.
    spread : mapping of orders to float, optional
        Standard deviations of a Gaussian prior on the coefficients; none by default.

    Raises
    ------
    ValueError
        Without observations, for terms that the operator does not have, or if the steps do not become small.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.gp import PDE, Observations, invert_coefficients
    >>> x = np.linspace(0.1, 0.9, 9)
    >>> u = lambda x: np.sin(3.0 * x)  # of u'' + 9 u = 0
    >>> pde = PDE([(0.0, 1.0)], {(2,): 1.0, (0,): 5.0}, 0.0, u, observations=Observations(x, u(x), 1e-3))
    >>> round(invert_coefficients(pde, [(0,)]).coefficients[(0,)], 6)
    9.0
    """
    if pde.observations is None:
        raise ValueError("there is nothing to find coefficients from: give the PDE observations of u")
    keys = [tuple(int(r) for r in np.atleast_1d(orders)) for orders in unknown]
    for key in keys:
        if key not in pde.operator or callable(pde.operator[key]):
            raise ValueError(
                f"{key} is no term of the operator with a constant coefficient: it has {list(pde.operator)}"
            )
    if not keys or len(set(keys)) < len(keys):
        raise ValueError(f"unknown must name different terms of the operator, at least one, got {unknown!r}")
    shape = tuple(int(k) for k in np.broadcast_to(n, (pde.dimensions,)))
    seen = pde.observations
    points, y = np.asarray(seen.points), np.asarray(seen.values)
    start = np.array([float(pde.operator[key]) for key in keys])  # type: ignore[arg-type]
    given = seen.noise if seen.noise > 0.0 else 1.0
    inverse_spread = np.array([1.0 / spread[key] if spread and key in spread else 0.0 for key in keys])
    theta, damping = start.copy(), 1e-3
    misfit, J, u = _forward(pde, keys, theta, shape, points, y)

    def objective(misfit: np.ndarray, theta: np.ndarray) -> float:
        return float(np.sum((misfit / given) ** 2) + np.sum((inverse_spread * (theta - start)) ** 2))

    value = objective(misfit, theta)
    steps = 0
    while steps < STEPS:
        steps += 1
        normal = J.T @ J / given**2 + np.diag(inverse_spread**2)
        right = J.T @ misfit / given**2 - inverse_spread**2 * (theta - start)
        change = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), right)
        trial = theta + change
        try:
            moved = _forward(pde, keys, trial, shape, points, y)
            lower = objective(moved[0], trial) <= value * (1.0 + 1e-12)
        except np.linalg.LinAlgError:  # the equation has no unique solution there
            lower = False
        if not lower:
            damping *= 10.0
            if damping > 1e12:
                break
            continue
        theta, (misfit, J, u), damping = trial, moved, damping * 0.1
        value = objective(misfit, theta)
        if np.abs(change).max() <= SMALL * max(float(np.abs(theta).max()), 1e-300):
            break
    else:
        raise ValueError(f"coefficients did not settle in {STEPS} steps: start nearer, or give a prior (spread=)")
    noise = seen.noise
    if noise == 0.0:
        noise = float(np.sqrt(misfit @ misfit / max(len(y) - len(keys), 1)))
    covariance = np.linalg.inv(J.T @ J / max(noise, 1e-300) ** 2 + np.diag(inverse_spread**2))
    deviation = np.sqrt(np.diag(covariance))
    return CoefficientInversion(
        dict(zip(keys, map(float, theta), strict=True)),
        dict(zip(keys, map(float, deviation), strict=True)),
        covariance,
        noise,
        u,
        steps,
    )


def _forward(
    pde: PDE, keys: Sequence[Orders], theta: np.ndarray, shape: tuple[int, ...], points: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, ChebyshevFunction]:
    """Return misfit, its derivatives (the sensors' values of ∂u/∂θ) and u."""
    posed = pde.replace(operator={**pde.operator, **dict(zip(keys, map(float, theta), strict=True))})
    system = chebyshev_system(posed, shape)
    if pde.nonlinear is None:
        U, _ = system.solve()
    else:
        U, _, _ = solve_newton(posed, system.axes, system.matrices)
        slope = np.broadcast_to(np.asarray(pde.nonlinear[1](U), float), U.shape)
        system = chebyshev_system(posed, shape, slope)
    zero = (0,) * pde.dimensions
    columns = []
    for key in keys:
        V = U
        for axis, r in enumerate(key):
            if r:
                V = along(system.matrices[axis][r], V, axis)
        W, _ = system.solve(-V, boundary=np.zeros(system.shape))
        columns.append(ChebyshevFunction(system.axes, W).at(points, zero))
    u = ChebyshevFunction(system.axes, U)
    return y - u.at(points, zero), np.stack(columns, axis=1), u
