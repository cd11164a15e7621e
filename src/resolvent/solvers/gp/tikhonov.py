"""Tikhonov regularisation of Chebyshev coefficients: the baseline beside every noisy or inverse result."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.linalg
from numpy.polynomial import chebyshev

from .pde import PDE, Orders
from .posterior import Functionals

EXACT = 1e-6
"""Noise that exact data are given, relative to the largest of them."""


@dataclasses.dataclass(frozen=True, eq=False)
class ChebyshevSeries:
    """Σ c_k Π T_{k_j}(x_j) on a box."""

    box: tuple[tuple[float, float], ...]
    c: np.ndarray

    def at(self, points: np.ndarray, orders: Orders) -> np.ndarray:
        """Return a derivative at points of shape (m, d)."""
        return np.asarray(series_rows(self.box, self.c.shape, points, orders) @ self.c.ravel())

    def on_tensor(self, axes: Sequence[np.ndarray], orders: Orders) -> np.ndarray:
        """Return a derivative at the nodes of a tensor grid."""
        out = self.c
        for j, (side, x, r) in enumerate(zip(self.box, axes, orders, strict=True)):
            rows = _line_rows(side, self.c.shape[j], np.asarray(x, float), r)
            out = np.moveaxis(np.tensordot(rows, out, (1, j)), 0, j)
        return out


def tikhonov(pde: PDE, data: Sequence[Functionals], degrees: Sequence[int]) -> tuple[ChebyshevSeries, float]:
    """Return the polynomial that minimises misfit² + λ Σ (1 + |k|²)² c_k², and λ, chosen as in `ridge`.

    Parameters
    ----------
    pde : PDE
        For its box.
    data : sequence of Functionals
    degrees : sequence of int
        Highest degree along each axis.
    """
    shape = tuple(k + 1 for k in degrees)
    noisy = any(d.noise > 0.0 for d in data)
    rows, y, constraints, fixed = [], [], [], []
    for d in data:
        block = np.zeros((len(d.values), int(np.prod(shape))))
        for orders, c in d.terms:
            block += np.reshape(c, (-1, 1)) * series_rows(pde.box, shape, d.points, orders)
        if d.noise == 0.0 and noisy and len(d.values) <= block.shape[1] // 4:
            constraints.append(block)  # the weight is chosen by rows with errors
            fixed.append(d.values)
            continue
        noise = d.noise or EXACT * max(float(np.abs(d.values).max(initial=0.0)), 1.0)
        rows.append(block / noise)
        y.append(d.values / noise)
    A, b, weights = np.vstack(rows), np.concatenate(y), smoothness(shape)
    if not constraints:
        c, weight = ridge(A, b, weights, float(noisy))
        return ChebyshevSeries(tuple(pde.box), c.reshape(shape)), weight
    C = np.vstack(constraints) / weights  # in z = w c, whose norm is the penalty
    Q, R, order = scipy.linalg.qr(C.T, pivoting=True)
    rank = int(np.count_nonzero(np.abs(np.diag(R)) > 1e-12 * abs(R[0, 0])))
    right = np.concatenate(fixed)[order[:rank]]
    first = Q[:, :rank] @ scipy.linalg.solve_triangular(R[:rank, :rank], right, trans="T")
    Z = Q[:, rank:]
    free, weight = ridge((A / weights) @ Z, b - (A / weights) @ first, np.ones(Z.shape[1]), 1.0)
    return ChebyshevSeries(tuple(pde.box), ((first + Z @ free) / weights).reshape(shape)), weight


def ridge(A: np.ndarray, b: np.ndarray, weights: np.ndarray, noise: float = 0.0) -> tuple[np.ndarray, float]:
    """Return c that minimises ‖A c − b‖² + λ Σ (w_k c_k)², and λ.

    With the standard deviation of the errors of b known, λ is the largest whose misfit is no larger than these errors
    (Morozov's discrepancy principle); else the one that generalised cross-validation chooses.

    References
    ----------
    Morozov 1966; Golub, Heath & Wahba 1979, doi:10.1080/00401706.1979.10489751.
    """
    U, s, Vh = scipy.linalg.svd(A / weights, full_matrices=False, check_finite=False)
    z = U.T @ b
    outside = max(float(b @ b - z @ z), 0.0)
    m = len(b)
    grid = np.exp(np.linspace(np.log(s[0] ** 2 * 1e-18), np.log(s[0] ** 2), 400))
    left = grid[:, None] / (s * s + grid[:, None])
    misfit = outside + np.sum((left * z) ** 2, axis=1)
    if noise > 0.0:
        allowed = np.flatnonzero(misfit <= m * noise**2)
        chosen = int(allowed[-1]) if allowed.size else 0
    else:
        chosen = int(np.argmin(misfit / np.maximum(m - s.size + left.sum(axis=1), 1e-12) ** 2))
    lam = float(grid[chosen])
    return np.asarray((Vh.T @ (s * z / (s * s + lam))) / weights), lam


def smoothness(shape: Sequence[int]) -> np.ndarray:
    """Return 1 + |k|² for every multi-index, flattened."""
    k = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return np.asarray(1.0 + sum(i.astype(float) ** 2 for i in k)).ravel()


def series_rows(
    box: Sequence[tuple[float, float]], shape: Sequence[int], points: np.ndarray, orders: Orders
) -> np.ndarray:
    """Return a derivative of every product of polynomials at points, (m, size)."""
    out = np.ones((len(points), 1))
    for j, (side, n, r) in enumerate(zip(box, shape, orders, strict=True)):
        rows = _line_rows(side, n, points[:, j], r)
        out = (out[:, :, None] * rows[:, None, :]).reshape(len(points), -1)
    return out


def _line_rows(side: tuple[float, float], n: int, x: np.ndarray, order: int) -> np.ndarray:
    low, high = side
    t = (2.0 * x - low - high) / (high - low)
    c: np.ndarray = np.eye(n)
    if order:
        c = chebyshev.chebder(c, order, scl=2.0 / (high - low)) if order < n else np.zeros((1, n))
    return np.asarray(chebyshev.chebval(t, c)).T.reshape(x.size, n)
