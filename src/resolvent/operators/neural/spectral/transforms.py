"""Transforms between grid values and the retained Fourier coefficients, channels last.

Only the retained modes are wanted, and mostly they are few: products with the (modes × points) matrices of the real
transform then cost less than fast transforms of everything. They run in BLAS, need no complex type (so ONNX has them),
and take odd sizes as well as even ones. One axis after the other is transformed, each where it lies in memory: the real
and imaginary part stand before the modes already made, so that an axis of N points and the two parts beside it are
one axis of 2 N rows.

Forward and back with gradients, 32 channels, one thread of an AMD EPYC, milliseconds for one batch of about 10⁵ points
or 20 samples, matrices against the faster of `torch.fft` at once and axis by axis:

======  =============  ==============  ===============
d, N    8 modes        16 modes        64 modes
======  =============  ==============  ===============
1, 64   0.16 / 0.43    0.21 / 0.44     0.38 / 0.48
1, 1024 1.5 / 9.4      2.3 / 9.0       5.8 / 9.6
2, 32   2.0 / 14       3.8 / 17
2, 64   8.5 / 37       13 / 45         61 / 61
2, 256  10 / 84        13 / 64         45 / 71
3, 32   14 / 84        30 / 136
3, 64   28 / 191       45 / 246        514 / 787
======  =============  ==============  ===============

The matrices lose beyond about 96 retained modes an axis, by 1.2 to 1.4 at 128 and by 2 at 256 (d = 1 and 2, N = 128 …
4096); `SpectralConvolution` then takes the fast transforms of `fast_transforms`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from .modes import frequencies

Matrices = list[torch.Tensor]
"""One real matrix for each axis, the last one for real lines, the others for pairs of lines."""


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
    grid = x.shape[1:-1]
    *full, last = frequencies(n_modes, grid)
    matrices = [_complex(N, k.start, k.stop, False, x) for N, k in zip(grid[:-1], full, strict=True)]
    return analyse(x, [*matrices, _real(grid[-1], last.stop, False, x)])


def field(z: torch.Tensor, n_modes: Sequence[int], grid: Sequence[int]) -> torch.Tensor:
    """Return the real fields (B, *grid, C) of kept Fourier coefficients (*kept modes, B, C, 2)."""
    *full, last = frequencies(n_modes, grid)
    matrices = [_complex(N, k.start, k.stop, True, z) for N, k in zip(grid[:-1], full, strict=True)]
    return synthesise(z, [*matrices, _real(grid[-1], last.stop, True, z)])


def analyse(x: torch.Tensor, matrices: Matrices) -> torch.Tensor:
    """Apply a matrix to each axis of real fields (B, *grid, C), the last axis first: (*modes, B, C, 2).

    That of the last axis is (2 K, N) with rows (part, mode); those of the others are (2 K, 2 N) with rows (part, mode)
    and columns (point, part).
    """
    d, C = len(matrices), x.shape[-1]
    z = _product(matrices[-1], x.reshape(-1, x.shape[d], C))
    for axis in range(d - 2, -1, -1):
        N = x.shape[1 + axis]
        columns = C * math.prod([m.shape[0] // 2 for m in matrices[axis + 1 :]])
        z = _product(matrices[axis], z.reshape(-1, 2 * N, columns))
    z = z.reshape(x.shape[0], 2, *(m.shape[0] // 2 for m in matrices), C)
    return z.permute(*range(2, d + 2), 0, -1, 1)


def synthesise(z: torch.Tensor, matrices: Matrices) -> torch.Tensor:
    """Apply a matrix to each axis of coefficients (*modes, B, C, 2), the first axis first: real (B, *grid, C).

    That of the last axis is (N, 2 K) with columns (part, mode); those of the others are (2 N, 2 K) with rows (point,
    part).
    """
    d = len(matrices)
    B, C = z.shape[d], z.shape[d + 1]
    sizes = [m.shape[1] // 2 for m in matrices]
    z = z.permute(d, d + 2, *range(d), d + 1)
    lines = 1
    for axis, matrix in enumerate(matrices):
        z = _product(matrix, z.reshape(B * lines, 2 * sizes[axis], C * math.prod(sizes[axis + 1 :])))
        lines *= matrix.shape[0] // (1 if axis == d - 1 else 2)
    return z.reshape(B, *(m.shape[0] // 2 for m in matrices[:-1]), matrices[-1].shape[0], C)


def real_axis(A: torch.Tensor) -> torch.Tensor:
    """Return the (2 K, N) matrix that takes real lines to the parts of A x; A are pairs (K, N, 2)."""
    return A.movedim(-1, 0).flatten(0, 1)


def complex_axis(A: torch.Tensor) -> torch.Tensor:
    """Return the (2 K, 2 N) matrix of A with rows (part, mode) and columns (point, part); A are pairs (K, N, 2)."""
    C, S = A.unbind(-1)
    return torch.stack([torch.stack([C, -S], 2), torch.stack([S, C], 2)]).flatten(2).flatten(0, 1)


def _product(matrix: torch.Tensor, lines: torch.Tensor) -> torch.Tensor:
    """Return the matrix times each of the (lines, n, columns)."""
    return torch.bmm(matrix.expand(lines.shape[0], -1, -1), lines)


def _real(N: int, K: int, inverse: bool, like: torch.Tensor) -> torch.Tensor:
    """Return the transform of a real axis: (2 K, N) to parts of modes 0 … K − 1, or (N, 2 K) back."""

    def build() -> torch.Tensor:
        A = waves(N, 0, K)
        if not inverse:
            return real_axis(A) / N
        # Modes between 0 and N/2 stand for their conjugates too; sines of the others vanish on the grid.
        k = torch.arange(K)
        single = (k == 0) | (2 * k == N)
        weight = torch.stack([torch.where(single, 1.0, 2.0), torch.where(single, 0.0, 2.0)], 1)[:, None]
        return real_axis(weight * A).T

    return kept_matrix(("real", N, K, inverse), build, like)


def _complex(N: int, low: int, high: int, inverse: bool, like: torch.Tensor) -> torch.Tensor:
    """Return the transform of a complex axis: columns (N, parts), rows (parts, modes), or back."""

    def build() -> torch.Tensor:
        matrix = complex_axis(waves(N, low, high))
        return matrix.T if inverse else matrix / N

    return kept_matrix(("complex", N, low, high, inverse), build, like)


def waves(N: int, low: int, high: int) -> torch.Tensor:
    """Return exp(−2 π i k n / N) for k = low … high − 1 and all n: pairs (high − low, N, 2) in double precision."""
    # The phase is reduced in whole numbers, so that large k n loses no digits.
    phase = torch.outer(torch.arange(low, high), torch.arange(N)) % N
    angle = phase.double() * (2.0 * math.pi / N)
    return torch.stack([torch.cos(angle), -torch.sin(angle)], -1)


_MATRICES: dict[tuple[object, ...], torch.Tensor] = {}
_MOST = 256


def kept_matrix(key: tuple[object, ...], build: Callable[[], torch.Tensor], like: torch.Tensor) -> torch.Tensor:
    """Return a matrix that was built before, or build it and keep it.

    Neither tensors of inference mode, which no gradient may pass, nor the stand-ins that an export traces are kept.
    """
    key = (*key, like.dtype, like.device)
    matrix = _MATRICES.get(key)
    if matrix is None:
        with torch.inference_mode(False), torch.no_grad():
            matrix = build().to(like.device, like.dtype).contiguous()
        if type(matrix) is torch.Tensor and not torch.compiler.is_compiling():
            if len(_MATRICES) >= _MOST:
                del _MATRICES[next(iter(_MATRICES))]
            _MATRICES[key] = matrix
    return matrix
