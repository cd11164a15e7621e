"""Where the points of a grid lie on the unit interval, and what each of them weighs in an integral."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch

from .model import check_among

Positions = Literal["vertices", "centres", "interior", "periodic"]
"""``vertices``: both ends are points; ``centres``: midpoints of equal cells; ``interior``: vertices without the two
ends; ``periodic``: vertices without the last one, which is the first."""


def points(n: int, positions: Positions = "vertices", like: torch.Tensor | None = None) -> torch.Tensor:
    """Return the (n,) coordinates of a grid on [0, 1].

    Examples
    --------
    >>> points(3), points(2, "centres"), points(4, "periodic")
    (tensor([0.0000, 0.5000, 1.0000]), tensor([0.2500, 0.7500]), tensor([0.0000, 0.2500, 0.5000, 0.7500]))
    """
    check_among("positions", positions, get_args(Positions))
    i = torch.arange(n, **_options(like))
    if positions == "vertices":
        return i / max(n - 1, 1)
    if positions == "centres":
        return (i + 0.5) / n
    return (i + 1) / (n + 1) if positions == "interior" else i / n


def spacing(n: int, positions: Positions = "vertices") -> float:
    """Return the distance between neighbouring points on [0, 1]."""
    return 1.0 / {"vertices": max(n - 1, 1), "centres": n, "interior": n + 1, "periodic": n}[positions]


def weights(n: int, positions: Positions = "vertices", like: torch.Tensor | None = None) -> torch.Tensor:
    """Return the (n,) weights of a second-order quadrature rule on [0, 1]; they add up to one.

    The first and last of ``interior`` points stand for one and a half cells: equal weights would be of first order
    only, for functions that vanish at the ends too.

    Examples
    --------
    >>> weights(3), weights(3, "interior")
    (tensor([0.2500, 0.5000, 0.2500]), tensor([0.3750, 0.2500, 0.3750]))
    """
    check_among("positions", positions, get_args(Positions))
    w = torch.ones(n, **_options(like))
    if positions in ("vertices", "interior") and n > 1:
        w[0] = w[-1] = 0.5 if positions == "vertices" else 1.5
    return w / w.sum()


def coordinates(
    grid: Sequence[int], positions: Positions = "vertices", like: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the coordinates of all points of a grid, (d, *grid)."""
    axes = [points(n, positions, like) for n in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def place_features(places: torch.Tensor, positions: Positions = "vertices") -> torch.Tensor:
    """Return what a network should see of points (…, d) of the unit cube: 2 x − 1, or cos 2πx and sin 2πx if periodic.

    Examples
    --------
    >>> place_features(torch.tensor([[0.0], [0.5]]))
    tensor([[-1.],
            [ 0.]])
    >>> place_features(torch.tensor([[0.25]]), "periodic").shape
    torch.Size([1, 2])
    """
    if positions != "periodic":
        return 2.0 * places - 1.0
    angles = 2.0 * math.pi * places
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def quadrature(
    grid: Sequence[int], positions: Positions = "vertices", like: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the weights of all points of a grid, of shape (*grid): products of those of the axes."""
    product = torch.ones((), **_options(like))
    for n in grid:
        product = product[..., None] * weights(n, positions, like)
    return product


def _options(like: torch.Tensor | None) -> dict[str, Any]:
    return {"dtype": torch.float32} if like is None else {"dtype": like.dtype, "device": like.device}
