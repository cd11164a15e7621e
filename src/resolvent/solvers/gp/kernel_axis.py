"""One axis of a grid under a kernel: differentiation and interpolation for every jitter from one factorisation."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from ...operators.kernel_diff import is_uniform
from ...operators.spectral_mixture import SpectralMixture

INDEFINITE = 1e3
"""Negative eigenvalues beyond this multiple of n u ‖K‖ are no rounding errors."""


class KernelAxis:
    """The covariance matrix K of a kernel at n nodes, diagonalised once.

    Storage: n² numbers for the eigenvectors and n² for each order of a derivative that was asked for. Cost: one
    symmetric eigenvalue problem; each jitter and order, one product of matrices.

    Parameters
    ----------
    kernel : SpectralMixture
    x : (n,) array
        Nodes, ascending.

    Raises
    ------
    ValueError
        If the covariance is indefinite beyond rounding.
    """

    def __init__(self, kernel: SpectralMixture, x: np.ndarray) -> None:
        self.kernel, self.x = kernel, x
        K = kernel.matrix(x)
        self.eigenvalues, self.V = scipy.linalg.eigh(K, driver="evd", overwrite_a=True, check_finite=False)
        rounding = x.size * np.finfo(float).eps * float(self.eigenvalues[-1])
        if self.eigenvalues[0] < -INDEFINITE * rounding:
            raise ValueError(
                f"the covariance is indefinite: its smallest eigenvalue is {self.eigenvalues[0]:.3g} at a norm of "
                f"{self.eigenvalues[-1]:.3g}; a kernel must be positive definite"
            )
        # A covariance has no negative eigenvalues: what is left of them is rounding.
        self.eigenvalues = np.maximum(self.eigenvalues, 0.0)
        self._turned: dict[int, np.ndarray] = {}
        self._nodes: dict[int, np.ndarray] = {}
        self._refined: dict[tuple[int, int], np.ndarray] = {}

    def differentiation(self, order: int, eps: float) -> np.ndarray:
        """Return K^(r) (K + eps I)⁻¹, (n, n); the identity for order 0."""
        if order == 0:
            return np.eye(self.x.size)
        if order not in self._turned:
            self._turned[order] = self.node_matrix(order) @ self.V
        return self.weighted(self._turned[order], eps)

    def node_matrix(self, order: int) -> np.ndarray:
        """Return k^(order)(x_i − x_j), kept for further jitters."""
        if order not in self._nodes:
            self._nodes[order] = self.kernel.matrix(self.x, order=order)
        return self._nodes[order]

    def interpolation(self, points: np.ndarray, order: int, eps: float) -> np.ndarray:
        """Return k^(r)(points, x) (K + eps I)⁻¹: values at the nodes to derivatives at points, (m, n)."""
        return self.weighted(self.kernel.matrix(points, self.x, order) @ self.V, eps)

    def weighted(self, turned: np.ndarray, eps: float) -> np.ndarray:
        """Return B V (Λ + eps)⁻¹ Vᵀ from B V."""
        return np.asarray((turned / (self.eigenvalues + eps)) @ self.V.T)

    def solve(self, B: np.ndarray, eps: float) -> np.ndarray:
        """Return (K + eps I)⁻¹ B."""
        return np.asarray(self.V @ ((self.V.T @ B) / (self.eigenvalues + eps)[:, None]))

    def inverse(self, eps: float) -> np.ndarray:
        """Return (K + eps I)⁻¹."""
        return np.asarray((self.V / (self.eigenvalues + eps)) @ self.V.T)

    def logdet(self, eps: float) -> float:
        """Return log|K + eps I|."""
        return float(np.log(self.eigenvalues + eps).sum())

    def refined_matrix(self, factor: int, order: int) -> np.ndarray:
        """Return k^(order)(y_i − x_j) for the grid y that refines the nodes: factor · n kernel values, not factor · n².

        It is kept for further jitters.
        """
        if not is_uniform(self.x):
            raise ValueError("only a uniform grid can be refined: evaluate at points of your own instead")
        if (factor, order) not in self._refined:
            first = self.kernel(refined(self.x, factor) - self.x[0], order)
            lags = np.concatenate([(-first if order % 2 else first)[:0:-1], first])  # −(m−1) h/factor … (m−1) h/factor
            windows = np.lib.stride_tricks.sliding_window_view(lags, factor * (self.x.size - 1) + 1)
            self._refined[factor, order] = np.ascontiguousarray(windows[:, ::-factor])
        return self._refined[factor, order]


def refined(x: np.ndarray, factor: int) -> np.ndarray:
    """Return the uniform grid with `factor` steps in each step of x."""
    return np.linspace(x[0], x[-1], factor * (x.size - 1) + 1)
