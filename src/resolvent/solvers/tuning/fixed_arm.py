"""One arm always: what every learner is compared with."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ..preconditioners.recipe import is_whole
from .tuner import Decision, Tuner


class FixedArm(Tuner):
    """Always the same arm; means of what it, or what was played instead of it, cost are kept all the same.

    Parameters
    ----------
    arms : int
    arm : int
        The one that is always suggested.
    rng : numpy.random.Generator or int
        Not used.

    Examples
    --------
    >>> from resolvent.solvers.tuning import FixedArm
    >>> FixedArm(20, arm=13).suggest()
    Decision(arm=13, probability=1.0, reason='fixed')
    """

    def __init__(self, arms: int, *, arm: int, rng: np.random.Generator | int = 0) -> None:
        super().__init__(arms, rng=rng)
        if not (is_whole(arm, 0) and arm < arms):
            raise ValueError(f"arm must be a whole number from 0 to {self.arms - 1}, got {arm!r}")
        self.arm = int(arm)

    def _options(self) -> str:
        return f", arm={self.arm}"

    def _suggest(self, z: Array) -> Decision:
        return Decision(self.arm, 1.0, "fixed")

    def _best(self, z: Array) -> int:
        return self.arm
