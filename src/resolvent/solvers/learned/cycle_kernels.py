"""Transfers of a learned cycle, compiled: the passes between its stencils, each over the fine grid once.

A field of two dimensions has a first axis of one cell that is not halved.
"""

from __future__ import annotations

from typing import Any

import numba


@numba.njit(cache=True, fastmath=False)
def restrict(fine: Any, coarse: Any, s: Any, out: Any, depth: int) -> None:
    """Write coarse · P'(fine · s) into `out`, P constant on coarse cells; `depth` is 2, or 1 for a flat field."""
    nz, ny, nx = out.shape
    for k in range(nz):
        for j in range(ny):
            for i in range(nx):
                total = fine[depth * k, 2 * j, 2 * i] * s[depth * k, 2 * j, 2 * i]
                total += fine[depth * k, 2 * j, 2 * i + 1] * s[depth * k, 2 * j, 2 * i + 1]
                total += fine[depth * k, 2 * j + 1, 2 * i] * s[depth * k, 2 * j + 1, 2 * i]
                total += fine[depth * k, 2 * j + 1, 2 * i + 1] * s[depth * k, 2 * j + 1, 2 * i + 1]
                if depth == 2:
                    total += fine[2 * k + 1, 2 * j, 2 * i] * s[2 * k + 1, 2 * j, 2 * i]
                    total += fine[2 * k + 1, 2 * j, 2 * i + 1] * s[2 * k + 1, 2 * j, 2 * i + 1]
                    total += fine[2 * k + 1, 2 * j + 1, 2 * i] * s[2 * k + 1, 2 * j + 1, 2 * i]
                    total += fine[2 * k + 1, 2 * j + 1, 2 * i + 1] * s[2 * k + 1, 2 * j + 1, 2 * i + 1]
                out[k, j, i] = coarse[k, j, i] * total


@numba.njit(cache=True, fastmath=False)
def correct(fine: Any, coarse: Any, u: Any, c: Any, s: Any, depth: int) -> None:
    """Replace s by c · s + fine · P (coarse · u)."""
    nz, ny, nx = s.shape
    for k in range(nz):
        for j in range(ny):
            for i in range(nx // 2):
                value = coarse[k // depth, j // 2, i] * u[k // depth, j // 2, i]
                s[k, j, 2 * i] = c[k, j, 2 * i] * s[k, j, 2 * i] + fine[k, j, 2 * i] * value
                s[k, j, 2 * i + 1] = c[k, j, 2 * i + 1] * s[k, j, 2 * i + 1] + fine[k, j, 2 * i + 1] * value


@numba.njit(cache=True, fastmath=False)
def combine(c: Any, s: Any, z: Any) -> None:
    """Replace s by c · s + z, all flat."""
    for i in range(s.size):
        s[i] = c[i] * s[i] + z[i]


@numba.njit(cache=True, fastmath=False)
def add_diagonal(e: Any, r: Any, z: Any) -> None:
    """Add e · r to z, all flat."""
    for i in range(z.size):
        z[i] += e[i] * r[i]


@numba.njit(cache=True, fastmath=False)
def scaled_into(scale: Any, r: Any, factor: float, out: Any) -> None:
    """Write factor · scale · r into `out`, which may be of another precision, all flat."""
    for i in range(out.size):
        out[i] = factor * scale[i] * r[i]
