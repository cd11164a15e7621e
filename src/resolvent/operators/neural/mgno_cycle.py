"""The multigrid V-cycle of MgNO, every operation of which is a learned convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final, get_args

import torch

from ..errors import StructureError
from .linear_map import NeuralMap
from .model import check_among, check_whole
from .stencil_convolution import CONVOLUTIONS, Boundary, StencilConvolution, channels_together, extend


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
        shared = {"boundary": boundary, "bias": bias, "dim": dim}
        self.levels = torch.nn.ModuleList(
            Level(c_in, C[l], smoothing[l], [*post, 0][l], from_zero=residual or l == 0, **shared) for l in range(J)
        )
        self.transfers = torch.nn.ModuleList(
            Transfer(c_in, C[l], C[l + 1], kernels[l], residual=residual, norm=norm, **shared) for l in range(J - 1)
        )

    def forward(self, f: torch.Tensor) -> torch.Tensor:
        """Return u, (B, width, *grid)."""
        f = channels_together(f)
        u = None
        path = []
        for level, transfer in zip(self.levels, self.transfers, strict=False):
            u = level.smooth(u, f)
            path.append((u, f))
            u, f = transfer.restrict(u, f)
        u = self.levels[-1].smooth(u, f)
        for level, transfer in zip(reversed(self.levels[:-1]), reversed(self.transfers), strict=True):
            fine, f = path.pop()
            u = level.smooth_again(transfer.prolong(u, fine), f)
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
class Level(torch.nn.Module):
    """The smoothing steps of one level."""

    def __init__(self, c: int, C: int, before: int, after: int, *, from_zero: bool, **stencil: Any) -> None:
        super().__init__()
        self.before = before
        self.smoothers = torch.nn.ModuleList(StencilConvolution(c, C, **stencil) for _ in range(before + after))
        # The first step from u = 0 needs no A.
        self.systems = torch.nn.ModuleList(
            StencilConvolution(C, c, **stencil) for _ in range(before + after - int(from_zero))
        )

    def smooth(self, u: torch.Tensor | None, f: torch.Tensor) -> torch.Tensor:
        """Take the steps on the way down, from u or from zero."""
        for i in range(self.before):
            u = self.smoothers[i](f) if u is None else self._step(i, u, f)
        assert u is not None
        return u

    def smooth_again(self, u: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        """Take the steps on the way up."""
        for i in range(self.before, len(self.smoothers)):
            u = self._step(i, u, f)
        return u

    def _step(self, i: int, u: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        A = self.systems[i - len(self.smoothers) + len(self.systems)]
        return u + self.smoothers[i](f - A(u))


@final
class Transfer(torch.nn.Module):
    """What goes from one level to the next and back."""

    def __init__(
        self, c: int, C: int, coarse: int, kernel: int, *, residual: bool, norm: bool, bias: bool, **stencil: Any
    ) -> None:
        super().__init__()
        self.restrict_f = StencilConvolution(c, c, stride=2, bias=bias, **stencil)
        self.restrict_u = None if residual else StencilConvolution(C, coarse, stride=2, bias=bias, **stencil)
        self.system = StencilConvolution(C, c, bias=bias, **stencil) if residual else None
        self.prolongation = Prolongation(coarse, C, kernel, bias=bias, **stencil)
        self.norm = torch.nn.GroupNorm(1, C) if norm else None

    def restrict(self, u: torch.Tensor, f: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Return u and f of the coarser level; None for a u that is zero."""
        if self.system is not None:
            return None, self.restrict_f(f - self.system(u))
        assert self.restrict_u is not None
        return self.restrict_u(u), self.restrict_f(f)

    def prolong(self, u: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Return the fine iterate with the correction by the coarse one."""
        corrected = fine + self.prolongation(u, fine.shape[2:])
        return corrected if self.norm is None else self.norm(corrected)


@final
class Prolongation(torch.nn.Module):
    """(P u)(i) = Σ_{2j+k−1=i} W_k u(j): the transpose of a convolution with stride two, from ⌈n/2⌉ to n points.

    The coarse field is continued by one point at both ends first, as the boundary says. The sum is formed as a
    convolution with two points a side to 2^d times the channels, one set for each parity of i, which are then woven
    together: forward and backward take an eighth of the time of torch's transposed convolution on a CPU. A kernel with
    three points a side is one with four whose last is zero.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, *, dim: int, boundary: Boundary, bias: bool) -> None:
        super().__init__()
        self.dim, self.boundary, self.c_out = dim, boundary, c_out
        bound = 1.0 / math.sqrt(c_out * kernel**dim)
        self.kernel = torch.nn.Parameter(torch.empty(c_in, c_out, *(kernel,) * dim).uniform_(-bound, bound))
        self.bias = torch.nn.Parameter(torch.empty(c_out).uniform_(-bound, bound)) if bias else None

    def forward(self, u: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
        """Return P u on a grid, (B, c_out, *grid)."""
        d, convolution = self.dim, CONVOLUTIONS[self.dim]
        assert convolution is not None
        bias = None if self.bias is None else self.bias.repeat(2**d)
        y = convolution(extend(u, [1] * d, self.boundary), self._by_parity(), bias)
        # (B, parities, c_out, *q) → (B, q₁, parity₁, q₂, parity₂, …, c_out): points in their order
        y = y.unflatten(1, (*(2,) * d, self.c_out))
        order = [axis for a in range(d) for axis in (d + 2 + a, 1 + a)]
        y = y.permute(0, *order, d + 1)
        y = y.reshape(y.shape[0], *(2 * q for q in u.shape[2:] for q in (q + 1,)), self.c_out)
        y = y[(slice(None), *(slice(1, n + 1) for n in grid))]
        return y.movedim(-1, 1)

    def _by_parity(self) -> torch.Tensor:
        """Return the kernel as one from c_in to 2^d c_out channels with two points a side.

        Output q of parity 0 is the odd point 2q − 1, to which u(q−1) comes through W_2 and u(q) through W_0; parity 1
        is the even point 2q, with W_3 and W_1.
        """
        d = self.dim
        W = self.kernel
        if W.shape[-1] == 3:
            W = torch.nn.functional.pad(W, [0, 1] * d)
        # (c_in, c_out, half₁, parity₁, half₂, parity₂, …) with W_{2 half + parity}; the later half comes first
        W = W.reshape(*W.shape[:2], *(2,) * (2 * d)).flip(*range(2, 2 * d + 2, 2))
        return W.permute(*range(3, 2 * d + 2, 2), 1, 0, *range(2, 2 * d + 2, 2)).flatten(0, d)
