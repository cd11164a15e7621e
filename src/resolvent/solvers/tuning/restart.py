"""Begin anew when the costs of the favourite are no longer what they were."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...operators import Array
from ..preconditioners.recipe import is_number, is_whole
from .tuner import Decision, Tuner

# An arm needs as many observations before its spread is trusted.
TRUSTED = 20.0


class RestartOnDrift(Tuner):
    """Any learner, reset when its favourite arm costs something else than before for several solves in a row.

    The favourite is the arm observed most often since the last reset. Its costs have a band of `sigmas` standard
    deviations about their mean, in logarithms; `patience` observations of it outside, one after the other, reset the
    learner, which then explores as at the beginning. Catches sudden changes that a discount follows slowly, and costs
    nothing while there are none. It cannot see another arm become better; that takes a discount.

    Parameters
    ----------
    learner : Tuner
        It is copied, as by `Tuner.spawn`.
    sigmas : float
    patience : int

    Attributes
    ----------
    restarts : int
        How often the learner was reset.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.tuning import EpsilonGreedy, RestartOnDrift
    >>> tuner, rng = RestartOnDrift(EpsilonGreedy(3, rng=0)), np.random.default_rng(0)
    >>> for t in range(400):
    ...     arm = tuner.suggest()
    ...     costs = [1.0, 2.0, 4.0] if t < 200 else [4.0, 2.0, 1.0]
    ...     tuner.observe(arm, costs[arm] * rng.uniform(0.9, 1.1))
    >>> tuner.best(), tuner.restarts
    (2, 1)
    """

    _learned = ("number", "means", "deviations", "outside", "restarts_made")

    def __init__(self, learner: Tuner, *, sigmas: float = 3.0, patience: int = 10) -> None:
        if not isinstance(learner, Tuner):
            raise TypeError(f"RestartOnDrift needs a learner such as EpsilonGreedy(20), got {type(learner).__name__}")
        if not (is_number(sigmas) and sigmas > 0.0):
            raise ValueError(f"sigmas must be a positive number, got {sigmas!r}")
        if not is_whole(patience, 1):
            raise ValueError(f"patience must be a whole number ≥ 1, got {patience!r}")
        self.sigmas, self.patience = float(sigmas), int(patience)
        super().__init__(learner.arms, discount=learner.discount, rng=learner.rng)
        self.learner = learner.spawn()
        self._children = (self.learner,)

    def _forget(self) -> None:
        super()._forget()
        self._start()
        self._restarts_made = 0

    def _start(self) -> None:
        """Forget the bands."""
        self._number = np.zeros(self.arms)
        self._means = np.zeros(self.arms)
        self._deviations = np.zeros(self.arms)  # squared, summed
        self._outside = 0

    @property
    def restarts(self) -> int:
        """How often the learner was reset."""
        return self._restarts_made

    def __repr__(self) -> str:
        return f"RestartOnDrift({self.learner!r}, sigmas={self.sigmas:g}, patience={self.patience})"

    def _read(self, context: Any) -> Array:
        return self.learner._read(context)

    def _suggest(self, z: Array) -> Decision:
        return self.learner._suggest(z)

    def _observe(self, arm: int, cost: float, z: Array, own: bool) -> None:
        self.learner._absorb(arm, cost, z, own, censored=False)
        value, n = math.log(cost), self._number[arm]
        difference = value - self._means[arm]
        if arm == self._number.argmax() and n >= TRUSTED:
            # Rounding alone must not be a drift where a cost is always the same.
            spread = math.sqrt(self._deviations[arm] / (n - 1.0)) + 1e-6
            if abs(difference) > self.sigmas * spread:
                self._outside += 1
                if self._outside >= self.patience:
                    self.learner.reset()
                    super()._forget()
                    self._start()
                    self._restarts_made += 1
                return  # what may be drift must not widen the band
            self._outside = 0
        self._number[arm] += 1.0
        self._means[arm] += difference / (n + 1.0)
        self._deviations[arm] += difference * difference * n / (n + 1.0)

    def _completed(self, arm: int, bound: float, z: Array) -> float:
        return self.learner._completed(arm, bound, z)

    def _predict(self, z: Array) -> Array:
        return self.learner._predict(z)

    def _best(self, z: Array) -> int:
        return self.learner._best(z)

    def _cap(self, counts: float, clock: float) -> None:
        super()._cap(counts, clock)
        self._start()
