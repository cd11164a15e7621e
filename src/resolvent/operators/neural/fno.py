"""The Fourier neural operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, final

import torch
from torch.nn.functional import gelu

from .channels import ChannelMLP, channels_first, channels_last
from .grids import Positions, coordinates
from .model import NeuralOperator, check_among, check_whole
from .spectral.convolution import SpectralConvolution
from .spectral.modes import stored_modes
from .spectral.weights import DenseWeights

NORMS = (None, "instance", "group")


@final
class FNO(NeuralOperator):
    """Fourier neural operator in one, two or three dimensions.

    Channels are lifted point by point, go through `layers` blocks, and are projected point by point. A block is
    x ← act(S x + W x), x ← act(MLP x + g ⊙ x), with S a spectral convolution, W a matrix of the channels, g one number
    a channel, and act GELU, left out in the last block.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    n_modes : sequence of int
        Fourier modes of each axis, both signs counted; their number is the dimension.
    width : int
        Channels inside.
    layers : int
        Blocks.
    positions : {"vertices", "centres", "interior", "periodic"} or None
        Where the points lie, which gives the coordinates that are added to the input as channels; None adds none.
    padding : float
        Zeros after the end of each axis, as a part of its length, cut off again after the blocks: for functions that
        are not periodic. Published runs have 0.078.
    norm : {None, "instance", "group"}
        Normalisation after each half of a block, with statistics over the points.
    preactivation : bool
        Normalise and activate before S and the MLP instead of after.

    Notes
    -----
    A block costs O(C N ΣM + C² N) operations for N points and C channels. Not the first choice for rough coefficients
    or shocks, whose solutions have all frequencies.

    References
    ----------
    Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021,
    doi:10.48550/arXiv.2010.08895.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import FNO
    >>> model = FNO(c_in=1, c_out=1, n_modes=[8, 8], width=16)
    >>> model(torch.zeros(3, 1, 33, 33)).shape, model(torch.zeros(3, 1, 64, 48)).shape
    (torch.Size([3, 1, 33, 33]), torch.Size([3, 1, 64, 48]))
    """

    function_space: ClassVar[str] = (
        "the same operator on every grid: spectral multipliers and pointwise maps, up to the aliases of the activation"
    )

    def __init__(
        self,
        *,
        c_in: int,
        c_out: int,
        n_modes: Sequence[int] = (16, 16),
        width: int = 32,
        layers: int = 4,
        positions: Positions | None = "vertices",
        padding: float = 0.0,
        norm: Literal["instance", "group"] | None = None,
        preactivation: bool = False,
    ) -> None:
        super().__init__(c_in=c_in, c_out=c_out, dim=len(n_modes))
        for M in n_modes:
            check_whole("each of n_modes", M, 2)
        check_whole("width", width, 2)
        check_whole("layers", layers)
        check_among("norm", norm, NORMS)
        if not 0.0 <= padding <= 1.0:
            raise ValueError(f"padding must be between 0 and 1 of the side, got {padding}")
        self.positions, self.padding = positions, padding
        extra = 0 if positions is None else self.dim
        self.lift = ChannelMLP(c_in + extra, 2 * width, width)
        self.blocks = torch.nn.ModuleList(
            Block(
                SpectralConvolution(DenseWeights(width, width, stored_modes(n_modes)), n_modes),
                width,
                norm=norm,
                preactivation=preactivation,
                activated=preactivation or i < layers - 1,
            )
            for i in range(layers)
        )
        self.project = ChannelMLP(width, 2 * width, c_out)

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """Lift, apply the blocks, project."""
        grid = x.shape[2:]
        if self.positions is not None:
            places = coordinates(grid, self.positions, like=x)
            x = torch.cat([x, places.expand(x.shape[0], *places.shape)], dim=1)
        x = self.lift(channels_last(x).contiguous())
        extra = [round(self.padding * n) for n in grid]
        if any(extra):
            x = torch.nn.functional.pad(x, [0, 0, *(side for n in reversed(extra) for side in (0, n))])
        for block in self.blocks:
            x = block(x)
        if any(extra):
            x = x[(slice(None), *(slice(n) for n in grid))]
        return channels_first(self.project(x))


@final
class Block(torch.nn.Module):
    """One block of the operator, on fields (B, *grid, C)."""

    def __init__(
        self, spectral: torch.nn.Module, width: int, *, norm: str | None, preactivation: bool, activated: bool
    ) -> None:
        super().__init__()
        self.spectral = spectral
        self.skip = torch.nn.Linear(width, width, bias=False)
        self.mlp = ChannelMLP(width, max(width // 2, 1), width)
        self.gate = torch.nn.Parameter(torch.ones(width))
        self.norms = torch.nn.ModuleList(
            torch.nn.Identity() if norm is None else PointStatistics(width, groups=width if norm == "instance" else 1)
            for _ in range(2)
        )
        self.preactivation, self.activated = preactivation, activated

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply both halves."""
        first, second = self.norms
        if self.preactivation:
            y = gelu(first(x))
            x = self.spectral(y) + self.skip(y)
            y = gelu(second(x))
            mapped: torch.Tensor = self.mlp(y) + self.gate * x
            return mapped
        x = first(self.spectral(x) + self.skip(x))
        x = gelu(x) if self.activated else x
        x = second(self.mlp(x) + self.gate * x)
        return gelu(x) if self.activated else x


@final
class PointStatistics(torch.nn.Module):
    """Subtract the mean and divide by the deviation over points and the channels of a group, then scale and shift.

    The statistics are integrals over the grid, so that they converge under refinement.
    """

    def __init__(self, channels: int, groups: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.groups, self.eps = groups, eps
        self.scale = torch.nn.Parameter(torch.ones(channels))
        self.shift = torch.nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (B, *grid, C)."""
        parted = x.unflatten(-1, (self.groups, -1))
        over = (*range(1, x.ndim - 1), x.ndim)
        variance, mean = torch.var_mean(parted, dim=over, correction=0, keepdim=True)
        return ((parted - mean) * torch.rsqrt(variance + self.eps)).flatten(-2) * self.scale + self.shift
