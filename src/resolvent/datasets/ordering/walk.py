"""The walk to the nearest one left, which several orderings end in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

PAIRS = 8192
"""Samples up to which the inner products of all pairs are formed at once, in one product of matrices of half a GiB."""

Distances = Callable[[int], np.ndarray]
"""Position of a sample to its distances from all, or a monotone function of them."""


def nearest_neighbours(count: int, distances: Distances) -> np.ndarray:
    """Return the order of a walk from the first sample always to the nearest one left.

    Of several at the same distance the first. N² comparisons.
    """
    left = np.ones(count, dtype=bool)
    order = np.zeros(count, dtype=np.int64)
    left[0] = False
    for step in range(1, count):
        order[step] = int(np.argmin(np.where(left, distances(int(order[step - 1])), np.inf)))
        left[order[step]] = False
    return order


def distances_of_gram(gram: np.ndarray) -> Distances:
    """Return ‖f_i − f_j‖² from the (N, N) matrix of inner products of N vectors, up to what all j have in common."""
    squares = np.diagonal(gram).copy()
    return lambda i: squares - 2.0 * gram[i]


def distances_of_features(features: np.ndarray) -> Distances:
    """Return the same from (N, F) features: by one product of matrices, of very many samples row by row."""
    if len(features) <= PAIRS:
        return distances_of_gram(features @ features.T)
    squares = np.einsum("ij,ij->i", features, features)
    return lambda i: squares - 2.0 * (features @ features[i])
