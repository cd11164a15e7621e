"""Linear solvers, certified PDE datasets and neural operators behind one linear-operator interface."""

from __future__ import annotations

__version__ = "0.1.0"  # first: parts of the package record it

from . import datasets, operators, solvers
from .operators import SPD, LinearOperator, Props, StructureError, as_operator, check_operator, detect_props
from .solvers import (
    ConvergenceError,
    Result,
    Status,
    bicgstab,
    cg,
    choose,
    gmres,
    minres,
    solve,
    spsolve,
)

__all__ = [
    "SPD",
    "ConvergenceError",
    "LinearOperator",
    "Props",
    "Result",
    "Status",
    "StructureError",
    "__version__",
    "as_operator",
    "bicgstab",
    "cg",
    "check_operator",
    "choose",
    "datasets",
    "detect_props",
    "gmres",
    "minres",
    "operators",
    "solve",
    "solvers",
    "spsolve",
]
