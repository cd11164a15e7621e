"""The recursion of Levinson and Durbin for the inverse of a Toeplitz matrix, compiled."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, error_model="numpy")
def levinson(c, r, first, last, errors):  # type: ignore[no-untyped-def]
    """Write the first and last column of T⁻¹ and the pivots det T_k / det T_{k−1}; return where one is zero, or −1.

    c, r : (n,) first column and row; first, last : (n,) columns of the inverse; errors : (n,) pivots.

    The columns of order k + 1 are combinations of those of order k; 4 n² flops, no storage but one row.
    """
    n = c.size
    if c[0] == 0:
        return 0
    spare = np.empty_like(first)
    errors[0] = c[0]
    # Scaled so that T_k f = e_1 and T_k g = e_k.
    first[0] = 1.0 / c[0]
    last[0] = 1.0 / c[0]
    for k in range(1, n):
        # Row k + 1 of T times f, and row 1 times g moved by one.
        below, above = c.dtype.type(0), c.dtype.type(0)
        for i in range(k):
            below += c[k - i] * first[i]
            above += r[i + 1] * last[i]
        size = 1.0 - below * above
        if size == 0 or not np.isfinite(np.abs(size)):
            return k
        for i in range(k):
            spare[i] = first[i]
        for i in range(k):
            first[i] = spare[i] / size
        first[k] = 0
        for i in range(k):
            first[i + 1] -= below * last[i] / size
        carried = c.dtype.type(0)
        for i in range(k):
            moved = last[i]
            last[i] = (carried - above * spare[i]) / size
            carried = moved
        last[k] = carried / size
        errors[k] = 1.0 / last[k]
    return -1
