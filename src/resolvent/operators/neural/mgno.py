"""The multigrid neural operator MgNO.

Against the published code: any grid, any number of channels, one normalisation scale a channel instead of one a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, final

import torch
from torch.nn.functional import gelu

from .mgno_cycle import VCycle
from .model import NeuralOperator, check_among, check_whole
from .stencil_convolution import Boundary, channels_together

HEADS = ("pointwise", "cycle")


@final
class MgNO(NeuralOperator):
    """Multigrid neural operator: u⁺ = GELU(V u + B u) with a learned linear V-cycle V and a matrix of the channels B.

    There is no lifting and no projection: the first layer goes from c_in to `width` channels, a head to c_out.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    width : int
        Channels inside.
    layers : int
        V-cycles.
    smoothing : sequence of int
        Smoothing steps on each level, the finest first; their number J is the number of levels.
    post_smoothing : sequence of int, optional
        The same on the way back, on each level but the coarsest; none by default.
    prolongation : int or sequence of int
        Side of the prolongation's kernel, 4 or 3, on each level but the coarsest.
    boundary : {"dirichlet", "periodic", "neumann"}
        Boundary condition, as every convolution continues its argument: by zeros, by repetition, by reflection.
    residual : bool
        Restrict the residual f − A u with a coarse iterate that begins at zero, as multigrid does, instead of f and
        u themselves, as the published runs do.
    pointwise : bool
        Whether there is a B, with a bias.
    bias : bool
        Biases in all convolutions of the cycles.
    norm : bool
        Normalisation over points and channels after each prolongation.
    growing : bool
        l · width channels on level l.
    head : {"pointwise", "cycle"}
        A matrix of the channels, or one more V-cycle without normalisation, which would fix the scale of the output.
    residual_connection : bool
        Add the last c_out channels of the input to the output: the latest state, where channels are states in time.
    dim : int
        Dimension of the grid.

    Notes
    -----
    A layer costs O(C² N) operations and has O(J C²) parameters. Stencils act on indices: a trained model belongs to
    the spacing it was trained on, and J is chosen so that the coarsest level has a few points. For other grids take
    `LocalFNO` or `FNO`.

    Published settings: Darcy 211², width 24, 5 layers, smoothing 1,1,1,1,1,2; rough Darcy 256², 4 layers, the same.
    Navier–Stokes 64²: width 32, 5 layers, smoothing 1,1,1,2,2, periodic, ``norm=True``, ``pointwise=False``,
    ``residual_connection=True``. Helmholtz 101²: width 20, 4 layers, smoothing 1,1,1,1,2, neumann, ``bias=True``,
    ``norm=True``, ``growing=True``, ``head="cycle"``. Pipe 128²: width 24, 5 layers, smoothing 1,1,1,1,1,2,
    post_smoothing 0,0,0,0,1.

    References
    ----------
    He, Liu, Xu, MgNO: Efficient parameterization of linear operators via multigrid, ICLR 2024,
    doi:10.48550/arXiv.2310.19809.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import MgNO, count_params
    >>> model = MgNO(c_in=1, c_out=1, width=24, layers=4, smoothing=[1, 1, 1, 2])
    >>> count_params(model)
    363267
    >>> model(torch.zeros(2, 1, 33, 40)).shape
    torch.Size([2, 1, 33, 40])
    """

    function_space: ClassVar[str] = (
        "a map of one grid: stencils act on indices, so that a finer grid needs its own weights"
    )

    def __init__(
        self,
        *,
        c_in: int,
        c_out: int,
        width: int = 24,
        layers: int = 4,
        smoothing: Sequence[int] = (1, 1, 1, 2),
        post_smoothing: Sequence[int] | None = None,
        prolongation: int | Sequence[int] = 4,
        boundary: Boundary = "dirichlet",
        residual: bool = False,
        pointwise: bool = True,
        bias: bool = False,
        norm: bool = False,
        growing: bool = False,
        head: Literal["pointwise", "cycle"] = "pointwise",
        residual_connection: bool = False,
        dim: int = 2,
    ) -> None:
        super().__init__(c_in=c_in, c_out=c_out, dim=dim)
        check_whole("width", width)
        check_whole("layers", layers)
        check_among("head", head, HEADS)
        if residual_connection and c_in < c_out:
            raise ValueError(
                f"residual_connection adds the last {c_out} channels of the input, but it has {c_in}: "
                "leave it out or give more channels"
            )

        def cycle(c: int, C: int, *, norm: bool) -> VCycle:
            return VCycle(
                c,
                C,
                smoothing,
                post_smoothing=post_smoothing,
                prolongation=prolongation,
                boundary=boundary,
                residual=residual,
                growing=growing,
                bias=bias,
                norm=norm,
                dim=dim,
            )

        channels = [c_in, *(width,) * layers]
        self.cycles = torch.nn.ModuleList(cycle(c, width, norm=norm) for c in channels[:-1])
        self.maps = torch.nn.ModuleList(torch.nn.Linear(c, width) for c in channels[:-1]) if pointwise else None
        self.head: VCycle | torch.nn.Linear = (
            torch.nn.Linear(width, c_out, bias=False) if head == "pointwise" else cycle(width, c_out, norm=False)
        )
        self.levels, self.residual_connection = len(smoothing), residual_connection

    @classmethod
    def suited_options(cls, grid: Sequence[int], positions: Sequence[str | None]) -> dict[str, Any]:
        """Return the options by which a model suits a grid: dimension, boundary, and levels down to about 4 points."""
        periodic = all(place == "periodic" for place in positions)
        levels = max(1, ((min(grid) - 1) // 4).bit_length())
        return {
            "dim": len(grid),
            "boundary": "periodic" if periodic else "dirichlet",
            "smoothing": [*[1] * (levels - 1), 2],
        }

    @property
    def minimum_grid(self) -> int:
        """Fewest points that an axis may have: two are left on the coarsest level."""
        return max(2, 2 ** (self.levels - 1) + 1)

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layers and the head."""
        u = channels_together(x)
        for i, cycle in enumerate(self.cycles):
            u = gelu(cycle(u) if self.maps is None else cycle(u) + at_points(self.maps[i], u))
        y = self.head(u) if isinstance(self.head, VCycle) else at_points(self.head, u)
        if self.residual_connection:
            y = y + x[:, self.c_in - self.c_out :]
        return y.contiguous()


def at_points(matrix: torch.nn.Module, u: torch.Tensor) -> torch.Tensor:
    """Apply a map of the channels to fields (B, C, *grid)."""
    mapped: torch.Tensor = matrix(u.movedim(1, -1))
    return mapped.movedim(-1, 1)
