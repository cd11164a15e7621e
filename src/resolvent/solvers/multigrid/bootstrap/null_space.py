"""What is known of the null space of A: the connected parts on which the first guess has no energy."""

from __future__ import annotations

from typing import final

import numpy as np
import scipy.sparse as sp
from scipy.sparse import csgraph

from .hierarchy import ROUNDING


@final
class NullSpace:
    """Span of the restrictions of a vector w to those connected parts of A on which wᵀAw vanishes up to rounding.

    For the Laplacian of a graph and w = 1 these are the constants on its components: all of the null space. Rates are
    measured without it, since A cannot see it.

    Parameters
    ----------
    matrix : (n, n) csr_array
        Symmetric.
    w : (n,) array
    rounding : float
        Of energies, relative to the D-norm.

    Attributes
    ----------
    size : int
        Its dimension.
    """

    def __init__(self, matrix: sp.csr_array, w: np.ndarray, rounding: float = ROUNDING) -> None:
        self.rounding = rounding
        count, part = csgraph.connected_components(matrix, directed=False)
        weight = matrix.diagonal()
        energy = np.bincount(part, weights=w * (matrix @ w), minlength=count)
        size = np.bincount(part, weights=w * weight * w, minlength=count)
        length = np.bincount(part, minlength=count)
        null = energy <= rounding * np.sqrt(length) * size
        self.size, self._null = int(null.sum()), null
        self._part, self._count, self._w, self._weight = part, count, w, weight
        self._inverse = np.divide(1.0, size, out=np.zeros(count), where=null & (size > 0.0))
        self._unseen = null[part] & (weight <= 0.0)

    def remove(self, x: np.ndarray) -> None:
        """Make x D-orthogonal to the null space, in place."""
        if not self.size:
            return
        share = np.bincount(self._part, weights=self._w * self._weight * x, minlength=self._count) * self._inverse
        x -= share[self._part] * self._w
        x[self._unseen] = 0.0

    def remove_from_columns(self, X: np.ndarray) -> None:
        """Make the columns of X D-orthogonal to the null space, in place."""
        for c in range(X.shape[1]):
            x = X[:, c].copy()
            self.remove(x)
            X[:, c] = x

    def basis(self, k: int) -> np.ndarray:
        """Return vectors that span it, at most k, as an (n, ≤ k) array."""
        found = np.flatnonzero(self._null)[:k]
        columns = [np.where(self._part == c, self._w, 0.0) for c in found]
        return np.array(columns).T if columns else np.zeros((len(self._w), 0))
