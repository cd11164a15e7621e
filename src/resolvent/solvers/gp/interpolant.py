"""Kernel interpolants on tensor grids: functions that are known everywhere, with derivatives."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from .along import along
from .kernel_axis import KernelAxis

CHUNK = 1 << 22
"""Numbers in memory at a time while scattered points are evaluated: 32 MiB."""


class KernelInterpolant:
    """u(x) = Σ_i α_i Π_j k_j(x_j − x_{j,i_j}) with α = (⊗(K_j + eps I)⁻¹) U.

    With a jitter eps it passes U at the nodes up to eps α. Storage: α and the nodes.

    Parameters
    ----------
    axes : sequence of KernelAxis
    U : array
        Values at the nodes.
    eps : float
    """

    def __init__(self, axes: Sequence[KernelAxis], U: np.ndarray, eps: float) -> None:
        self.axes = list(axes)
        self.kernels = [axis.kernel for axis in axes]
        self.nodes = [axis.x for axis in axes]
        alpha = np.asarray(U, float)
        for j, axis in enumerate(axes):
            alpha = along(axis.V.T, alpha, j)
            shape = [-1 if i == j else 1 for i in range(len(axes))]
            alpha = along(axis.V, alpha / (axis.eigenvalues + eps).reshape(shape), j)
        self.alpha, self.eps = alpha, eps

    def plus(self, other: KernelInterpolant) -> KernelInterpolant:
        """Return the sum with an interpolant on the same axes."""
        total = copy.copy(self)
        total.alpha = self.alpha + other.alpha
        return total

    def on_tensor(self, axes: Sequence[np.ndarray], orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative at the nodes of another tensor grid."""
        value = self.alpha
        for j, (kernel, x, points) in enumerate(zip(self.kernels, self.nodes, axes, strict=True)):
            value = along(kernel.matrix(np.asarray(points, float), x, orders[j]), value, j)
        return value

    def at_nodes(self, orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative at the nodes, with the rounding that the matrices of the axes have."""
        value = self.alpha
        for j, axis in enumerate(self.axes):
            value = along(axis.node_matrix(orders[j]), value, j)
        return value

    def at(self, points: np.ndarray, orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative at points of shape (m, d)."""
        out = np.empty(len(points))
        step = max(CHUNK // max(self.alpha.size // self.alpha.shape[0], *self.alpha.shape), 1)
        for begin in range(0, len(points), step):
            part = slice(begin, begin + step)
            rows = [
                kernel.matrix(points[part, j], x, orders[j])
                for j, (kernel, x) in enumerate(zip(self.kernels, self.nodes, strict=True))
            ]
            value = np.tensordot(rows[0], self.alpha, axes=(1, 0))
            for row in rows[1:]:
                value = np.einsum("mi,mi...->m...", row, value)
            out[part] = value
        return out

    def refined(self, factor: int, orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative on the grid with `factor` steps in each of this one, from few kernel values.

        The nodes must be uniform.
        """
        value = self.alpha
        for j, axis in enumerate(self.axes):
            value = along(axis.refined_matrix(factor, orders[j]), value, j)
        return value
