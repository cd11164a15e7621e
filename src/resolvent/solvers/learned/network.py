"""What a learned preconditioner is: a torch module that is prepared for operators and then applied to residuals."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import torch

from ...operators import Props
from .levels import Level


class PreconditionerNetwork(torch.nn.Module, abc.ABC):
    """A network that maps residuals to corrections.

    A network is final, takes keyword options that are numbers, strings or lists of them, and keeps them in `options`,
    so that a file can build it again.

    Parameters
    ----------
    dim : int
        Dimension of the grid.
    """

    props: ClassVar[Props]
    """What holds of the map for every definite operator and whatever the weights are; VARIABLE if it is not linear."""

    options: dict[str, Any]

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    @property
    def definite(self) -> bool:
        """Whether the map is linear, symmetric and positive definite by construction, so that CG may use it."""
        return Props.POSITIVE_DEFINITE in self.props

    @abc.abstractmethod
    def prepare(self, level: Level) -> Any:
        """Compute what depends on B operators alone."""

    @abc.abstractmethod
    def correct(self, prepared: Any, r: torch.Tensor) -> torch.Tensor:
        """Return corrections for residuals (B, m, *grid), m of each operator."""

    def forward(self, level: Level, r: torch.Tensor) -> torch.Tensor:
        """Return corrections for residuals (B, m, *grid) of the operators of a level."""
        return self.correct(self.prepare(level), r)
