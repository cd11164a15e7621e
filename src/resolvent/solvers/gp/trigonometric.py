"""Polynomials times sines and cosines on an interval: the feature space, and functions in it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.polynomial import chebyshev

DEGREE = 14
"""Degree of the polynomials that stand alone."""


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSpace:
    """{T_j : j ≤ degree} ∪ {T_j cos ω_q x, T_j sin ω_q x : j ≤ p} on an interval, T_j Chebyshev's polynomials.

    Parameters
    ----------
    low, high : float
        The interval.
    omega : (Q,) array
        Angular frequencies.
    p : int
        Degree of the polynomials that multiply sines and cosines.
    degree : int
        Degree of the polynomials that stand alone.
    """

    low: float
    high: float
    omega: np.ndarray
    p: int
    degree: int = DEGREE

    @property
    def size(self) -> int:
        """Number of features."""
        return self.degree + 1 + 2 * (self.p + 1) * len(self.omega)

    def columns(self, x: np.ndarray, order: int = 0) -> np.ndarray:
        """Return the derivative of every feature at points, (n, size)."""
        T = [self._polynomials(x, r, max(self.degree, self.p)) for r in range(order + 1)]
        blocks = [T[order][:, : self.degree + 1]]
        for omega in self.omega:
            blocks += _modulated([t[:, : self.p + 1] for t in T], x - self._middle, omega, order)
        return np.hstack(blocks)

    def slopes(self, x: np.ndarray, q: int, order: int = 0) -> np.ndarray:
        """Return what `columns` of the features of frequency q change by with ω_q, (n, 2 (p + 1))."""
        s = (x - self._middle)[:, None]
        T = [self._polynomials(x, r, self.p) for r in range(order + 1)]
        P = [s * T[r] + (r * T[r - 1] if r else 0.0) for r in range(order + 1)]  # derivatives of s T_j
        cosine, sine = _modulated(P, s[:, 0], self.omega[q], order)
        return np.hstack([-sine, cosine])

    @property
    def _middle(self) -> float:
        return 0.5 * (self.low + self.high)

    def _polynomials(self, x: np.ndarray, order: int, degree: int) -> np.ndarray:
        scale = 2.0 / (self.high - self.low)
        t = scale * (x - self._middle)
        coefficients: np.ndarray = np.eye(degree + 1)
        if order:
            coefficients = (
                chebyshev.chebder(coefficients, order, scl=scale) if order <= degree else np.zeros((1, degree + 1))
            )
        return np.asarray(chebyshev.chebval(t, coefficients)).T.reshape(t.size, degree + 1)


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureFunction:
    """Σ c_i φ_i, a function of one variable with all its derivatives."""

    space: FeatureSpace
    c: np.ndarray

    def on_tensor(self, axes: list[np.ndarray], orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative at the nodes of a grid."""
        return np.asarray(self.space.columns(np.asarray(axes[0], float), orders[0]) @ self.c)

    def at(self, points: np.ndarray, orders: tuple[int, ...]) -> np.ndarray:
        """Return a derivative at points of shape (m, 1)."""
        return self.on_tensor([points[:, 0]], orders)


def _modulated(T: list[np.ndarray], s: np.ndarray, omega: float, order: int) -> list[np.ndarray]:
    """Return the derivative of T_j cos ω s and T_j sin ω s by Leibniz' rule."""
    C, S = np.cos(omega * s)[:, None], np.sin(omega * s)[:, None]
    cosine, sine = np.zeros_like(T[0]), np.zeros_like(T[0])
    for n in range(order + 1):
        p = order - n
        factor = math.comb(order, n) * omega**p * T[n]
        cosine += factor * (C, -S, -C, S)[p % 4]
        sine += factor * (S, C, -S, -C)[p % 4]
    return [cosine, sine]
