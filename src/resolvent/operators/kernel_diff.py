"""Differentiation matrices of a stationary kernel on points of a line."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from .base import Array, LinearOperator
from .dense import Dense
from .props import Props
from .toeplitz import Toeplitz

_UNIFORM = 1e-12
"""Deviation of points from equal spacing, relative to their extent, up to which they are taken for equally spaced."""


@runtime_checkable
class StationaryKernel(Protocol):
    """What differentiation matrices need of a covariance k(x − x′): its derivatives at distances d ≥ 0."""

    def derivative(self, d: Any, order: int = 0) -> np.ndarray:
        """Return k^(order)(d), an array like d."""


def kernel_matrix(kernel: StationaryKernel, x: Any, y: Any = None, order: int = 0) -> LinearOperator:
    """Return the matrix of k^(order)(x_i − y_j): `Toeplitz` for equally spaced x alone, else `Dense`.

    Parameters
    ----------
    kernel : StationaryKernel
        Such as `SpectralMixture`.
    x : (m,) array
    y : (n,) array, optional
        By default x itself.
    order : int
        Derivatives with respect to x; s of those with respect to y instead only change the sign by (−1)^s.

    Notes
    -----
    Equally spaced points take n values of the kernel instead of n².

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import SpectralMixture, kernel_matrix
    >>> k = SpectralMixture([0.0], [0.0], [3.0])
    >>> kernel_matrix(k, np.linspace(0.0, 1.0, 50), order=2)
    Toeplitz(50 x 50, float64, symmetric)
    """
    x = _points("x", x)
    sign = -1.0 if order % 2 else 1.0
    if y is None and is_uniform(x):
        step = (x[-1] - x[0]) / max(len(x) - 1, 1)
        lags = kernel.derivative(abs(step) * np.arange(len(x)), order)
        column = lags if step >= 0.0 or sign > 0.0 else -lags
        if sign < 0.0:
            column[0] = 0.0
        return Toeplitz(column, sign * column)
    difference = x[:, None] - (x if y is None else _points("y", y))[None, :]
    values = kernel.derivative(np.abs(difference), order)
    values = values * np.sign(difference) if sign < 0.0 else values
    return Dense(values, props=Props.SYMMETRIC if y is None and sign > 0.0 else Props.NONE)


def is_uniform(x: np.ndarray) -> bool:
    """Whether points are equally spaced up to rounding."""
    if len(x) < 3:
        return True
    equal = np.linspace(x[0], x[-1], len(x))
    return bool(np.abs(x - equal).max() <= _UNIFORM * max(abs(x[-1] - x[0]), np.finfo(float).tiny))


class KernelDiff(LinearOperator):
    """D = K^(r) (K + ε I)⁻¹: the r-th derivative of the interpolant of a kernel through values at given points.

    With the kernel fixed this is pseudo-spectral collocation, the kernel's interpolant in the place of a polynomial. In
    a `KroneckerSum` it discretises separable differential equations on boxes.

    Parameters
    ----------
    kernel : StationaryKernel
    x : (n,) array
        Distinct points.
    r : int
        Order of the derivative.
    eps : float
        Jitter ε > 0 added to the diagonal of K. It limits the accuracy: the interpolant misses the values by about
        ε K⁻¹ u, and rounding errors grow as it shrinks.
    at : (m,) array, optional
        Where the derivative is taken, by default at x. With ``r=0`` that is interpolation. Rows have no jitter.

    Attributes
    ----------
    smallest : float
        Smallest eigenvalue of K + ε I as computed.

    Raises
    ------
    ValueError
        If K + ε I is not positive definite in double precision: eigenvalues of K carry rounding errors of
        about n u λ_max, so the message names the jitter that is needed.

    Notes
    -----
    Stored are D and the eigenvectors of K, 2 n² numbers: one decomposition of O(n³) serves every ε, so that
    ``update(eps=…)`` takes one product. Equally spaced points need n values of the kernel.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import KernelDiff, SpectralMixture
    >>> x = np.linspace(0.0, 1.0, 40)
    >>> D = KernelDiff(SpectralMixture([0.0], [0.0], [0.0], "gaussian"), x, 1, eps=1e-10)
    >>> bool(np.abs(D @ np.sin(x) - np.cos(x)).max() < 1e-4)
    True
    """

    def __init__(self, kernel: StationaryKernel, x: Any, r: int, *, eps: float = 1e-10, at: Any = None) -> None:
        self.kernel, self.r = kernel, int(r)
        self.x = _points("x", x)
        if len(np.unique(self.x)) < len(self.x):
            raise ValueError("points must be distinct: some of x repeat")
        self.at = None if at is None else _points("at", at)
        rows = self.x if self.at is None else self.at
        self._derivative = kernel_matrix(kernel, self.x, None, r).to_dense() if at is None else None
        if self._derivative is None:
            self._derivative = kernel_matrix(kernel, rows, self.x, r).to_dense()
        self._values_K, self._vectors = scipy.linalg.eigh(kernel_matrix(kernel, self.x).to_dense())
        super().__init__((len(rows), len(self.x)), np.float64)
        self._form(eps)

    def _form(self, eps: float) -> None:
        self.eps = _jitter(eps)
        values = self._values_K + self.eps
        rounding = len(values) * np.finfo(float).eps * self._values_K[-1]
        if not values[0] > 0.0:
            raise ValueError(
                f"K + {self.eps:g} I is not positive definite: its smallest eigenvalue is {values[0]:.1e}; "
                f"take eps ≥ {max(2.0 * abs(self._values_K[0]), rounding):.1e}, fewer points or a rougher kernel"
            )
        self.smallest = float(values[0])
        V = self._vectors
        self._array = ((self._derivative @ V) / values) @ V.T

    def _matmat(self, X: Array) -> Array:
        return self._array @ X

    def _matmat_into(self, X: Array, out: Array) -> None:
        np.matmul(self._array, X, out=out)

    def _rmatmat(self, X: Array) -> Array:
        return self._array.T @ X

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return np.diagonal(self._array).copy()

    def to_dense(self) -> Array:
        """Return D (shared, not copied)."""
        return self._array

    def to_sparse(self) -> sp.csr_array:
        """Return the non-zero entries as CSR."""
        return sp.csr_array(self._array)

    def update(self, **values: Any) -> None:
        """Change the jitter, ``update(eps=…)``: one product of n × n matrices."""
        if set(values) != {"eps"}:
            raise ValueError(f"update takes eps=…, got {', '.join(values) or 'nothing'}: build a new KernelDiff")
        before = self.eps
        try:
            self._form(values["eps"])
        except ValueError:
            self.eps = before
            raise
        self._changed()

    def _summary(self) -> str:
        return f"order {self.r}, jitter {self.eps:g}"


def _jitter(eps: Any) -> float:
    if isinstance(eps, bool) or not isinstance(eps, int | float | np.floating) or not 0.0 <= eps < np.inf:
        raise ValueError(f"eps must be a finite number ≥ 0, got {eps!r}")
    return float(eps)


def _points(name: str, x: Any) -> np.ndarray:
    points = np.asarray(x, dtype=float)
    if points.ndim != 1 or not points.size or not np.isfinite(points).all():
        raise ValueError(f"{name} must be a vector of finite coordinates, got an array of shape {points.shape}")
    return points
