"""ε-greedy: the least mean, and a random arm ever more rarely."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..preconditioners.recipe import is_number
from .tuner import FORGOTTEN, Decision, Tuner


class EpsilonGreedy(Tuner):
    """Each arm once, in order; then a random one with probability min(1, explore/t) at time t, else the least mean.

    The simplest learner, and on relaxation factors as good as any that uses no context. Memory 2 numbers an arm.
    Not for costs that an adversary chooses, or where a trial of the worst arm is not affordable at any time.

    Parameters
    ----------
    arms : int
    explore : float, optional
        Over T solves about explore·ln T arms are drawn at random; as many as there are arms by default.
    discount : float
        Below 1, means follow drifting costs, and exploration never falls below explore·(1 − discount).
    rng : numpy.random.Generator or int

    References
    ----------
    Auer, Cesa-Bianchi & Fischer 2002, doi:10.1023/A:1013689704352, figure 3.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.tuning import EpsilonGreedy
    >>> tuner, costs = EpsilonGreedy(3, rng=0), np.array([5.0, 2.0, 3.0])
    >>> for _ in range(200):
    ...     arm = tuner.suggest()
    ...     tuner.observe(arm, costs[arm])
    >>> tuner.best(), tuner.counts.argmax()
    (1, np.int64(1))
    """

    def __init__(
        self, arms: int, *, explore: float | None = None, discount: float = 1.0, rng: np.random.Generator | int = 0
    ) -> None:
        super().__init__(arms, discount=discount, rng=rng)
        if explore is not None and not (is_number(explore) and explore >= 0.0):
            raise ValueError(f"explore must be a number ≥ 0, got {explore!r}")
        self.explore = float(arms if explore is None else explore)

    def _options(self) -> str:
        return f", explore={self.explore:g}" + super()._options()

    def _suggest(self, z: Array) -> Decision:
        untried = self._counts <= FORGOTTEN
        if untried.any():
            return Decision(int(untried.argmax()), 1.0, "untried")
        chance = min(1.0, self.explore / (self._clock + 1.0))
        best = int((self._totals / self._counts).argmin())
        if self.rng.random() < chance:
            arm = int(self.rng.integers(self.arms))
            return Decision(arm, chance / self.arms + (1.0 - chance) * (arm == best), "explore")
        return Decision(best, 1.0 - chance + chance / self.arms, "least mean")
