"""Constant-coefficient operators on boxes, diagonalised axis by axis: what the fast Poisson solver is made of."""

from .axis import Axis
from .couplings import Couplings
from .inverse import SeparableInverse
from .reference import Reference, constant_operator, mean_operator

__all__ = ["Axis", "Couplings", "Reference", "SeparableInverse", "constant_operator", "mean_operator"]
