"""Losses without derivatives."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, final

import torch

from ..data.geometry import Geometry
from .loss import Channels, Loss, check_channels, ratio, root, squared_norm


@final
@dataclasses.dataclass(frozen=True)
class RelativeL2(Loss):
    """sqrt(ΣΔ|e|² / ΣΔ|y|²): the error e relative to the target y.

    Parameters
    ----------
    channels : {"together", "each"}
        One norm over all channels, or the mean of the ratios of each.

    Examples
    --------
    >>> import torch
    >>> from resolvent.training import Geometry
    >>> from resolvent.training.losses import RelativeL2
    >>> y = torch.ones(2, 1, 8)
    >>> RelativeL2()(1.5 * y, y, Geometry.unit([8]))
    tensor([0.5000, 0.5000])
    """

    name: ClassVar[str] = "relative_l2"
    channels: Channels = "together"

    def __post_init__(self) -> None:
        check_channels(self.channels)

    def measure(self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        """Return ‖e‖ / ‖y‖."""
        return ratio(squared_norm(prediction - target, geometry), squared_norm(target, geometry), self.channels)


@final
@dataclasses.dataclass(frozen=True)
class AbsoluteL2(Loss):
    """sqrt(ΣΔ|e|²), over all channels: for targets of one size, and where some of them vanish."""

    name: ClassVar[str] = "absolute_l2"

    def measure(self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        """Return ‖e‖."""
        return root(squared_norm(prediction - target, geometry).sum(1))


@final
@dataclasses.dataclass(frozen=True)
class VRMSE(Loss):
    """sqrt(⟨e²⟩ / (⟨(y − ȳ)²⟩ + ε)): the error relative to the deviation of the target from its mean.

    The mean of the target everywhere has the value 1. Means ⟨⟩ are over the domain, and the value is the mean over
    channels. A constant target is no special case, thanks to ε.

    Parameters
    ----------
    eps : float
        ε, in the squared unit of the field; 1e-7 is that of the reference.

    References
    ----------
    Ohana et al., The Well: a large-scale collection of diverse physics simulations for machine learning, NeurIPS 2024,
    doi:10.48550/arXiv.2412.00568.
    """

    name: ClassVar[str] = "vrmse"
    eps: float = 1e-7

    def __post_init__(self) -> None:
        if not self.eps > 0.0:
            raise ValueError(f"eps must be positive, got {self.eps}")

    def measure(self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        """Return the mean over channels."""
        weights = geometry.quadrature(target)
        volume = weights.sum()
        mean = (target * weights).flatten(2).sum(2) / volume
        away = target - mean.reshape(*mean.shape, *[1] * geometry.dim)
        error = squared_norm(prediction - target, geometry) / volume
        return root(error / (squared_norm(away, geometry) / volume + self.eps)).mean(1)
