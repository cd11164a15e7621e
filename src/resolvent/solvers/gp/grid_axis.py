"""One axis of a grid posterior: covariances of derivatives at the nodes, the ends that have data being given."""

from __future__ import annotations

import numpy as np

from ...operators.spectral_mixture import SpectralMixture
from .kernel_axis import KernelAxis


class GridAxis:
    """Values at the nodes of a line with covariance K + eps I, conditioned on those at some of its ends.

    A derivative at a node is that of the interpolant, D_r = K^(r) (K + eps I)⁻¹, and D_0 the value itself. With
    K + eps I = V Λ Vᵀ and T_r = K^(r) V Λ^−½, cov(D_r u, D_s u) = T_r T_sᵀ, and (T_r Π)(T_s Π)ᵀ given the ends,
    Π being the projector onto what T_0 at the ends is orthogonal to. Products of large inverses with small covariances
    are never formed, and what is formed is semi-definite for all orders together.

    Storage: the eigenvectors of K, and n² numbers for each order and each pair of orders.

    Parameters
    ----------
    kernel : SpectralMixture
    x : (n,) array
        Nodes, ascending.
    given : list of int
        Which ends have data: indices 0 and n − 1, or fewer.
    eps : float
        Jitter.
    """

    def __init__(self, kernel: SpectralMixture, x: np.ndarray, given: list[int], eps: float) -> None:
        self.axis, self.kernel, self.x, self.given, self.eps = KernelAxis(kernel, x), kernel, x, given, eps
        self.inside = slice(1 if 0 in given else 0, x.size - 1 if x.size - 1 in given else x.size)
        self.values = self.axis.eigenvalues + eps
        ends = self.axis.V[given] * np.sqrt(self.values)  # T_0 at the ends
        self._ends, self._small = ends, np.linalg.inv(ends @ ends.T) if given else np.zeros((0, 0))
        self._free: dict[int, np.ndarray] = {}
        self._roots: dict[int, np.ndarray] = {}
        self._pairs: dict[tuple[int, int], np.ndarray] = {}

    def turned(self, points: np.ndarray, order: int = 0) -> np.ndarray:
        """Return T for a derivative at points: by the kernel, whose values at a node have no jitter."""
        return np.asarray((self.kernel.matrix(points, self.x, order) @ self.axis.V) / np.sqrt(self.values))

    def free(self, order: int) -> np.ndarray:
        """Return T_r at the unknown nodes, (inside, n)."""
        if order not in self._free:
            V = self.axis.V
            if order == 0:
                self._free[0] = V[self.inside] * np.sqrt(self.values)
            else:
                rows = self.kernel.matrix(self.x, order=order)[self.inside]
                self._free[order] = (rows @ V) / np.sqrt(self.values)
        return self._free[order]

    def root(self, order: int) -> np.ndarray:
        """Return T_r Π at the unknown nodes: times one vector of n normal numbers a draw of D_r u, for every r."""
        if order not in self._roots:
            self._roots[order] = self.projected(self.free(order))
        return self._roots[order]

    def projected(self, T: np.ndarray) -> np.ndarray:
        """Return T Π."""
        return np.asarray(T - (T @ self._ends.T) @ self._small @ self._ends) if self.given else T

    def covariance(self, one: int, other: int) -> np.ndarray:
        """Return cov(D_r u, D_s u) at the unknown nodes, given the ends."""
        if (one, other) not in self._pairs:
            self._pairs[one, other] = self.root(one) @ self.root(other).T
        return self._pairs[one, other]

    def derivative(self, order: int, U: np.ndarray) -> np.ndarray:
        """Return D_r U at the unknown nodes, U of shape (n, k) being known at all."""
        return np.asarray(self.free(order) @ ((self.axis.V.T @ U) / np.sqrt(self.values)[:, None]))

    def own(self, one: int, other: int) -> np.ndarray:
        """Return what the values at the nodes tell of the covariance of D_r u and D_s u at one node, (inside,)."""
        return np.asarray(np.sum(self.free(one) * self.free(other), axis=1))

    def prior(self, one: int, other: int) -> float:
        """Return the prior covariance of D_r u and D_s u at one node."""
        jitter = self.eps if one == other == 0 else 0.0
        return (-1.0 if other % 2 else 1.0) * float(self.kernel(0.0, one + other)) + jitter

    def extension(self) -> np.ndarray:
        """Return the mean of the values at all nodes given those at the ends, as a matrix (n, ends)."""
        return np.asarray((self.axis.V * np.sqrt(self.values)) @ self._ends.T @ self._small)

    def basis(self, orders: set[int]) -> np.ndarray:
        """Return the eigenvectors of the mean of the covariances of u and its derivatives, each scaled to trace 1.

        Those of u alone are arbitrary where its covariance is rounding, and there that of derivatives is not yet.
        """
        parts = [self.covariance(r, r) for r in orders | {0}]
        return np.asarray(np.linalg.eigh(sum(part / np.trace(part) for part in parts))[1])
