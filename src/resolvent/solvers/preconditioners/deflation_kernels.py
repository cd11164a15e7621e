"""Compiled products with a tall, thin basis, stored by rows; coefficients are (k, m), one row a column of X."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def project(U, X, C):  # type: ignore[no-untyped-def]
    """C = (Uᴴ X)ᵀ for an (n, m) basis and (n, k) columns."""
    C[:] = 0
    for i in range(U.shape[0]):
        for c in range(X.shape[1]):
            x = X[i, c]
            for j in range(U.shape[1]):
                C[c, j] += np.conj(U[i, j]) * x


@njit(cache=True, nogil=True)
def add_combination(U, C, sign, X, out):  # type: ignore[no-untyped-def]
    """out = X + sign · U Cᵀ; out may be X."""
    for i in range(U.shape[0]):
        for c in range(X.shape[1]):
            total = X[i, c] * 0
            for j in range(U.shape[1]):
                total += U[i, j] * C[c, j]
            out[i, c] = X[i, c] + sign * total
