"""A polynomial of several contexts for each arm, fitted to logarithms of costs."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ...operators import Array
from ..preconditioners.recipe import is_number, is_whole
from .context_range import ContextRange
from .tuner import FORGOTTEN, Decision, Tuner

EXPLORATIONS = ("bound", "epsilon")


class Ridge(Tuner):
    """Learns the logarithm of the cost of each arm as a polynomial of a few numbers known before the solve.

    Products of Chebyshev polynomials up to a total degree, least squares with a ridge that draws an arm of which little
    is known towards the mean of all. Logarithms suit costs that differ by orders of magnitude, as those of whole solver
    configurations do; predictions are exp(μ + σ²/2), the mean of a cost whose logarithm has that mean and variance.
    Each arm is tried once, in order. For one context and smooth costs `ChebCB` models the cost itself.

    Memory (3 p² + 5 p) numbers an arm with p = binomial(dimensions + degree, degree) terms, p³ operations an
    observation; with a discount as many for every arm.

    Parameters
    ----------
    arms : int
    low, high : float or (dimensions,) array
        Box that the contexts come from. One outside is moved to its border.
    degree : int
        1: linear, 2: with squares and products, …
    exploration : {"bound", "epsilon"}
        "bound" plays the arm with the least exp(μ + σ²/2 − width·s), s the standard error of the prediction (LinUCB).
        "epsilon" plays the least prediction, and a random arm with probability min(1, explore/t).
    width : float
        Of the bound, in standard errors.
    explore : float, optional
        Of "epsilon"; as many as there are arms by default.
    ridge : float
        Weight of the pull to the mean, in observations.
    discount : float
    rng : numpy.random.Generator or int
        Not used by "bound".

    References
    ----------
    Li, Chu, Langford & Schapire 2010, doi:10.1145/1772690.1772758.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.tuning import Ridge
    >>> tuner, rng = Ridge(2, low=[0.0, 0.0], high=[1.0, 1.0]), np.random.default_rng(0)
    >>> for c in rng.uniform(size=(200, 2)):
    ...     arm = tuner.suggest(c)
    ...     tuner.observe(arm, [np.exp(c[0]), np.exp(c[1])][arm])
    >>> tuner.best([0.9, 0.1]), tuner.best([0.1, 0.9])
    (1, 0)
    """

    _learned = ("gram", "moments", "squares", "log_sum", "weight")

    def __init__(
        self,
        arms: int,
        *,
        low: Any,
        high: Any,
        degree: int = 2,
        exploration: str = "bound",
        width: float = 1.0,
        explore: float | None = None,
        ridge: float = 0.01,
        discount: float = 1.0,
        rng: np.random.Generator | int = 0,
    ) -> None:
        if not is_whole(degree, 0):
            raise ValueError(f"degree must be a whole number ≥ 0, got {degree!r}")
        if exploration not in EXPLORATIONS:
            raise ValueError(f"exploration must be one of {', '.join(EXPLORATIONS)}, got {exploration!r}")
        for name, value in (("width", width), ("explore", 0.0 if explore is None else explore)):
            if not (is_number(value) and value >= 0.0):
                raise ValueError(f"{name} must be a number ≥ 0, got {value!r}")
        if not (is_number(ridge) and ridge > 0.0):
            raise ValueError(f"ridge must be a positive number, got {ridge!r}")
        self.range = ContextRange(low, high)
        self.degree, self.exploration = int(degree), exploration
        self.width, self.ridge = float(width), float(ridge)
        degrees = itertools.product(range(self.degree + 1), repeat=self.range.dimensions)
        # By total degree, so that the constant comes first.
        self._degrees = np.array(sorted((p for p in degrees if sum(p) <= self.degree), key=sum))
        super().__init__(arms, discount=discount, rng=rng)
        self.explore = float(self.arms if explore is None else explore)

    def _forget(self) -> None:
        super()._forget()
        d, p = self.arms, len(self._degrees)
        self._gram, self._moments, self._squares = np.zeros((d, p, p)), np.zeros((d, p)), np.zeros(d)
        self._log_sum = self._weight = 0.0
        self._fresh = np.zeros(d, dtype=bool)  # whether the three that follow are up to date
        self._inverse = np.zeros((d, p, p))
        self._towards, self._away = np.zeros((d, p)), np.zeros((d, p))

    def _options(self) -> str:
        text = f", {self.range}, degree={self.degree}, exploration={self.exploration!r}"
        text += f", width={self.width:g}" if self.exploration == "bound" else f", explore={self.explore:g}"
        return text + f", ridge={self.ridge:g}" + super()._options()

    def _read(self, context: Any) -> Array:
        return self.range.normalised(context)

    def _basis(self, z: Array) -> Array:
        # T_k(z) = cos(k arccos z), for every dimension and degree.
        series = np.cos(np.arange(self.degree + 1) * np.arccos(z)[:, None])
        terms: Array = series[np.arange(z.size), self._degrees].prod(axis=1)
        return terms

    def _refresh(self) -> None:
        """Invert the normal equations of arms whose observations have changed."""
        stale = np.flatnonzero(~self._fresh)
        if stale.size:
            regular = self._gram[stale] + self.ridge * np.eye(len(self._degrees))
            inverse = np.linalg.inv(regular)
            self._inverse[stale] = inverse
            self._towards[stale] = (inverse @ self._moments[stale, :, None])[..., 0]
            # Coefficients are of what is above the mean of all arms, which changes with every observation.
            self._away[stale] = (inverse @ self._gram[stale, :, :1])[..., 0]
            self._fresh[stale] = True

    def _fit(self, z: Array) -> tuple[Array, Array, Array]:
        """Return mean and variance of the log cost of each arm, and the standard error of the mean."""
        self._refresh()
        basis = self._basis(z)
        centre = self._log_sum / self._weight if self._weight else 0.0
        theta = self._towards - centre * self._away
        mean = centre + theta @ basis
        # Residuals about the fit, by the normal equations of centred values.
        moments = self._moments - centre * self._gram[:, :, 0]
        squares = self._squares - 2.0 * centre * self._moments[:, 0] + centre * centre * self._gram[:, 0, 0]
        fitted = np.einsum("ai,aij,aj->a", theta, self._gram, theta)
        residual = np.maximum(squares - 2.0 * np.einsum("ai,ai->a", theta, moments) + fitted, 0.0)
        # An arm with few observations has few residuals: it shares those of all.
        spent = np.einsum("aij,aji->a", self._inverse, self._gram)
        freedom = np.maximum(self._gram[:, 0, 0] - spent, 0.0)
        pooled = residual.sum() / max(freedom.sum(), 1.0)
        terms = len(basis)
        variance = (residual + terms * pooled) / (freedom + terms)
        error = np.sqrt(pooled * np.einsum("i,aij,j->a", basis, self._inverse, basis))
        return mean, variance, error

    def _suggest(self, z: Array) -> Decision:
        untried = self._counts <= FORGOTTEN
        if untried.any():
            return Decision(int(untried.argmax()), 1.0, "untried")
        mean, variance, error = self._fit(z)
        expected = mean + 0.5 * variance
        if self.exploration == "bound":
            return Decision(int((expected - self.width * error).argmin()), 1.0, "least bound")
        chance, best = min(1.0, self.explore / (self._clock + 1.0)), int(expected.argmin())
        if self.rng.random() < chance:
            arm = int(self.rng.integers(self.arms))
            return Decision(arm, chance / self.arms + (1.0 - chance) * (arm == best), "explore")
        return Decision(best, 1.0 - chance + chance / self.arms, "least prediction")

    def _observe(self, arm: int, cost: float, z: Array, own: bool) -> None:
        if self.discount < 1.0:
            for part in (self._gram, self._moments, self._squares):
                part *= self.discount
            self._fresh[:] = False
        basis, value = self._basis(z), math.log(cost)
        self._gram[arm] += np.outer(basis, basis)
        self._moments[arm] += value * basis
        self._squares[arm] += value * value
        self._log_sum = self.discount * self._log_sum + value
        self._weight = self.discount * self._weight + 1.0
        self._fresh[arm] = False

    def _predict(self, z: Array) -> Array:
        mean, variance, _ = self._fit(z)
        return np.where(self._counts > FORGOTTEN, np.exp(mean + 0.5 * variance), np.nan)

    def _cap(self, counts: float, clock: float) -> None:
        kept = np.minimum(1.0, counts / np.maximum(self._counts, 1.0))
        self._gram *= kept[:, None, None]
        self._moments *= kept[:, None]
        self._squares *= kept
        self._fresh[:] = False
        super()._cap(counts, clock)

    def _adopt(self, parsed: list[dict[str, Any]], *, generators: bool) -> None:
        super()._adopt(parsed, generators=generators)
        self._fresh[:] = False
