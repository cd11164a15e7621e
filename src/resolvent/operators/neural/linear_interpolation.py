"""Linear interpolation from one grid of the unit cube to another, axis by axis."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .grids import Positions, points, spacing


def interpolation_matrix(n: int, m: int, positions: Positions, like: torch.Tensor) -> torch.Tensor:
    """Return the (m, n) matrix from n points of an axis to m points of the same positions.

    Beyond the outermost points of grids without ends the last values are kept; a periodic axis is wrapped.

    Examples
    --------
    >>> interpolation_matrix(3, 2, "centres", torch.zeros(()))
    tensor([[0.7500, 0.2500, 0.0000],
            [0.0000, 0.2500, 0.7500]])
    """
    x = points(n, positions, like)
    y = points(m, positions, like)
    away = (y[:, None] - x[None, :]).abs() / spacing(n, positions)
    if positions == "periodic":
        away = torch.minimum(away, n - away)
    hats = (1.0 - away).clamp(min=0.0)
    return hats / hats.sum(1, keepdim=True)  # which is 1 but beyond the outermost points


def interpolate(u: torch.Tensor, grid: Sequence[int], positions: Positions) -> torch.Tensor:
    """Return fields (B, C, *other grid) at the points of a grid, (B, C, *grid).

    Examples
    --------
    >>> interpolate(torch.tensor([[[0.0, 1.0, 4.0]]]), [5], "vertices")
    tensor([[[0.0000, 0.5000, 1.0000, 2.5000, 4.0000]]])
    """
    for i, m in enumerate(grid):
        n = u.shape[i + 2]
        if n != m:
            u = (u.movedim(i + 2, -1) @ interpolation_matrix(n, m, positions, u).T).movedim(-1, i + 2)
    return u
