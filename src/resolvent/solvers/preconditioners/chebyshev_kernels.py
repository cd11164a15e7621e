"""Compiled steps of the Chebyshev iteration, one pass over the vectors each."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def first_step(inverse, factor, X, R, D, out):  # type: ignore[no-untyped-def]
    """R = X; D = factor · inverse ∘ R; out = D, for (n, k) arrays and an (n,) diagonal."""
    for i in range(X.shape[0]):
        scale = factor * inverse[i]
        for c in range(X.shape[1]):
            R[i, c] = X[i, c]
            D[i, c] = scale * X[i, c]
            out[i, c] = D[i, c]


@njit(cache=True, nogil=True)
def next_step(inverse, old, new, Q, R, D, out):  # type: ignore[no-untyped-def]
    """R −= Q; D = old · D + new · inverse ∘ R; out += D."""
    for i in range(Q.shape[0]):
        scale = new * inverse[i]
        for c in range(Q.shape[1]):
            R[i, c] -= Q[i, c]
            D[i, c] = old * D[i, c] + scale * R[i, c]
            out[i, c] += D[i, c]
