"""Integrals over a neighbourhood of fixed physical size.

Basis functions are continuous and vanish at the radius, so that a grid needs a point closer than that. The kernel has
their values at the points; means over cells were tried and had up to eight times the error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final, get_args

import torch

from .grids import Positions, spacing, weights
from .model import check_among, check_whole
from .stencil_convolution import Boundary, channels_together, convolve, uniform


@final
class LocalIntegral(torch.nn.Module):
    """v(y) = ∫_{|x − y| ≤ r} κ(x − y) u(x) dx with a learned matrix κ, on fields (B, c_in, n₁, n₂) of the unit square.

    κ = Σ_b θ_b φ_b with fixed φ_b: one cone around y and, on rings of larger radius, products of a hat in the radius
    and a hat in the angle, each with integral one. The sum over points has the weights of the grid; beyond the boundary
    there is nothing, unless the grid is periodic. Number of parameters: c_in c_out (1 + (n_r − 1) n_φ).

    Parameters
    ----------
    c_in, c_out : int
        Channels.
    radius : float
        r, as a part of the side; larger than the spacing of the grid, better twice as large, at most 1/2.
    shape : (int, int)
        n_r radii and n_φ angles.
    positions : {"vertices", "centres", "interior", "periodic"}
        Where the points lie.

    Notes
    -----
    On n × n points the kernel has (2 ⌊r/h⌋ + 1)² entries, so that the cost grows with n⁴ where r is fixed: meant
    for a radius of a few points.

    References
    ----------
    Liu-Schiaffini et al., Neural operators with localized integral and differential kernels, ICML 2024,
    doi:10.48550/arXiv.2402.16845.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import LocalIntegral
    >>> I = LocalIntegral(2, 3, radius=0.1)
    >>> I(torch.zeros(1, 2, 33, 20)).shape, I.theta.shape
    (torch.Size([1, 3, 33, 20]), torch.Size([3, 2, 5]))
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        radius: float = 1.0 / 16.0,
        shape: Sequence[int] = (2, 4),
        positions: Positions = "vertices",
    ) -> None:
        super().__init__()
        check_radius(radius)
        check_among("positions", positions, get_args(Positions))
        if len(shape) != 2:
            raise ValueError(f"shape must be two numbers, of radii and of angles, got {list(shape)}")
        check_whole("radii of shape", shape[0])
        check_whole("angles of shape", shape[1], 3)
        self.radius, self.shape, self.positions = radius, tuple(shape), positions
        n_b = 1 + (shape[0] - 1) * shape[1]
        self.theta = uniform(1.0 / math.sqrt(c_in * n_b), c_out, c_in, n_b)

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """Return v, (B, c_out, n₁, n₂)."""
        grid = u.shape[2:]
        if len(grid) != 2:
            raise ValueError(f"LocalIntegral works on grids of two dimensions, got {len(grid)}")
        h = [spacing(n, self.positions) for n in grid]
        if self.radius <= max(h) * (1.0 + 1e-9):
            fewest = fewest_points(self.radius, self.positions)
            raise ValueError(
                f"the radius {self.radius:g} is not larger than the spacing {max(h):g} of a grid of {grid[0]} × "
                f"{grid[1]}: take a larger radius or at least {fewest} points a side"
            )
        kernel = torch.einsum("oib,bxy->oixy", self.theta, self.basis(h, u))
        for axis, n in enumerate(grid):
            w = weights(n, self.positions, like=u)
            # Half a cell at a boundary that is a point, half a cell more where the boundary is left out.
            u = u * (w / spacing(n, self.positions)).reshape(-1, *(1,) * (1 - axis))
        boundary: Boundary = "periodic" if self.positions == "periodic" else "dirichlet"
        return convolve(channels_together(u), kernel, None, boundary)

    def basis(self, h: Sequence[float], like: torch.Tensor) -> torch.Tensor:
        """Return the values of φ_b around a point times the area of a cell, (n_b, k₁, k₂), for spacings h."""
        offsets = []
        for side in h:
            cells = math.floor(self.radius / side)
            offsets.append(side * torch.arange(-cells, cells + 1, dtype=like.dtype, device=like.device))
        x, y = torch.meshgrid(*offsets, indexing="ij")
        return hats(torch.hypot(x, y), torch.atan2(y, x), self.radius, *self.shape) * (h[0] * h[1])


def hats(rho: torch.Tensor, angle: torch.Tensor, radius: float, n_r: int, n_phi: int) -> torch.Tensor:
    """Return the basis functions, (1 + (n_r − 1) n_φ, *points), all zero from `radius` on and with integral one."""
    width, step = radius / n_r, 2.0 * math.pi / n_phi
    cone = (1.0 - rho / width).clamp(min=0.0) * (3.0 / (math.pi * width**2))
    functions = [cone]
    for a in range(1, n_r):
        ring = (1.0 - (rho / width - a).abs()).clamp(min=0.0) / (a * width**2 * step)
        for b in range(n_phi):
            turned = torch.remainder(angle - b * step + math.pi, 2.0 * math.pi) - math.pi
            functions.append(ring * (1.0 - turned.abs() / step).clamp(min=0.0))
    return torch.stack(functions)


def check_radius(radius: float) -> None:
    """Raise ValueError unless a radius is one of a neighbourhood in the unit square."""
    if not 0.0 < radius <= 0.5:
        raise ValueError(f"radius must be above 0 and at most 1/2 of the side, got {radius}")


def fewest_points(radius: float, positions: Positions) -> int:
    """Return the points a side of the coarsest grid whose spacing is smaller than a radius."""
    cells = math.floor(1.0 / radius * (1.0 + 1e-9)) + 1
    return max(2, cells + {"vertices": 1, "centres": 0, "interior": -1, "periodic": 0}[positions])
