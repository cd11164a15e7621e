"""Gaussian-process solvers for PDEs on boxes."""

from __future__ import annotations

from .adam import AdamGP, AdamState
from .boundary import Dirichlet
from .kernels import SpectralMixture, matern, mixture, squared_exponential
from .pde import PDE, Observations, laplacian

__all__ = [
    "PDE",
    "AdamGP",
    "AdamState",
    "Dirichlet",
    "Observations",
    "SpectralMixture",
    "laplacian",
    "matern",
    "mixture",
    "squared_exponential",
]
