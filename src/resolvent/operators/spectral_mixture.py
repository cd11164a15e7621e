"""Covariance functions with several frequencies, and their derivatives by lag and by parameters."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from .kernel_diff import is_uniform

Shape = Literal["student-t", "gaussian"]
HIGHEST = 4
"""Highest derivative: two on either argument. The student-t mixture has no more at the origin."""


@dataclasses.dataclass(frozen=True, eq=False)
class SpectralMixture:
    """k(d) = Σ_q w_q G_q(|d|) cos(2π μ_q d), a stationary covariance on a line with Q frequencies.

    G is a Matérn function of order 5/2 with inverse length exp(log_ls) ("student-t", after the spectral density), or
    exp(−exp(log_ls) d²) ("gaussian"). A product of one such kernel an axis is a kernel on a box. Derivatives up to
    order 4 are exact; odd ones carry the sign of the lag.

    Parameters
    ----------
    log_w : (Q,) array
        Logarithm of the weights; their sum is the variance.
    log_ls : (Q,) array
        Logarithm of the inverse length ("student-t", per unit length) or of the coefficient of d² ("gaussian").
    mu : (Q,) array
        Frequencies in cycles per unit length.
    shape : {"student-t", "gaussian"}

    Notes
    -----
    Cost: Q values a lag and order; on a uniform grid a matrix takes N lags, not N². The student-t mixture is four
    times differentiable at the origin, enough for second-order operators on both arguments, not for fourth-order ones.

    References
    ----------
    Wilson & Adams 2013, arXiv:1302.4245; Fang et al. 2024, arXiv:2311.04465.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import SpectralMixture
    >>> k = SpectralMixture(log_w=np.zeros(1), log_ls=np.zeros(1), mu=np.array([1.0]), shape="gaussian")
    >>> k([0.0, 0.5]).round(6), k([0.1, -0.1], order=1).round(6)
    (array([ 1.      , -0.778801]), array([-3.816609,  3.816609]))
    """

    log_w: np.ndarray
    log_ls: np.ndarray
    mu: np.ndarray
    shape: Shape = "student-t"

    def __post_init__(self) -> None:
        given = [np.atleast_1d(np.asarray(v, float)) for v in (self.log_w, self.log_ls, self.mu)]
        try:
            arrays = np.broadcast_arrays(*given)
        except ValueError:
            raise ValueError(
                "log_w, log_ls and mu must be one number a component, got shapes "
                + ", ".join(str(v.shape) for v in given)
            ) from None
        for name, values in zip(("log_w", "log_ls", "mu"), arrays, strict=True):
            if values.ndim != 1 or not values.size:
                raise ValueError(f"{name} must be one number a component, of shape (Q,), got shape {values.shape}")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite, got {values}")
            object.__setattr__(self, name, values.copy())
        if self.shape not in ("student-t", "gaussian"):
            raise ValueError(f"shape must be 'student-t' or 'gaussian', got {self.shape!r}")

    @property
    def variance(self) -> float:
        """k(0), the sum of the weights."""
        return float(np.exp(self.log_w).sum())

    def __call__(self, lag: npt.ArrayLike, order: int = 0) -> np.ndarray:
        """Return the derivative of the given order at signed lags x − x′, in the shape of `lag`."""
        _check_order(order)
        lag = np.asarray(lag, float)
        value = np.zeros(lag.shape)
        d = np.abs(lag)
        for log_w, log_ls, mu in zip(self.log_w, self.log_ls, self.mu, strict=True):  # one component in memory at once
            G = _envelope(d, math.exp(log_ls), self.shape, order)
            value += math.exp(log_w) * _modulated(G, d, 2.0 * math.pi * mu, order)
        return value * np.sign(lag) if order % 2 else value

    def derivative(self, d: npt.ArrayLike, order: int = 0) -> np.ndarray:
        """Return the derivative at distances d ≥ 0, the sign of odd ones being the caller's: what `KernelDiff` asks."""
        d = np.asarray(d, float)
        if d.size and not d.min() >= 0.0:
            raise ValueError("distances must be ≥ 0 and not NaN: call the kernel itself with signed lags")
        return self(d, order)

    def gradient(self, lag: npt.ArrayLike, order: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the derivatives of ``self(lag, order)`` by log_w, log_ls and mu, each of shape (*lag.shape, Q)."""
        _check_order(order)
        lag = np.asarray(lag, float)
        d, m = np.abs(lag)[..., None], 2.0 * math.pi * self.mu
        G = _envelope(d, np.exp(self.log_ls), self.shape, order + 1)
        factor = np.exp(self.log_w) * (np.sign(lag)[..., None] if order % 2 else 1.0)
        share = 1.0 if self.shape == "student-t" else 0.5  # G depends on a d, or on √r d
        by_scale = [share * (n * G[n] + d * G[n + 1]) for n in range(order + 1)]
        by_frequency = np.zeros(np.broadcast_shapes(d.shape, m.shape))
        for n in range(order + 1):
            p = order - n
            turned = m * d + 0.5 * math.pi * p
            slope = -d * m**p * np.sin(turned)
            if p:
                slope += p * m ** (p - 1) * np.cos(turned)
            by_frequency += math.comb(order, n) * G[n] * slope
        return (
            factor * _modulated(G, d, m, order),
            factor * _modulated(by_scale, d, m, order),
            2.0 * math.pi * factor * by_frequency,
        )

    def matrix(self, x: np.ndarray, y: np.ndarray | None = None, order: int = 0) -> np.ndarray:
        """Return k^(order)(x_i − y_j); without y the square matrix of x, from N values where x is uniform."""
        x = np.asarray(x, float)
        if y is not None:
            return self(x[:, None] - np.asarray(y, float), order)
        if not is_uniform(x):
            return self(x[:, None] - x, order)
        first = self(x - x[0], order)
        lags = np.concatenate([(-first if order % 2 else first)[:0:-1], first])  # −(N−1) h … (N−1) h
        rows = np.lib.stride_tricks.sliding_window_view(lags, x.size)[:, ::-1]
        return np.ascontiguousarray(rows)

    def with_(self, **values: npt.ArrayLike) -> SpectralMixture:
        """Return the same kernel with some parameters replaced."""
        return dataclasses.replace(self, **values)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return (
            f"SpectralMixture({self.shape}, {self.mu.size} frequencies {self.mu.min():.4g} … {self.mu.max():.4g}, "
            f"log_ls {self.log_ls.min():.3g} … {self.log_ls.max():.3g}, variance {self.variance:.3g})"
        )


def mixture(mu: npt.ArrayLike, log_ls: float = 0.0, shape: Shape = "student-t") -> SpectralMixture:
    """Return a mixture of variance 1 with equal weights and one scale.

    Parameters
    ----------
    mu : (Q,) array
        Frequencies in cycles per unit length.
    log_ls : float
        Scale of every component, as in `SpectralMixture`.
    shape : {"student-t", "gaussian"}

    Examples
    --------
    >>> from resolvent.solvers.gp import mixture
    >>> mixture([0.0, 15.9], -2.0).variance
    1.0
    """
    mu = np.atleast_1d(np.asarray(mu, float))
    return SpectralMixture(np.full(mu.size, -math.log(mu.size)), np.full(mu.size, float(log_ls)), mu, shape)


def squared_exponential(length: float, variance: float = 1.0) -> SpectralMixture:
    """Return variance · exp(−d²/(2 length²)): one component without a frequency."""
    _check_positive(length, variance)
    return SpectralMixture(np.log([variance]), -np.log([2.0 * length * length]), np.zeros(1), "gaussian")


def matern(length: float, variance: float = 1.0) -> SpectralMixture:
    """Return the Matérn covariance of order 5/2 with the given length: one component without a frequency."""
    _check_positive(length, variance)
    return SpectralMixture(np.log([variance]), -np.log([length]), np.zeros(1), "student-t")


def _check_order(order: int) -> None:
    if order not in range(HIGHEST + 1):
        raise ValueError(f"derivatives are known from order 0 to {HIGHEST}, got {order!r}")


def _check_positive(length: float, variance: float) -> None:
    for name, value in (("length", length), ("variance", variance)):
        if not (np.isfinite(value) and value > 0.0):
            raise ValueError(f"{name} must be a positive number, got {value!r}")


def _modulated(G: list[np.ndarray], d: np.ndarray, m: npt.ArrayLike, order: int) -> np.ndarray:
    """Return the derivative of G(d) cos(m d) by Leibniz' rule from G and its derivatives."""
    m = np.asarray(m)
    md = m * d
    C, S = np.cos(md), (np.sin(md) if order else md)
    turned = (C, -S, -C, S)  # the p-th derivative of cos(m d) is m^p times these in turn
    value = G[order] * C
    for n in range(order):
        p = order - n
        value += math.comb(order, n) * m**p * G[n] * turned[p % 4]
    return np.asarray(value)


def _envelope(d: np.ndarray, scale: npt.ArrayLike, shape: Shape, order: int) -> list[np.ndarray]:
    """Return G and its derivatives up to `order` ≤ 5 at d ≥ 0."""
    r = np.asarray(scale)
    if shape == "gaussian":
        G, s = np.exp(-r * d * d), r * d * d
        table = [
            lambda: G,
            lambda: -2.0 * r * d * G,
            lambda: 2.0 * r * (2.0 * s - 1.0) * G,
            lambda: 4.0 * r * r * d * (3.0 - 2.0 * s) * G,
            lambda: 4.0 * r * r * (3.0 + s * (4.0 * s - 12.0)) * G,
            lambda: -8.0 * r**3 * d * (15.0 + s * (4.0 * s - 20.0)) * G,
        ]
    else:
        a = math.sqrt(5.0) * r
        t = a * d
        E = np.exp(-t)
        table = [
            lambda: (1.0 + t * (1.0 + t / 3.0)) * E,
            lambda: -a / 3.0 * t * (1.0 + t) * E,
            lambda: -(a**2) / 3.0 * (1.0 + t * (1.0 - t)) * E,
            lambda: a**3 / 3.0 * t * (3.0 - t) * E,
            lambda: a**4 / 3.0 * (3.0 + t * (t - 5.0)) * E,
            lambda: -(a**5) / 3.0 * (8.0 + t * (t - 7.0)) * E,
        ]
    return [np.asarray(table[n]()) for n in range(order + 1)]
