"""Convolutions that become derivatives when the grid is refined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final, get_args

import torch

from .grids import Positions, spacing
from .model import check_among, check_whole
from .stencil_convolution import channels_together, check_kernel, convolve, extend, uniform


@final
class DifferentialConvolution(torch.nn.Module):
    """v = (K ∗ u − (Σ_j K_j) u) / h: a learned directional derivative, on fields (B, c_in, *grid).

    For smooth u it converges to Σ_j K_j j · ∇u to first order in h, the spacing of the first axis, with coordinates in
    which all axes have that spacing. A periodic field repeats beyond the last points; others are continued linearly, so
    that linear functions are differentiated exactly up to the boundary.

    Parameters
    ----------
    c_in, c_out : int
        Channels.
    kernel : int
        Points of a side of K, odd, at least 3.
    dim : int
        Dimension of the grid.
    positions : {"vertices", "centres", "interior", "periodic"}
        Where the points lie, which gives h.

    Notes
    -----
    The ratio of the spacings of two axes is part of the learned direction: keep it from grid to grid.

    References
    ----------
    Liu-Schiaffini et al., Neural operators with localized integral and differential kernels, ICML 2024,
    doi:10.48550/arXiv.2402.16845.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import DifferentialConvolution
    >>> D = DifferentialConvolution(1, 1, dim=1)
    >>> _ = D.kernel.data.copy_(torch.tensor([0.0, -1.0, 1.0]))
    >>> D(torch.linspace(0.0, 2.0, 5)[None, None]).detach()
    tensor([[[2., 2., 2., 2., 2.]]])
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 3, *, dim: int = 2, positions: Positions = "vertices"
    ) -> None:
        super().__init__()
        check_kernel(kernel)
        check_whole("kernel", kernel, 3)
        check_among("dim", dim, (1, 2, 3))
        check_among("positions", positions, get_args(Positions))
        self.positions = positions
        self.kernel = uniform(1.0 / math.sqrt(c_in * kernel**dim), c_out, c_in, *(kernel,) * dim)

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """Return v, (B, c_out, *grid)."""
        sides = self.kernel.shape[2:]
        axes = tuple(range(2, self.kernel.ndim))
        middle = torch.nn.functional.pad(
            self.kernel.sum(dim=axes, keepdim=True), [side // 2 for side in sides for _ in range(2)]
        )
        K = (self.kernel - middle) / spacing(u.shape[2], self.positions)
        widths = [side // 2 for side in sides]
        u = extend(u, widths, "periodic") if self.positions == "periodic" else extrapolate(u, widths)
        return convolve(channels_together(u), K, boundary=None)

    def directions(self) -> torch.Tensor:
        """Return Σ_j K_j j, (c_out, c_in, d): what v tends to is the sum over c_in of these times ∇u."""
        d = self.kernel.ndim - 2
        moments = []
        for axis in range(2, d + 2):
            others = tuple(a for a in range(2, d + 2) if a != axis)
            line = self.kernel.sum(dim=others) if others else self.kernel
            j = torch.arange(line.shape[-1], dtype=line.dtype, device=line.device) - line.shape[-1] // 2
            moments.append(line @ j)
        return torch.stack(moments, dim=-1)


def extrapolate(u: torch.Tensor, widths: Sequence[int]) -> torch.Tensor:
    """Return (B, C, *grid) continued linearly by so many points at both ends of each axis."""
    for axis, w in enumerate(widths, 2):
        steps = torch.arange(1, w + 1, dtype=u.dtype, device=u.device)
        steps = steps.reshape(-1, *(1,) * (u.ndim - 1 - axis))
        n = u.shape[axis]
        first, last = u.narrow(axis, 0, 1), u.narrow(axis, n - 1, 1)
        before = first + steps.flip(0) * (first - u.narrow(axis, 1, 1))
        after = last + steps * (last - u.narrow(axis, n - 2, 1))
        u = torch.cat([before, u, after], dim=axis)
    return u
