"""Losses with first derivatives, by differences."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, final

import torch

from ..data.geometry import Geometry
from .differences import squared_seminorm
from .loss import Channels, Loss, check_channels, ratio, root, squared_norm


@final
@dataclasses.dataclass(frozen=True)
class H1(Loss):
    """sqrt((‖e‖² + a²‖∇_h e‖²) / (‖y‖² + a²‖∇_h y‖²)), derivatives by `difference`: true lengths, any boundary.

    For elliptic problems: the norm in which their solutions depend on the data. Not for shocks, whose derivatives grow
    with refinement.

    Parameters
    ----------
    a : float
        Weight of the derivatives: a length.
    channels : {"together", "each"}
        One norm over all channels, or the mean of the ratios of each.

    Examples
    --------
    >>> import torch
    >>> from resolvent.training import Geometry
    >>> from resolvent.training.losses import H1
    >>> y = torch.linspace(0.0, 1.0, 9).expand(1, 1, 9)
    >>> H1()(1.5 * y, y, Geometry.unit([9]))
    tensor([0.5000])
    """

    name: ClassVar[str] = "h1"
    a: float = 1.0
    channels: Channels = "together"

    def __post_init__(self) -> None:
        check_channels(self.channels)
        _check_not_negative("a", self.a)

    def measure(self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        """Return the ratio of the norms."""
        return ratio(self._square(prediction - target, geometry), self._square(target, geometry), self.channels)

    def _square(self, u: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        return squared_norm(u, geometry) + self.a**2 * squared_seminorm(u, geometry)


@final
@dataclasses.dataclass(frozen=True)
class RelativeDerivative(Loss):
    """‖∇_h e‖ / ‖∇_h y‖: blind to constants, so it is a term beside another loss.

    Published runs for the Darcy problem take relative L2 plus 0.1 of this.

    Parameters
    ----------
    channels : {"together", "each"}
        One norm over all channels, or the mean of the ratios of each.
    """

    name: ClassVar[str] = "relative_derivative"
    channels: Channels = "together"

    def __post_init__(self) -> None:
        check_channels(self.channels)

    def measure(self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        """Return the ratio of the seminorms."""
        return ratio(squared_seminorm(prediction - target, geometry), squared_seminorm(target, geometry), self.channels)


@final
@dataclasses.dataclass(frozen=True)
class HelmholtzEnergy(Loss):
    """sqrt(ΣΔ(c e² + |∇_h e|²)), absolute, over all channels: for time-harmonic waves.

    Published runs have c = 10 and Δ = 1, which is another constant factor on each grid.

    Parameters
    ----------
    c : float
        Weight of the values, an inverse squared length: of the order of the squared wave number.
    """

    name: ClassVar[str] = "helmholtz"
    c: float = 10.0

    def __post_init__(self) -> None:
        _check_not_negative("c", self.c)

    def measure(self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        """Return the norm."""
        e = prediction - target
        return root((self.c * squared_norm(e, geometry) + squared_seminorm(e, geometry)).sum(1))


def _check_not_negative(name: str, value: float) -> None:
    if not value >= 0.0:
        raise ValueError(f"{name} must not be negative, got {value}")
