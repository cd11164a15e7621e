"""The error of an approximate solution, estimated from its own defect by finite differences.

A small residual does not mean a small error: with a jitter the interpolant misses the boundary values it was given. The
estimate takes the residual ρ = f − L u and the misfit β at the boundary of what is returned, on a finer grid, and
solves L e = ρ, e = β there. It never sees a known solution.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg

from .collocation import Collocation, orders_along, unknown_nodes
from .kernel_axis import refined
from .pde import PDE

REFINEMENT = 4
"""Steps of the finer grid in one step of the nodes."""
ROUGH = 1e-3
"""Relative residual of the solve for an estimate where it is iterative."""
LARGEST = 801
"""Largest number of points of the finer grid along an axis where there are several axes."""


@dataclasses.dataclass(frozen=True)
class Defect:
    """Estimate of the error, and what it is made from.

    Attributes
    ----------
    error : float
        ‖e‖₂/‖u‖₂ on the finer grid: the score by which a model is chosen.
    residual : float
        ‖ρ‖₂/‖f‖₂, not-a-number where f is zero.
    boundary : float
        max |β|.
    """

    error: float
    residual: float
    boundary: float


def estimate_defect(pde: PDE, function: Any, axes: Sequence[np.ndarray], refinement: int | None = None) -> Defect:
    """Return the estimated error of a function against the equation and the boundary data.

    Parameters
    ----------
    pde : PDE
        With exact data; a nonlinearity is linearised at the function.
    function : object with ``on_tensor(axes, orders)``
    axes : sequence of array
        The nodes, uniform, which the finer grid refines.
    refinement : int, optional
        Steps of the finer grid in each; by default 4, less where several axes would have over 801 points. Data that are
        values at nodes are known there only: no finer grid is taken, and errors between the nodes are not seen.
    """
    if pde.tabulated:
        refinement = 1
    elif refinement is None:
        longest = max(x.size for x in axes)
        refinement = REFINEMENT if len(axes) == 1 else max(min(REFINEMENT, (LARGEST - 1) // (longest - 1)), 1)
    fine = [refined(x, refinement) for x in axes]
    evaluate = getattr(function, "refined", None)

    def derivative(orders: tuple[int, ...]) -> np.ndarray:
        return np.asarray(evaluate(refinement, orders) if evaluate else function.on_tensor(fine, orders))

    f = pde.source_at(fine)
    values = derivative((0,) * len(axes))
    rho = f.copy()
    for orders in pde.operator:
        rho -= pde.coefficient_at(orders, fine) * (derivative(orders) if any(orders) else values)
    diagonal = None
    if pde.nonlinear is not None:
        rho -= pde.nonlinear[0](values)
        diagonal = np.broadcast_to(np.asarray(pde.nonlinear[1](values), float), values.shape)
    beta = np.zeros_like(values)
    for side in pde.boundary_at(fine):
        beta[side.index] = side.values - values[side.index]
    e = _line(pde, fine[0], rho, beta, diagonal) if len(axes) == 1 else _box(pde, fine, rho, beta, diagonal)
    size = float(np.linalg.norm(values))
    known = unknown_nodes(pde)
    scale = float(np.linalg.norm(f[known]))
    residual = float(np.linalg.norm(rho[known])) / scale if scale else math.nan
    error = float(np.linalg.norm(e)) / size if size else math.inf
    return Defect(error if math.isfinite(error) else math.inf, residual, float(np.abs(beta).max()))


def difference_matrix(x: np.ndarray, order: int, ends: tuple[bool, bool]) -> np.ndarray:
    """Return second-order differences on uniform nodes: central, or upwind for a first order with data at one end.

    `ends` says which ends have data; first derivatives look from there.
    """
    n, h = x.size, float(x[1] - x[0])
    if order == 2:
        D = np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1) - 2.0 * np.eye(n)
        return np.asarray(D / (h * h))
    if ends[0] == ends[1]:
        D = (np.diag(np.ones(n - 1), 1) - np.diag(np.ones(n - 1), -1)) / (2.0 * h)
        if not ends[0]:
            D[0, :3], D[-1, -3:] = np.array([-3.0, 4.0, -1.0]) / (2 * h), np.array([1.0, -4.0, 3.0]) / (2 * h)
        return D
    D = (1.5 * np.eye(n) - 2.0 * np.diag(np.ones(n - 1), -1) + 0.5 * np.diag(np.ones(n - 2), -2)) / h
    D[1, :3] = np.array([-0.5, 0.0, 0.5]) / h
    return D if ends[0] else -D[::-1, ::-1]


def _line(pde: PDE, x: np.ndarray, rho: np.ndarray, beta: np.ndarray, diagonal: np.ndarray | None) -> np.ndarray:
    """Solve L e = ρ on a line by banded differences."""
    n, h = x.size, float(x[1] - x[0])
    bands = np.zeros((5, n))  # diagonals 2 … −2, as scipy.linalg.solve_banded keeps them
    ends = (bool((0, 0) in pde.sides), bool((0, 1) in pde.sides))
    c = {orders[0]: np.broadcast_to(np.asarray(pde.coefficient_at(orders, [x])), (n,)) for orders in pde.operator}
    zero = np.zeros(n)
    c2, c1, c0 = (c.get(r, zero) for r in (2, 1, 0))
    if diagonal is not None:
        c0 = c0 + diagonal
    if pde.highest(0) == 1 and ends[0] != ends[1]:
        s = 1.0 if ends[0] else -1.0  # look back towards the end with data
        back = (1.5, -2.0, 0.5)
        for k, weight in enumerate(back):
            _add_band(bands, -k if ends[0] else k, s * weight * c1 / h)
        near = 1 if ends[0] else n - 2  # one point from the end: central
        for k in range(len(back)):
            offset = -k if ends[0] else k
            if 0 <= near + offset < n:
                bands[2 - offset, near + offset] = 0.0
        bands[1, near + 1] += c1[near] / (2 * h)
        bands[3, near - 1] -= c1[near] / (2 * h)
        _add_band(bands, 0, c0)
    else:
        _add_band(bands, 1, c2 / h**2 + c1 / (2 * h))
        _add_band(bands, -1, c2 / h**2 - c1 / (2 * h))
        _add_band(bands, 0, c0 - 2.0 * c2 / h**2)
    right = rho.copy()
    for end, row in enumerate((0, n - 1)):
        if ends[end]:
            for offset in range(-2, 3):
                if 0 <= row + offset < n:
                    bands[2 - offset, row + offset] = 0.0
            bands[2, row], right[row] = 1.0, beta[row]
    try:
        return np.asarray(scipy.linalg.solve_banded((2, 2), bands, right, check_finite=False))
    except np.linalg.LinAlgError:
        return np.full(n, np.inf)


def _add_band(bands: np.ndarray, offset: int, values: np.ndarray) -> None:
    """Add A_{i, i+offset} = values_i."""
    n = values.size
    if offset >= 0:
        bands[2 - offset, offset:] += values[: n - offset]
    else:
        bands[2 - offset, : n + offset] += values[-offset:]


def _box(
    pde: PDE, fine: Sequence[np.ndarray], rho: np.ndarray, beta: np.ndarray, diagonal: np.ndarray | None
) -> np.ndarray:
    matrices = []
    for axis, x in enumerate(fine):
        ends = ((axis, 0) in pde.sides, (axis, 1) in pde.sides)
        matrices.append({r: difference_matrix(x, r, ends) for r in orders_along(pde, axis)})
    system = Collocation(pde, fine, matrices, diagonal)
    return system.solve(rho, boundary=beta, rtol=ROUGH)[0]
