"""The H¹ loss of periodic functions, by their Fourier coefficients."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar, final

import torch

from ...operators.neural.model import check_whole
from ..data.geometry import Geometry
from .loss import Channels, Loss, check_channels, ratio

_PUBLISHED_CUT = 20
"""Wave number of an axis from which the published loss counts zero instead."""


@final
@dataclasses.dataclass(frozen=True)
class SpectralH1(Loss):
    """‖w ⊙ ê‖ / ‖w ⊙ ŷ‖ with w = sqrt(1 + a²|k|²), for Fourier coefficients of error and target.

    With a = 2π/side this is the H¹ norm, exact for band-limited periodic functions. Where an axis is not periodic, the
    jump between its ends would count as a derivative: take `H1` there.

    Parameters
    ----------
    a : float, optional
        Weight of whole wave numbers; by default 2π/side on each axis, for derivatives in the unit of the coordinates.
    truncation : int, optional
        Components of k from here on count as zero; none by default.
    published : bool
        The form of published runs: a = 1, truncation = 20, on any equidistant grid, periodic or not.
    channels : {"together", "each"}
        One norm over all channels, or the mean of the ratios of each.

    Examples
    --------
    >>> import math, torch
    >>> from resolvent.training import Geometry
    >>> from resolvent.training.losses import SpectralH1
    >>> x = torch.arange(16) / 16 * 2 * math.pi
    >>> y = x.sin().expand(1, 1, 16)
    >>> SpectralH1()(1.5 * y, y, Geometry.unit([16], "periodic"))
    tensor([0.5000])
    """

    name: ClassVar[str] = "h1_spectral"
    a: float | None = None
    truncation: int | None = None
    published: bool = False
    channels: Channels = "together"

    def __post_init__(self) -> None:
        check_channels(self.channels)
        if self.published and not (self.a is None and self.truncation is None):
            raise ValueError("the published form fixes a and truncation: leave them out")
        if self.a is not None and not self.a >= 0.0:
            raise ValueError(f"a must not be negative, got {self.a}")
        if self.truncation is not None:
            check_whole("truncation", self.truncation)

    def measure(self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        """Return the ratio of the norms."""
        if not all(geometry.uniform) or not (self.published or all(geometry.periodic)):
            raise ValueError(
                f"{self.name} needs equidistant periodic axes, got {geometry!r}: take the loss 'h1', or published=True "
                "for the form that treats every axis as periodic"
            )
        w = self._squared_weights(geometry, target)
        return ratio(_square(prediction - target, w), _square(target, w), self.channels)

    def _squared_weights(self, geometry: Geometry, like: torch.Tensor) -> torch.Tensor:
        """Return 1 + a²|k|² of each coefficient of the real transform, times how many coefficients it stands for."""
        square = torch.ones((), dtype=like.dtype, device=like.device)
        cut = _PUBLISHED_CUT if self.published else self.truncation
        for i, (n, length) in enumerate(zip(geometry.grid, geometry.lengths, strict=True)):
            k = torch.arange(n, dtype=like.dtype, device=like.device)
            k = torch.minimum(k, n - k)
            if i == geometry.dim - 1:
                k = k[: n // 2 + 1]
            if cut is not None:
                k = torch.where(k < cut, k, 0.0)
            a = 1.0 if self.published else 2.0 * math.pi / length if self.a is None else self.a
            square = square[..., None] + (a * k).square()
        n = geometry.grid[-1]
        single = torch.arange(n // 2 + 1, device=like.device)
        return square * torch.where((single == 0) | (2 * single == n), 1.0, 2.0).to(like)


def _square(u: torch.Tensor, squared_weights: torch.Tensor) -> torch.Tensor:
    z = torch.view_as_real(torch.fft.rfftn(u, dim=tuple(range(2, u.ndim)), norm="forward"))
    return (z.square().sum(-1) * squared_weights).flatten(2).sum(2)
