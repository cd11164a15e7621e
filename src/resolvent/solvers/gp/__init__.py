"""Gaussian-process solvers for PDEs on boxes."""

from __future__ import annotations

from .kernels import SpectralMixture, matern, mixture, squared_exponential

__all__ = ["SpectralMixture", "matern", "mixture", "squared_exponential"]
