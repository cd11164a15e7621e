"""Gaussian-process solvers for PDEs on boxes."""

from __future__ import annotations

from .adam import AdamGP, AdamState
from .boundary import Dirichlet
from .defect import Defect
from .field import Field
from .kernels import SpectralMixture, matern, mixture, squared_exponential
from .pde import PDE, Observations, laplacian
from .posterior import Posterior
from .solve import solve

__all__ = [
    "PDE",
    "AdamGP",
    "AdamState",
    "Defect",
    "Dirichlet",
    "Field",
    "Observations",
    "Posterior",
    "SpectralMixture",
    "laplacian",
    "matern",
    "mixture",
    "solve",
    "squared_exponential",
]
