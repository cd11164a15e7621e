"""Any learner for a context: one of its kind for each bin."""

from __future__ import annotations

from typing import Any

from ...operators import Array
from ..preconditioners.recipe import is_whole
from .context_range import ContextRange, finite_context
from .tuner import Decision, Tuner


class Binned(Tuner):
    """The range of a context in equal bins, each with a learner of its own that knows nothing of its neighbours.

    Needs no assumption on how costs depend on the context. For smooth dependence `ChebCB` learns several times faster,
    because every bin must learn everything anew. Memory that of the learner times bins.

    Parameters
    ----------
    learner : Tuner
        What stands in each bin; it is copied, and its generator gives each copy one of its own.
    low, high : float
        Range of the context. One outside goes to the first or last bin.
    bins : int

    Attributes
    ----------
    learners : tuple of Tuner
        One a bin.

    References
    ----------
    Khodak, Chow, Balcan & Talwalkar 2024, doi:10.48550/arXiv.2310.02246.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.tuning import Binned, EpsilonGreedy
    >>> tuner, rng = Binned(EpsilonGreedy(2, rng=0), low=0.0, high=1.0, bins=2), np.random.default_rng(0)
    >>> for c in rng.uniform(size=200):
    ...     arm = tuner.suggest(c)
    ...     tuner.observe(arm, [1.0 + c, 2.0 - c][arm])
    >>> tuner.best(0.1), tuner.best(0.9)
    (0, 1)
    """

    def __init__(self, learner: Tuner, *, low: float, high: float, bins: int) -> None:
        if not isinstance(learner, Tuner):
            raise TypeError(f"Binned needs a learner such as TsallisINF(20), got {type(learner).__name__}")
        if not is_whole(bins, 1):
            raise ValueError(f"bins must be a whole number ≥ 1, got {bins!r}")
        self.bins = int(bins)
        self.range = ContextRange(low, high)
        if self.range.dimensions != 1:
            raise ValueError(f"Binned takes one number as a context, got a range of {self.range.dimensions}")
        super().__init__(learner.arms, discount=learner.discount, rng=learner.rng)
        self.learner = learner
        self._children = self.learners = tuple(learner.spawn() for _ in range(self.bins))

    def __repr__(self) -> str:
        return f"Binned({self.learner!r}, {self.range}, bins={self.bins})"

    def _read(self, context: Any) -> Array:
        return finite_context(context, 1)  # as it is: the learners have ranges of their own

    def _bin(self, context: Array) -> tuple[Tuner, Array]:
        """Return the learner of the bin with the nearest centre, and the context as that one reads it."""
        place = int(0.5 * (self.range.normalised(context)[0] + 1.0) * self.bins)
        learner = self.learners[min(place, self.bins - 1)]
        return learner, learner._read(context)

    def _suggest(self, z: Array) -> Decision:
        learner, own = self._bin(z)
        return learner._suggest(own)

    def _observe(self, arm: int, cost: float, z: Array, own: bool) -> None:
        learner, context = self._bin(z)
        learner._absorb(arm, cost, context, own, censored=False)

    def _completed(self, arm: int, bound: float, z: Array) -> float:
        learner, context = self._bin(z)
        return learner._completed(arm, bound, context)

    def _predict(self, z: Array) -> Array:
        learner, context = self._bin(z)
        return learner._predict(context)

    def _best(self, z: Array) -> int:
        learner, context = self._bin(z)
        return learner._best(context)
