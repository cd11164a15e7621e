"""Stationary covariance functions of one variable with their derivatives: mixtures of windowed cosines."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

_SQRT5 = 5.0**0.5

HIGHEST = 4
"""Highest derivative: second-order operators on both arguments need the fourth."""


@runtime_checkable
class StationaryKernel(Protocol):
    """What differentiation matrices need of a covariance k(x − x′): its derivatives at distances d ≥ 0."""

    def derivative(self, d: Any, order: int = 0) -> np.ndarray:
        """Return k^(order)(d), an array like d."""


@dataclasses.dataclass(frozen=True, eq=False)
class SpectralKernel:
    """k(d) = Σ_q w_q G_q(d) cos(m_q d), with Gaussian or Matérn-5/2 windows G.

    Parameters
    ----------
    weights : (Q,) array
        w_q.
    log_scales : (Q,) array
        Logarithm of the scale: r = exp(log_scale), the coefficient of d² in G = exp(−r d²), for "gaussian";
        a = √5 exp(log_scale), an inverse length, in G = (1 + a d + a² d²/3) exp(−a d), for "matern52".
    frequencies : (Q,) array
        μ_q in cycles per unit length; m_q = 2π μ_q. Zeros give the plain window.
    window : {"matern52", "gaussian"}
        Matérn-5/2 has four derivatives at zero: enough for second-order operators on both arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import SpectralKernel
    >>> k = SpectralKernel([1.0], [0.0], [0.0], window="gaussian")
    >>> k.derivative(np.array([0.0, 1.0])).round(6)
    array([1.      , 0.367879])
    >>> k.derivative(np.array([0.0]), 2)
    array([-2.])
    """

    weights: Any
    log_scales: Any
    frequencies: Any
    window: Literal["matern52", "gaussian"] = "matern52"

    def __post_init__(self) -> None:
        if self.window not in ("matern52", "gaussian"):
            raise ValueError(f"window must be 'matern52' or 'gaussian', got {self.window!r}")
        arrays = [np.atleast_1d(np.asarray(v, dtype=float)) for v in (self.weights, self.log_scales, self.frequencies)]
        if len({a.shape for a in arrays}) != 1 or arrays[0].ndim != 1:
            raise ValueError(
                "weights, log_scales and frequencies must be vectors of one length, got shapes "
                + ", ".join(str(a.shape) for a in arrays)
            )
        for name, array in zip(("weights", "log_scales", "frequencies"), arrays, strict=True):
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite")
            object.__setattr__(self, name, array)

    def derivative(self, d: Any, order: int = 0) -> np.ndarray:
        """Return k^(order)(d) for distances d ≥ 0; O(Q) operations a point, summed one term at a time.

        Parameters
        ----------
        d : array
            Distances, ≥ 0. At negative differences odd derivatives change their sign.
        order : int
            0 … 4.
        """
        if order not in range(HIGHEST + 1):
            raise ValueError(f"derivatives of order 0 … {HIGHEST} are known, got {order!r}")
        d = np.asarray(d, dtype=float)
        if d.size and not d.min() >= 0.0:
            raise ValueError("distances must be ≥ 0 and not NaN: the sign of odd derivatives is the caller's")
        total = np.zeros(d.shape)
        parts = (self.weights, self.log_scales, self.frequencies)
        for weight, log_scale, frequency in zip(*parts, strict=True):
            total += weight * _product(self._window(d, log_scale, order), d, 2.0 * np.pi * frequency, order)
        return total

    def _window(self, d: np.ndarray, log_scale: float, order: int) -> list[np.ndarray]:
        """Return G and its derivatives up to `order`."""
        if self.window == "gaussian":
            r = np.exp(log_scale)
            G = np.exp(-r * d * d)
            polynomials = (
                lambda: 1.0,
                lambda: -2.0 * r * d,
                lambda: 4.0 * r**2 * d**2 - 2.0 * r,
                lambda: 12.0 * r**2 * d - 8.0 * r**3 * d**3,
                lambda: 12.0 * r**2 - 48.0 * r**3 * d**2 + 16.0 * r**4 * d**4,
            )
        else:
            a = _SQRT5 * np.exp(log_scale)
            G, z = np.exp(-a * d), a * d
            polynomials = (
                lambda: 1.0 + z + z * z / 3.0,
                lambda: -(a * a / 3.0) * d * (1.0 + z),
                lambda: -(a * a / 3.0) * (1.0 + z - z * z),
                lambda: (a**4 / 3.0) * d * (3.0 - z),
                lambda: (a**4 / 3.0) * (3.0 - 5.0 * z + z * z),
            )
        return [polynomial() * G for polynomial in polynomials[: order + 1]]


def _product(G: list[np.ndarray], d: np.ndarray, m: float, order: int) -> np.ndarray:
    """Return the derivative of G(d) cos(m d) by Leibniz' rule."""
    C, S = np.cos(m * d), np.sin(m * d)
    cosine = (C, -m * S, -(m**2) * C, m**3 * S, m**4 * C)
    binomial = (1, 1), (1, 2, 1), (1, 3, 3, 1), (1, 4, 6, 4, 1)
    if order == 0:
        return np.asarray(G[0] * C)
    terms = (factor * G[order - j] * cosine[j] for j, factor in enumerate(binomial[order - 1]))
    return np.asarray(sum(terms))
