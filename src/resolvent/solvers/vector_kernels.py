"""Compiled vector operations on columns: x, y are (n, k), coefficients and results are (k,).

One column is flattened, which lets the compiler vectorise along n; many columns are vectorised along k. The flattening
is done here since a view made in Python costs as much as the call. Reassociation is allowed in sums, but not-a-number
is honoured. The sum of one column is kept in double precision.
"""

from __future__ import annotations

import numpy as np
from numba import njit

FAST = {"reassoc", "contract", "arcp"}


@njit(cache=True, nogil=True, fastmath=FAST)
def dot(x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """out = xᴴ y."""
    out[:] = 0
    if x.shape[1] == 1:
        total, xs, ys = out[0] * 0.0, x.ravel(), y.ravel()
        for i in range(xs.size):
            total += np.conj(xs[i]) * ys[i]
        out[0] = total
    else:
        for i in range(x.shape[0]):
            for c in range(x.shape[1]):
                out[c] += np.conj(x[i, c]) * y[i, c]


@njit(cache=True, nogil=True, fastmath=FAST)
def dot_norms(x: np.ndarray, y: np.ndarray, sign: float, out: np.ndarray) -> None:
    """out = Re and Im of xᴴ y (sign 1) or xᵀ y (sign −1), ‖x‖₂, ‖y‖₂, in real arithmetic. One pass instead of three."""
    out[:] = 0
    if x.shape[1] == 1:
        re = im = xx = yy = out[0, 0] * 0.0
        xs, ys = x.ravel(), y.ravel()
        for i in range(xs.size):
            a, b, c, d = xs[i].real, xs[i].imag * sign, ys[i].real, ys[i].imag
            re += a * c + b * d
            im += a * d - b * c
            xx += a * a + b * b
            yy += c * c + d * d
        out[0, 0], out[1, 0], out[2, 0], out[3, 0] = re, im, xx, yy
    else:
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                a, b, c, d = x[i, j].real, x[i, j].imag * sign, y[i, j].real, y[i, j].imag
                out[0, j] += a * c + b * d
                out[1, j] += a * d - b * c
                out[2, j] += a * a + b * b
                out[3, j] += c * c + d * d
    out[2:] = np.sqrt(out[2:])


@njit(cache=True, nogil=True, fastmath=FAST)
def norm(x: np.ndarray, out: np.ndarray) -> None:
    """out = ‖x‖₂."""
    out[:] = 0
    if x.shape[1] == 1:
        total, xs = out[0] * 0.0, x.ravel()
        for i in range(xs.size):
            total += xs[i].real * xs[i].real + xs[i].imag * xs[i].imag
        out[0] = total
    else:
        for i in range(x.shape[0]):
            for c in range(x.shape[1]):
                out[c] += x[i, c].real * x[i, c].real + x[i, c].imag * x[i, c].imag
    for c in range(out.size):
        out[c] = np.sqrt(out[c])


@njit(cache=True, nogil=True, fastmath=FAST)
def axpy(alpha: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """y += alpha x."""
    if x.shape[1] == 1:
        xs, ys, factor = x.reshape(x.size), y.reshape(y.size), alpha[0]
        for i in range(xs.size):
            ys[i] += factor * xs[i]
    else:
        for i in range(x.shape[0]):
            for c in range(x.shape[1]):
                y[i, c] += alpha[c] * x[i, c]


@njit(cache=True, nogil=True, fastmath=FAST)
def aypx(beta: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """y = x + beta y."""
    if x.shape[1] == 1:
        xs, ys, factor = x.reshape(x.size), y.reshape(y.size), beta[0]
        for i in range(xs.size):
            ys[i] = xs[i] + factor * ys[i]
    else:
        for i in range(x.shape[0]):
            for c in range(x.shape[1]):
                y[i, c] = x[i, c] + beta[c] * y[i, c]


@njit(cache=True, nogil=True, fastmath=FAST)
def step(alpha: np.ndarray, p: np.ndarray, q: np.ndarray, x: np.ndarray, r: np.ndarray, out: np.ndarray) -> None:
    """x += alpha p, r -= alpha q, out = ‖r‖₂. One pass instead of three."""
    out[:] = 0
    if x.shape[1] == 1:
        total, factor = out[0] * 0.0, alpha[0]
        ps, qs, xs, rs = p.reshape(p.size), q.reshape(q.size), x.reshape(x.size), r.reshape(r.size)
        for i in range(xs.size):
            xs[i] += factor * ps[i]
            value = rs[i] - factor * qs[i]
            rs[i] = value
            total += value.real * value.real + value.imag * value.imag
        out[0] = total
    else:
        for i in range(x.shape[0]):
            for c in range(x.shape[1]):
                x[i, c] += alpha[c] * p[i, c]
                value = r[i, c] - alpha[c] * q[i, c]
                r[i, c] = value
                out[c] += value.real * value.real + value.imag * value.imag
    for c in range(out.size):
        out[c] = np.sqrt(out[c])


@njit(cache=True, nogil=True, fastmath=FAST)
def residual(b: np.ndarray, product: np.ndarray) -> float:
    """product = b − product for real vectors, in one pass with its norm, which is returned."""
    total = 0.0
    for i in range(b.size):
        value = b[i] - product[i]
        product[i] = value
        total += value * value
    return float(np.sqrt(total))


@njit(cache=True, nogil=True, fastmath=FAST)
def sizes_of_rows(rows: np.ndarray, largest: np.ndarray, norms: np.ndarray) -> None:
    """largest = max |x| but for not-a-number, norms = ‖x‖₂, of each real row x."""
    for r in range(rows.shape[0]):
        total, most, x = 0.0, 0.0, rows[r]
        for i in range(x.size):
            value = abs(x[i])
            most = value if value > most else most
            total += value * value
        largest[r], norms[r] = most, np.sqrt(total)


@njit(cache=True, nogil=True, fastmath=FAST)
def residual_norms(b: np.ndarray, product: np.ndarray) -> tuple[float, float]:
    """Return ‖b − product‖₂ and ‖b‖₂ of real vectors, in one pass without the threads of BLAS."""
    left, size = 0.0, 0.0
    for i in range(b.size):
        value = b[i] - product[i]
        left += value * value
        size += b[i] * b[i]
    return float(np.sqrt(left)), float(np.sqrt(size))
