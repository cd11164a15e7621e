"""Compiled vector operations on columns: x, y are (n, k), coefficients are (k,).

One column is passed as a flat array and takes its own kernel, which the compiler can vectorise along n; many columns
are vectorised along k. Reassociation is allowed in sums, but not-a-number is honoured.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FAST = {"reassoc", "contract", "arcp"}


@njit(cache=True, nogil=True, fastmath=FAST)
def dot_one(x: np.ndarray, y: np.ndarray) -> Any:
    """xᴴ y."""
    total = np.conj(x[0]) * y[0] * 0
    for i in range(x.size):
        total += np.conj(x[i]) * y[i]
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def dot_many(x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """xᴴ y by column."""
    out[:] = 0
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            out[c] += np.conj(x[i, c]) * y[i, c]


@njit(cache=True, nogil=True, fastmath=FAST)
def axpy_one(alpha: complex, x: np.ndarray, y: np.ndarray) -> None:
    """y += alpha x."""
    for i in range(x.size):
        y[i] += alpha * x[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def axpy_many(alpha: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """y += alpha x by column."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[i, c] += alpha[c] * x[i, c]


@njit(cache=True, nogil=True, fastmath=FAST)
def aypx_one(beta: complex, x: np.ndarray, y: np.ndarray) -> None:
    """y = x + beta y."""
    for i in range(x.size):
        y[i] = x[i] + beta * y[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def aypx_many(beta: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """y = x + beta y by column."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[i, c] = x[i, c] + beta[c] * y[i, c]


@njit(cache=True, nogil=True, fastmath=FAST)
def step_one(alpha: complex, p: np.ndarray, q: np.ndarray, x: np.ndarray, r: np.ndarray) -> Any:
    """x += alpha p, r -= alpha q; return ‖r‖². One pass instead of three."""
    total = np.abs(r[0]) * 0
    for i in range(x.size):
        x[i] += alpha * p[i]
        value = r[i] - alpha * q[i]
        r[i] = value
        total += value.real * value.real + value.imag * value.imag
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def step_many(alpha: np.ndarray, p: np.ndarray, q: np.ndarray, x: np.ndarray, r: np.ndarray, out: np.ndarray) -> None:
    """The same by column."""
    out[:] = 0
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            x[i, c] += alpha[c] * p[i, c]
            value = r[i, c] - alpha[c] * q[i, c]
            r[i, c] = value
            out[c] += value.real * value.real + value.imag * value.imag
