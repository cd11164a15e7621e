"""Chebyshev collocation on a box: nodes, differentiation matrices, interpolation, and functions made of them.

The classical method for smooth problems on a box: it is what Gaussian processes are compared with, and the forward
model of inverse problems.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from .collocation import Collocation, LinearSolve, orders_along
from .pde import PDE, Orders


def chebyshev_nodes(low: float, high: float, n: int) -> np.ndarray:
    """Return the n Chebyshev–Lobatto points of an interval, ascending, end points included."""
    t = np.sin(0.5 * math.pi * np.linspace(-1.0, 1.0, n))  # symmetric in floating point, unlike −cos
    return np.asarray(low + (high - low) * 0.5 * (t + 1.0))


def chebyshev_matrix(n: int, length: float, order: int) -> np.ndarray:
    """Return the differentiation matrix of order 1 or 2 at n Chebyshev–Lobatto points of an interval.

    Differences of nodes come from a product of sines, and diagonals from sums of rows, which keeps rounding small.

    References
    ----------
    Baltensperger & Trummer 2003, doi:10.1137/S1064827501388182.
    """
    theta = 0.5 * math.pi * np.linspace(-1.0, 1.0, n)
    gap = 2.0 * np.cos(0.5 * (theta[:, None] + theta)) * np.sin(0.5 * (theta[:, None] - theta))
    np.fill_diagonal(gap, 1.0)
    c = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    c[0] *= 2.0
    c[-1] *= 2.0
    D = c[:, None] / c / gap
    np.fill_diagonal(D, 0.0)
    np.fill_diagonal(D, -D.sum(axis=1))
    if order == 2:
        second = 2.0 * D * (np.diag(D)[:, None] - 1.0 / gap)
        np.fill_diagonal(second, 0.0)
        np.fill_diagonal(second, -second.sum(axis=1))
        D = second
    return np.asarray(D * (2.0 / length) ** order)


def barycentric_rows(x: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the matrix that interpolates values at Chebyshev–Lobatto points x to other points, (m, n)."""
    w = np.where(np.arange(x.size) % 2 == 0, 1.0, -1.0)
    w[0] *= 0.5
    w[-1] *= 0.5
    gap = np.asarray(points, float)[:, None] - x
    hit = gap == 0.0
    rows = w / np.where(hit, 1.0, gap)
    rows /= rows.sum(axis=1, keepdims=True)
    on_node = hit.any(axis=1)
    rows[on_node] = hit[on_node]
    return np.asarray(rows)


@dataclasses.dataclass(frozen=True, eq=False)
class ChebyshevFunction:
    """The polynomial through values at the Chebyshev–Lobatto points of a box."""

    nodes: list[np.ndarray]
    values: np.ndarray

    def on_tensor(self, axes: Sequence[np.ndarray], orders: Orders) -> np.ndarray:
        """Return a derivative at the nodes of a tensor grid."""
        out = self._derivative(orders)
        for j, (x, points) in enumerate(zip(self.nodes, axes, strict=True)):
            out = np.moveaxis(np.tensordot(barycentric_rows(x, np.asarray(points, float)), out, (1, j)), 0, j)
        return out

    def at(self, points: np.ndarray, orders: Orders) -> np.ndarray:
        """Return a derivative at points of shape (m, d)."""
        value = np.tensordot(barycentric_rows(self.nodes[0], points[:, 0]), self._derivative(orders), (1, 0))
        for j, x in enumerate(self.nodes[1:], 1):
            value = np.einsum("mi,mi...->m...", barycentric_rows(x, points[:, j]), value)
        return np.asarray(value)

    def _derivative(self, orders: Orders) -> np.ndarray:
        out = self.values
        for j, (x, r) in enumerate(zip(self.nodes, orders, strict=True)):
            while r > 0:
                step = min(r, 2)
                D = chebyshev_matrix(x.size, float(x[-1] - x[0]), step)
                out, r = np.moveaxis(np.tensordot(D, out, (1, j)), 0, j), r - step
        return out


def chebyshev_system(pde: PDE, shape: Sequence[int], diagonal: np.ndarray | None = None) -> Collocation:
    """Return the collocation system of a problem at Chebyshev–Lobatto points."""
    nodes = [chebyshev_nodes(low, high, n) for (low, high), n in zip(pde.box, shape, strict=True)]
    matrices = [
        {r: chebyshev_matrix(x.size, float(x[-1] - x[0]), r) for r in orders_along(pde, j)} for j, x in enumerate(nodes)
    ]
    return Collocation(pde, nodes, matrices, diagonal)


def solve_chebyshev(pde: PDE, shape: Sequence[int]) -> tuple[ChebyshevFunction, LinearSolve, tuple[float, ...]]:
    """Return the solution by Chebyshev collocation, what it took, and the sizes of Newton's steps.

    Needs π nodes a wavelength, exact and complete data.
    """
    system = chebyshev_system(pde, shape)
    if pde.nonlinear is None:
        U, record = system.solve()
        return ChebyshevFunction(system.axes, U), record, ()
    from .newton import solve_newton

    U, record, steps = solve_newton(pde, system.axes, system.matrices)
    return ChebyshevFunction(system.axes, U), record, steps
