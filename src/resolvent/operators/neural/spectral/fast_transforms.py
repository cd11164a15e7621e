"""The retained Fourier coefficients by fast transforms, axis by axis, for many modes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .modes import frequencies

MANY = 96
"""Modes of an axis beyond which these win; measured, see `transforms`."""


def fast_coefficients(x: torch.Tensor, n_modes: Sequence[int]) -> torch.Tensor:
    """Return what `transforms.coefficients` returns; modes that are not kept are cut off after each axis."""
    d = len(n_modes)
    *full, last = frequencies(n_modes, x.shape[1:-1])
    z = torch.fft.rfft(x, dim=d, norm="forward").narrow(d, 0, last.stop)
    for axis in range(d - 1, 0, -1):
        k = full[axis - 1]
        z = torch.fft.fft(z, dim=axis, norm="forward")
        negative = z.narrow(axis, z.shape[axis] + k.start, -k.start)
        z = torch.cat([negative, z.narrow(axis, 0, k.stop)], axis)
    return torch.view_as_real(z.movedim(0, -2))


def fast_field(z: torch.Tensor, n_modes: Sequence[int], grid: Sequence[int]) -> torch.Tensor:
    """Return what `transforms.field` returns."""
    *full, _ = frequencies(n_modes, grid)
    y = torch.view_as_complex(z.contiguous()).movedim(-2, 0)
    for axis, (N, k) in enumerate(zip(grid[:-1], full, strict=True), start=1):
        between = list(y.shape)
        between[axis] = N - len(k)
        parts = [y.narrow(axis, -k.start, k.stop), y.new_zeros(between), y.narrow(axis, 0, -k.start)]
        y = torch.fft.ifft(torch.cat(parts, axis), dim=axis, norm="forward")
    return torch.fft.irfft(y, n=grid[-1], dim=len(grid), norm="forward")
