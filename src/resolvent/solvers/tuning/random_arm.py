"""Any arm: what a learner must beat to have learned anything."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from .tuner import Decision, Tuner


class RandomArm(Tuner):
    """Each arm with equal probability, for ever. `best` and `predict` tell what its unbiased means say.

    Parameters
    ----------
    arms : int
    discount : float
    rng : numpy.random.Generator or int

    Examples
    --------
    >>> from resolvent.solvers.tuning import RandomArm
    >>> tuner = RandomArm(4, rng=0)
    >>> [tuner.suggest().arm for _ in range(6)]
    [3, 2, 2, 1, 1, 0]
    """

    def __init__(self, arms: int, *, discount: float = 1.0, rng: np.random.Generator | int = 0) -> None:
        super().__init__(arms, discount=discount, rng=rng)

    def _suggest(self, z: Array) -> Decision:
        return Decision(int(self.rng.integers(self.arms)), 1.0 / self.arms, "uniform")
