"""Gaussian random fields on the unit interval, square and cube, drawn mode by mode and nested under refinement.

A field is its Karhunen-Loeve series: independent standard normals z_k times the square root of the spectrum times
orthonormal eigenfunctions of the Laplacian. The normals come from the stream in shells of growing wave number, so a
finer grid only appends modes: one stream is one function, whatever grid it is looked at on.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

import numpy as np
import numpy.typing as npt
import scipy.fft

FloatArray: TypeAlias = npt.NDArray[np.float64]
Boundary: TypeAlias = Literal["periodic", "neumann"]
Grid: TypeAlias = Literal["cell", "vertex", "periodic"]
Table = TypeVar("Table", bound=npt.NDArray[Any])

# The tables of a 128 x 128 x 128 grid take 32 MB; a run uses at most two grids and two laws.
_CACHED_TABLES: Final = 4


def grid_points(resolution: int, grid: Grid = "cell") -> FloatArray:
    """Return the coordinates of one axis of a grid on [0, 1].

    Parameters
    ----------
    resolution : int
        Number n of points per side.
    grid : {"cell", "vertex", "periodic"}
        ``cell``: centres (i + 1/2)/n. ``vertex``: nodes i/(n - 1), both ends included. ``periodic``: nodes i/n, the
        end point 1 left out because it is the point 0.

    Returns
    -------
    x : (n,) array

    Examples
    --------
    >>> from resolvent.datasets.random_fields import grid_points
    >>> grid_points(4), grid_points(5, "vertex")
    (array([0.125, 0.375, 0.625, 0.875]), array([0.  , 0.25, 0.5 , 0.75, 1.  ]))
    """
    _check_grid(resolution, grid)
    i = np.arange(resolution, dtype=np.float64)
    if grid == "cell":
        return (i + 0.5) / resolution
    return i / (resolution - 1 if grid == "vertex" else resolution)


@dataclasses.dataclass(frozen=True)
class GaussianRandomField:
    r"""Zero-mean Gaussian field with covariance σ²(−Δ + τ²)^(−α) on the unit cube of dimension `dim`.

    Parameters
    ----------
    dim : {1, 2, 3}
    alpha : float
        Smoothness, greater than dim/2: samples have (almost) ``alpha - dim/2`` derivatives.
    tau : float
        Inverse correlation length, positive.
    bc : {"neumann", "periodic"}
        Boundary condition of Δ: vanishing normal derivative, or period 1 in every direction.
    amplitude : float, optional
        σ; by default τ^(α − dim/2), which makes the pointwise variance nearly independent of τ for large τ.

    Notes
    -----
    The law is the series

        g(x) = Σ_{k≠0} √λ_k z_k φ_k(x),   λ_k = σ² (c²|k|² + τ²)^(−α),   z_k independent N(0, 1),

    with φ_k an orthonormal basis of L²: for Neumann, c = π, k ∈ {0, 1, …}^dim and φ_k = Π_j √2 cos(π k_j x_j) (factor 1
    where k_j = 0); for periodic, c = 2π, k ∈ ℤ^dim and φ_k = cos(2π k·x) + sin(2π k·x). The constant mode is left out:
    every sample has mean zero over the domain. The pointwise variance Σ λ_k φ_k(x)² is the constant Σ λ_k for periodic
    fields; for Neumann fields that is its mean over the domain, and it is larger at the boundary.

    Modes on a grid of n points per side, those with max-norm |k|∞ ≤ `carried(n, grid)`: n − 1 for Neumann; for
    periodic (M − 1)//2 with M the number of intervals, which leaves out the ambiguous mode M/2. The sample on a
    grid is the series of exactly these modes evaluated at its points, so a coarse sample is the truncated series of
    the finer one, not its restriction.

    A sample takes one 128-bit key from the given stream and draws its normals from a Philox stream of that key: what
    is drawn afterwards does not depend on the resolution. Cost: n^dim normals and one fast transform, O(n^dim log n).

    References
    ----------
    Lord, G. J., Powell, C. E. and Shardlow, T., *An Introduction to Computational Stochastic PDEs*, chapter 7,
    Cambridge University Press, 2014, doi:10.1017/CBO9781139017329.

    Examples
    --------
    >>> from resolvent.datasets.random_fields import GaussianRandomField
    >>> field = GaussianRandomField(dim=2, alpha=2.0, tau=3.0, bc="neumann")
    >>> g = field.sample(0, resolution=64)
    >>> g.shape, bool(abs(g.mean()) < 1e-14)
    ((64, 64), True)
    >>> round(field.mean_variance() ** 0.5, 4)  # standard deviation, all modes
    0.2921
    """

    dim: int
    alpha: float
    tau: float
    bc: Boundary = "neumann"
    amplitude: float | None = None

    def __post_init__(self) -> None:
        if self.dim not in (1, 2, 3):
            raise ValueError(f"a random field needs dim 1, 2 or 3, got {self.dim!r}")
        if not (math.isfinite(self.alpha) and self.alpha > self.dim / 2):
            raise ValueError(
                f"alpha must exceed dim/2 = {self.dim / 2:g}, got {self.alpha!r}: below that the variance is infinite"
            )
        if not (math.isfinite(self.tau) and self.tau > 0):
            raise ValueError(f"tau must be a positive number, got {self.tau!r}")
        if self.bc not in get_args(Boundary):
            raise ValueError(f"bc must be 'neumann' or 'periodic', got {self.bc!r}")
        if self.amplitude is not None and not (math.isfinite(self.amplitude) and self.amplitude > 0):
            raise ValueError(f"amplitude must be a positive number or None, got {self.amplitude!r}")

    @property
    def sigma(self) -> float:
        """The amplitude in use."""
        return self.tau ** (self.alpha - self.dim / 2) if self.amplitude is None else self.amplitude

    def normalised(self) -> GaussianRandomField:
        """Return the same law scaled so that `mean_variance` is 1, on every grid by the same factor."""
        return dataclasses.replace(self, amplitude=self.sigma / math.sqrt(self.mean_variance()))

    def carried(self, resolution: int, grid: Grid = "cell") -> int:
        """Return the largest wave number (in the max norm) that a sample on this grid contains."""
        self._check_grid(resolution, grid)
        if self.bc == "neumann":
            return resolution - 1
        return (_intervals(resolution, grid) - 1) // 2

    def spectrum(self, k: npt.ArrayLike) -> FloatArray:
        """Return the eigenvalues λ_k of the covariance, the variances of the coefficients.

        Parameters
        ----------
        k : (..., dim) array of int
            Wave numbers: non-negative for Neumann, of any sign for periodic.

        Returns
        -------
        lambda_k : (...) array
            Zero for k = 0.
        """
        k = np.asarray(k, dtype=np.float64)
        if k.ndim == 0 or k.shape[-1] != self.dim:
            raise ValueError(f"k needs a last axis of length dim = {self.dim}, got shape {k.shape}")
        return self._eigenvalues((k**2).sum(axis=-1))

    def sample(self, rng: np.random.Generator | int, resolution: int, grid: Grid = "cell") -> FloatArray:
        """Draw the field on a grid.

        Parameters
        ----------
        rng : Generator or int
            Stream, advanced by two 64-bit words whatever the resolution; or a seed.
        resolution : int
            Points per side, at least 2.
        grid : {"cell", "vertex", "periodic"}
            See `grid_points`; ``periodic`` only for periodic fields.

        Returns
        -------
        g : (resolution,) * dim array of float64
        """
        self._check_grid(resolution, grid)
        key = np.random.default_rng(rng).integers(0, 2**64, size=2, dtype=np.uint64)
        stream = np.random.Generator(np.random.Philox(key=key))
        if self.bc == "neumann":
            z = stream.standard_normal(resolution**self.dim)
            coefficients = z.take(_cosine_ranks(self.dim, resolution))
            coefficients *= _cosine_weights(self, resolution, grid)
            return np.asarray(scipy.fft.dctn(coefficients, type=3 if grid == "cell" else 1, overwrite_x=True))
        intervals = _intervals(resolution, grid)
        z = stream.standard_normal((2 * self.carried(resolution, grid) + 1) ** self.dim)
        plus, minus = _fourier_ranks(self.dim, intervals)
        # The cosine-plus-sine series as a Hermitian one: d_k = ((1 − i) c_k + (1 + i) c_{−k})/2.
        at_plus, at_minus = z.take(plus), z.take(minus)
        d = np.empty(plus.shape, dtype=np.complex128)
        d.real = at_plus + at_minus
        d.imag = at_minus - at_plus
        d *= _fourier_weights(self, intervals, grid == "cell")
        g = np.asarray(scipy.fft.irfftn(d, s=(intervals,) * self.dim, norm="forward", overwrite_x=True))
        return np.pad(g, (0, 1), mode="wrap") if grid == "vertex" else g

    def variance(self, resolution: int, grid: Grid = "cell") -> FloatArray:
        """Return the exact pointwise variance of `sample` on a grid, by the sum over its modes.

        Cost: n^dim for periodic fields, dim·n^(dim+1) for Neumann.

        Returns
        -------
        variance : (resolution,) * dim array
        """
        K = self.carried(resolution, grid)
        k = np.arange(K + 1, dtype=np.float64) if self.bc == "neumann" else np.arange(-K, K + 1, dtype=np.float64)
        total = self._eigenvalues(_squared_norms(k, self.dim))
        if self.bc == "periodic":
            return np.full((resolution,) * self.dim, total.sum())
        x = grid_points(resolution, grid)
        squares = 2.0 * np.cos(np.pi * np.outer(k, x)) ** 2
        squares[0] = 1.0
        for _ in range(self.dim):
            # Contract the leading mode axis and append its point axis: after dim turns the order is restored.
            total = np.tensordot(total, squares, axes=(0, 0))
        return np.asarray(total)

    def mean_variance(self) -> float:
        """Return Σ_{k≠0} λ_k over all modes: the variance averaged over the domain, independent of any grid.

        With Θ(t) = Σ exp(−c²k²t) over the wave numbers of one axis, the sum is
        σ²/Γ(α) ∫ t^(α−1) exp(−τ²t) (Θ(t)^dim − 1) dt; after t = exp(s) the trapezoidal rule is exact to rounding.
        """
        return self.sigma**2 * _spectral_sum(self.dim, self.alpha, self.tau, self.bc)

    def _eigenvalues(self, k_squared: FloatArray) -> FloatArray:
        """Eigenvalues for given |k|², zero for the constant."""
        c = np.pi if self.bc == "neumann" else 2 * np.pi
        lambda_k = self.sigma**2 * (c**2 * k_squared + self.tau**2) ** (-self.alpha)
        return np.where(k_squared == 0, 0.0, lambda_k)

    def _check_grid(self, resolution: int, grid: Grid) -> None:
        _check_grid(resolution, grid)
        if grid == "periodic" and self.bc != "periodic":
            raise ValueError("the grid 'periodic' belongs to bc='periodic': use grid 'cell' or 'vertex'")


def _check_grid(resolution: int, grid: Grid) -> None:
    if grid not in get_args(Grid):
        raise ValueError(f"grid must be 'cell', 'vertex' or 'periodic', got {grid!r}")
    if isinstance(resolution, bool) or not isinstance(resolution, int | np.integer) or resolution < 2:
        raise ValueError(f"resolution must be an integer of at least 2 points per side, got {resolution!r}")


def _intervals(resolution: int, grid: Grid) -> int:
    """Number of grid spacings in one period."""
    return resolution - 1 if grid == "vertex" else resolution


def _squared_norms(k: FloatArray, dim: int) -> FloatArray:
    """|k|² on the tensor grid of the same one-dimensional wave numbers along every axis."""
    return functools.reduce(np.add.outer, [k**2] * dim)


def _shell_ranks(k: npt.NDArray[np.int32], dim: int) -> npt.NDArray[np.intp]:
    """Position in the stream of every mode of a tensor grid: by max norm, then lexicographically.

    Neither key depends on the size of the grid, which is what makes draws nested.
    """
    # 16-bit keys get numpy's radix sort, ten times faster than its comparison sort.
    norms = functools.reduce(np.maximum.outer, [np.abs(k).astype(np.int16)] * dim)
    order = np.argsort(norms, axis=None, kind="stable")
    ranks = np.empty(norms.size, dtype=np.intp)
    ranks[order] = np.arange(norms.size)
    return ranks.reshape(norms.shape)


@functools.lru_cache(maxsize=_CACHED_TABLES)
def _cosine_ranks(dim: int, n: int) -> npt.NDArray[np.intp]:
    return _frozen(_shell_ranks(np.arange(n, dtype=np.int32), dim))


@functools.lru_cache(maxsize=_CACHED_TABLES)
def _cosine_weights(field: GaussianRandomField, n: int, grid: Grid) -> FloatArray:
    """√λ_k times what makes scipy's unnormalised cosine transform sum orthonormal cosines."""
    weights = np.sqrt(field._eigenvalues(_squared_norms(np.arange(n, dtype=np.float64), field.dim)))
    # Both transforms double the inner modes, where the orthonormal cosine has a factor √2.
    axis = np.full(n, math.sqrt(0.5))
    axis[0] = 1.0
    if grid == "vertex":
        axis[-1] = math.sqrt(2.0)  # type 1 does not double its last mode
    return _frozen(weights * functools.reduce(np.multiply.outer, [axis] * field.dim))


@functools.lru_cache(maxsize=_CACHED_TABLES)
def _fourier_ranks(dim: int, intervals: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Ranks of the modes k and −k for the half spectrum that the inverse real transform reads."""
    K = (intervals - 1) // 2
    table = _shell_ranks(np.arange(-K, K + 1, dtype=np.int32), dim)
    # The mode M/2 of an even grid has weight zero; clipping only gives it some valid rank.
    axes = [np.clip(k, -K, K) for k in _half_spectrum(dim, intervals)]
    return _frozen(table[np.ix_(*(K + k for k in axes))]), _frozen(table[np.ix_(*(K - k for k in axes))])


@functools.lru_cache(maxsize=_CACHED_TABLES)
def _fourier_weights(field: GaussianRandomField, intervals: int, centred: bool) -> npt.NDArray[np.complex128]:
    """√λ_k/2 times the phase that moves the grid from the nodes to the cell centres."""
    axes = _half_spectrum(field.dim, intervals)
    k_squared = functools.reduce(np.add.outer, [k.astype(np.float64) ** 2 for k in axes])
    weights = 0.5 * np.sqrt(field._eigenvalues(k_squared)).astype(np.complex128)
    for axis, k in enumerate(axes):
        factor = np.exp(1j * np.pi * k / intervals) if centred else np.ones(k.size, dtype=np.complex128)
        factor[2 * np.abs(k) == intervals] = 0.0
        weights *= factor.reshape((-1,) + (1,) * (field.dim - 1 - axis))
    return _frozen(weights)


def _half_spectrum(dim: int, intervals: int) -> list[npt.NDArray[np.int64]]:
    """Wave numbers along each axis in the order of the inverse real transform."""
    full = np.rint(np.fft.fftfreq(intervals, 1.0 / intervals)).astype(np.int64)
    return [full] * (dim - 1) + [np.arange(intervals // 2 + 1)]


def _frozen(array: Table) -> Table:
    """Mark a cached array read-only."""
    array.flags.writeable = False
    return array


@functools.lru_cache(maxsize=64)
def _spectral_sum(dim: int, alpha: float, tau: float, bc: Boundary) -> float:
    """Σ_{k≠0} (c²|k|² + τ²)^(−α), by the integral over heat kernels that `mean_variance` states."""
    c = np.pi if bc == "neumann" else 2 * np.pi
    # The integrand decays like exp((α − dim/2) s) to the left and like exp(−(c² + τ²) t) to the right; it is analytic
    # for |Im s| < π/2, so the error of step 1/8 is about exp(−8 π²).
    left = max(-40.0 / (alpha - dim / 2), -700.0)
    right = math.log((60.0 + 4.0 * alpha) / (c**2 + tau**2)) + 2.0
    s = np.arange(left, right, 0.125)
    t = np.exp(s)
    k = np.arange(1.0, 7.0)[:, None]
    # Two forms of the theta function, related by Poisson summation; six terms of either are enough where it is used.
    long = 1.0 + 2.0 * np.exp(-(k**2) * np.maximum(c**2 * t, 1.0)).sum(axis=0)
    short = (1.0 + 2.0 * np.exp(-(k**2) * np.pi**2 / np.minimum(c**2 * t, np.pi)).sum(axis=0)) * np.sqrt(
        np.pi / (c**2 * t)
    )
    theta = np.where(c**2 * t > np.pi, long, short)
    if bc == "neumann":
        theta = (1.0 + theta) / 2.0
    integrand = np.exp(alpha * s - tau**2 * t - math.lgamma(alpha)) * (theta**dim - 1.0)
    return float(0.125 * integrand.sum())
