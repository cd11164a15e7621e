"""What every loss is: options, and a number for each sample."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar, Literal

import torch

from ...operators.neural.model import check_among, plain
from ..data.geometry import Geometry

Channels = Literal["together", "each"]
"""``together``: norms over all channels; ``each``: the mean of the ratios of each channel, for quantities that have
different units or sizes."""


@dataclasses.dataclass(frozen=True)
class Loss(abc.ABC):
    """A measure of the error of predictions, for each sample.

    Parameters are those of the loss; calling it takes predictions and targets (B, C, *grid) and their `Geometry`, and
    gives a (B,) tensor. Norms are integrals by the quadrature of the geometry, so that they converge under refinement.
    Half precision is raised to single.

    A ratio with a target of norm zero would be infinite: there, the absolute norm is returned. The gradient at a
    perfect prediction is zero. A sample without a label, whose target is not-a-number throughout, counts zero.
    """

    name: ClassVar[str]
    """By which `build_loss` finds it."""

    @abc.abstractmethod
    def measure(self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        """Return a (B,) tensor of what was checked to fit."""

    @property
    def needs_inputs(self) -> bool:
        """Whether it must be given the inputs of the model."""
        return False

    def judge(
        self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry, inputs: torch.Tensor | None
    ) -> torch.Tensor:
        """Return a (B,) tensor of what was checked to fit; overridden by losses that look at the inputs."""
        labelled = ~target.isnan().flatten(1).all(1)
        # Compared with itself rather than left out, so that shapes, and gradients of what is left, stay as they are.
        known = labelled.reshape(-1, *[1] * (target.ndim - 1))
        value = self.measure(prediction, torch.where(known, target, prediction.detach()), geometry)
        return torch.where(labelled, value, 0.0)

    def __call__(
        self,
        prediction: torch.Tensor,
        target: torch.Tensor,
        geometry: Geometry,
        inputs: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss of each sample, a (B,) tensor; ValueError where shapes do not fit.

        `inputs` are those of the model (B, c_in, *grid) in physical units, for losses that need them.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                f"{self.name} compares equal shapes, got prediction {tuple(prediction.shape)} and target "
                f"{tuple(target.shape)}"
            )
        if prediction.ndim != geometry.dim + 2 or tuple(prediction.shape[2:]) != geometry.grid:
            raise ValueError(
                f"{self.name} needs fields (samples, channels, {', '.join(map(str, geometry.grid))}) of its geometry, "
                f"got {tuple(prediction.shape)}"
            )
        if self.needs_inputs and inputs is None:
            raise ValueError(f"{self.name} is a loss of the inputs too: call it with inputs=…")
        return self.judge(_single(prediction), _single(target), geometry, inputs)

    def spec(self) -> dict[str, Any]:
        """Return name and options as JSON has them: what `build_loss` takes."""
        options = {field.name: plain(getattr(self, field.name)) for field in dataclasses.fields(self)}
        return {"loss": self.name, **options}


def check_channels(channels: str) -> None:
    """Raise ValueError for anything but ``together`` and ``each``."""
    check_among("channels", channels, ("together", "each"))


def squared_norm(u: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """Return ΣΔ|u|² of each sample and channel, (B, C)."""
    return (u.square() * geometry.quadrature(u)).flatten(2).sum(2)


def root(square: torch.Tensor) -> torch.Tensor:
    """Return the square root, whose gradient at zero is zero instead of infinite; what is no number stays none."""
    zero = square == 0.0
    return torch.where(zero, 1.0, square).sqrt() * ~zero


def ratio(error: torch.Tensor, target: torch.Tensor, channels: str) -> torch.Tensor:
    """Return the ratio of norms, (B,), of their squares of each channel, (B, C); absolute where the target is zero."""
    if channels == "together":
        error, target = error.sum(1, keepdim=True), target.sum(1, keepdim=True)
    return root(error / torch.where(target == 0.0, 1.0, target)).mean(1)


def _single(u: torch.Tensor) -> torch.Tensor:
    return u.float() if u.dtype in (torch.float16, torch.bfloat16) else u
