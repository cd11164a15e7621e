"""Along a Hilbert curve through the leading principal components of the features."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from .features import spectral_features
from .ordering import Ordering, Sample, SolvePilots


@dataclasses.dataclass(frozen=True)
class Hilbert(Ordering):
    """The order in which a Hilbert curve passes the samples in the plane, or space, of their leading features.

    Features are those of `TruncatedFFT`; the axes are their first principal components, all on the scale of the first,
    so that the curve resolves what varies most. N log N after the features: for sets too large for N² distances. Other
    than a greedy walk it leaves no stragglers for the end.

    Parameters
    ----------
    dimension : int
        Number of components, 2 to 8.
    bits : int
        Of the grid along each axis that the curve passes.

    References
    ----------
    Skilling 2004, doi:10.1063/1.1751381.
    """

    name: ClassVar[str] = "hilbert"
    dimension: int = 3
    bits: int = 12

    def __post_init__(self) -> None:
        if not (2 <= self.dimension <= 8 and self.bits >= 1 and self.bits * self.dimension <= 62):
            raise ValueError(
                "a Hilbert curve needs 2 to 8 dimensions and at most 62 bits in all, got "
                f"dimension={self.dimension!r}, bits={self.bits!r}"
            )

    def __call__(self, samples: Sequence[Sample], solve: SolvePilots | None = None) -> np.ndarray:
        """Return the samples by their place on the curve, those in one cell as they came."""
        points = principal_components(spectral_features(samples), self.dimension)
        low = points.min(axis=0)
        scale = float((points.max(axis=0) - low).max())
        most = (1 << self.bits) - 1
        cells = np.zeros(points.shape, dtype=np.int64)
        if scale > 0.0:
            cells = np.minimum(np.floor((points - low) / scale * (most + 1)), most).astype(np.int64)
        return np.argsort(hilbert_index(cells, self.bits), kind="stable")


def principal_components(features: np.ndarray, dimension: int) -> np.ndarray:
    """Return the (N, dimension) leading components of centred features, zero beyond their rank.

    The sign of each is such that its entry of largest modulus is positive.
    """
    left, values, _ = np.linalg.svd(features, full_matrices=False)
    count = min(dimension, len(values))
    found = np.zeros((len(features), dimension))
    found[:, :count] = left[:, :count] * values[:count]
    largest = np.take_along_axis(found, np.abs(found).argmax(axis=0)[None], axis=0)
    return np.asarray(found * np.where(largest < 0.0, -1.0, 1.0))


def hilbert_index(cells: np.ndarray, bits: int) -> np.ndarray:
    """Return the place of each cell on the Hilbert curve through a grid of 2^bits cells along each axis.

    Parameters
    ----------
    cells : (N, d) int array
        From 0 to 2^bits − 1.

    Returns
    -------
    index : (N,) int64 array
        Consecutive numbers are cells that share a face.

    Examples
    --------
    >>> import numpy as np
    >>> hilbert_index(np.array([[0, 0], [0, 1], [1, 1], [1, 0]]), bits=1).tolist()
    [0, 1, 2, 3]
    """
    x = cells.T.astype(np.int64).copy()
    dimension = len(x)
    for level in range(bits - 1, 0, -1):
        bit, lower = 1 << level, (1 << level) - 1
        for axis in range(dimension):
            turned = (x[axis] & bit) != 0
            swap = np.where(turned, 0, (x[0] ^ x[axis]) & lower)
            x[0] ^= np.where(turned, lower, swap)
            x[axis] ^= swap
    for axis in range(1, dimension):
        x[axis] ^= x[axis - 1]
    carry = np.zeros(x.shape[1], dtype=np.int64)
    for level in range(bits - 1, 0, -1):
        carry ^= np.where((x[-1] & (1 << level)) != 0, (1 << level) - 1, 0)
    x ^= carry
    index = np.zeros(x.shape[1], dtype=np.int64)
    for level in range(bits - 1, -1, -1):
        for axis in range(dimension):
            index = (index << 1) | ((x[axis] >> level) & 1)
    return index
