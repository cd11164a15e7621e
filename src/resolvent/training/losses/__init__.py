"""Losses: measures of the error of predicted fields, one number for each sample.

`build_loss` makes one from a name or a specification; `LOSSES` lists them.
"""

from __future__ import annotations

from .derivatives import H1, HelmholtzEnergy, RelativeDerivative
from .differences import difference
from .l2 import VRMSE, AbsoluteL2, RelativeL2
from .loss import Loss
from .registry import LOSSES, LossSpec, WeightedSum, build_loss
from .residual import Residual
from .spectral import SpectralH1

__all__ = [
    "H1",
    "LOSSES",
    "VRMSE",
    "AbsoluteL2",
    "HelmholtzEnergy",
    "Loss",
    "LossSpec",
    "RelativeDerivative",
    "RelativeL2",
    "Residual",
    "SpectralH1",
    "WeightedSum",
    "build_loss",
    "difference",
]
