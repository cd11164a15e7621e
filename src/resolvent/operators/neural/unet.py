"""A U-Net, the local baseline.

Fields are halved by averages and doubled by repetition, which keep constants and periodicity; sizes that cannot be
halved often enough are continued at their end as the boundary says, and cut again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar, Literal, final, get_args

import torch
from torch.nn.functional import avg_pool1d, avg_pool2d, avg_pool3d, gelu

from .grids import Positions, coordinates, spacing
from .model import NeuralOperator, check_among, check_whole
from .separable_convolution import SeparableConv
from .stencil_convolution import Boundary, StencilConvolution, channels_together, check_kernel, extend, stretched_side

POOLS = (None, avg_pool1d, avg_pool2d, avg_pool3d)
CONVOLUTION_KINDS = ("dense", "separable")


@final
class UNet(NeuralOperator):
    """U-Net: two convolutions with GELU on each level down and up, with the fields of the way down beside those below.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    width : int
        Channels of the finest level.
    multipliers : sequence of int
        Channels of each level over `width`; their number is the number of levels.
    kernel : int
        Points of a side of the kernels, odd.
    positions : {"vertices", "centres", "interior", "periodic"} or None
        Where the points lie, which gives the coordinates that are added to the input as channels; None adds none.
    boundary : {"dirichlet", "periodic", "neumann"}
        What fields are beyond the last points.
    convolution : {"dense", "separable"}
        Form of the kernels.
    rank : int, optional
        Terms of a separable kernel; `kernel` by default.
    interpolate_kernels : sequence of int, optional
        The grid, one number an axis, for which kernels are stored; on others they are interpolated to the same extent.
        By default kernels act on indices everywhere.
    dim : int
        Dimension of the grid.

    Notes
    -----
    Cost O(k^d C² N). The baseline to compare with rather than a first choice: off the grid of its training it is
    clearly worse than spectral models, with interpolated kernels less so. A periodic grid keeps its translations only
    if its sides are multiples of 2^(levels − 1).

    References
    ----------
    Ronneberger, Fischer, Brox, U-Net: Convolutional networks for biomedical image segmentation, MICCAI 2015,
    doi:10.1007/978-3-319-24574-4_28.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import UNet
    >>> model = UNet(c_in=1, c_out=1, width=4, multipliers=[1, 2], kernel=5)
    >>> model(torch.zeros(2, 1, 33, 20)).shape
    torch.Size([2, 1, 33, 20])
    """

    function_space: ClassVar[str] = (
        "a map of one grid: levels are halvings of the grid, and interpolated kernels keep only their extent on others"
    )

    def __init__(
        self,
        *,
        c_in: int,
        c_out: int,
        width: int = 19,
        multipliers: Sequence[int] = (1, 2, 2, 3),
        kernel: int = 9,
        positions: Positions | None = "vertices",
        boundary: Boundary = "dirichlet",
        convolution: Literal["dense", "separable"] = "dense",
        rank: int | None = None,
        interpolate_kernels: Sequence[int] | None = None,
        dim: int = 2,
    ) -> None:
        super().__init__(c_in=c_in, c_out=c_out, dim=dim)
        check_whole("width", width)
        if not multipliers:
            raise ValueError("multipliers must have at least one level, got an empty list")
        for multiplier in multipliers:
            check_whole("each of multipliers", multiplier)
        check_kernel(kernel)
        if positions is not None:
            check_among("positions", positions, get_args(Positions))
        check_among("boundary", boundary, get_args(Boundary))
        check_among("convolution", convolution, CONVOLUTION_KINDS)
        if rank is not None and convolution == "dense":
            raise ValueError(f"rank={rank} is for convolution='separable', got a dense one: leave it out")
        if convolution == "separable" and dim == 1:
            raise ValueError("a kernel of one axis has nothing to separate: take convolution='dense' for dim=1")
        if interpolate_kernels is not None:
            if len(interpolate_kernels) != dim:
                raise ValueError(f"interpolate_kernels needs {dim} numbers for dim={dim}, got {interpolate_kernels}")
            for n in interpolate_kernels:
                check_whole("each of interpolate_kernels", n, 2)
        self.positions, self.boundary, self.kernel_side = positions, boundary, kernel
        self.reference = None if interpolate_kernels is None else tuple(interpolate_kernels)
        R = kernel if rank is None else rank
        C = [width * multiplier for multiplier in multipliers]

        def stage(c: int, C: int) -> Stage:
            def make(c: int) -> SeparableConv | StencilConvolution:
                if convolution == "separable":
                    return SeparableConv(c, C, kernel, rank=R, dim=dim, boundary=boundary)
                return StencilConvolution(c, C, kernel, dim=dim, boundary=boundary, bias=True)

            return Stage(make(c), make(C))

        entering = [c_in + (0 if positions is None else dim), *C[:-1]]
        self.descent = torch.nn.ModuleList(stage(c, level) for c, level in zip(entering, C, strict=True))
        self.ascent = torch.nn.ModuleList(stage(fine + coarse, fine) for fine, coarse in itertools.pairwise(C))
        self.head = torch.nn.Linear(C[0], c_out)
        self._minimum = self._find_minimum()

    @property
    def minimum_grid(self) -> int:
        """Fewest points that an axis may have: the coarsest level is continued by half a kernel."""
        return self._minimum

    def _find_minimum(self) -> int:
        halvings = 2 ** (len(self.descent) - 1)

        def short(n: int, axis: int) -> bool:
            reach = self.kernel_side // 2
            if self.reference is not None and reach:
                reach = stretched_side(self.kernel_side, self._scale([n] * self.dim)[axis]) // 2
            needed = {"dirichlet": 1, "periodic": max(reach, 1), "neumann": reach + 1}[self.boundary]
            return n < halvings or -(-n // halvings) < needed

        largest = max(self.reference or (), default=0) + (self.kernel_side + 2) * halvings
        failing = [n for n in range(1, largest + 1) for axis in range(self.dim) if short(n, axis)]
        if self.reference is not None and max(failing, default=0) >= min(self.reference):
            raise ValueError(
                f"kernels of {self.kernel_side} points reach over the coarsest of {len(self.descent)} levels of a grid "
                f"of {min(self.reference)} points: give a finer one in interpolate_kernels, fewer levels or a smaller "
                "kernel"
            )
        return max(2, max(failing, default=1) + 1)

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """Go down and up again."""
        grid = x.shape[2:]
        scale = None if self.reference is None else self._scale(grid)
        if self.positions is not None:
            places = coordinates(grid, self.positions, like=x)
            x = torch.cat([x, places.expand(x.shape[0], *places.shape)], dim=1)
        halvings = 2 ** (len(self.descent) - 1)
        lacking = [-n % halvings for n in grid]
        if any(lacking):
            x = extend(x, lacking, self.boundary, beginning=False)
        x = channels_together(x)
        pool = POOLS[self.dim]
        assert pool is not None
        path = []
        for i, stage in enumerate(self.descent):
            x = stage(x if i == 0 else pool(x, 2), scale)
            path.append(x)
        for stage, fine in zip(reversed(self.ascent), reversed(path[:-1]), strict=True):
            x = stage(torch.cat([fine, torch.nn.functional.interpolate(x, scale_factor=2.0)], dim=1), scale)
        y = self.head(x.movedim(1, -1)).movedim(-1, 1)
        return y[(..., *(slice(n) for n in grid))].contiguous()

    def _scale(self, grid: Sequence[int]) -> list[float]:
        """Return how much finer each axis is than the grid of the stored kernels."""
        assert self.reference is not None
        places = self.positions or "periodic"
        return [spacing(n0, places) / spacing(n, places) for n0, n in zip(self.reference, grid, strict=True)]


@final
class Stage(torch.nn.Module):
    """Two convolutions, each followed by GELU."""

    def __init__(self, first: SeparableConv | StencilConvolution, second: SeparableConv | StencilConvolution) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: torch.Tensor, scale: Sequence[float] | None) -> torch.Tensor:
        """Apply both."""
        return gelu(self.second(gelu(self.first(x, scale)), scale))
