"""Solvers for linear systems: methods, preconditioners, and the result that tells what happened."""

from __future__ import annotations

if "." not in __name__:
    raise ImportError("this folder is a link into the package: use `import resolvent.solvers`")

from .check import check_solver
from .choose import Choice, choose
from .condition import ConditionNumber, condition_number
from .direct import Direct
from .facade import bicg, bicgstab, cg, cgs, gcrotmk, gmres, lgmres, lsmr, lsqr, minres, qmr, solve, tfqmr
from .fast_poisson import FastPoisson
from .fixed_threads import fixed_threads
from .kronecker import KroneckerSolver
from .krylov.bicg import BiCG
from .krylov.bicgstab import BiCGStab
from .krylov.block_cg import BlockCG
from .krylov.cg import CG
from .krylov.cgs import CGS
from .krylov.cocg import COCG
from .krylov.cocr import COCR
from .krylov.fgmres import FGMRES
from .krylov.flexible_cg import FlexibleCG
from .krylov.gmres import GMRES
from .krylov.idr import IDR
from .krylov.lgmres import LGMRES
from .krylov.lsmr import LSMR
from .krylov.lsqr import LSQR
from .krylov.minres import MINRES
from .krylov.minres_qlp import MINRESQLP
from .krylov.qmr import QMR
from .krylov.tfqmr import TFQMR
from .multigrid import BootstrapAMG, GeometricMultigrid, Multigrid, MultigridCG, near_null_space
from .preconditioners import (
    AMG,
    IC,
    ILU,
    ILU0,
    SSOR,
    AdditiveSchwarz,
    BlockJacobi,
    Chebyshev,
    Deflation,
    Jacobi,
    LineJacobi,
    ShiftedLaplacian,
    piecewise_constants,
)
from .preconditioners.factorised import Factorised
from .preconditioners.recipe import Recipe
from .prepared import Prepared
from .prepared_ensemble import PreparedEnsemble
from .progress import Progress
from .recycling.block_gcrodr import BlockGCRODR
from .recycling.deflated_cg import DeflatedCG
from .recycling.gcrodr import GCRODR
from .recycling.gcrot import GCROT
from .recycling.rminres import RMINRES
from .recycling.space import RecycleSpace
from .relaxation import SOR, GaussSouthwell, Richardson
from .result import Column, ConvergenceError, Counts, Result, Timing
from .sequences import (
    Bootstrapped,
    Chained,
    Computed,
    Fixed,
    Guess,
    Pilot,
    Previous,
    Projected,
    Refresh,
    Scaled,
    Sequence,
    Snapshots,
    SpacePolicy,
)
from .solver import Solver
from .status import Status
from .toeplitz_solver import ToeplitzSolver

__all__ = [
    "AMG",
    "CG",
    "CGS",
    "COCG",
    "COCR",
    "FGMRES",
    "GCRODR",
    "GCROT",
    "GMRES",
    "IC",
    "IDR",
    "ILU",
    "ILU0",
    "LGMRES",
    "LSMR",
    "LSQR",
    "MINRES",
    "MINRESQLP",
    "QMR",
    "RMINRES",
    "SOR",
    "SSOR",
    "TFQMR",
    "AdditiveSchwarz",
    "BiCG",
    "BiCGStab",
    "BlockCG",
    "BlockGCRODR",
    "BlockJacobi",
    "BootstrapAMG",
    "Bootstrapped",
    "Chained",
    "Chebyshev",
    "Choice",
    "Column",
    "Computed",
    "ConditionNumber",
    "ConvergenceError",
    "Counts",
    "DeflatedCG",
    "Deflation",
    "Direct",
    "Factorised",
    "FastPoisson",
    "Fixed",
    "FlexibleCG",
    "GaussSouthwell",
    "GeometricMultigrid",
    "Guess",
    "Jacobi",
    "KroneckerSolver",
    "LineJacobi",
    "Multigrid",
    "MultigridCG",
    "Pilot",
    "Prepared",
    "PreparedEnsemble",
    "Previous",
    "Progress",
    "Projected",
    "Recipe",
    "RecycleSpace",
    "Refresh",
    "Result",
    "Richardson",
    "Scaled",
    "Sequence",
    "ShiftedLaplacian",
    "Snapshots",
    "Solver",
    "SpacePolicy",
    "Status",
    "Timing",
    "ToeplitzSolver",
    "bicg",
    "bicgstab",
    "cg",
    "cgs",
    "check_solver",
    "choose",
    "condition_number",
    "fixed_threads",
    "gcrotmk",
    "gmres",
    "lgmres",
    "lsmr",
    "lsqr",
    "minres",
    "near_null_space",
    "piecewise_constants",
    "qmr",
    "solve",
    "tfqmr",
]
