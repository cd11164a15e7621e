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
    """u(x) = (⊗ k_j(x_j, X_j) (K_j + eps I)⁻¹) U, axis after axis.

    With a jitter eps it passes U at the nodes up to O(eps). The weights ⊗(K_j + eps I)⁻¹ U of all axes together are
    never formed: rounding errors in U would grow by eps^−d, and cancel only where each axis is evaluated at once.

    Storage: U, and of each axis what `KernelAxis` keeps.

    Parameters
    ----------
    axes : sequence of KernelAxis
    U : array
        Values at the nodes.
    eps : float
    """

    def __init__(self, axes: Sequence[KernelAxis], U: np.ndarray, eps: float) -> None:
        self.axes, self.U, self.eps = list(axes), np.asarray(U, float), eps
        self._first = self._weights(self.U, 0)

    def plus(self, other: KernelInterpolant) -> KernelInterpolant:
        """Return the sum with an interpolant on the same axes."""
        total = copy.copy(self)
        total.U, total._first = self.U + other.U, self._first + other._first
        return total

    def on_tensor(self, axes: Sequence[np.ndarray], orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative at the nodes of another tensor grid."""
        points = [np.asarray(x, float) for x in axes]
        return self._evaluate([a.kernel.matrix(x, a.x, r) for a, x, r in zip(self.axes, points, orders, strict=True)])

    def at_nodes(self, orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative at the nodes, with the rounding that the matrices of the axes have."""
        return self._evaluate([axis.node_matrix(r) for axis, r in zip(self.axes, orders, strict=True)])

    def refined(self, factor: int, orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative on the grid with `factor` steps in each of this one, which must be uniform."""
        return self._evaluate([axis.refined_matrix(factor, r) for axis, r in zip(self.axes, orders, strict=True)])

    def at(self, points: np.ndarray, orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative at points of shape (m, d)."""
        out = np.empty(len(points))
        step = max(CHUNK // max(self.U.size // self.U.shape[0], *self.U.shape), 1)
        for begin in range(0, len(points), step):
            part = slice(begin, begin + step)
            rows = [a.kernel.matrix(points[part, j], a.x, orders[j]) for j, a in enumerate(self.axes)]
            value = np.tensordot(rows[0], self._first, axes=(1, 0))
            for j, row in enumerate(rows[1:], 1):
                value = np.einsum("mi,mi...->m...", row, self._weights(value, 1, axis=j))
            out[part] = value
        return out

    def _evaluate(self, matrices: list[np.ndarray]) -> np.ndarray:
        value = along(matrices[0], self._first, 0)
        for j, matrix in enumerate(matrices[1:], 1):
            value = along(matrix, self._weights(value, j), j)
        return value

    def _weights(self, U: np.ndarray, j: int, axis: int | None = None) -> np.ndarray:
        """Return (K + eps I)⁻¹ along axis j of U, the kernel's axis being `axis` where that differs."""
        of = self.axes[j if axis is None else axis]
        shape = [-1 if i == j else 1 for i in range(U.ndim)]
        return along(of.V, along(of.V.T, U, j) / (of.eigenvalues + self.eps).reshape(shape), j)
