"""Preconditioners M ≈ A⁻¹: recipes that build one for any A."""

from .amg import AMG
from .ilu import ILU
from .jacobi import Jacobi
from .recipe import Recipe
from .ssor import SSOR

__all__ = ["AMG", "ILU", "SSOR", "Jacobi", "Recipe"]
