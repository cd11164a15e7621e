"""ChebCB: a polynomial of the context for each arm, explored in inverse proportion to the gap to the best.

Departures from the published program: costs so far enter with their true least one, not with zero; a context outside
of the range is moved to its border.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...operators import Array
from ..preconditioners.recipe import is_number, is_whole
from .context_range import ContextRange
from .tuner import FORGOTTEN, Decision, Tuner, drawn


class ChebCB(Tuner):
    """Learns the cost of each arm as a Chebyshev series in one number c that is known before the solve.

    Series have `features` terms, fitted by least squares with coefficients bounded as those of a Lipschitz function
    are, |θ_0| ≤ max cost, |θ_j| ≤ 2 (spread of costs)/j. With predictions ŷ in units of the largest cost

        p_i = 1/(d + η (ŷ_i − ŷ_best)) for i ≠ best,   η = 2t √(d t / (Σ (ŷ − y)² − r + 2 a² t))

    where a bounds what a truncated series misses and r is the residual of the last bounded fit. Once fitted, η grows
    like t, so that exploration fades quickly. What is learned at one context serves all others; where cost is smooth
    in c this beats the best fixed arm. Not for costs that jump with c: use `Binned`. A disastrous cost is the unit of
    all others and keeps exploration up for long: stop such solves early, or use `Ridge`. Memory (m² + 2m + 3) numbers
    an arm, m³ operations an observation.

    Parameters
    ----------
    arms : int
    low, high : float
        Range of the context. One outside is moved to the border.
    features : int
        m, terms of the series.
    floor : float
        The least a solve can cost, subtracted first: 1 for iterations, 0 for seconds.
    discount : float
    rng : numpy.random.Generator or int

    Attributes
    ----------
    probabilities : (arms,) array
        That the last arm was drawn from.

    References
    ----------
    Khodak, Chow, Balcan & Talwalkar 2024, doi:10.48550/arXiv.2310.02246; Foster & Rakhlin 2020 for inverse gaps,
    doi:10.48550/arXiv.2002.04926.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.tuning import ChebCB
    >>> tuner, rng = ChebCB(3, low=0.0, high=1.0, rng=0), np.random.default_rng(0)
    >>> for c in rng.uniform(size=400):
    ...     arm = tuner.suggest(c)
    ...     tuner.observe(arm, 1.0 + (c - 0.5 * arm.arm) ** 2)
    >>> [tuner.best(c) for c in (0.1, 0.5, 0.9)]
    [0, 1, 2]
    """

    _learned = ("gram", "moments", "squares", "theta", "largest", "least", "errors", "residual", "p")

    def __init__(
        self,
        arms: int,
        *,
        low: float,
        high: float,
        features: int = 6,
        floor: float = 0.0,
        discount: float = 1.0,
        rng: np.random.Generator | int = 0,
    ) -> None:
        if not is_whole(features, 1):
            raise ValueError(f"features must be a whole number ≥ 1, got {features!r}")
        if not (is_number(floor) and floor >= 0.0):
            raise ValueError(f"floor must be a number ≥ 0, got {floor!r}")
        self.range = ContextRange(low, high)
        if self.range.dimensions != 1:
            raise ValueError(f"ChebCB takes one number as a context, got a range of {self.range.dimensions}: use Ridge")
        self.features, self.floor = int(features), float(floor)
        super().__init__(arms, discount=discount, rng=rng)

    def _forget(self) -> None:
        super()._forget()
        d, m = self.arms, self.features
        self._gram, self._moments = np.zeros((d, m, m)), np.zeros((d, m))
        self._squares, self._theta = np.zeros(d), np.zeros((d, m))
        self._largest = self._least = 0.0
        self._errors = self._residual = 0.0
        self._p = np.full(d, 1.0 / d)

    def _options(self) -> str:
        text = f", {self.range}, features={self.features}" + (f", floor={self.floor:g}" if self.floor else "")
        return text + super()._options()

    @property
    def probabilities(self) -> Array:
        """Of the arms at the last suggestion."""
        return self._p.copy()

    def _read(self, context: Any) -> Array:
        return self.range.normalised(context)

    def _basis(self, z: Array) -> Array:
        from .chebcb_kernels import chebyshev

        features = np.empty(self.features)
        chebyshev(float(z[0]), features)
        return features

    def _unit(self) -> float:
        """Return S, in which costs are measured: the largest one, times the largest norm of a bounded series."""
        spread = (self._largest - self._least) / self._largest
        return self._largest * (2.0 + 4.0 * spread * (1.0 + math.log(self.features)))

    def _suggest(self, z: Array) -> Decision:
        from .chebcb_kernels import inverse_gap_probabilities

        d, m, t = self.arms, self.features, self._clock + 1.0
        if self._largest == 0.0:
            predicted, eta = np.zeros(d), 0.0  # nothing was observed that cost more than the floor
        else:
            unit = self._unit()
            predicted = self._theta @ self._basis(z) / unit  # zero for untried arms, which makes them attractive
            spread = (self._largest - self._least) / unit
            missed = (math.pi + 2.0 / math.pi * math.log(2 * m + 1)) * spread / (2.0 * (m + 1))
            regret = self._errors - self._residual + 2.0 * missed * missed * t
            eta = 2.0 * t * math.sqrt(d * t / max(regret, 1e-12 * t))
        inverse_gap_probabilities(predicted, eta, self._p)
        arm = drawn(self._p, self.rng)
        reason = "least prediction" if arm == predicted.argmin() else "explore"
        return Decision(arm, float(self._p[arm]), reason)

    def _observe(self, arm: int, cost: float, z: Array, own: bool) -> None:
        from .chebcb_kernels import learn

        value = max(cost - self.floor, 0.0)
        features = self._basis(z)
        predicted = float(self._theta[arm] @ features)
        grown = value > self._largest or value < self._least or self._clock == 0.0
        self._largest = max(self._largest, value)
        self._least = value if self._clock == 0.0 else min(self._least, value)
        if self._largest == 0.0:
            return
        unit = self._unit()
        self._errors = self.discount * self._errors + ((predicted - value) / unit) ** 2
        limits = np.array([self._largest, self._largest - self._least])
        residual = learn(
            arm, value, features, self.discount, self._gram, self._moments, self._squares, self._theta, limits, grown
        )
        self._residual = residual / unit**2

    def _predict(self, z: Array) -> Array:
        predicted = np.maximum(self._theta @ self._basis(z), 0.0) + self.floor
        return np.where(self._counts > FORGOTTEN, predicted, np.nan)

    def _cap(self, counts: float, clock: float) -> None:
        kept = np.minimum(1.0, counts / np.maximum(self._counts, 1.0))
        self._gram *= kept[:, None, None]
        self._moments *= kept[:, None]
        self._squares *= kept
        self._errors *= min(1.0, clock / max(self._clock, 1.0))
        super()._cap(counts, clock)
