"""A neural operator with learned Monarch transforms in place of the Fourier transform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, final

import torch

from .channels import ChannelMLP, channels_first, channels_last
from .fno import Block
from .grids import Positions, coordinates
from .model import NeuralOperator, check_among, check_whole
from .spectral.forms import Form, make_weights
from .spectral.modes import stored_modes
from .spectral.monarch import MonarchConvolution
from .spectral.weights import Implementation


@final
class MonarchOperator(NeuralOperator):
    """The Fourier neural operator with the transforms of its spectral convolutions learned, from Fourier's on.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    root : int
        m: the transforms work on m² points an axis; other grids are resampled to them.
    n_modes : sequence of int
        Retained modes of each axis, both signs counted, at most m²; their number is the dimension.
    width : int
        Channels inside.
    layers : int
        Blocks.
    positions : {"vertices", "centres", "interior", "periodic"} or None
        Where the points lie, which gives the coordinates that are added to the input as channels; None adds none.
    norm : {None, "instance", "group"}
        Normalisation after each half of a block, with statistics over the points.
    weights, rank, implementation
        Form of the multipliers, as for `FNO`.

    Notes
    -----
    Costs what an `FNO` costs: the transforms of the retained modes are formed as matrices once a call, O(M m²) each.
    Choose m² near the side of the training grid. Not for use at resolutions far from it, nor for problems that are
    translation-invariant: there the Fourier transform is the right one already.

    References
    ----------
    Dao et al., Monarch: expressive structured matrices for efficient and accurate training, ICML 2022,
    doi:10.48550/arXiv.2204.00595.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import MonarchOperator
    >>> model = MonarchOperator(c_in=1, c_out=1, root=4, n_modes=[8, 8], width=8, layers=2)
    >>> model(torch.zeros(2, 1, 16, 16)).shape, model(torch.zeros(2, 1, 33, 20)).shape
    (torch.Size([2, 1, 16, 16]), torch.Size([2, 1, 33, 20]))
    """

    function_space: ClassVar[str] = (
        "spectral operators on m² points an axis, to which every grid is resampled by trigonometric interpolation: the "
        "same operator on every grid for inputs below the lower Nyquist frequency, but tied to m and to the origin"
    )

    def __init__(
        self,
        *,
        c_in: int,
        c_out: int,
        root: int = 8,
        n_modes: Sequence[int] = (16, 16),
        width: int = 32,
        layers: int = 4,
        positions: Positions | None = "vertices",
        norm: Literal["instance", "group"] | None = None,
        weights: Form = "dense",
        rank: float = 0.1,
        implementation: Implementation = "factorized",
    ) -> None:
        super().__init__(c_in=c_in, c_out=c_out, dim=len(n_modes))
        check_whole("root", root, 2)
        for M in n_modes:
            check_whole("each of n_modes", M, 2)
        check_whole("width", width, 2)
        check_whole("layers", layers)
        check_among("norm", norm, (None, "instance", "group"))
        self.positions = positions
        modes = stored_modes(n_modes)
        self.lift = ChannelMLP(c_in + (0 if positions is None else self.dim), 2 * width, width)
        self.blocks = torch.nn.ModuleList(
            Block(
                MonarchConvolution(
                    make_weights(weights, width, modes, rank=rank, implementation=implementation), n_modes, root
                ),
                width,
                norm=norm,
                preactivation=False,
                activated=i < layers - 1,
            )
            for i in range(layers)
        )
        self.project = ChannelMLP(width, 2 * width, c_out)

    @classmethod
    def suited_options(cls, grid: Sequence[int], positions: Sequence[str | None]) -> dict[str, Any]:
        """Return those of every spectral model, and the root of the next square from the longest side up."""
        options = super().suited_options(grid, positions)
        return {**options, "root": max(2, math.isqrt(max(grid) - 1) + 1)}

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """Lift, apply the blocks, project."""
        if self.positions is not None:
            places = coordinates(x.shape[2:], self.positions, like=x)
            x = torch.cat([x, places.expand(x.shape[0], *places.shape)], dim=1)
        x = self.lift(channels_last(x).contiguous())
        for block in self.blocks:
            x = block(x)
        return channels_first(self.project(x))
