"""Linear operators: one interface for every storage, structure and back-end."""

from __future__ import annotations

if "." not in __name__:
    raise ImportError("this folder is a link into the package: use `import resolvent.operators`")

from .adjoint import Adjoint
from .base import Array, LinearOperator
from .check import Report, check_operator
from .convert import as_operator
from .dense import Dense
from .detect import detect_props
from .diagonal import Diagonal
from .ensemble import Ensemble
from .errors import StructureError
from .function import Function
from .kernel_diff import KernelDiff, StationaryKernel, kernel_matrix
from .kronecker import Kronecker
from .kronecker_plus_diagonal import KroneckerPlusDiagonal
from .kronecker_sum import KroneckerSum
from .masked import Masked
from .monarch import Monarch, nearest_monarch
from .product import Product
from .props import SPD, Props
from .scaled import Scaled
from .sparse import Sparse
from .spectral_mixture import SpectralMixture
from .stencil import Stencil
from .sum import Sum
from .sum_of_kroneckers import SumOfKroneckers
from .toeplitz import Toeplitz

__all__ = [
    "SPD",
    "Adjoint",
    "Array",
    "Dense",
    "Diagonal",
    "Ensemble",
    "Function",
    "KernelDiff",
    "Kronecker",
    "KroneckerPlusDiagonal",
    "KroneckerSum",
    "LinearOperator",
    "Masked",
    "Monarch",
    "Product",
    "Props",
    "Report",
    "Scaled",
    "Sparse",
    "SpectralMixture",
    "StationaryKernel",
    "Stencil",
    "StructureError",
    "Sum",
    "SumOfKroneckers",
    "Toeplitz",
    "as_operator",
    "check_operator",
    "detect_props",
    "kernel_matrix",
    "nearest_monarch",
]
