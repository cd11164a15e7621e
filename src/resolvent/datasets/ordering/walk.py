"""The walk to the nearest one left, which several orderings end in."""

from __future__ import annotations

import numpy as np


def squared_distances(gram: np.ndarray) -> np.ndarray:
    """Return ‖f_i − f_j‖² from the (N, N) matrix of inner products of N vectors."""
    squares = np.diagonal(gram)
    return np.asarray(np.maximum(squares[:, None] + squares[None, :] - 2.0 * gram, 0.0))


def nearest_neighbours(distances: np.ndarray) -> np.ndarray:
    """Return the order of a walk from the first sample always to the nearest one left.

    Of several at the same distance the first. N² comparisons.

    Parameters
    ----------
    distances : (N, N) array
        Any monotone function of distances.
    """
    count = len(distances)
    left = np.ones(count, dtype=bool)
    order = np.zeros(count, dtype=np.int64)
    left[0] = False
    for step in range(1, count):
        row = np.where(left, distances[order[step - 1]], np.inf)
        order[step] = int(np.argmin(row))
        left[order[step]] = False
    return order
