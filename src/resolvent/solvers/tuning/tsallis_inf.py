"""Tsallis-INF: the bandit that is optimal for random and for adversarial costs.

Departures from the published program that tuned relaxation factors: probabilities come from a bracketed root, so that
they sum to one (its 20 Newton steps from x = −1 mostly do not converge); of costs a known least one can be subtracted
or not, as the unit of the cost demands.
"""

from __future__ import annotations

import math

import numpy as np

from ...operators import Array
from ..preconditioners.recipe import is_number
from .tuner import Decision, Tuner, drawn

# From the published program: the correction is applied once both t and t p_j have reached this.
TRUSTED = 16.0


class TsallisINF(Tuner):
    """Draws from p_i = 4/(η (ℓ_i − x))², Σ p = 1, where ℓ are estimates of the summed cost of every arm, η = 2/√t.

    A cost is added to its own arm after division by the probability of that arm, which makes estimates unbiased, and
    measured in units of the mean cost so far. No context, no assumption on costs but that they are bounded; regret
    O(√(dT)). Estimates by division are noisy: where costs are independent and their law is fixed, ε-greedy is as good
    and simpler. Memory 4 numbers an arm; a decision takes at most 9 Newton steps of 20 operations an arm.

    Parameters
    ----------
    arms : int
    reduced_variance : bool
        Estimates are corrected by ½ − ½·1{j = i}/p_j for arms of which the estimate is reliable, and η = 4/√t, which
        halves the regret for random costs.
    floor : float
        The least a solve can cost, subtracted before anything else: 1 for iterations, 0 for seconds.
    discount : float
        Below 1, sums are discounted and t is the effective number of observations, so that exploration never ends.
    rng : numpy.random.Generator or int

    Attributes
    ----------
    probabilities : (arms,) array
        That the last arm was drawn from.
    newton_steps, excess : int, float
        Of the root behind them, and Σ p − 1 there.

    References
    ----------
    Zimmert & Seldin 2021, doi:10.48550/arXiv.1807.07623. For relaxation factors: Khodak, Chow, Balcan & Talwalkar 2024,
    doi:10.48550/arXiv.2310.02246.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.tuning import TsallisINF
    >>> tuner, costs = TsallisINF(3, rng=0), np.array([5.0, 2.0, 3.0])
    >>> for _ in range(1000):
    ...     arm = tuner.suggest()
    ...     tuner.observe(arm, costs[arm])
    >>> tuner.best(), int(tuner.counts.argmax())
    (1, 1)
    """

    _learned = ("losses", "shift", "scale_sum", "scale_weight", "p")

    def __init__(
        self,
        arms: int,
        *,
        reduced_variance: bool = False,
        floor: float = 0.0,
        discount: float = 1.0,
        rng: np.random.Generator | int = 0,
    ) -> None:
        super().__init__(arms, discount=discount, rng=rng)
        if not (is_number(floor) and floor >= 0.0):
            raise ValueError(f"floor must be a number ≥ 0, got {floor!r}")
        self.reduced_variance = bool(reduced_variance)
        self.floor = float(floor)
        self.newton_steps, self.excess = 0, 0.0
        self._scratch = np.empty(self.arms)

    def _forget(self) -> None:
        super()._forget()
        self._losses = np.zeros(self.arms)
        self._shift = np.zeros(self.arms)
        self._scale_sum = self._scale_weight = 0.0
        self._p = np.full(self.arms, 1.0 / self.arms)

    def _options(self) -> str:
        text = ", reduced_variance=True" if self.reduced_variance else ""
        return text + (f", floor={self.floor:g}" if self.floor else "") + super()._options()

    @property
    def probabilities(self) -> Array:
        """Of the arms at the last suggestion."""
        return self._p.copy()

    def _suggest(self, z: Array) -> Decision:
        from .tsallis_kernels import choice_probabilities

        # The mean cost is 1 before any, and where all costs were the least possible.
        scale = self._scale_sum / self._scale_weight if self._scale_sum > 0.0 else 1.0
        eta = (4.0 if self.reduced_variance else 2.0) / math.sqrt(self._clock + 1.0)
        self.newton_steps, self.excess = choice_probabilities(
            self._losses, self._shift, scale, eta, self._scratch, self._p
        )
        arm = drawn(self._p, self.rng)
        return Decision(arm, float(self._p[arm]), "drawn")

    def _observe(self, arm: int, cost: float, z: Array, own: bool) -> None:
        if not own:
            return  # with a probability that is not its own, a cost would make the estimates biased
        loss = max(cost - self.floor, 0.0)
        if self.discount < 1.0:
            self._losses *= self.discount
            self._shift *= self.discount
        self._losses[arm] += loss / self._p[arm]
        self._scale_sum = self.discount * self._scale_sum + loss
        self._scale_weight = self.discount * self._scale_weight + 1.0
        t = self._clock + 1.0
        if self.reduced_variance and t >= TRUSTED:
            trusted = t * self._p >= TRUSTED
            self._shift[trusted] += 0.5
            if trusted[arm]:
                self._shift[arm] -= 0.5 / self._p[arm]

    def _completed(self, arm: int, bound: float, z: Array) -> float:
        return bound  # a prediction in its place would be divided by the probability of another day

    def _cap(self, counts: float, clock: float) -> None:
        kept = min(1.0, clock / max(self._clock, 1.0))
        self._losses *= kept
        self._shift *= kept
        self._scale_sum *= kept
        self._scale_weight *= kept
        super()._cap(counts, clock)
