"""What methods with an Arnoldi basis share: orthogonalisation, and the small least-squares problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...operators import Array
from ..vectors import Vectors
from .small_matrices import back_substitution, reciprocal_condition


def orthogonalise(w: Array, V: Array, v: Vectors) -> tuple[np.ndarray, float, float]:
    """Subtract from w, in place, its components along the orthonormal rows of V.

    Two passes of classical Gram–Schmidt, which are as good as Householder ("twice is enough", Giraud, Langou &
    Rozložník 2005, doi:10.1016/j.camwa.2005.01.020) and run as products of a matrix and a vector.

    Returns
    -------
    h : (j,) array
        The components.
    after, before : float
        ‖w‖₂ afterwards, and before, which follows from the other two without a pass over w.
    """
    h = v.project(V, w)
    v.combine(-h, V, w)
    correction = v.project(V, w)
    v.combine(-correction, V, w)
    h += correction
    after = float(v.norm(w)[0])
    largest = max(float(np.abs(h).max(initial=0.0)), after)
    before = largest * float(np.hypot(np.linalg.norm(h / largest), after / largest)) if largest else 0.0
    return h, after, before


class LeastSquares:
    """min ‖norm e₁ − H̄ y‖ for a growing Hessenberg matrix H̄, kept triangular by Givens rotations.

    Parameters
    ----------
    norm : float
        Norm of the residual at the start of the cycle.
    m : int
        Largest number of columns.
    dtype : dtype
        Of the basis vectors: what is below their rounding counts as zero.
    """

    def __init__(self, norm: float, m: int, dtype: np.dtype) -> None:
        from .givens_kernels import append_column

        wide = np.result_type(dtype, np.float64)
        self.size = 0
        self.H = np.zeros((m + 1, m), dtype=wide)
        """H̄ as it was appended."""
        self._R = np.zeros((m, m), dtype=wide)
        self._g = np.zeros(m + 1, dtype=wide)
        self._g[0] = norm
        self._c, self._s = np.zeros(m), np.zeros(m, dtype=wide)
        self._append: Callable[..., Any] = append_column
        self._rcond = max(1e-12, 10.0 * float(np.finfo(dtype).eps))

    def append(self, h: np.ndarray, h_next: float) -> float:
        """Append the column (h, h_next); return the norm of the least-squares residual."""
        j = self.size
        self.H[: j + 1, j] = h
        self.H[j + 1, j] = h_next
        self._append(self.H, j, self._c, self._s, self._R, self._g)
        self.size += 1
        return float(abs(self._g[self.size]))

    def solve(self) -> np.ndarray:
        """Return y; where R is singular to working precision, the shortest y that minimises up to that precision.

        A singular operator makes R singular in the end. Back substitution would then return a huge y whose rounding
        errors increase the residual, whereas leaving singular values out can only leave the residual as it was.
        """
        R, g = self._R[: self.size, : self.size], self._g[: self.size]
        if reciprocal_condition(R) < self._rcond:
            shortest: np.ndarray = np.linalg.lstsq(R, g, rcond=self._rcond)[0]
            return shortest
        return back_substitution(R, g)
