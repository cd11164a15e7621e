"""No order but that of the random stream."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from .ordering import Ordering, Sample, SolvePilots


@dataclasses.dataclass(frozen=True)
class Unsorted(Ordering):
    """The samples as they come: nothing is looked at."""

    name: ClassVar[str] = "none"

    def __call__(self, samples: Sequence[Sample], solve: SolvePilots | None = None) -> np.ndarray:
        """Return 0, 1, …, N − 1."""
        return np.arange(len(samples))
