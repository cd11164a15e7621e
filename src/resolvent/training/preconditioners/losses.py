"""Losses of a learned preconditioner f for A, from residuals b = A e whose errors e are known.

All take batches (B, m, *grid), m residuals of each of B operators, and return the mean over all of them. Those of one
application (`residual`, `energy`, `plain`) judge f = f(b) alone; `reduction` judges the iteration it is for.
"""

from __future__ import annotations

from typing import Any, Literal

import torch

from ...solvers.learned.levels import Level
from ...solvers.learned.network import PreconditionerNetwork

Name = Literal["residual", "energy", "plain", "reduction"]

STEPS = 4
"""Steps of conjugate gradients that `reduction` differentiates through."""


def residual(f: torch.Tensor, Af: torch.Tensor, b: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
    """(L1) ‖b − α A f‖²/‖b‖² with α = f'b/f'Af, the step that an exact line search takes; blind to the scale of f."""
    alpha = _dot(f, b) / _guarded(_dot(f, Af))
    rest = b - alpha * Af
    return (_dot(rest, rest) / _guarded(_dot(b, b))).mean()


def energy(f: torch.Tensor, Af: torch.Tensor, b: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
    """(L2) 1 − (f'b)²/((f'Af)(b'A⁻¹b)): the part of ‖e‖²_A that is left after that step."""
    return (1.0 - _dot(f, b) ** 2 / _guarded(_dot(f, Af) * _dot(b, e))).mean()


def plain(f: torch.Tensor, Af: torch.Tensor, b: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
    """(L3) ‖b − A f‖/‖b‖, without a line search: the loss of NPSD, for comparison."""
    rest = b - Af
    return (_dot(rest, rest) / _guarded(_dot(b, b))).sqrt().mean()


def reduction(
    network: PreconditionerNetwork, prepared: Any, level: Level, b: torch.Tensor, e: torch.Tensor, steps: int = STEPS
) -> torch.Tensor:
    """Mean of log(‖e_k‖²_A/‖e‖²_A)/k after k steps of conjugate gradients from b: what a step of the solve gains.

    For maps that are linear and definite. It sees what single applications do not, that errors of many frequencies
    have to shrink together; memory and time are those of k applications.
    """
    start = _dot(b, e)
    r, rest = b, e
    z = network.correct(prepared, r)
    p, rho = z, _dot(r, z)
    for k in range(steps):
        q = level.multiply(p)
        alpha = rho / _guarded(_dot(p, q))
        rest, r = rest - alpha * p, r - alpha * q
        if k == steps - 1:
            break
        z = network.correct(prepared, r)
        rho, before = _dot(r, z), rho
        p = z + rho / _guarded(before) * p
    left = _dot(rest, level.multiply(rest))
    tiny = torch.finfo(b.dtype).eps ** 2
    return (left / _guarded(start)).clamp_min(tiny).log().mean() / steps


LOSSES = {"residual": residual, "energy": energy, "plain": plain}


def loss_of(
    name: Name, network: PreconditionerNetwork, level: Level, b: torch.Tensor, e: torch.Tensor, steps: int = STEPS
) -> torch.Tensor:
    """Return a loss of a network on a batch."""
    prepared = network.prepare(level)
    if name == "reduction":
        return reduction(network, prepared, level, b, e, steps)
    f = network.correct(prepared, b)
    return LOSSES[name](f, level.multiply(f), b, e)


def _dot(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return inner products over the grid, shaped to multiply fields."""
    products: torch.Tensor = (x * y).flatten(2).sum(2)
    return products.reshape(*products.shape, *(1,) * (x.ndim - 2))


def _guarded(x: torch.Tensor) -> torch.Tensor:
    """Return x with a denominator of zero replaced by the least positive number."""
    tiny = torch.finfo(x.dtype).tiny
    return torch.where(x.abs() < tiny, torch.full_like(x, tiny), x)
