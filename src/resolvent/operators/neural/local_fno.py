"""The Fourier neural operator with local branches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, final, get_args

import torch

from .channels import ChannelMLP, channels_first, channels_last
from .differential import DifferentialConvolution
from .fno import Block
from .grids import Positions, coordinates
from .local_integral import LocalIntegral, check_radius, fewest_points
from .model import NeuralOperator, check_among, check_whole
from .spectral.convolution import SpectralConvolution
from .spectral.modes import stored_modes
from .spectral.weights import DenseWeights


@final
class LocalFNO(NeuralOperator):
    """Fourier neural operator with a differential or a local integral operator beside the spectral convolution.

    Blocks are those of `FNO`, x ← act(S x + W x + D x + I x) first, where D, the differential convolution, and I, the
    integral over a neighbourhood of fixed size, are in the layers that are listed for them. Both converge when the grid
    is refined, as S does, and see what the retained modes do not.

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
    positions : {"vertices", "centres", "interior", "periodic"}
        Where the points lie, which gives spacings, weights and the coordinates that are added as channels. Those of a
        periodic axis are cos 2πx and sin 2πx: x itself jumps at the end, where its derivative would grow as 1/h.
    differential : sequence of int
        Layers with a differential branch; negative numbers count from the end.
    integral : sequence of int
        Layers with an integral branch, in two dimensions.
    radius : float
        Of the integral, as a part of the side; larger than the spacing of any grid.
    shape : (int, int)
        Radii and angles of the basis of the integral's kernel.
    kernel : int
        Points of a side of the differential kernel.

    Notes
    -----
    Published settings: 40 modes, width 99, four layers, and either the differential branch in the last layer or the
    integral, with radius 1/64 of the side, in all of them.

    References
    ----------
    Liu-Schiaffini et al., Neural operators with localized integral and differential kernels, ICML 2024,
    doi:10.48550/arXiv.2402.16845.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import LocalFNO
    >>> model = LocalFNO(c_in=1, c_out=1, n_modes=[8, 8], width=8, integral=[0, 1, 2, 3], radius=1 / 16)
    >>> model(torch.zeros(2, 1, 33, 20)).shape
    torch.Size([2, 1, 33, 20])
    """

    function_space: ClassVar[str] = (
        "the same operator in the limit of fine grids: derivatives and local integrals of first order in the spacing"
    )

    def __init__(
        self,
        *,
        c_in: int,
        c_out: int,
        n_modes: Sequence[int] = (16, 16),
        width: int = 32,
        layers: int = 4,
        positions: Positions = "vertices",
        differential: Sequence[int] = (-1,),
        integral: Sequence[int] = (),
        radius: float = 1.0 / 16.0,
        shape: Sequence[int] = (2, 4),
        kernel: int = 3,
    ) -> None:
        super().__init__(c_in=c_in, c_out=c_out, dim=len(n_modes))
        for M in n_modes:
            check_whole("each of n_modes", M, 2)
        check_whole("width", width, 2)
        check_whole("layers", layers)
        check_among("positions", positions, get_args(Positions))
        check_radius(radius)
        derived = _layers("differential", differential, layers)
        integrated = _layers("integral", integral, layers)
        if integrated and self.dim != 2:
            raise ValueError(f"integral branches need two dimensions, got n_modes for {self.dim}: leave integral empty")
        self.positions, self.radius, self.integrates = positions, radius, bool(integrated)

        def beside(layer: int) -> list[torch.nn.Module]:
            branches: list[torch.nn.Module] = []
            if layer in derived:
                branches.append(DifferentialConvolution(width, width, kernel, dim=self.dim, positions=positions))
            if layer in integrated:
                branches.append(LocalIntegral(width, width, radius=radius, shape=shape, positions=positions))
            return branches

        extra = 2 * self.dim if positions == "periodic" else self.dim
        self.lift = ChannelMLP(c_in + extra, 2 * width, width)
        self.blocks = torch.nn.ModuleList(
            Block(
                SpectralAndLocal(
                    SpectralConvolution(DenseWeights(width, width, stored_modes(n_modes)), n_modes), beside(i)
                ),
                width,
                norm=None,
                preactivation=False,
                activated=i < layers - 1,
            )
            for i in range(layers)
        )
        self.project = ChannelMLP(width, 2 * width, c_out)

    @property
    def minimum_grid(self) -> int:
        """Fewest points that an axis may have: the radius of the integral is larger than the spacing."""
        return fewest_points(self.radius, self.positions) if self.integrates else 2

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """Lift, apply the blocks, project."""
        places = coordinates(x.shape[2:], self.positions, like=x)
        if self.positions == "periodic":
            places = torch.cat([torch.cos(2.0 * math.pi * places), torch.sin(2.0 * math.pi * places)])
        x = torch.cat([x, places.expand(x.shape[0], *places.shape)], dim=1)
        x = self.lift(channels_last(x).contiguous())
        for block in self.blocks:
            x = block(x)
        return channels_first(self.project(x))


@final
class SpectralAndLocal(torch.nn.Module):
    """The sum of a spectral convolution of (B, *grid, C) and of operators on (B, C, *grid)."""

    def __init__(self, spectral: SpectralConvolution, local: Sequence[torch.nn.Module]) -> None:
        super().__init__()
        self.spectral, self.local = spectral, torch.nn.ModuleList(local)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum, (B, *grid, C)."""
        v: torch.Tensor = self.spectral(x)
        for branch in self.local:
            v = v + channels_last(branch(x.movedim(-1, 1)))
        return v


def _layers(name: str, of: Sequence[int], layers: int) -> set[int]:
    """Return numbers of layers, counted from the beginning."""
    for i in of:
        if isinstance(i, bool) or not isinstance(i, int) or not -layers <= i < layers:
            raise ValueError(f"{name} must list layers from {-layers} to {layers - 1}, got {i!r}")
    return {i % layers for i in of}
