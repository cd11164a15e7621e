"""A walk to the nearest one left by what low frequencies say of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from .features import spectral_features
from .ordering import Ordering, Sample, SolvePilots
from .walk import distances_of_features, nearest_neighbours


@dataclasses.dataclass(frozen=True)
class TruncatedFFT(Ordering):
    """As `Greedy`, with each field replaced by its Fourier coefficients of low frequency (`truncated_spectrum`).

    Smooth random fields have nearly all their variance there: some 300 numbers stand for a plane field of any size. One
    fast transform a sample, and one product of matrices for all distances. Small arrays are taken as they are. Memory:
    the features, and N² inner products up to 8192 samples.
    """

    name: ClassVar[str] = "fft"

    def __call__(self, samples: Sequence[Sample], solve: SolvePilots | None = None) -> np.ndarray:
        """Return the order of the walk."""
        features = spectral_features(samples)
        return nearest_neighbours(len(features), distances_of_features(features))
