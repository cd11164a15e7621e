"""The published order: a walk to the nearest parameter field left."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from .features import CONSTANT, vectors_of
from .ordering import Ordering, Sample, SolvePilots
from .walk import distances_of_gram, nearest_neighbours

MOST = 16384
"""Samples, of which all pairs then take 2 GiB."""


@dataclasses.dataclass(frozen=True)
class Greedy(Ordering):
    """From the first system always to the one left that is nearest in the Frobenius norm of the parameter fields.

    As published for SKR. Where samples have several arrays, squared distances of each name are divided by its variance
    over the samples and added, so that units do not matter; with one array the order is the published one.

    Distances come from the matrix of inner products, a product of matrices: 2 N² n flops for N samples of n numbers.
    Where all of them take more than `block_bytes`, they are read in blocks, each again for every block before it. Do
    not use it for large fields: `TruncatedFFT` gives nearly the same order for a fraction of the work.

    Parameters
    ----------
    block_bytes : int
        Memory for samples; N² inner products come besides, for 16384 samples at most.

    References
    ----------
    Wang et al. 2024, arXiv:2401.09516, algorithm 1.
    """

    name: ClassVar[str] = "greedy"
    block_bytes: int = 1 << 28

    def __call__(self, samples: Sequence[Sample], solve: SolvePilots | None = None) -> np.ndarray:
        """Return the order of the walk."""
        if len(samples) > MOST:
            raise ValueError(
                f"the greedy order compares all pairs: at most {MOST} samples, got {len(samples)}. Use 'fft' or "
                "'hilbert', or smaller chunks"
            )
        return nearest_neighbours(len(samples), distances_of_gram(self._gram(samples)))

    def _gram(self, samples: Sequence[Sample]) -> np.ndarray:
        """Return the sum over names of the inner products of all pairs, divided by the variance of the name."""
        count = len(samples)
        origin = vectors_of(samples, [0])
        size = 8 * sum(rows.size for rows in origin.values())
        # Two blocks are held at a time, and the stack that each is made of.
        step = max(1, self.block_bytes // (4 * max(size, 1)))
        blocks = [range(begin, min(begin + step, count)) for begin in range(0, count, step)]
        grams = {name: np.zeros((count, count)) for name in origin}
        for number, rows in enumerate(blocks):
            upper = self._block(samples, rows, origin)
            for columns in blocks[number:]:
                other = upper if columns == rows else self._block(samples, columns, origin)
                for name, gram in grams.items():
                    product = upper[name] @ other[name].T
                    gram[rows.start : rows.stop, columns.start : columns.stop] = product
                    gram[columns.start : columns.stop, rows.start : rows.stop] = product.T
        total = np.zeros((count, count))
        for name, gram in grams.items():
            variance = (np.trace(gram) - gram.sum() / count) / count
            if variance > (CONSTANT * float(np.linalg.norm(origin[name]))) ** 2:
                total += gram / variance
        return total

    @staticmethod
    def _block(samples: Sequence[Sample], positions: range, origin: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return samples less the first one: differences of inner products of large means would be rounding."""
        found = vectors_of(samples, positions)
        if {name: rows.shape[1] for name, rows in found.items()} != {n: rows.shape[1] for n, rows in origin.items()}:
            raise ValueError(f"samples {positions.start} to {positions.stop - 1} have other arrays than the first one")
        return {name: rows - origin[name] for name, rows in found.items()}
