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
from .product import Product
from .props import SPD, Props
from .scaled import Scaled
from .sparse import Sparse
from .stencil import Stencil
from .sum import Sum

__all__ = [
    "SPD",
    "Adjoint",
    "Array",
    "Dense",
    "Diagonal",
    "Ensemble",
    "Function",
    "LinearOperator",
    "Product",
    "Props",
    "Report",
    "Scaled",
    "Sparse",
    "Stencil",
    "StructureError",
    "Sum",
    "as_operator",
    "check_operator",
    "detect_props",
]
