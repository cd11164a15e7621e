"""The arm whose cost may be least: lower confidence bounds on the logarithm of the cost."""

from __future__ import annotations

import math

import numpy as np

from ...operators import Array
from ..preconditioners.recipe import is_number
from .tuner import FORGOTTEN, Decision, Tuner


class LowerConfidenceBound(Tuner):
    """Each arm once, in order; then the least (mean log cost) − width·σ·√(ln t / n_i), of n_i observations at time t.

    σ is the standard deviation of log costs about the mean of their arm, measured over all arms, so that neither the
    unit of the cost nor its spread matters. Logarithms keep one disastrous solve from deciding. They are also the
    weakness: the least mean log cost is not the least mean cost where an arm is mostly good and sometimes terrible.
    Nothing is left to chance. Memory 4 numbers an arm.

    Parameters
    ----------
    arms : int
    width : float
        Of the confidence interval in units of σ/√n; more of it explores more.
    discount : float
    rng : numpy.random.Generator or int
        Not used.

    References
    ----------
    Auer, Cesa-Bianchi & Fischer 2002, doi:10.1023/A:1013689704352; Garivier & Moulines 2011 for discounts,
    doi:10.1007/978-3-642-24412-4_16.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.tuning import LowerConfidenceBound
    >>> tuner, rng = LowerConfidenceBound(3), np.random.default_rng(0)
    >>> for _ in range(200):
    ...     arm = tuner.suggest()
    ...     tuner.observe(arm, rng.lognormal(mean=[1.0, 0.0, 0.5][arm], sigma=0.3))
    >>> tuner.best(), tuner.counts.argmax()
    (1, np.int64(1))
    """

    _learned = ("logs", "squares")

    def __init__(
        self, arms: int, *, width: float = 1.0, discount: float = 1.0, rng: np.random.Generator | int = 0
    ) -> None:
        super().__init__(arms, discount=discount, rng=rng)
        if not (is_number(width) and width >= 0.0):
            raise ValueError(f"width must be a number ≥ 0, got {width!r}")
        self.width = float(width)

    def _forget(self) -> None:
        super()._forget()
        self._logs = np.zeros(self.arms)
        self._squares = np.zeros(self.arms)  # about the mean of the arm, summed

    def _options(self) -> str:
        return f", width={self.width:g}" + super()._options()

    def _suggest(self, z: Array) -> Decision:
        untried = self._counts <= FORGOTTEN
        if untried.any():
            return Decision(int(untried.argmax()), 1.0, "untried")
        # Of n observations of an arm, one goes into its mean.
        freedom = float(np.maximum(self._counts - 1.0, 0.0).sum())
        variance = float(self._squares.sum()) / max(freedom, 1.0)
        radii = self.width * np.sqrt(variance * math.log(self._clock + 1.0) / self._counts)
        return Decision(int((self._logs / self._counts - radii).argmin()), 1.0, "least bound")

    def _observe(self, arm: int, cost: float, z: Array, own: bool) -> None:
        if self.discount < 1.0:
            self._logs *= self.discount
            self._squares *= self.discount
        value, n = math.log(cost), float(self._counts[arm])
        if n > FORGOTTEN:
            difference = value - self._logs[arm] / n
            self._squares[arm] += difference * difference * n / (n + 1.0)
        self._logs[arm] += value

    def _completed(self, arm: int, bound: float, z: Array) -> float:
        n = float(self._counts[arm])
        return max(bound, math.exp(self._logs[arm] / n)) if n > FORGOTTEN else bound

    def _cap(self, counts: float, clock: float) -> None:
        kept = np.minimum(1.0, counts / np.maximum(self._counts, 1.0))
        self._logs *= kept
        self._squares *= kept
        super()._cap(counts, clock)
