"""Compiled Givens rotations: in Python they would cost more than the vectors of a small system."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def append_column(H: Any, j: int, cosines: Any, sines: Any, R: Any, g: Any) -> None:
    """Rotate column j of H̄ as the columns before it were, and once more; write it into R and rotate g."""
    for i in range(j + 1):
        R[i, j] = H[i, j]
    for i in range(j):
        c, s, upper = cosines[i], sines[i], R[i, j]
        R[i, j] = c * upper + s * R[i + 1, j]
        R[i + 1, j] = -np.conj(s) * upper + c * R[i + 1, j]
    diagonal, below = R[j, j], H[j + 1, j].real
    size = abs(diagonal)
    length = np.hypot(size, below)
    if size == 0.0:  # a column of zeros leaves the residual as it is
        cosines[j], sines[j] = 0.0, 1.0
    else:
        cosines[j], sines[j] = size / length, diagonal / size * below / length
    R[j, j] = cosines[j] * diagonal + sines[j] * below
    upper = g[j]
    g[j] = cosines[j] * upper
    g[j + 1] = -np.conj(sines[j]) * upper
