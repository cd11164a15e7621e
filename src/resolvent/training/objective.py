"""What is minimised, and the average of parameters that is kept."""

from __future__ import annotations

import copy
import logging
from typing import Any

import torch

from .data.geometry import Geometry
from .losses import Loss
from .physics.physical import PhysicalOperator

_log = logging.getLogger(__name__)


class Objective(torch.nn.Module):
    """Losses of the samples of a batch, (B,), as one module: so that it can be compiled and distributed as a whole."""

    def __init__(self, model: PhysicalOperator, loss: Loss, *, encoded: bool) -> None:
        super().__init__()
        self.model, self.loss, self.encoded = model, loss, encoded
        self.geometry: Geometry | None = None

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the loss of each sample."""
        encoded = self.model.encoded(x)
        return self.measured(encoded, self.model.decoded(encoded, x), y, x)

    def measured(
        self, encoded: torch.Tensor, prediction: torch.Tensor, y: torch.Tensor, x: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss of what a model has given for x, at its own scale and in physical units."""
        assert self.geometry is not None
        if self.encoded:
            return self.loss(encoded, self.model.outputs.encode(y), self.geometry)
        return self.loss(prediction, y, self.geometry, x)


class Average:
    """Exponential average of a model's parameters over updates.

    The decay grows from 0.1 to its value with the number of updates, so that the first parameters are soon forgotten.
    """

    def __init__(self, model: PhysicalOperator, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: PhysicalOperator, step: int) -> None:
        """Take the parameters after update number `step` into account."""
        decay = min(self.decay, (1.0 + step) / (10.0 + step))
        for mean, value in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(value, 1.0 - decay)


def compiled(objective: Objective, x: torch.Tensor, y: torch.Tensor) -> Any:
    """Return the objective compiled, or as it is, with one warning, where compilation does not work."""
    try:
        fast = torch.compile(objective)
        fast(x, y)
    except (RuntimeError, ImportError, OSError) as error:
        _log.warning("compile: not available here (%s); training goes on without", str(error).strip().split("\n")[0])
        return objective
    return fast
