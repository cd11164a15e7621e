"""Convolutions whose kernel is a sum of products of kernels of one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, final, get_args

import torch

from .model import check_among, check_whole
from .stencil_convolution import Boundary, check_kernel, convolve, stretched, uniform

Implementation = Literal["factorized", "reconstructed"]


@final
class SeparableConv(torch.nn.Module):
    """Convolution with the kernel K[o, i] = Σ_r M_r[o, i] α_r ⊗ β_r (⊗ γ_r), on fields (B, c_in, *grid).

    It has R(d k + c_in c_out) parameters where a dense kernel has k^d c_in c_out, and starts at the scale of a dense
    one: deviation 1/√(3 c_in k^d).

    Parameters
    ----------
    c_in, c_out : int
        Channels.
    kernel : int
        k, odd: points of a side.
    rank : int
        R; any K is reached with R = k^d.
    dim : int
        d, 2 or 3.
    boundary : {"dirichlet", "periodic", "neumann"}
        What the field is beyond the last points.
    bias : bool
        Whether there is a bias.
    implementation : {"factorized", "reconstructed"}
        One axis after the other, with R min(c_in, c_out) channels in between, or with the dense kernel; the result is
        the same. The dense one takes the time of an ordinary convolution and is mostly the faster one on a CPU.

    References
    ----------
    Rigamonti, Sironi, Lepetit, Fua, Learning separable filters, CVPR 2013, doi:10.1109/CVPR.2013.355; there the terms
    are found after training, here they are there from the start.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import SeparableConv, count_params
    >>> S = SeparableConv(4, 6, 9, rank=3, bias=False)
    >>> count_params(S), S.dense_kernel().numel(), S(torch.zeros(2, 4, 20, 11)).shape
    (126, 1944, torch.Size([2, 6, 20, 11]))
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        *,
        rank: int,
        dim: int = 2,
        boundary: Boundary = "dirichlet",
        bias: bool = True,
        implementation: Implementation = "reconstructed",
    ) -> None:
        super().__init__()
        check_whole("c_in", c_in)
        check_whole("c_out", c_out)
        check_kernel(kernel)
        check_whole("rank", rank)
        check_among("dim", dim, (2, 3))
        check_among("boundary", boundary, get_args(Boundary))
        check_among("implementation", implementation, get_args(Implementation))
        self.boundary, self.implementation = boundary, implementation
        # Factors of equal scale learn at an equal rate. Each α_r begins with the same mean square, so that the scale
        # of K varies little although it has few factors.
        bound = 1.0 / math.sqrt(c_in * kernel**dim)
        scale = (bound / math.sqrt(3.0 * rank)) ** (1.0 / (dim + 1))
        factors = torch.randn(dim, rank, kernel)
        factors *= scale / factors.square().mean(dim=-1, keepdim=True).sqrt()
        self.factors = torch.nn.Parameter(factors)
        self.mixing = torch.nn.Parameter(scale * torch.randn(rank, c_out, c_in))
        self.bias = uniform(bound, c_out) if bias else None

    def dense_kernel(self, scale: Sequence[float] | None = None) -> torch.Tensor:
        """Return K, (c_out, c_in, k, k) or (c_out, c_in, k, k, k)."""
        first, *others = self._axis_kernels(scale)
        products = first
        for kernel in others:
            products = products[..., None] * kernel.reshape(len(kernel), *(1,) * (products.ndim - 1), -1)
        return torch.tensordot(self.mixing, products, dims=([0], [0]))

    def forward(self, x: torch.Tensor, scale: Sequence[float] | None = None) -> torch.Tensor:
        """Return K ∗ x + bias, (B, c_out, *grid), with K interpolated to so many times the points on each axis."""
        if self.implementation == "reconstructed":
            return convolve(x, self.dense_kernel(scale), self.bias, self.boundary)
        kernels = self._axis_kernels(scale)
        R, c_out, c_in = self.mixing.shape
        B, grid = x.shape[0], x.shape[2:]
        if c_in <= c_out:  # channels are samples while the axes are convolved, then they meet
            z = x.reshape(B * c_in, 1, *grid)
            for axis, kernel in enumerate(kernels):
                z = self._along(z, axis, kernel[:, None], groups=z.shape[1])
            y = torch.einsum("roi,bir...->bo...", self.mixing, z.reshape(B, c_in, R, *grid))
        else:
            z = torch.einsum("roi,bi...->bor...", self.mixing, x).reshape(B * c_out, R, *grid)
            for axis, kernel in enumerate(kernels[:-1]):
                z = self._along(z, axis, kernel[:, None], groups=R)
            y = self._along(z, len(grid) - 1, kernels[-1][None], groups=1).reshape(B, c_out, *grid)
        return y if self.bias is None else y + self.bias.reshape(-1, *(1,) * len(grid))

    def _axis_kernels(self, scale: Sequence[float] | None) -> list[torch.Tensor]:
        """Return the (R, k) kernels of each axis."""
        kernels = list(self.factors)
        return kernels if scale is None else [stretched(k, [s]) for k, s in zip(kernels, scale, strict=True)]

    def _along(self, z: torch.Tensor, axis: int, kernel: torch.Tensor, groups: int) -> torch.Tensor:
        """Convolve one axis with a kernel (c_out, c_in / groups, k)."""
        sides = [1] * len(self.factors)
        sides[axis] = kernel.shape[-1]
        return convolve(z, kernel.reshape(*kernel.shape[:2], *sides), None, self.boundary, groups=groups)
