"""Gaussian-process solvers for PDEs on boxes."""

from __future__ import annotations

from ...operators.spectral_mixture import SpectralMixture, matern, mixture, squared_exponential
from .adam import AdamGP, AdamState
from .averaged_posterior import AveragedPosterior
from .boundary import Dirichlet
from .chebyshev import ChebyshevFunction, solve_chebyshev
from .coefficient_inversion import CoefficientInversion, invert_coefficients
from .defect import Defect
from .diffusivity import DiffusivityInversion, invert_diffusivity
from .field import Field
from .grid_posterior import GridPosterior
from .pde import PDE, Observations, laplacian
from .posterior import Posterior
from .solve import solve
from .source_inversion import SourceInversion, invert_source
from .tikhonov import ChebyshevSeries, tikhonov

__all__ = [
    "PDE",
    "AdamGP",
    "AdamState",
    "AveragedPosterior",
    "ChebyshevFunction",
    "ChebyshevSeries",
    "CoefficientInversion",
    "Defect",
    "DiffusivityInversion",
    "Dirichlet",
    "Field",
    "GridPosterior",
    "Observations",
    "Posterior",
    "SourceInversion",
    "SpectralMixture",
    "invert_coefficients",
    "invert_diffusivity",
    "invert_source",
    "laplacian",
    "matern",
    "mixture",
    "solve",
    "solve_chebyshev",
    "squared_exponential",
    "tikhonov",
]
