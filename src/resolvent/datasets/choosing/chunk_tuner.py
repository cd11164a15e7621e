"""The learner of a tuned set: which arm makes the next chunk, from what chunks took so far.

A set has tens of chunks, seldom hundreds, so trials must be few. The packaged estimates say in which order arms are
worth a trial and which are not worth any; each gets one chunk; what is much slower than the best gets no other; among
the rest a lower confidence bound decides (`resolvent.solvers.tuning.LowerConfidenceBound`), which explores only within
the spread that was measured. It draws nothing at random: what was observed determines the next decision, so that a
resumed or extended run goes on from stored decisions and times alone. A random trial of any arm, as ε-greedy makes, or
the weighted draws of Tsallis-INF would each cost about as much as all the trials here.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Sequence

from ...solvers.tuning import LowerConfidenceBound
from .arms import Arm

WORTH_A_TRIAL = 3.0
"""An arm is tried if it is estimated to take at most this times what the best one was seen to take."""

MUCH_SLOWER = 2.0
"""An arm whose chunks took this times those of the best one, on average, is not taken again."""


class ChunkTuner:
    """Chooses an arm for each chunk.

    Parameters
    ----------
    arms : sequence of Arm
        The safe one first.
    """

    def __init__(self, arms: Sequence[Arm]) -> None:
        self.arms = {arm.name: arm for arm in arms}
        self._safe = arms[0]
        self._costs: list[tuple[str, float]] = []
        self._sums: dict[str, tuple[int, float]] = {}
        self._pending: Counter[str] = Counter()
        self._kept: list[str] = []
        self._learner = LowerConfidenceBound(1)

    def begun(self, name: str) -> None:
        """A chunk was decided for an arm, and is not finished."""
        self._pending[name] += 1

    def finished(self, name: str, seconds: float | None) -> None:
        """A chunk of an arm is finished; `seconds` is what a sample took, None where that is not to be learned from."""
        if self._pending[name]:
            self._pending[name] -= 1
        if name not in self.arms or seconds is None or not (math.isfinite(seconds) and seconds > 0.0):
            return
        self._costs.append((name, seconds))
        count, total = self._sums.get(name, (0, 0.0))
        self._sums[name] = (count + 1, total + seconds)
        means = self.means()
        kept = [name for name in means if means[name] <= MUCH_SLOWER * min(means.values())]
        if kept == self._kept:
            self._learner.observe(kept.index(name), seconds) if name in kept else None
            return
        self._kept, self._learner = kept, LowerConfidenceBound(len(kept))
        for other, cost in self._costs:
            if other in kept:
                self._learner.observe(kept.index(other), cost)

    def means(self) -> dict[str, float]:
        """Return the mean seconds a sample of each arm observed, in the order of the arms."""
        return {name: self._sums[name][1] / self._sums[name][0] for name in self.arms if name in self._sums}

    def decide(self) -> tuple[Arm, str]:
        """Return the arm of the next chunk, and why; from then on it counts as begun."""
        name, reason = self._choose()
        self.begun(name)
        return self.arms[name], reason

    def _choose(self) -> tuple[str, str]:
        safe, means = self._safe, self.means()
        if len(self.arms) == 1:
            return safe.name, "the only one"
        if self._untried(safe, means):
            return safe.name, "by rule"
        limit = WORTH_A_TRIAL * min(means.values(), default=safe.seconds)
        for arm in self.arms.values():
            if not arm.variant_of and arm.seconds <= limit and self._untried(arm, means):
                return arm.name, "untried"
        if not means:
            return safe.name, "by rule"
        best = min(means, key=means.__getitem__)
        base = self.arms[best].variant_of or best
        for arm in self.arms.values():
            if arm.variant_of == base and self._untried(arm, means):
                return arm.name, f"untried variant of {base}"
        learner = copy.deepcopy(self._learner)
        for place, name in enumerate(self._kept):  # those under way are taken to cost what their arm did
            for _ in range(self._pending[name]):
                learner.observe(place, means[name])
        chosen = self._kept[learner.suggest().arm]
        return chosen, "least so far" if chosen == best else "perhaps less"

    def _untried(self, arm: Arm, means: dict[str, float]) -> bool:
        return arm.name not in means and not self._pending[arm.name]
