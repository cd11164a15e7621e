"""What an ordering is."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np

Sample = Mapping[str, np.ndarray]
"""Named arrays of one sample."""

SolvePilots = Callable[[list[int]], "Sequence[np.ndarray | None]"]
"""Positions of some samples to their solutions, None where there is none."""


@dataclasses.dataclass(frozen=True)
class Ordering(abc.ABC):
    """A rule that puts samples into an order; a function of the samples alone, without randomness."""

    name: ClassVar[str]
    needs_solutions: ClassVar[bool] = False
    """Whether it solves a few systems to find out."""

    @abc.abstractmethod
    def __call__(self, samples: Sequence[Sample], solve: SolvePilots | None = None) -> np.ndarray:
        """Return a permutation of the positions of at least three samples, an (N,) int array.

        `samples` may make its elements when they are asked for: each is read as seldom as memory allows.
        """
