"""The multigrid V-cycle of MgNO, every operation of which is a learned convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final, get_args

import torch

from ..errors import StructureError
from .linear_map import NeuralMap
from .model import check_among, check_whole
from .stencil_convolution import Boundary, StencilConvolution, channels_together, extend, uniform

TRANSPOSES = (
    None,
    torch.nn.functional.conv_transpose1d,
    torch.nn.functional.conv_transpose2d,
    torch.nn.functional.conv_transpose3d,
)


@final
class VCycle(torch.nn.Module):
    """One multigrid V-cycle f ↦ u from fields (B, c_in, *grid) to fields (B, width, *grid), linear in f.

    On each level the iterate is smoothed, u ← u + S(f − A u), from u = 0 on the finest; then u ← Π u and f ← R f go to
    every second point. On the way back u_l ← u_l + P u_{l+1}. S, A, Π and R are 3×3 convolutions, new ones for each
    step; P is the transpose of one with stride two.

    Parameters
    ----------
    c_in, width : int
        Channels of f and of u.
    smoothing : sequence of int
        Steps on each level, the finest first; their number is the number of levels.
    post_smoothing : sequence of int, optional
        Steps on the way back, on each level but the coarsest; none by default.
    prolongation : int or sequence of int
        Side of the kernel of P, 4 or 3, for each level but the coarsest.
    boundary : {"dirichlet", "periodic", "neumann"}
        What fields are beyond the last points.
    residual : bool
        Restrict f − A u instead of f, and begin with u = 0 on every level, as multigrid for A u = f does.
    growing : bool
        l · width channels on level l instead of width.
    bias, norm : bool
        A bias in each convolution; normalisation over points and channels after each P. Neither is linear.
    dim : int
        Dimension of the grid.

    Notes
    -----
    Work and storage are O(N) for N points. A level has ⌈n/2⌉ points of n, and the coarse field is continued by one
    point before P, so that every size works whose coarsest level has two points. Stencils act on indices: the same
    weights on a finer grid are another operator.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import VCycle
    >>> V = VCycle(1, 1, [1, 1, 2])
    >>> V(torch.zeros(5, 1, 33, 20)).shape
    torch.Size([5, 1, 33, 20])
    >>> V.as_operator((33, 20))
    NeuralMap(660 x 660, float32, VCycle)
    """

    def __init__(
        self,
        c_in: int,
        width: int,
        smoothing: Sequence[int],
        *,
        post_smoothing: Sequence[int] | None = None,
        prolongation: int | Sequence[int] = 4,
        boundary: Boundary = "dirichlet",
        residual: bool = False,
        growing: bool = False,
        bias: bool = False,
        norm: bool = False,
        dim: int = 2,
    ) -> None:
        super().__init__()
        check_whole("c_in", c_in)
        check_whole("width", width)
        check_among("boundary", boundary, get_args(Boundary))
        check_among("dim", dim, (1, 2, 3))
        J = len(smoothing)
        if J == 0:
            raise ValueError("smoothing must have at least one level, got an empty list")
        for steps in smoothing:
            check_whole("each of smoothing", steps)
        post = [0] * (J - 1) if post_smoothing is None else list(post_smoothing)
        kernels = [prolongation] * (J - 1) if isinstance(prolongation, int) else list(prolongation)
        for name, values in (("post_smoothing", post), ("prolongation", kernels)):
            if len(values) != J - 1:
                raise ValueError(f"{name} needs {J - 1} numbers for {J} levels, one less, got {len(values)}")
        for steps in post:
            check_whole("each of post_smoothing", steps, 0)
        for kernel in kernels:
            check_among("prolongation", kernel, (3, 4))
        self.c_in, self.width, self.linear = c_in, width, not (bias or norm)
        C = [width * (level + 1 if growing else 1) for level in range(J)]

        def stencil(c: int, C: int, stride: int = 1) -> StencilConvolution:
            return StencilConvolution(c, C, dim=dim, boundary=boundary, stride=stride, bias=bias)

        def smoother(level: int, steps: int, *, from_zero: bool) -> Smoothing:
            # The first step from u = 0 needs no A.
            return Smoothing(
                [stencil(c_in, C[level]) for _ in range(steps)],
                [stencil(C[level], c_in) for _ in range(steps - int(from_zero))],
            )

        down = range(J - 1)
        self.descents = torch.nn.ModuleList(
            smoother(level, smoothing[level], from_zero=residual or level == 0) for level in range(J)
        )
        self.restrictions = torch.nn.ModuleList(
            Restriction(
                stencil(c_in, c_in, 2),
                None if residual else stencil(C[level], C[level + 1], 2),
                stencil(C[level], c_in) if residual else None,
            )
            for level in down
        )
        self.prolongations = torch.nn.ModuleList(
            Prolongation(C[level + 1], C[level], kernels[level], dim=dim, boundary=boundary, bias=bias)
            for level in down
        )
        self.norms = torch.nn.ModuleList(
            torch.nn.GroupNorm(1, C[level]) if norm else torch.nn.Identity() for level in down
        )
        self.ascents = torch.nn.ModuleList(smoother(level, post[level], from_zero=False) for level in down)

    def forward(self, f: torch.Tensor) -> torch.Tensor:
        """Return u, (B, width, *grid)."""
        f = channels_together(f)
        u = None
        path = []
        for smooth, restrict in zip(self.descents, self.restrictions, strict=False):
            u = smooth(u, f)
            path.append((u, f))
            u, f = restrict(u, f)
        u = self.descents[-1](u, f)
        back = zip(reversed(path), *map(reversed, (self.prolongations, self.norms, self.ascents)), strict=True)
        for (fine, f), prolong, normalise, smooth in back:
            u = smooth(normalise(fine + prolong(u, fine.shape[2:])), f)
        return u

    def as_operator(self, grid: Sequence[int], **options: Any) -> NeuralMap:
        """Return the cycle on a grid as a linear operator for solvers.

        Parameters
        ----------
        grid : sequence of int
            Points of each axis.
        **options
            Of `NeuralMap`: ``props``, ``precision``.

        Raises
        ------
        StructureError
            For a cycle with biases or normalisation, which is not linear.
        """
        if not self.linear:
            raise StructureError("a cycle with bias or norm is not linear: build it with bias=False, norm=False")
        return NeuralMap(self, grid, c_in=self.c_in, **options)


@final
class Smoothing(torch.nn.Module):
    """Steps u ← u + S(f − A u) with an S and an A for each, from u or from zero."""

    def __init__(self, smoothers: list[StencilConvolution], systems: list[StencilConvolution]) -> None:
        super().__init__()
        self.smoothers, self.systems = torch.nn.ModuleList(smoothers), torch.nn.ModuleList(systems)

    def forward(self, u: torch.Tensor | None, f: torch.Tensor) -> torch.Tensor | None:
        """Take the steps; None is a u that is zero."""
        systems = iter(self.systems)
        for S in self.smoothers:
            u = S(f) if u is None else u + S(f - next(systems)(u))
        return u


@final
class Restriction(torch.nn.Module):
    """From u and f of one level to those where the next begins: Π u and R f, or 0 and R(f − A u)."""

    def __init__(
        self, restrict_f: StencilConvolution, restrict_u: StencilConvolution | None, system: StencilConvolution | None
    ) -> None:
        super().__init__()
        self.restrict_f, self.restrict_u, self.system = restrict_f, restrict_u, system

    def forward(self, u: torch.Tensor, f: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Return u, None where it is zero, and f."""
        if self.system is not None:
            f = f - self.system(u)
        return None if self.restrict_u is None else self.restrict_u(u), self.restrict_f(f)


@final
class Prolongation(torch.nn.Module):
    """(P u)(i) = Σ_{2j+k−1=i} W_k u(j): the transpose of a convolution with stride two, from ⌈n/2⌉ to n points.

    The coarse field is continued by one point at both ends first, as the boundary says.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, *, dim: int, boundary: Boundary, bias: bool) -> None:
        super().__init__()
        self.boundary = boundary
        bound = 1.0 / math.sqrt(c_out * kernel**dim)
        self.kernel = uniform(bound, c_in, c_out, *(kernel,) * dim)
        self.bias = uniform(bound, c_out) if bias else None

    def forward(self, u: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
        """Return P u on a grid, (B, c_out, *grid)."""
        transpose = TRANSPOSES[u.ndim - 2]
        assert transpose is not None
        # A point of the extension is two of the fine grid. Three points a side reach one point less than four.
        beyond = 0 if self.boundary == "dirichlet" else 1
        v = extend(u, [beyond] * len(grid), self.boundary) if beyond else u
        reach = 4 - self.kernel.shape[-1]
        v = transpose(v, self.kernel, self.bias, stride=2, padding=1 + 2 * beyond, output_padding=reach)
        surplus = [m - n for m, n in zip(v.shape[2:], grid, strict=True)]
        # Cut all axes at once: each slice of its own would be one more copy in the backward pass.
        cut = [side for n in reversed(surplus) for side in (0, -n)]
        return torch.nn.functional.pad(v, cut) if any(surplus) else v
