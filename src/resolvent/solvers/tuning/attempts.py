"""Solving with one arm under a limit, and what it cost."""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...operators import Array, StructureError
from ..progress import Callback, Progress
from ..result import Result
from ..sequences import Sequence as Systems
from ..status import Status
from .arm import Arm
from .work import FAILED_SETUP, Price, price

LEAST = {"seconds": 1e-7, "work": 1e-3}
"""Costs below are not told apart."""

TRUST = 1.0
"""Solves that the expected share of set-ups weighs as many as."""


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """How an arm did on one system.

    Attributes
    ----------
    result : Result or None
        None where the set-up raised.
    charged : float
        What it cost, set-up included where there was one.
    told : float
        The same with the set-up spread over the solves that it is expected to serve: what a learner compares.
    stopped : bool
        Whether it was given up for its cost.
    forecast : float
        Where it was, what `told` would have become at the rate of convergence so far; infinite where there was none.
    note : str
        Why it did not solve its system; empty if it did, or if the caller's callback stopped it.
    error : Exception or None
        What its set-up raised.
    """

    result: Result | None
    charged: float
    told: float
    stopped: bool = False
    forecast: float = math.inf
    note: str = ""
    error: Exception | None = None

    @property
    def unsolved(self) -> bool:
        """Whether the system is still to be solved."""
        return self.stopped or bool(self.note)


class Attempts:
    """Holds what each arm keeps between its solves, for as many arms as may be kept, those used last.

    Parameters
    ----------
    arms : sequence of Arm
    cost : {"seconds", "work"}
    keep : int
        How many arms keep their preconditioner, recycle space and solutions.
    clock : callable
        Seconds.
    """

    def __init__(self, arms: Sequence[Arm], cost: str, keep: int, clock: Callable[[], float]) -> None:
        self.arms, self.cost, self.keep, self.clock = arms, cost, keep, clock
        self.reset()

    def reset(self) -> None:
        """Drop everything that is kept."""
        self._systems: OrderedDict[int, Systems] = OrderedDict()
        self._setups: dict[int, float] = {}
        self._plays = np.zeros(len(self.arms))
        self._renewals = np.zeros(len(self.arms))
        self._warm: set[tuple[type, type]] = set()
        self.warming = 0.0
        """Seconds spent on loading compiled code before an arm was first timed."""

    def share(self, arm: int) -> float:
        """Return the share of solves with a set-up: the expected one at first, what was counted later."""
        # The first solve always has one.
        plays, renewals = max(self._plays[arm] - 1.0, 0.0), max(self._renewals[arm] - 1.0, 0.0)
        return float((renewals + TRUST * self.arms[arm].renewal) / (plays + TRUST))

    def run(
        self,
        arm: int,
        A: Any,
        b: Array,
        *,
        limit: float = math.inf,
        pace: float = math.inf,
        callback: Callback | None = None,
    ) -> Attempt:
        """Solve with an arm until it has cost `limit`, its set-up spread over the solves that it serves.

        From `pace` on it is given up as soon as its residual falls too slowly to stay within the limit.

        What raises ValueError, StructureError, ArithmeticError or MemoryError is an attempt that failed.
        """
        systems = self._take(arm)
        if self.cost == "seconds":
            self._load(arm, A, b)
        watch = Watch(self, arm, systems, limit, pace, callback)
        try:
            result = systems.solve(A, b, callback=watch if watch.needed else callback)
        except (ValueError, StructureError, ArithmeticError, MemoryError) as error:
            systems.reset()  # whatever it had begun
            spent = max(self.clock() - watch.begin, LEAST["seconds"]) if self.cost == "seconds" else FAILED_SETUP
            return Attempt(None, spent, spent, note=f"{type(error).__name__}: {error}".splitlines()[0], error=error)
        spent = self.clock() - watch.begin
        running, setup = watch.settled(result, spent)
        if setup:
            self._setups[arm] = setup
            self._renewals[arm] += 1.0
        self._plays[arm] += 1.0
        least = LEAST[self.cost]  # a solve for b = 0 costs next to nothing
        told = max(running + self.share(arm) * self._setups.get(arm, 0.0), least)
        charged = max(running + setup, least)
        if watch.stopped and not result.converged:
            if result.extra.get("age", 0):
                systems.reset()  # an old preconditioner is not given a second chance
            return Attempt(result, charged, told, True, _forecast(result, told), "given up for its cost")
        note = "" if result.converged or result.status is Status.STOPPED else result.status.name
        return Attempt(result, charged, told, note=note)

    def _take(self, arm: int) -> Systems:
        """Return the sequence of an arm, new if it was dropped."""
        systems = self._systems.pop(arm, None) or self.arms[arm].sequence()
        self._systems[arm] = systems
        while len(self._systems) > self.keep:
            self._systems.popitem(last=False)
        return systems

    def _load(self, arm: int, A: Any, b: Array) -> None:
        """Have compiled code loaded, so that the first solve that is timed is like the others."""
        chosen = self.arms[arm]
        kind = (type(chosen.solver), type(chosen.M))
        if kind in self._warm:
            return
        self._warm.add(kind)
        begin = self.clock()
        once = dataclasses.replace(chosen, solver=dataclasses.replace(chosen.solver, maxiter=2), name="")
        try:
            once.sequence().solve(A, b)
        except (ValueError, StructureError, ArithmeticError, MemoryError):
            return  # the attempt itself will say so
        finally:
            self.warming += self.clock() - begin


class Watch:
    """The callback that stops a solve when it has cost enough, and the account of what it cost."""

    def __init__(
        self,
        attempts: Attempts,
        arm: int,
        systems: Systems,
        limit: float,
        pace: float,
        callback: Callback | None,
    ) -> None:
        self._attempts, self._arm, self._systems, self._callback = attempts, arm, systems, callback
        self._limit, self._pace = limit, pace
        self._digits, self._gained = math.nan, 0.0
        self.needed = math.isfinite(limit)
        self.stopped = False
        self._timed = attempts.cost == "seconds"
        self._price: Price | None = None
        self._before, self._began_with = (systems.rebuilt, systems.followed), systems.prepared
        self._finished, self._last = 0, 0  # iterations of solves that were repeated, and of this one
        self._began = 0.0
        self.begin = attempts.clock()

    def __call__(self, progress: Progress) -> Any:
        """Be told of an iteration; return whether to stop."""
        if self._callback is not None and self._callback(progress):
            return True
        if progress.iteration <= self._last:
            self._finished += self._last
        self._last = progress.iteration
        running, setup = self._so_far(progress)
        spread = self._attempts.share(self._arm) * (setup or self._attempts._setups.get(self._arm, 0.0))
        cost, gained = running + spread, self._gained_part(progress)
        self.stopped = cost >= self._limit or (cost >= self._pace and cost > gained * self._limit)
        return self.stopped

    def _gained_part(self, progress: Progress) -> float:
        """Return the part of the digits that are gained, in the column that is furthest behind."""
        if self._pace == math.inf:
            return 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            left = float(np.log(np.max(progress.residual_norm / progress.tolerance)))
        if math.isnan(self._digits):
            self._digits = left
        self._gained = max(self._gained, self._digits - left)
        return self._gained / self._digits if self._digits > 0.0 else 1.0 if self._digits <= 0.0 else 0.0

    def _so_far(self, progress: Progress) -> tuple[float, float]:
        if self._timed:
            spent = self._attempts.clock() - self.begin
            if self._price is None:
                self._price = price(self._prepared())
                # Nearly all that came before the first iteration was set-up, if there was one.
                self._began = spent if self._renewals() else 0.0
            return spent - self._began, self._began
        if self._price is None:
            self._price = price(self._prepared())
        assert progress.counts is not None
        return self._price.running(progress.counts, self._finished + self._last), self._setup(self._price)

    def settled(self, result: Result, spent: float) -> tuple[float, float]:
        """Return what the solve cost without set-up, and its set-up."""
        if self._timed:
            setup = min(result.seconds.prepare, spent) if self._renewals() else 0.0
            return spent - setup, setup
        known = price(self._prepared())
        return known.running(result.counts, self._finished + result.iterations), self._setup(known)

    def _prepared(self) -> Any:
        prepared = self._systems.prepared
        assert prepared is not None
        return prepared

    def _setup(self, known: Price) -> float:
        """Return the work of the set-ups since the solve began: of M, or of what the method itself prepares."""
        return known.setup * self._renewals()

    def _renewals(self) -> int:
        # A changed pattern begins with another object, and counts from zero.
        rebuilt, followed = self._before if self._systems.prepared is self._began_with else (0, 0)
        own = self._attempts.arms[self._arm].M is None
        return self._systems.followed - followed if own else self._systems.rebuilt - rebuilt


def _forecast(result: Result, told: float) -> float:
    """Return what a solve would have cost that was given up, if it had gone on as before."""
    begin, end, goal = float(result.history[0]), float(result.residual_norm), result.tolerance
    if not (0.0 < end < begin and goal > 0.0):
        return math.inf
    return told * max(math.log(begin / goal) / math.log(begin / end), 1.0)
