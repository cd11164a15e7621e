"""Transforms between grid values and the retained Fourier coefficients, channels last.

Only the retained modes are wanted, and mostly they are few: products with the (modes × points) matrices of the real
transform then cost less than fast transforms of everything. They run in BLAS, need no complex type (so ONNX has them),
and take odd sizes as well as even ones. One axis after the other is transformed, each where it lies in memory: the real
and imaginary part stand before the modes already made, so that an axis of N points and the two parts beside it are
one axis of 2 N rows.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch

from .modes import frequencies


def coefficients(x: torch.Tensor, n_modes: Sequence[int]) -> torch.Tensor:
    """Return the kept Fourier coefficients of real fields, divided by the number of points.

    Parameters
    ----------
    x : real (B, *grid, C) tensor
    n_modes : sequence of int
        Modes of each axis, both signs counted.

    Returns
    -------
    real (*kept modes, B, C, 2) tensor
        Real and imaginary parts, frequencies ascending; of the last axis none are negative.
    """
    grid, C = x.shape[1:-1], x.shape[-1]
    kept = frequencies(n_modes, grid)
    z = _product(_real(grid[-1], kept[-1].stop, False, x.dtype, x.device), x.reshape(-1, grid[-1], C))
    for N, k in zip(grid[-2::-1], kept[-2::-1], strict=True):
        z = _product(_complex(N, k.start, k.stop, False, x.dtype, x.device), z.reshape(-1, 2 * N, z[0].numel() // 2))
    sizes = [len(k) for k in kept]
    return z.reshape(x.shape[0], 2, *sizes, C).permute(*range(2, len(grid) + 2), 0, -1, 1)


def field(z: torch.Tensor, n_modes: Sequence[int], grid: Sequence[int]) -> torch.Tensor:
    """Return the real fields (B, *grid, C) of kept Fourier coefficients (*kept modes, B, C, 2)."""
    d = len(grid)
    B, C = z.shape[d], z.shape[d + 1]
    kept = frequencies(n_modes, grid)
    z = z.permute(d, d + 2, *range(d), d + 1).reshape(B, -1)
    lines = B
    for N, k in zip(grid[:-1], kept[:-1], strict=True):
        z = _product(_complex(N, k.start, k.stop, True, z.dtype, z.device), z.reshape(lines, 2 * len(k), -1))
        lines *= N
    z = _product(_real(grid[-1], kept[-1].stop, True, z.dtype, z.device), z.reshape(lines, 2 * len(kept[-1]), C))
    return z.reshape(B, *grid, C)


def _product(matrix: torch.Tensor, lines: torch.Tensor) -> torch.Tensor:
    """Return the matrix times each of the (lines, n, columns)."""
    return torch.bmm(matrix.expand(lines.shape[0], -1, -1), lines)


@functools.lru_cache(maxsize=256)
def _real(N: int, K: int, inverse: bool, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return the transform of a real axis: (2 K, N) to parts of modes 0 … K − 1, or (N, 2 K) back."""
    C, S = _waves(N, 0, K)
    if not inverse:
        return torch.cat([C, -S]).div(N).to(device, dtype)
    # Modes between 0 and N/2 stand for their conjugates too; sines of the others vanish on the grid.
    single = (torch.arange(K) == 0) | (2 * torch.arange(K) == N)
    weight = torch.where(single, 1.0, 2.0).to(C)[:, None]
    return torch.cat([weight * C, torch.where(single[:, None], 0.0, -2.0 * S)]).T.contiguous().to(device, dtype)


@functools.lru_cache(maxsize=256)
def _complex(N: int, low: int, high: int, inverse: bool, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return the transform of a complex axis: columns (N, parts), rows (parts, modes), or back."""
    C, S = _waves(N, low, high)
    forward = torch.stack([torch.stack([C, S], 2), torch.stack([-S, C], 2)])  # (part out, mode, point, part in)
    matrix = forward.reshape(2 * (high - low), 2 * N)
    return (matrix.T.contiguous() if inverse else matrix / N).to(device, dtype)


def _waves(N: int, low: int, high: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cos and sin of 2 π k n / N for k = low … high − 1 and all n, in double precision."""
    # The phase is reduced in whole numbers, so that large k n loses no digits.
    phase = torch.outer(torch.arange(low, high), torch.arange(N)) % N
    angle = phase.double() * (2.0 * math.pi / N)
    return torch.cos(angle), torch.sin(angle)
