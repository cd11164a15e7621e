"""Convolutions with a small kernel that continue a field over the boundary as its boundary condition says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal, final, get_args

import torch

from .model import check_among, check_whole

Boundary = Literal["dirichlet", "periodic", "neumann"]
"""``dirichlet``: zero beyond the boundary; ``periodic``: the field repeats; ``neumann``: it is mirrored at the last
point."""

CONVOLUTIONS = (None, torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)


@final
class StencilConvolution(torch.nn.Module):
    """v(i) = Σ_j K_j u(s i + j) + bias, with j from −k//2 to k//2, on fields (B, c_in, *grid).

    n points of an axis become ⌈n/s⌉. Entries start uniform in ±1/√(c_in k^d).

    Parameters
    ----------
    c_in, c_out : int
        Channels.
    kernel : int
        k, odd: points of a side of K.
    dim : int
        d.
    boundary : {"dirichlet", "periodic", "neumann"}
        What the field is beyond the last points.
    stride : int
        s.
    bias : bool
        Whether there is a bias.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 3,
        *,
        dim: int = 2,
        boundary: Boundary = "dirichlet",
        stride: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        check_kernel(kernel)
        check_among("boundary", boundary, get_args(Boundary))
        self.boundary, self.stride = boundary, stride
        bound = 1.0 / math.sqrt(c_in * kernel**dim)
        self.kernel = uniform(bound, c_out, c_in, *(kernel,) * dim)
        self.bias = uniform(bound, c_out) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return v, (B, c_out, *grid)."""
        return convolve(x, self.kernel, self.bias, self.boundary, stride=self.stride)


def convolve(
    x: torch.Tensor,
    kernel: torch.Tensor,
    bias: torch.Tensor | None = None,
    boundary: Boundary = "dirichlet",
    *,
    stride: int = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Return the convolution (without reflection, as learned kernels have it) of (B, c_in, *grid) with a kernel.

    Parameters
    ----------
    x : (B, c_in, *grid) tensor
    kernel : (c_out, c_in / groups, *sides) tensor
        With odd sides.
    bias : (c_out,) tensor, optional
    boundary : {"dirichlet", "periodic", "neumann"}
    stride : int
        Distance of the points that are kept, from the first one on.
    groups : int
        Parts into which the channels fall that do not meet.
    """
    convolution = CONVOLUTIONS[kernel.ndim - 2]
    assert convolution is not None
    widths = [side // 2 for side in kernel.shape[2:]]
    if boundary == "dirichlet":
        return convolution(x, kernel, bias, stride=stride, padding=widths, groups=groups)
    return convolution(extend(x, widths, boundary), kernel, bias, stride=stride, groups=groups)


def extend(x: torch.Tensor, widths: Sequence[int], boundary: Boundary) -> torch.Tensor:
    """Return (B, C, *grid) continued by so many points at both ends of each axis."""
    if boundary == "dirichlet":
        return torch.nn.functional.pad(x, both_ends(widths))
    if boundary == "neumann":
        return torch.nn.functional.pad(x, both_ends(widths), mode="reflect")
    for axis, w in enumerate(widths, 2):  # joined, not padded: circular padding of torch loses the memory format
        if w > 0:
            n = x.shape[axis]
            x = torch.cat([x.narrow(axis, n - w, w), x, x.narrow(axis, 0, w)], dim=axis)
    return x


def both_ends(widths: Sequence[int]) -> list[int]:
    """Return widths of axes as torch pads: the last axis first, both ends of each."""
    return list(itertools.chain.from_iterable((w, w) for w in reversed(widths)))


def channels_together(x: torch.Tensor) -> torch.Tensor:
    """Return (B, C, *grid) with the channels of a point side by side in memory.

    Convolutions of 24 channels on a CPU take two thirds of the time in that format: 24 is no multiple of the block of
    16 channels that they would otherwise be copied to.
    """
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.contiguous(memory_format=formats.get(x.ndim, torch.contiguous_format))


def uniform(bound: float, *shape: int) -> torch.nn.Parameter:
    """Return a parameter with entries uniform in ±bound, in the memory format of `channels_together`.

    A kernel in the format of its field saves a copy of its gradient.
    """
    return torch.nn.Parameter(channels_together(torch.empty(shape).uniform_(-bound, bound)))


def check_kernel(kernel: int, name: str = "kernel") -> None:
    """Raise ValueError unless a kernel has a middle."""
    check_whole(name, kernel)
    if kernel % 2 == 0:
        raise ValueError(f"{name} must be odd, so that it has a middle, got {kernel}")
