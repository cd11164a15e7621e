"""One probe of each arm, and which of them are worth learning about."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ...operators import Array


@dataclasses.dataclass(slots=True)
class Probe:
    """What is known of an arm before learning begins.

    Attributes
    ----------
    ratio : float
        Cost as a multiple of what the safe arm was expected to cost on the same system; infinite for failures.
    left : int
        Probes still to be made.
    note : str
        What a probe that did not solve its system ended with.
    count : int
        Solves that the ratio is the mean of.
    """

    left: int
    ratio: float = math.nan
    note: str = ""
    count: int = 1


class Pruning:
    """Probes arms in their order, and drops those that cost more than a multiple of the best.

    Costs are compared as multiples of the cost of the safe arm on the same system, so that it does not matter which
    system an arm was probed on.

    Parameters
    ----------
    settling : sequence of int
        For each arm, how many solves come before one that is like the later ones. A probe takes one more.
    safe : int
        The arm that is known, and never dropped.
    factor : float
        Arms beyond this multiple of the best are dropped.
    """

    def __init__(self, settling: list[int], safe: int, factor: float) -> None:
        self._settling, self.safe, self.factor = settling, safe, factor
        self.reset()

    def reset(self) -> None:
        """Forget all probes."""
        self.probes = [Probe(left=1 + more) for more in self._settling]
        self.probes[self.safe] = Probe(left=0, ratio=1.0)

    def next(self) -> int | None:
        """Return the arm to probe, None when all are."""
        return next((arm for arm, probe in enumerate(self.probes) if probe.left), None)

    def record(self, arm: int, ratio: float, note: str = "") -> None:
        """Take in a probe; one with a note did not solve its system, and is not repeated."""
        probe = self.probes[arm]
        probe.ratio, probe.note = ratio, note
        probe.left = 0 if note else probe.left - 1

    def again(self, arm: int, ratio: float) -> None:
        """Take in another solve of an arm that was probed, while others are not."""
        probe = self.probes[arm]
        probe.count += 1
        probe.ratio += (ratio - probe.ratio) / probe.count

    @property
    def ratios(self) -> Array:
        """What each arm costs in units of the safe one, (arms,) array, not-a-number for those not yet probed."""
        return np.array([probe.ratio for probe in self.probes])

    def best(self) -> int:
        """Return the best arm so far."""
        ratios = [probe.ratio if not probe.note else math.inf for probe in self.probes]
        return int(np.nanargmin(ratios))

    def kept(self) -> list[int]:
        """Return the arms that are not dropped; the safe one is among them."""
        limit = self.factor * self.probes[self.best()].ratio
        return [arm for arm, probe in enumerate(self.probes) if arm == self.safe or probe.ratio <= limit]

    def verdict(self, arm: int) -> str:
        """Return why an arm was dropped, empty if it is kept or not known yet."""
        probe, best = self.probes[arm], self.probes[self.best()].ratio
        if probe.left or math.isnan(probe.ratio) or arm == self.safe or probe.ratio <= self.factor * best:
            return ""
        if probe.note and not math.isfinite(probe.ratio):
            return probe.note
        return f"{probe.ratio / best:.1f} × the best" + (f" ({probe.note})" if probe.note else "")
