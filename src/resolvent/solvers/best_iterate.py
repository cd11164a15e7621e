"""The best iterate of a method whose residual may rise on the way."""

from __future__ import annotations

import numpy as np

from ..operators import Array
from .masks import any_of
from .vectors import Vectors

KEEP_RATIO = 0.5
"""An iterate is copied when its residual is below this multiple of that of the last copy: 27 copies for 1e-8."""


class BestIterate:
    """A copy of the iterate with, up to a factor of two, the smallest residual of each column; one vector each.

    Parameters
    ----------
    vectors : Vectors
    x : (n, k) array
        Initial guesses.
    norms : (k,) array
        Their residual norms.
    """

    def __init__(self, vectors: Vectors, x: Array, norms: np.ndarray) -> None:
        self._vectors = vectors
        self._x = vectors.take(x, np.arange(x.shape[1]))
        self._norms = norms.copy()

    def offer(self, x: Array, norms: np.ndarray, columns: np.ndarray) -> None:
        """Copy the iterates that are better; `columns` are their places among all columns."""
        every = len(columns) == len(self._norms)
        better = norms < KEEP_RATIO * (self._norms if every else self._norms[columns])
        if any_of(better):
            self._norms[columns[better]] = norms[better]
            positions = np.flatnonzero(better)
            if every:
                self._vectors.copy(x, positions, self._x)
            else:
                self._vectors.put(self._x, columns[better], self._vectors.take(x, positions))

    def beats(self, norms: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return in which of the given columns the iterate kept is better than one with these norms."""
        better: np.ndarray = ~(norms <= self._norms[columns])
        return better

    def restore(self, x: Array, norms: np.ndarray | float, columns: np.ndarray) -> np.ndarray:
        """Overwrite the given columns of x where their norms are worse or not a number; return which."""
        worse: np.ndarray = columns[~(norms <= self._norms[columns])]
        if len(worse):
            self._vectors.put(x, worse, self._vectors.take(self._x, worse))
        return worse
