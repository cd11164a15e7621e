"""Whether recycling pays on the sequence at hand: measured, not assumed."""

from __future__ import annotations

import dataclasses

import numpy as np

SHORT = 4
"""A cold solve of fewer than this times k iterations leaves nothing to gain."""

UNRELATED = 0.6
"""Drift above which two systems have too little in common. Recycling was measured to help up to 0.58 and to cost 4 % at
0.73 in another code; here it only calls for a comparison."""

TRIALS = 4
"""Recycled solves to average before they are compared with a cold one."""


@dataclasses.dataclass
class Benefit:
    """Compares the products of recycled and cold solves, and suspends recycling while it does not pay.

    Every `interval` solves one is cold. Recycling is dropped when its mean, set-up included, is not below that of the
    last cold ones, and tried again after twice as many solves; and for as long as cold solves are shorter than 4k
    iterations. Cold solves from long before only call for another: the systems may have become harder since.

    Attributes
    ----------
    reason : str
        Why the last solve was cold, empty if it was not.
    """

    interval: int = 25
    reason: str = "no space yet"
    _cold: list[float] = dataclasses.field(default_factory=list)
    _recycled: list[float] = dataclasses.field(default_factory=list)
    _suspended: int = 0
    _short: bool = False
    _since_cold: int = 0
    _proven: bool = False

    def allows(self) -> bool:
        """Return whether the next system should be given a space."""
        if self._short:
            self.reason = "a cold solve is too short for recycling to pay"
        elif self._suspended:
            self.reason = "recycling did not pay"
        elif not self._cold:
            self.reason = "a cold solve for comparison" if self._recycled else "no space yet"
        elif self._since_cold >= self.interval:
            self.reason = "a cold solve for comparison"
        else:
            self.reason = ""
        return not self.reason

    def observe(self, products: float, iterations: int, k: int, recycled: bool, drift: float) -> None:
        """Take in one finished solve: its products with A for each column, set-up included."""
        if recycled:
            self._since_cold += 1
            self._recycled = [*self._recycled[-TRIALS + 1 :], products]
            if drift > UNRELATED and len(self._recycled) >= 2 and not self._proven:
                self.compare_next()
            if len(self._recycled) >= TRIALS and not self._pays():
                if self._since_cold > TRIALS:
                    self.compare_next()
                else:
                    self._suspend()
            return
        if iterations == 0:
            return  # started at the solution: nothing is learned
        self._short = iterations < SHORT * k
        self._cold = [*(self._cold[-TRIALS + 1 :] if self._since_cold == 0 else []), products]
        self._since_cold, self._suspended = 0, max(self._suspended - 1, 0)
        if len(self._recycled) >= 2:
            self._proven = self._pays()
            if not self._proven:
                self._suspend()
        self._recycled = []

    def compare_next(self) -> None:
        """Have the next system solved cold."""
        self._since_cold = max(self._since_cold, self.interval)

    def _pays(self) -> bool:
        return not self._cold or bool(np.mean(self._recycled) < np.mean(self._cold))

    def _suspend(self) -> None:
        self._suspended, self._recycled, self._proven = 2 * self.interval, [], False
