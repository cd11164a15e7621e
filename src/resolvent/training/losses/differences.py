"""First derivatives by differences of neighbours."""

from __future__ import annotations

import torch

from ..data.geometry import Geometry


def difference(u: torch.Tensor, i: int, geometry: Geometry) -> torch.Tensor:
    """Return ∂u/∂x_i on the same grid.

    Slopes between neighbours are averaged at each point, weighted by the distance on the other side: central
    differences, of second order on uneven points too. Periodic axes are wrapped. At walls the only slope is taken,
    of first order; as such points weigh half a cell, norms of smooth functions are still of second order.

    Parameters
    ----------
    u : (B, C, *grid) tensor
    i : int
        The axis, counted from 0.
    geometry : Geometry
    """
    dim = u.ndim - geometry.dim + i
    n, h = geometry.grid[i], geometry.spacing[i]
    if geometry.uniform[i]:
        if geometry.periodic[i]:
            return (u.roll(-1, dim) - u.roll(1, dim)) / (2.0 * h)
        first = (u.narrow(dim, 1, 1) - u.narrow(dim, 0, 1)) / h
        inside = (u.narrow(dim, 2, n - 2) - u.narrow(dim, 0, n - 2)) / (2.0 * h)
        last = (u.narrow(dim, n - 1, 1) - u.narrow(dim, n - 2, 1)) / h
        return torch.cat([first, inside, last], dim)
    shape = [-1, *[1] * (u.ndim - 1 - dim)]
    distance = geometry.gaps(i, u).reshape(shape)
    if geometry.periodic[i]:
        slopes = (u.roll(-1, dim) - u) / distance
        return _average(slopes.roll(1, dim), slopes, distance.roll(1, 0), distance)
    slopes = u.diff(dim=dim) / distance
    inside = _average(
        slopes.narrow(dim, 0, n - 2), slopes.narrow(dim, 1, n - 2), distance.narrow(0, 0, n - 2),
        distance.narrow(0, 1, n - 2),
    )  # fmt: skip
    return torch.cat([slopes.narrow(dim, 0, 1), inside, slopes.narrow(dim, n - 2, 1)], dim)


def squared_seminorm(u: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """Return ΣΔ|∇_h u|² of each sample and channel, (B, C)."""
    total = torch.zeros_like(u)
    for i in range(geometry.dim):
        total = total + difference(u, i, geometry).square()
    return (total * geometry.quadrature(u)).flatten(2).sum(2)


def _average(
    before: torch.Tensor, after: torch.Tensor, gap_before: torch.Tensor, gap_after: torch.Tensor
) -> torch.Tensor:
    return (gap_after * before + gap_before * after) / (gap_before + gap_after)
