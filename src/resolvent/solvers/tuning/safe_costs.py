"""What the safe arm would cost on a system that it does not solve."""

from __future__ import annotations

import numpy as np

from ...operators import Array

NEAREST = 3


class SafeCosts:
    """Predicts the cost of the safe arm from its last solves: their mean, or that of the nearest ones by context.

    Parameters
    ----------
    window : int
        Solves that are remembered.
    """

    def __init__(self, window: int = 500) -> None:
        self._costs = np.zeros(window)
        self._contexts = np.zeros((window, 0))
        self._seen = 0

    def __len__(self) -> int:
        return min(self._seen, len(self._costs))

    def observe(self, cost: float, context: Array) -> None:
        """Remember what a solve cost."""
        if not self._seen:
            self._contexts = np.zeros((len(self._costs), context.size))
        place = self._seen % len(self._costs)
        self._costs[place], self._contexts[place] = cost, context
        self._seen += 1

    def predict(self, context: Array) -> float:
        """Return the expected cost, not-a-number where nothing is known."""
        count = len(self)
        if not count:
            return float("nan")
        costs, places = self._costs[:count], self._contexts[:count]
        if not context.size or count == 1:
            return float(costs.mean())
        width = np.maximum(np.ptp(places, axis=0), 1e-300)
        distance = (((places - context) / width) ** 2).sum(axis=1)
        nearest = np.argsort(distance, kind="stable")[:NEAREST]
        weight = 1.0 / (distance[nearest] + 1e-6)
        return float((weight * costs[nearest]).sum() / weight.sum())
