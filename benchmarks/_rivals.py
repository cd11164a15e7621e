"""The solvers that one would pick instead for a stream of definite systems: SciPy, pyamg, PETSc, MKL PARDISO.

Each call returns a function that takes the assembled operator and the right-hand side of the next system. It may keep
from one system to the next what its library can keep: the symbolic analysis of a pattern, the objects themselves.
Assembly of the format that the library wants is counted, as its user has to pay for it too.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pyamg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

RTOL = 1e-8
AIM = RTOL / 2
SYMMETRIC = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}

Solve = Callable[[Any, np.ndarray], np.ndarray]


def superlu(**options: Any) -> Solve:
    """Return SciPy's sparse LU, which cannot keep its analysis."""
    return lambda A, b: spla.splu(A.to_sparse().tocsc(), **options).solve(b)


def pyamg_cg(build: Callable[..., Any]) -> Solve:
    """Return conjugate gradients inside pyamg."""

    def solve(A: Any, b: np.ndarray) -> np.ndarray:
        return build(sp.csr_matrix(A.to_sparse())).solve(b, tol=AIM, accel="cg", maxiter=200)

    return solve


def petsc(ksp_type: str, pc_type: str, **options: str) -> Solve:
    """Return a PETSc solver that keeps its matrix: a factorisation keeps its symbolic part."""
    from petsc4py import PETSc

    kept: list[Any] = []

    def begin(matrix: Any) -> None:
        csr = (matrix.indptr, matrix.indices, matrix.data)
        mat = PETSc.Mat().createAIJ(matrix.shape, csr=csr, comm=PETSc.COMM_SELF)
        mat.setOption(PETSc.Mat.Option.SPD, True)
        ksp = PETSc.KSP().create(PETSc.COMM_SELF)
        ksp.setOperators(mat)
        ksp.setType(ksp_type)
        ksp.getPC().setType(pc_type)
        database = PETSc.Options()
        for name, value in options.items():
            database[name] = value
        ksp.setFromOptions()
        for name in options:
            database.delValue(name)
        if ksp_type == "cg":
            ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.setTolerances(rtol=AIM, atol=0.0, max_it=2000)
        kept.extend((mat, ksp))

    def solve(A: Any, b: np.ndarray) -> np.ndarray:
        matrix = A.to_sparse()
        if kept:
            kept[0].setValuesCSR(matrix.indptr, matrix.indices, matrix.data)
            kept[0].assemble()
        else:
            begin(matrix)
        x = np.zeros_like(b)
        right = PETSc.Vec().createWithArray(b.copy(), comm=PETSc.COMM_SELF)
        left = PETSc.Vec().createWithArray(x, comm=PETSc.COMM_SELF)
        kept[1].solve(right, left)
        right.destroy()
        left.destroy()
        return x

    return solve


def pardiso() -> Solve:
    """Return MKL PARDISO (Cholesky), its analysis kept: phases that only a private method of pypardiso reaches."""
    from pypardiso import PyPardisoSolver

    solver = PyPardisoSolver(mtype=2)
    analysed = False

    def phase(number: int, matrix: Any, b: np.ndarray) -> np.ndarray:
        solver.set_phase(number)
        return solver._call_pardiso(matrix, b)

    def solve(A: Any, b: np.ndarray) -> np.ndarray:
        nonlocal analysed
        matrix = sp.csr_array(sp.triu(A.to_sparse()))
        matrix.sort_indices()
        if not analysed:
            phase(11, matrix, b)
            analysed = True
        phase(22, matrix, b)
        return phase(33, matrix, b)

    return solve


def rivals(unknowns: int, dimension: int) -> dict[str, Callable[[], Solve]]:
    """Return the rivals that are installed, by name; direct ones up to what memory and patience allow."""
    direct = unknowns <= (2_000_000 if dimension == 2 else 100_000)
    found: dict[str, Callable[[], Solve]] = {
        "pyamg CG + Ruge-Stüben": lambda: pyamg_cg(pyamg.ruge_stuben_solver),
        "pyamg CG + smoothed aggregation": lambda: pyamg_cg(pyamg.smoothed_aggregation_solver),
    }
    if direct and unknowns <= 300_000:
        found["SciPy SuperLU, symmetric mode"] = lambda: superlu(**SYMMETRIC)
    if importlib.util.find_spec("petsc4py") is not None:
        found["PETSc CG + BoomerAMG"] = lambda: petsc("cg", "hypre", pc_hypre_type="boomeramg")
        found["PETSc CG + GAMG"] = lambda: petsc("cg", "gamg")
        found["PETSc CG + ICC(0)"] = lambda: petsc("cg", "icc")
        if direct:
            package = "pc_factor_mat_solver_type"
            found["PETSc CHOLMOD, analysis kept"] = lambda: petsc("preonly", "cholesky", **{package: "cholmod"})
            found["PETSc MUMPS, analysis kept"] = lambda: petsc("preonly", "cholesky", **{package: "mumps"})
    if importlib.util.find_spec("pypardiso") is not None and direct:
        found["MKL PARDISO, analysis kept"] = pardiso
    return found
