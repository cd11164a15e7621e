"""Solvers for linear systems: methods, preconditioners, and the result that tells what happened."""

from __future__ import annotations

if "." not in __name__:
    raise ImportError("this folder is a link into the package: use `import resolvent.solvers`")

from .check import check_solver
from .choose import Choice, choose
from .direct import Direct
from .facade import bicgstab, cg, gmres, minres, solve
from .krylov.bicgstab import BiCGStab
from .krylov.cg import CG
from .krylov.fgmres import FGMRES
from .krylov.flexible_cg import FlexibleCG
from .krylov.gmres import GMRES
from .krylov.minres import MINRES
from .preconditioners import AMG, ILU, SSOR, Jacobi
from .preconditioners.recipe import Recipe
from .progress import Progress
from .result import Column, ConvergenceError, Counts, Result, Timing
from .solver import Prepared, Solver
from .status import Status

__all__ = [
    "AMG",
    "CG",
    "FGMRES",
    "GMRES",
    "ILU",
    "MINRES",
    "SSOR",
    "BiCGStab",
    "Choice",
    "Column",
    "ConvergenceError",
    "Counts",
    "Direct",
    "FlexibleCG",
    "Jacobi",
    "Prepared",
    "Progress",
    "Recipe",
    "Result",
    "Solver",
    "Status",
    "Timing",
    "bicgstab",
    "cg",
    "check_solver",
    "choose",
    "gmres",
    "minres",
    "solve",
]
