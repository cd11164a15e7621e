"""Whether deciding costs too much for the solves that are decided about."""

from __future__ import annotations

SMALL = 0.01
"""Share of the time of a solve that decisions may take."""

ROUNDS = 20
"""Decisions that are averaged before they are judged."""


class Overhead:
    """Compares the seconds of decisions with those of solves.

    Attributes
    ----------
    seconds : float
        Of all decisions together.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._recent: list[float] = []
        self._mean = 0.0

    def add(self, seconds: float) -> bool:
        """Take in what one decision took, the learning from it included; return whether there are enough to judge."""
        self.seconds += seconds
        self._recent.append(seconds)
        if len(self._recent) < ROUNDS:
            return False
        self._mean, self._recent = sum(self._recent) / len(self._recent), []
        return True

    def excessive(self, cheapest: float) -> str:
        """Return in words that decisions take more than 1 % of the cheapest solve, empty if they do not."""
        mean = self._mean
        if not mean > SMALL * cheapest:
            return ""
        return f"a decision takes {1e6 * mean:.0f} µs, over {SMALL:.0%} of a solve of {1e3 * cheapest:.2g} ms"
