"""Transfers between a grid and one of half its cells, each with its exact transpose.

A coarse cell is 2^d fine ones. Fields are (B, m, *grid) with an even number of cells on each axis.
"""

from __future__ import annotations

import torch

POOLS = (None, torch.nn.functional.avg_pool1d, torch.nn.functional.avg_pool2d, torch.nn.functional.avg_pool3d)


def spread(u: torch.Tensor) -> torch.Tensor:
    """Return the piecewise constant continuation of a coarse field: fine cells take the value of their coarse one."""
    shape = u.shape
    for axis in range(2, u.ndim):
        u = u.unsqueeze(2 * axis - 1)
    u = u.expand(*shape[:2], *(extent for n in shape[2:] for extent in (n, 2)))
    return u.reshape(*shape[:2], *(2 * n for n in shape[2:]))


def gather(r: torch.Tensor) -> torch.Tensor:
    """Return the sums over coarse cells, the transpose of `spread`."""
    pool = POOLS[r.ndim - 2]
    assert pool is not None
    sums: torch.Tensor = pool(r, 2) * float(2 ** (r.ndim - 2))
    return sums


def interpolate(u: torch.Tensor) -> torch.Tensor:
    """Return the linear, bi- or trilinear interpolation between coarse cell centres, zero beyond the boundary.

    Along each axis a fine cell takes 3/4 of the value of its coarse cell and 1/4 of that of the nearer neighbour.
    """
    for axis in range(2, u.ndim):
        before, behind = _neighbour(u, axis, -1), _neighbour(u, axis, 1)
        pair = torch.stack([0.75 * u + 0.25 * before, 0.75 * u + 0.25 * behind], axis + 1)
        u = pair.flatten(axis, axis + 1)
    return u


def interpolate_transposed(r: torch.Tensor) -> torch.Tensor:
    """Return the transpose of `interpolate`."""
    for axis in reversed(range(2, r.ndim)):
        first, second = r.unflatten(axis, (-1, 2)).unbind(axis + 1)
        # Coarse cell J gave a quarter to the first cell of J + 1 and to the second one of J − 1.
        r = 0.75 * (first + second) + 0.25 * (_neighbour(first, axis, 1) + _neighbour(second, axis, -1))
    return r


def _neighbour(u: torch.Tensor, axis: int, step: int) -> torch.Tensor:
    """Return u at the next or last cell along an axis, zero beyond the boundary."""
    n = u.shape[axis]
    kept = u.narrow(axis, 1 if step > 0 else 0, n - 1)
    nothing = torch.zeros_like(u.narrow(axis, 0, 1))
    return torch.cat([kept, nothing] if step > 0 else [nothing, kept], axis)
