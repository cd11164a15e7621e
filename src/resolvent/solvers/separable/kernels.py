"""Compiled passes of the fast Poisson solver: elimination along the first axis, and products with two fields."""

from __future__ import annotations

from typing import Any

import numba

from ...operators.threads import run_in_parts

# Unknowns that pay for a second thread: elimination takes 1.6 ns an unknown, waking a thread 40 µs.
PART = 250_000


@numba.njit(cache=True, nogil=True, error_model="numpy")
def reciprocal_pivots(diagonal, modes, coupling, out):  # type: ignore[no-untyped-def]
    """Write 1/pivot of the elimination of ``diag(diagonal) + modes[j]`` with off-diagonal −coupling, for every mode j.

    diagonal : (n,), modes : (m,), out : (n, m).
    """
    n, m = out.shape
    for j in range(m):
        out[0, j] = 1.0 / (diagonal[0] + modes[j])
    for i in range(1, n):
        for j in range(m):
            out[i, j] = 1.0 / (diagonal[i] + modes[j] - coupling * coupling * out[i - 1, j])


@numba.njit(cache=True, nogil=True)
def _eliminate(x, reciprocal, coupling, start, stop):  # type: ignore[no-untyped-def]
    n, _, k = x.shape
    if k == 1:
        for i in range(1, n):
            for j in range(start, stop):
                x[i, j, 0] += coupling * reciprocal[i - 1, j] * x[i - 1, j, 0]
        for j in range(start, stop):
            x[n - 1, j, 0] *= reciprocal[n - 1, j]
        for i in range(n - 2, -1, -1):
            for j in range(start, stop):
                x[i, j, 0] = (x[i, j, 0] + coupling * x[i + 1, j, 0]) * reciprocal[i, j]
        return
    for i in range(1, n):
        for j in range(start, stop):
            factor = coupling * reciprocal[i - 1, j]
            for c in range(k):
                x[i, j, c] += factor * x[i - 1, j, c]
    for j in range(start, stop):
        for c in range(k):
            x[n - 1, j, c] *= reciprocal[n - 1, j]
    for i in range(n - 2, -1, -1):
        for j in range(start, stop):
            for c in range(k):
                x[i, j, c] = (x[i, j, c] + coupling * x[i + 1, j, c]) * reciprocal[i, j]


def eliminate(x: Any, reciprocal: Any, coupling: float) -> None:
    """Solve the tridiagonal systems along axis 0 of x (n, m, k) in place, mode by mode; see `reciprocal_pivots`."""
    run_in_parts(_eliminate, x.shape[1], x.size // PART, x, reciprocal, coupling)
