"""Linear solvers, certified PDE datasets and neural operators behind one linear-operator interface."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import datasets, operators, solvers, training
    from .operators import SPD, LinearOperator, Props, StructureError, as_operator, check_operator, detect_props
    from .solvers import (
        ConvergenceError,
        Result,
        Status,
        bicg,
        bicgstab,
        cg,
        cgs,
        check_solver,
        choose,
        gcrotmk,
        gmres,
        lgmres,
        lsmr,
        lsqr,
        minres,
        qmr,
        solve,
        tfqmr,
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
    "bicg",
    "bicgstab",
    "cg",
    "cgs",
    "check_operator",
    "check_solver",
    "choose",
    "datasets",
    "detect_props",
    "gcrotmk",
    "gmres",
    "lgmres",
    "lsmr",
    "lsqr",
    "minres",
    "operators",
    "qmr",
    "solve",
    "solvers",
    "tfqmr",
    "training",
]

_PARTS = ("operators", "solvers", "datasets", "training")


def __getattr__(name: str) -> Any:
    # Imported when first asked for, so that `resolvent --help` and `import resolvent` do not wait for scipy and h5py.
    if name in _PARTS:
        return importlib.import_module(f"{__name__}.{name}")
    if name in __all__:
        for part in ("operators", "solvers"):
            module = importlib.import_module(f"{__name__}.{part}")
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
