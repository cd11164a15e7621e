"""Which arm to play, and at what cost to give it up: probes first, then a learner, always within the allowance.

Departures from the specification: learners are told the whole price of a choice, who finished the system included,
where it asks for the bound at which an arm was given up. That price is known, and bounds make an arm look cheap that is
good on easy systems and given up on hard ones. For the same reason the favourite is given up by its rate of convergence
and at the backstop, not at a multiple of its own mean: a system may be harder than others for every arm.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...operators import Array
from ..preconditioners.recipe import is_number, is_whole
from .allowance import Allowance
from .attempts import Attempt
from .epsilon_greedy import EpsilonGreedy
from .overhead import Overhead
from .pruning import Pruning
from .restart import RestartOnDrift
from .ridge import Ridge
from .rounds import Play, Round
from .safe_costs import SafeCosts
from .tuner import Tuner

logger = logging.getLogger(__name__)

MARGIN = 0.1
"""By how much the range of contexts is widened beyond those seen while probing."""

EXPLORE = 5.0
"""Of ε-greedy: fewer trials than arms, since all arms were probed and each further try is dear."""

AGAIN = 25
"""Systems after which the safe arm is measured again, if it matters."""

PROBE = "probe"

MEMORY = 500
"""Contexts that are remembered."""

MakeLearner = Callable[[int], Tuner]


class Strategy:
    """The decisions of `OnlineTuner`, which knows of arms only their numbers and costs; see there for what it does.

    Parameters
    ----------
    settling : sequence of int
        For each arm, how many of its solves come before one that is like the later ones.
    safe : int
    make : callable, optional
        Number of arms -> learner.
    patience, waste, backstop, prune : float
    timed : bool
        Whether costs are seconds, so that decisions can be compared with them.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        settling: list[int],
        *,
        safe: int,
        make: MakeLearner | None,
        patience: float,
        waste: float,
        backstop: float,
        prune: float,
        timed: bool,
        clock: Callable[[], float],
    ) -> None:
        for name, value in (("patience", patience), ("backstop", backstop)):
            if not (is_number(value) and value > 1.0):
                raise ValueError(f"{name} must be a number above 1, got {value!r}")
        if not (is_number(waste) and waste >= 0.0):
            raise ValueError(f"waste must be a number ≥ 0, got {waste!r}")
        if isinstance(prune, bool) or not float(prune) > 1.0:
            raise ValueError(f"prune must be above 1, got {prune!r}")
        if make is not None and (isinstance(make, Tuner) or not callable(make)):
            raise TypeError(f"learner must make a Tuner for a number of arms, as a class or a lambda, got {make!r}")
        self.arms, self.safe, self.make = len(settling), safe, make
        self.patience, self.backstop, self.waste = float(patience), float(backstop), float(waste)
        self.timed, self.clock = timed, clock
        self.pruning = Pruning(list(settling), safe, float(prune))
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.history: list[Round] = []
        self.frozen = ""
        self.restarts = 0
        self.account = Allowance(self.waste, self.backstop)
        self.overhead = Overhead()
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget what was learned of costs."""
        self.pruning.reset()
        self.safe_costs = SafeCosts()
        self.learner: Tuner | None = None
        self.kept: list[int] = []
        self.contexts: list[Array] = []
        self._probed: list[tuple[int, float, Array]] = []
        self._failures = self._unmeasured = 0
        self.round: Round | None = None

    def suggest(self, context: Any = None) -> Play:
        """Choose an arm for the next system, and what it may cost.

        Parameters
        ----------
        context : float, (dimensions,) array or None
            What is known of the system: of the same length for all systems, or None for all.

        Returns
        -------
        play : Play
        """
        begin = self.clock()
        z = self.read(context)
        estimate = self.safe_costs.predict(z)
        self.round = Round(play := self._choose(z, estimate), z, estimate)
        self.round.deciding = self.clock() - begin
        return play

    def observe(
        self, arm: int, cost: float, censored: bool = False, *, told: float | None = None, note: str = ""
    ) -> None:
        """Learn what an attempt on the system at hand cost; see `OnlineTuner.observe`."""
        told = cost if told is None else told
        note = note or ("given up for its cost" if censored else "")
        self.take(arm, Attempt(None, cost, told, censored, math.inf, note))

    def read(self, context: Any) -> Array:
        """Return a context as a (dimensions,) array, checked; without entries where there is none."""
        if context is None:
            z: Array = np.zeros(0)
        else:
            try:
                z = np.atleast_1d(np.asarray(context, dtype=float))
            except (TypeError, ValueError) as error:
                raise ValueError(f"a context must be a number or a vector of numbers, got {context!r}") from error
            if z.ndim != 1 or not z.size or not np.isfinite(z).all():
                raise ValueError(f"a context must be a finite number or a vector of such, got {context!r}")
        if self.contexts and self.contexts[0].shape != z.shape:
            wanted = f"{self.contexts[0].size} numbers" if self.contexts[0].size else "none"
            raise ValueError(f"contexts of one stream are of one length: expected {wanted}, got {context!r}")
        return z

    def _choose(self, z: Array, estimate: float) -> Play:
        """Return what to play: the safe arm, whose cost is estimated, unless another is worth its risk."""
        if not math.isfinite(estimate):
            return self._play_safe("the measure of all others")
        if self.frozen:
            favourite = self.safe if self._failures >= 3 else self.favourite(z)
            if favourite == self.safe:
                return self._play_safe("frozen")
            return Play(((favourite, self.backstop * estimate), (self.safe, math.inf)), "frozen")
        if self._unmeasured >= AGAIN and self.account.tight:
            return self._play_safe("to be measured again")
        probe = self.pruning.next()
        if probe is None and self.learner is None:
            self._begin_learning()
        if self.learner is None:
            arm, reason, probability = probe, PROBE, 1.0
            favourite = self.pruning.best()
            least = float(self.pruning.ratios[favourite]) * estimate
        else:
            known = z if z.size else None
            decision = self.learner.suggest(known)
            predicted = self.learner.predict(known)
            place = decision.arm if np.isnan(predicted).all() else int(np.nanargmin(predicted))
            arm, reason, probability = self.kept[decision.arm], decision.reason, decision.probability
            favourite, least = self.kept[place], float(np.fmin(predicted[place], self.backstop * estimate))
        assert arm is not None
        if arm not in (favourite, self.safe):
            trial = self.account.room(estimate, trial=True)
            limit = min(self.patience * least, trial)
            if trial >= min(self.patience, 2.0) * least:
                # What an arm leaves unsolved, the favourite solves more cheaply than the safe arm.
                helped = favourite != self.safe and least < estimate and self.account.room(estimate) >= 2.0 * limit
                second = ((favourite, limit),) if helped else ()
                steps = ((arm, limit), *second, (self.safe, math.inf))
                return Play(steps, reason, probability, pace=least)
            arm, reason, probability = favourite, f"no room for {'probes' if probe is not None else 'others'}", 1.0
        room = self.account.room(estimate)
        if arm == self.safe or room < least:
            return self._play_safe(reason, probability)
        # The system may be harder than others for every arm: while the favourite gets on, it is not given up.
        return Play(
            ((arm, room), (self.safe, math.inf)), reason, probability, pace=self.patience * max(least, estimate)
        )

    def _play_safe(self, reason: str, probability: float = 1.0) -> Play:
        return Play(((self.safe, math.inf),), reason, probability)

    def favourite(self, z: Array) -> int:
        """Return the arm that is best as far as is known."""
        if self.learner is None:
            return self.pruning.best()
        return self.kept[self.learner.best(z if z.size else None)]

    def _begin_learning(self) -> None:
        """Drop arms, and let the learner know of the probes of the others."""
        self.kept = self.pruning.kept()
        self.learner = self.made(len(self.kept), self.contexts)
        for arm, cost, z in self._probed:
            self._teach(arm, cost, z)
        self._probed = []
        logger.info("%d of %d arms are kept, for %r", len(self.kept), self.arms, self.learner)

    def made(self, size: int, contexts: list[Array]) -> Tuner:
        """Return a learner for so many arms, and for contexts like some."""
        if self.make is not None:
            learner = self.make(size)
        elif not contexts or not contexts[0].size:
            learner = RestartOnDrift(EpsilonGreedy(size, explore=EXPLORE))
        else:
            seen = np.array(contexts)
            low, high = seen.min(axis=0), seen.max(axis=0)
            width = np.maximum(high - low, 1e-9 * np.maximum(np.abs(high), 1.0))
            learner = Ridge(size, low=low - MARGIN * width, high=high + MARGIN * width)
        if not isinstance(learner, Tuner) or learner.arms != size:
            raise TypeError(f"learner must make a Tuner for {size} arms, got {learner!r}")
        return learner

    def _teach(self, arm: int, cost: float, z: Array) -> None:
        if self.learner is None:
            self._probed.append((arm, cost, z))
        elif arm in self.kept:
            self.learner.observe(self.kept.index(arm), cost, context=z if z.size else None)

    def take(self, arm: int, attempt: Attempt) -> None:
        """Learn from an attempt on the system at hand."""
        begin, now = self.clock(), self.round
        if now is None:
            raise ValueError("there is no system at hand: call suggest first")
        if not (is_whole(arm, 0) and arm < self.arms):
            raise ValueError(f"there are arms 0 to {self.arms - 1}, got {arm!r}")
        if not (
            is_number(attempt.charged) and attempt.charged > 0.0 and is_number(attempt.told) and attempt.told > 0.0
        ):
            raise ValueError(f"a cost must be a positive finite number, got {attempt.charged!r}, {attempt.told!r}")
        first = not now.attempts
        now.add(arm, attempt)
        if first and self.pruning.probes[arm].left:
            estimate = now.estimate if math.isfinite(now.estimate) else attempt.told
            cost = attempt.forecast if attempt.stopped else math.inf if attempt.note else attempt.told
            self.pruning.record(arm, cost / estimate, attempt.note)
        elif not first and arm != self.safe and self.learner is None:
            self.pruning.again(arm, attempt.told / now.estimate + attempt.unsolved)
        if attempt.unsolved and arm != self.safe:
            self.account.charge(attempt.charged)
        else:
            self._close(attempt, now)
        now.deciding += self.clock() - begin
        if self.round is None:
            self._watch_overhead(now.deciding, now.context)

    def _close(self, last: Attempt, now: Round) -> None:
        """End the round: what was chosen is charged with all that its choice has cost, who finished it included.

        The learner is not told of an arm that finishes what another has left: it has seen a harder system than most.
        """
        arm, price = now.play.arm, now.told
        self.account.close(last.charged, safe=last.charged if arm == self.safe else now.estimate)
        self._unmeasured += 1
        if arm == self.safe:
            self.safe_costs.observe(last.told, now.context)
            self._unmeasured = 0
        if self.frozen:
            self._failures = self._failures + 1 if len(now.attempts) > 1 else self._failures if arm == self.safe else 0
        elif not self.pruning.probes[arm].left:  # else it is not like the later ones
            if self.learner is None and now.play.reason != PROBE and arm != self.safe:
                self.pruning.again(arm, price / now.estimate)
            self._teach(arm, price, now.context)
        self.history.append(now)
        self.contexts = [*self.contexts[-MEMORY:], now.context] if now.context.size else [now.context]
        self.round = None
        self._watch_drift()

    def _watch_drift(self) -> None:
        """Begin anew, the arms that were dropped included, when the learner has noticed that costs are others."""
        if isinstance(self.learner, RestartOnDrift) and self.learner.restarts:
            self.restarts += 1
            self._begin_anew()
            logger.info("costs have drifted: all arms are probed again")

    def _watch_overhead(self, seconds: float, z: Array) -> None:
        if not self.timed or self.frozen:
            return
        if self.overhead.add(seconds) and self.learner is not None:
            cheapest = float(np.nanmin(self.learner.predict(z if z.size else None)))
            self.frozen = self.overhead.excessive(cheapest)
            if self.frozen:
                logger.info("the tuner is switched off: %s", self.frozen)
