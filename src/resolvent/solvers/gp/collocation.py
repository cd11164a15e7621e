"""Collocation on a tensor grid: a linear problem from one-dimensional differentiation matrices.

The matrices may be those of a kernel, finite differences, or Chebyshev polynomials.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.linalg

from .along import along
from .pde import PDE

Matrices = Sequence[dict[int, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class LinearSolve:
    """What a linear solve took: products with the whole operator, and ‖r‖/‖b‖ where it was iterative."""

    matvecs: int = 0
    residual: float = 0.0


def unknown_nodes(pde: PDE) -> tuple[slice, ...]:
    """Return which nodes along each axis are unknown: all but the ends that have data.

    Raises
    ------
    ValueError
        If an axis has too few or too many ends with data for the order of its derivatives.
    """
    slices = []
    for axis in range(pde.dimensions):
        ends = sorted(end for j, end in pde.sides if j == axis)
        order = pde.highest(axis)
        if len(ends) > order:
            advice = "keep the inflow end" if order == 1 else "remove them"
            raise ValueError(
                f"data on {len(ends)} ends of axis {axis} overdetermine an equation of order {order} there: {advice}"
            )
        if len(ends) < order:
            raise ValueError(
                f"the equation is of order {order} along axis {axis} but {len(ends)} of its ends have data: give "
                "data there, or observations inside, and solve for the posterior (method='posterior')"
            )
        slices.append(slice(1 if 0 in ends else 0, -1 if 1 in ends else None))
    return tuple(slices)


class Collocation:
    """L u = f at the unknown nodes of a tensor grid, u given at the others.

    L is split into a Kronecker sum (terms that differentiate along one axis, with the mean of their coefficient) and
    the rest; without a rest the Kronecker sum is solved directly, in one dimension everything is.

    Storage: a few arrays of the grid, and the square of the nodes of each axis.

    Parameters
    ----------
    pde : PDE
    axes : sequence of (n_j,) array
    matrices : sequence of {order: (n_j, n_j) array}
        Differentiation matrices of each axis, all orders that occur.
    diagonal : array, optional
        A further coefficient of u at the nodes: the derivative of a nonlinearity.
    """

    def __init__(
        self, pde: PDE, axes: Sequence[np.ndarray], matrices: Matrices, diagonal: np.ndarray | None = None
    ) -> None:
        self.pde, self.axes, self.matrices, self.diagonal = pde, list(axes), matrices, diagonal
        self.shape = tuple(x.size for x in axes)
        self.unknown = unknown_nodes(pde)
        self.terms = [(orders, pde.coefficient_at(orders, self.axes)) for orders in pde.operator]
        self._sum: Any = None

    @property
    def separable(self) -> bool:
        """Whether L is a Kronecker sum: constant coefficients, no mixed derivatives, no further diagonal."""
        mixed = any(np.count_nonzero(orders) > 1 for orders, _ in self.terms)
        return self.diagonal is None and not mixed and not any(isinstance(c, np.ndarray) for _, c in self.terms)

    def lifted(self) -> np.ndarray:
        """Return the boundary values on the grid, zero at the unknown nodes."""
        U = np.zeros(self.shape)
        for side in self.pde.boundary_at(self.axes):
            U[side.index] = side.values
        return U

    def apply(self, U: np.ndarray) -> np.ndarray:
        """Return L U at all nodes, the further diagonal included."""
        total = np.zeros(self.shape) if self.diagonal is None else self.diagonal * U
        for orders, c in self.terms:
            V = U
            for axis, r in enumerate(orders):
                if r:
                    V = along(self.matrices[axis][r], V, axis)
            total += c * V
        return total

    def apply_inside(self, V: np.ndarray) -> np.ndarray:
        """Return L V at the unknown nodes for V zero elsewhere; both of the inner shape."""
        U = np.zeros(self.shape)
        U[self.unknown] = V
        return np.asarray(self.apply(U)[self.unknown])

    def factors(self) -> list[np.ndarray]:
        """Return A_j with A_1 ⊕ … ⊕ A_d = the Kronecker-sum part of L at the unknown nodes."""
        found = []
        for axis, (part, n) in enumerate(zip(self.unknown, self.shape, strict=True)):
            A = np.zeros((n, n))
            for orders, c in self.terms:
                others = [r for j, r in enumerate(orders) if j != axis]
                if orders[axis] and not any(others):
                    A += float(np.mean(c)) * self.matrices[axis][orders[axis]]
            if axis == 0:
                shift = sum(float(np.mean(c)) for orders, c in self.terms if not any(orders))
                shift += float(np.mean(self.diagonal)) if self.diagonal is not None else 0.0
                A[np.diag_indices(n)] += shift
            found.append(np.ascontiguousarray(A[part, part]))
        return found

    def solve(
        self,
        f: np.ndarray | None = None,
        boundary: np.ndarray | None = None,
        rtol: float = 1e-10,
    ) -> tuple[np.ndarray, LinearSolve]:
        """Return u on the whole grid.

        Parameters
        ----------
        f : array, optional
            Right-hand side at the nodes; the source by default.
        boundary : array, optional
            Values on the grid whose boundary counts, instead of the boundary data.
        rtol : float
            Relative residual where the system is no Kronecker sum and solved by GMRES.
        """
        U = self.lifted() if boundary is None else boundary.copy()
        U[self.unknown] = 0.0
        f = self.pde.source_at(self.axes) if f is None else f
        b = np.asarray((f - self.apply(U))[self.unknown])
        record = LinearSolve()
        if len(self.shape) == 1:
            inside = scipy.linalg.lu_solve(self._factorised(), b, check_finite=False)
        elif self.separable:
            inside = self.sum_solver()(b)
        else:
            from .newton import gmres_inside

            inside, record = gmres_inside(self, b, rtol)
        U[self.unknown] = inside
        return U, record

    def dense(self) -> np.ndarray:
        """Return L at the unknown nodes of a line as a matrix."""
        A = np.zeros((self.shape[0],) * 2)
        for orders, c in self.terms:
            D = self.matrices[0][orders[0]] if orders[0] else np.eye(self.shape[0])
            A += (c[:, None] if isinstance(c, np.ndarray) else c) * D
        if self.diagonal is not None:
            A[np.diag_indices(self.shape[0])] += self.diagonal
        return A[self.unknown[0], self.unknown[0]]

    def _factorised(self) -> tuple[np.ndarray, np.ndarray]:
        if self._sum is None:
            lu, pivots = scipy.linalg.lu_factor(self.dense(), overwrite_a=True, check_finite=False)
            if not np.isfinite(lu).all() or not np.diag(lu).all():
                raise np.linalg.LinAlgError("the collocation matrix is singular")
            self._sum = lu, pivots
        return self._sum  # type: ignore[no-any-return]

    def sum_solver(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that solves with the Kronecker-sum part, factorised once."""
        if self._sum is None:
            from .sum_solver import sum_solver

            self._sum = sum_solver(self.factors())
        return self._sum  # type: ignore[no-any-return]

    def boundary_nodes(self) -> np.ndarray:
        """Return where u is given, as a mask of the grid."""
        mask = np.ones(self.shape, bool)
        mask[self.unknown] = False
        return mask


def orders_along(pde: PDE, axis: int) -> list[int]:
    """Return the orders of derivatives along an axis, 0 left out."""
    return sorted({orders[axis] for orders in pde.operator} - {0})
