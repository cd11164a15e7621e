"""The posterior of a Gaussian process given an equation, boundary values and observations, all perhaps noisy.

Equation, boundary values and sensors are linear functionals of u; their covariances are derivatives of the kernel on
both arguments. Any of them may be missing. The matrix is dense: up to a few thousand functionals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.linalg

from ...operators.spectral_mixture import SpectralMixture
from .pde import PDE, Orders

LARGEST = 6000
"""Largest number of functionals: a matrix of 0.3 GB and half a minute for its eigenvalues."""
EXACT = 1e-10
"""Variance of the noise of exact data, relative to the prior variance of the functional: what rounding needs."""


@dataclasses.dataclass(frozen=True, eq=False)
class Functionals:
    """Values of Σ c ∂^orders u at points, with independent noise.

    Attributes
    ----------
    points : (m, d) array
    terms : tuple of (orders, coefficient)
        Coefficients are numbers or (m,) arrays.
    values : (m,) array
        What was observed.
    noise : float
        Standard deviation.
    """

    points: np.ndarray
    terms: tuple[tuple[Orders, float | np.ndarray], ...]
    values: np.ndarray
    noise: float


def functionals(pde: PDE, nodes: Sequence[np.ndarray]) -> list[Functionals]:
    """Return what is known of u: the equation at nodes without boundary data, boundary values, observations."""
    grid = np.meshgrid(*nodes, indexing="ij")
    points = np.stack([x.ravel() for x in grid], axis=1)
    free = np.ones(grid[0].shape, bool)
    zero = (0,) * len(nodes)
    found = []
    for side in pde.boundary_at(nodes):
        new = np.zeros_like(free)
        new[side.index] = True
        # An edge that two sides share is one observation, not two.
        chosen = (new & free).ravel()
        free &= ~new
        values = np.zeros(free.shape)
        values[side.index] = side.values
        if chosen.any():
            found.append(Functionals(points[chosen], ((zero, 1.0),), values.ravel()[chosen], side.noise))
    inside = free.ravel()
    terms = tuple(
        (orders, c.ravel()[inside] if isinstance(c := pde.coefficient_at(orders, nodes), np.ndarray) else c)
        for orders in pde.operator
    )
    f = pde.source_at(nodes).ravel()[inside]
    found.insert(0, Functionals(points[inside], terms, f, pde.source_noise))
    if pde.observations is not None:
        seen = pde.observations
        found.append(Functionals(np.asarray(seen.points), ((zero, 1.0),), np.asarray(seen.values), seen.noise))
    return found


def cross_covariance(kernels: Sequence[SpectralMixture], one: Functionals, other: Functionals) -> np.ndarray:
    """Return the prior covariance of two sets of functionals, (m, n)."""
    tables: dict[tuple[int, int], np.ndarray] = {}
    places = [
        (np.unique(one.points[:, j], return_inverse=True), np.unique(other.points[:, j], return_inverse=True))
        for j in range(len(kernels))
    ]
    total = np.zeros((len(one.points), len(other.points)))
    for left, a in one.terms:
        for right, b in other.terms:
            product = np.ones(())
            for j, kernel in enumerate(kernels):
                order = left[j] + right[j]
                (x, i), (y, k) = places[j]
                if (j, order) not in tables:
                    tables[j, order] = kernel.matrix(x, y, order)
                product = product * tables[j, order][i[:, None], k]
            sign = -1.0 if sum(right) % 2 else 1.0
            total += sign * np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1)) * product
    return total


class Posterior:
    """A Gaussian process conditioned on functionals.

    With K the prior covariance of the functionals, N the diagonal matrix of their noise variances and s² the amplitude,
    one eigenvalue problem of N^{-1/2} K N^{-1/2} gives the evidence, mean and variance for every s².

    Storage: a few m × m matrices for m functionals. Cost: O(m³) once, O(m) for a mean and O(m²) for a variance.

    Parameters
    ----------
    kernels : sequence of SpectralMixture
        One an axis.
    data : sequence of Functionals
    amplitude : float, optional
        s². By default, mean and covariance are averaged over s², weighted by the evidence.

    Attributes
    ----------
    amplitude, evidence : float
        s², by default that of the largest evidence, and the logarithm of its evidence.
    marginal : float
        Logarithm of the evidence integrated over log s², where no amplitude is given.
    """

    def __init__(
        self, kernels: Sequence[SpectralMixture], data: Sequence[Functionals], amplitude: float | None = None
    ) -> None:
        self.kernels, self.data = list(kernels), list(data)
        m = sum(len(d.values) for d in data)
        if m > LARGEST:
            raise ValueError(
                f"{m} equations, boundary values and observations are too many for a dense posterior (at most "
                f"{LARGEST}): give a smaller n"
            )
        upper = {(i, j): cross_covariance(kernels, data[i], data[j]) for j in range(len(data)) for i in range(j + 1)}
        places = range(len(data))
        K = np.block([[upper[i, j] if i <= j else upper[j, i].T for j in places] for i in places])
        if not (np.diag(K) >= 0.0).all() or not np.isfinite(K).all():
            raise ValueError(
                f"the covariance of the data is indefinite: its smallest variance is {np.diag(K).min():.3g}; kernels "
                "must be positive definite and finite"
            )
        y = np.concatenate([d.values for d in data])
        noise, begin = np.empty(m), 0
        for d in data:
            part = slice(begin, begin := begin + len(d.values))
            floor = EXACT * float(np.mean(np.diag(K)[part])) * (1.0 if amplitude is None else amplitude)
            noise[part] = max(d.noise**2, floor)
        self._root = 1.0 / np.sqrt(noise)
        self._eigenvalues, self._V = scipy.linalg.eigh(self._root[:, None] * K * self._root, check_finite=False)
        if self._eigenvalues[0] < -1e-6 * m * self._eigenvalues[-1]:
            raise ValueError(
                f"the covariance of the data is indefinite: smallest eigenvalue {self._eigenvalues[0]:.3g}, largest "
                f"{self._eigenvalues[-1]:.3g}; kernels must be positive definite and smooth enough for the equation"
            )
        self._eigenvalues = np.maximum(self._eigenvalues, 0.0)
        self._y = self._V.T @ (self._root * y)
        self._constant = float(np.log(self._root).sum()) - 0.5 * m * np.log(2.0 * np.pi)
        self.amplitude = self._best_amplitude() if amplitude is None else float(amplitude)
        self.evidence = self.marginal = self._evidence(self.amplitude)
        self._amplitudes, self._shares = np.array([self.amplitude]), np.ones(1)
        if amplitude is None:
            self._spread_amplitude()
        gain = self._amplitudes / (1.0 + self._amplitudes * self._eigenvalues[:, None])
        self._weights = self._root[:, None] * (self._V @ (gain * self._y[:, None]))

    def at(self, points: np.ndarray, orders: Orders) -> np.ndarray:
        """Return the posterior mean of a derivative at points of shape (m, d)."""
        return np.asarray(self._cross(points, orders) @ (self._weights @ self._shares))

    def on_tensor(self, axes: Sequence[np.ndarray], orders: Orders) -> np.ndarray:
        """Return the posterior mean of a derivative at the nodes of a grid."""
        grid = np.meshgrid(*axes, indexing="ij")
        points = np.stack([x.ravel() for x in grid], axis=1)
        step = max((1 << 23) // self._root.size, 1)
        parts = [self.at(points[i : i + step], orders) for i in range(0, len(points), step)]
        return np.concatenate(parts).reshape(grid[0].shape)

    def variance(self, points: np.ndarray) -> np.ndarray:
        """Return the posterior variance of u at points, (m,)."""
        prior = float(self._shares @ self._amplitudes) * float(np.prod([k.variance for k in self.kernels]))
        out = np.empty(len(points))
        step = max((1 << 23) // self._root.size, 1)
        for i in range(0, len(points), step):
            told, means = self._told(points[i : i + step])
            out[i : i + step] = prior - np.einsum("mi,mi->m", told, told) + np.sum(means**2, axis=1)
        return np.maximum(out, 0.0)

    def covariance(self, points: np.ndarray) -> np.ndarray:
        """Return the posterior covariance of u between points, (m, m)."""
        here = self._values_at(points)
        told, means = self._told(points)
        prior = float(self._shares @ self._amplitudes) * cross_covariance(self.kernels, here, here)
        return np.asarray(prior - told @ told.T + means @ means.T)

    def samples(self, points: np.ndarray, size: int, rng: np.random.Generator | int) -> np.ndarray:
        """Return draws of u at points, (size, m)."""
        rng = np.random.default_rng(rng)
        if len(points) > LARGEST:
            raise ValueError(f"at most {LARGEST} points can be drawn together, got {len(points)}")
        C = self.covariance(points)
        values, V = scipy.linalg.eigh(0.5 * (C + C.T), check_finite=False)
        draws = rng.standard_normal((size, len(points)))
        mean = self.at(points, (0,) * len(self.kernels))
        return np.asarray(mean + (draws * np.sqrt(np.maximum(values, 0.0))) @ V.T)

    def _cross(self, points: np.ndarray, orders: Orders) -> np.ndarray:
        here = Functionals(points, ((tuple(orders), 1.0),), np.zeros(len(points)), 0.0)
        return np.hstack([cross_covariance(self.kernels, here, d) for d in self.data])

    def _values_at(self, points: np.ndarray) -> Functionals:
        return Functionals(points, (((0,) * len(self.kernels), 1.0),), np.zeros(len(points)), 0.0)

    def _told(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return B and M with prior − B Bᵀ + M Mᵀ the posterior covariance.

        B Bᵀ is what the data tell for each amplitude, on average; M has the means of the amplitudes, less their mean.
        """
        k = self._cross(points, (0,) * len(self.kernels))
        gains = self._amplitudes**2 / (1.0 + self._amplitudes * self._eigenvalues[:, None])
        means = k @ self._weights
        means = (means - (means @ self._shares)[:, None]) * np.sqrt(self._shares)
        return np.asarray(((k * self._root) @ self._V) * np.sqrt(gains @ self._shares)), np.asarray(means)

    def _evidence(self, amplitude: float) -> float:
        spread = 1.0 + amplitude * self._eigenvalues
        return float(self._constant - 0.5 * (np.log(spread).sum() + np.sum(self._y**2 / spread)))

    def _best_amplitude(self) -> float:
        """Return the amplitude of the largest evidence, by golden sections around the best of a coarse scan."""
        from scipy.optimize import minimize_scalar

        largest = float(self._eigenvalues[-1])
        if not largest > 0.0:
            return 1.0
        grid = np.linspace(-25.0, 45.0, 71) - np.log(largest)
        spread = 1.0 + np.exp(grid)[:, None] * self._eigenvalues
        best = int(np.argmin(np.log(spread).sum(axis=1) + np.sum(self._y**2 / spread, axis=1)))
        bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
        found = minimize_scalar(lambda t: -self._evidence(float(np.exp(t))), bounds=bounds, method="bounded")
        return float(np.exp(found.x))

    def _spread_amplitude(self) -> None:
        """Weight amplitudes around the best by their evidence, evenly in the logarithm.

        With f(log s²) the evidence, each eigenvalue far above the noise adds 1/2 to −f″ at the maximum. The tail goes
        further up than down: where few of them tell the amplitude, it may be much larger.
        """
        h = 0.05
        centre = np.log(self.amplitude)
        bend = 2.0 * self.evidence - sum(self._evidence(float(np.exp(centre + s * h))) for s in (-1.0, 1.0))
        step = 0.6 / np.sqrt(max(bend / h**2, 0.25))
        self._amplitudes = np.exp(centre + step * np.arange(-5.0, 11.0))
        spread = 1.0 + self._amplitudes[:, None] * self._eigenvalues
        found = self._constant - 0.5 * (np.log(spread).sum(axis=1) + np.sum(self._y**2 / spread, axis=1))
        shares = np.exp(found - self.evidence)
        self._shares = shares / shares.sum()
        self.marginal = self.evidence + float(np.log(shares.sum() * step))
