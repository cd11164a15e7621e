"""Training of learned preconditioners: residuals harvested from solves, losses, loops."""

from __future__ import annotations

from .harvest import harvest, harvest_family
from .loop import PreconditionerTraining, TrainedPreconditioner, train_preconditioner
from .projection import TrainedDeflation, projection_loss, train_deflation
from .ritz import lanczos, ritz_mixtures
from .samples import Samples, samples_of

__all__ = [
    "PreconditionerTraining",
    "Samples",
    "TrainedDeflation",
    "TrainedPreconditioner",
    "harvest",
    "harvest_family",
    "lanczos",
    "projection_loss",
    "ritz_mixtures",
    "samples_of",
    "train_deflation",
    "train_preconditioner",
]
