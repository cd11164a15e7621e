"""What the safe arm would cost on a system that it does not solve."""

from __future__ import annotations

from collections import deque

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

    def __init__(self, window: int = 50) -> None:
        self._seen: deque[tuple[Array, float]] = deque(maxlen=window)

    def __len__(self) -> int:
        return len(self._seen)

    def observe(self, cost: float, context: Array) -> None:
        """Remember what a solve cost."""
        self._seen.append((context, cost))

    def predict(self, context: Array) -> float:
        """Return the expected cost, not-a-number where nothing is known."""
        if not self._seen:
            return float("nan")
        costs = np.array([cost for _, cost in self._seen])
        if not context.size or len(costs) == 1:
            return float(costs.mean())
        places = np.array([c for c, _ in self._seen])
        width = np.maximum(np.ptp(places, axis=0), 1e-300)
        distance = (((places - context) / width) ** 2).sum(axis=1)
        nearest = np.argsort(distance, kind="stable")[:NEAREST]
        weight = 1.0 / (distance[nearest] + 1e-6)
        return float((weight * costs[nearest]).sum() / weight.sum())
