"""Preconditioners M ≈ A⁻¹: recipes that build one for any A."""

from .amg import AMG
from .block_jacobi import BlockJacobi
from .chebyshev import Chebyshev
from .deflation import Deflation
from .ic import IC
from .ilu import ILU
from .ilu0 import ILU0
from .jacobi import Jacobi
from .line_jacobi import LineJacobi
from .recipe import Recipe
from .schwarz import AdditiveSchwarz
from .shifted_laplacian import ShiftedLaplacian
from .ssor import SSOR
from .subdomains import piecewise_constants

__all__ = [
    "AMG",
    "IC",
    "ILU",
    "ILU0",
    "SSOR",
    "AdditiveSchwarz",
    "BlockJacobi",
    "Chebyshev",
    "Deflation",
    "Jacobi",
    "LineJacobi",
    "Recipe",
    "ShiftedLaplacian",
    "piecewise_constants",
]
