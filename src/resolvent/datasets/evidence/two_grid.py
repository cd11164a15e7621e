"""Discretisation error of single samples, estimated by solving the same sample on a grid twice as fine.

Draws are nested under refinement, so the same stream gives the same continuous problem on both grids. A dataset
stores this estimate for a random subset of its samples.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..family import Family
from ..schemes.manufactured import accurate_solution

AnyFamily = TypeVar("AnyFamily", bound=Family)


def refined(family: AnyFamily) -> AnyFamily:
    """Return the family with half the grid spacing, see `Family.refined`."""
    return family.refined()


def transfer(values: np.ndarray, points: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray]) -> np.ndarray:
    """Interpolate a field from one tensor grid to another, with cubics through the four nearest points of each axis.

    Fourth order, so that it adds nothing to a second-order error; exact where a target is one of the points. Targets
    must not lie outside the points by more than the spacing.

    Parameters
    ----------
    values : (n_1, …, n_dim, ...) array
        Leading axes are those of `points`, in order; any further ones are carried along.
    points, targets : mapping of axis name to coordinates
        As `Family.axes` returns them, at least four points an axis.

    Returns
    -------
    interpolated : (m_1, …, m_dim, ...) array
    """
    if list(points) != list(targets) or values.shape[: len(points)] != tuple(x.size for x in points.values()):
        raise ValueError(
            f"a field of shape {values.shape} does not lead with the axes "
            f"{ {name: x.size for name, x in points.items()} }, to be interpolated to {list(targets)}"
        )
    for axis, name in enumerate(points):
        first, weights = _cubic_weights(points[name], targets[name])
        lines = np.moveaxis(values, axis, -1)
        lines = sum(weights[:, j] * lines[..., first + j] for j in range(4))
        values = np.moveaxis(lines, -1, axis)
    return np.ascontiguousarray(values)


def two_grid_error(
    family: Family, rng: np.random.Generator | int, *, solve: Callable[[Any], Any] | None = None
) -> float:
    """Estimate the relative discretisation error of one sample.

    Parameters
    ----------
    family : Family
        On the grid whose error is wanted; its `draw` must be nested under refinement.
    rng : Generator or int
        Stream of the sample, as it stands before `draw`; it is copied, not advanced.
    solve : callable, optional
        `DiscreteProblem.task` to its solution, for both grids; by default `accurate_solution`, for linear systems.

    Returns
    -------
    error : float
        ‖u_n − R u_2n‖₂/‖R u_2n‖₂ over the stored points and all solution fields, R the cubic interpolation of
        `transfer`. For a method of order p this is (1 − 2^(−p)) times the error of u_n: three quarters at second
        order. It contains what the coarser grid cannot carry of the random inputs.

    Notes
    -----
    Costs one assembly and solve on each grid: about 2^dim times the sample and more.

    Examples
    --------
    >>> from resolvent.datasets.families import Darcy2D
    >>> from resolvent.datasets.evidence.two_grid import two_grid_error
    >>> 1e-4 < two_grid_error(Darcy2D(resolution=32), 0) < 1e-2
    True
    """
    solve = solve or accurate_solution
    stream = np.random.default_rng(rng)
    fine = refined(family)
    coarse_solution, fine_solution = (_solution(member, copy.deepcopy(stream), solve) for member in (family, fine))
    square_difference = square_norm = 0.0
    for name, values in coarse_solution.items():
        reference = transfer(fine_solution[name], fine.axes(), family.axes())
        square_difference += float(np.sum(np.abs(values - reference) ** 2))
        square_norm += float(np.sum(np.abs(reference) ** 2))
    # A zero solution on both grids has no error, not an undefined one.
    return float(np.sqrt(square_difference / square_norm)) if square_norm > 0 else float(np.sqrt(square_difference))


def _solution(family: Family, rng: np.random.Generator, solve: Callable[[Any], Any]) -> dict[str, np.ndarray]:
    inputs = family.draw(rng)
    problem = family.pose(inputs)
    return problem.expand(solve(problem.task))


def _cubic_weights(
    points: npt.NDArray[np.float64], targets: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Index of the first of the four points around each target, and their Lagrange weights."""
    if points.size < 4:
        raise ValueError(f"cubic interpolation needs at least 4 points an axis, got {points.size}")
    first = np.clip(np.searchsorted(points, targets) - 2, 0, points.size - 4)
    nodes = points[first[:, None] + np.arange(4)]
    weights = np.ones((targets.size, 4))
    for j in range(4):
        for other in range(4):
            if other != j:
                weights[:, j] *= (targets - nodes[:, other]) / (nodes[:, j] - nodes[:, other])
    return first, weights
