"""One system of a stream: what was played, why, and what it cost."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ...operators import Array

if TYPE_CHECKING:
    from .attempts import Attempt


@dataclasses.dataclass(frozen=True, slots=True)
class Play:
    """A decision.

    Attributes
    ----------
    steps : tuple of (arm, limit)
        The arm to solve with, and those that follow if it does not: each is to be given up when it has cost `limit`,
        its set-up spread over the solves that it serves. The last is the safe arm, whose limit is infinite.
    reason : str
        In a few words.
    probability : float
        With which the first arm was drawn.
    pace : float
        When the first has cost as much, it is given up as soon as it will not stay within its limit at the rate so far.
    """

    steps: tuple[tuple[int, float], ...]
    reason: str
    probability: float = 1.0
    pace: float = math.inf

    @property
    def arm(self) -> int:
        """The first to try."""
        return self.steps[0][0]

    @property
    def limit(self) -> float:
        """What that may cost."""
        return self.steps[0][1]


@dataclasses.dataclass(slots=True)
class Round:
    """A decision with what came of it.

    Attributes
    ----------
    play : Play
    context : (dimensions,) array
    estimate : float
        What the safe arm was expected to cost.
    attempts : list of (arm, outcome, cost)
        The last one ended the round.
    told : float
        Cost of all with set-ups spread: the price of the choice.
    deciding : float
        Seconds spent on choosing and learning.
    """

    play: Play
    context: Array
    estimate: float
    attempts: list[tuple[int, str, float]] = dataclasses.field(default_factory=list)
    told: float = 0.0
    deciding: float = 0.0

    def add(self, arm: int, attempt: Attempt) -> None:
        """Note an attempt."""
        outcome = attempt.note or ("given up for its cost" if attempt.stopped else "solved")
        self.attempts.append((arm, outcome, attempt.charged))
        self.told += attempt.told

    @property
    def arm(self) -> int:
        """The arm that ended the round."""
        return self.attempts[-1][0] if self.attempts else self.play.arm

    @property
    def cost(self) -> float:
        """Of all attempts."""
        return sum(cost for _, _, cost in self.attempts)
