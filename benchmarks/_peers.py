"""The Krylov methods of SciPy, PETSc and pyamg with equal preconditioners, behind one call.

Each call returns x, the iterations the library reports (products where it reports none), the products with A, and the
seconds of set-up and solve. SciPy and pyamg have no Jacobi, SSOR or incomplete factorisation of their own to give to a
Krylov method: they are given ours.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyamg
import pyamg.krylov
import scipy.sparse.linalg as spla

from resolvent.operators import as_operator

clock = time.perf_counter
"""What seconds are measured by; a benchmark on a busy machine puts `time.process_time` here."""
CYCLE = 30
AUGMENTED = 3
PAIRS = 20


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one solve gave."""

    x: np.ndarray
    iterations: int
    products: int
    setup_seconds: float
    seconds: float


class Counted(spla.LinearOperator):
    """A sparse matrix whose products are counted; SciPy and pyamg would wrap it all the same."""

    def __init__(self, matrix: Any) -> None:
        super().__init__(matrix.dtype, matrix.shape)
        self.matrix, self.count = matrix, 0

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        self.count += 1
        return self.matrix @ x


def ours(solver: Any, A: Any, b: np.ndarray, recipe: Any) -> Outcome:
    """Solve by this package."""
    start = clock()
    prepared = solver.prepare(A, recipe)
    middle = clock()
    r = prepared.solve(b)
    end = clock()
    return Outcome(r.x, r.iterations, r.counts.products, middle - start, end - middle)


def _operator_for(matrix: Any, recipe: Any, amg: bool) -> spla.LinearOperator | None:
    if amg:
        return pyamg.ruge_stuben_solver(matrix).aspreconditioner()
    if recipe is None:
        return None
    M = recipe(as_operator(matrix))
    return spla.LinearOperator(matrix.shape, M.matvec, dtype=matrix.dtype)


def scipy_names() -> dict[str, str]:
    """Return SciPy's name of each method it has."""
    same = {"CG": "cg", "MINRES": "minres", "GMRES(30)": "gmres", "BiCGStab": "bicgstab", "TFQMR": "tfqmr"}
    return same | {"LGMRES(30,3)": "lgmres", "GCROT(20,20)": "gcrotmk"}


def scipy(name: str, matrix: Any, b: np.ndarray, recipe: Any, rtol: float, limit: int, *, amg: bool) -> Outcome:
    """Solve by SciPy."""
    start = clock()
    M, A = _operator_for(matrix, recipe, amg), Counted(matrix)
    steps = [0]

    def count(_: Any) -> None:
        steps[0] += 1

    options: dict[str, Any] = {"rtol": rtol, "M": M, "callback": count, "maxiter": limit}
    if name == "gmres":
        options |= {"restart": CYCLE, "callback_type": "pr_norm", "maxiter": math.ceil(limit / CYCLE)}
    if name == "lgmres":
        options |= {"inner_m": CYCLE, "outer_k": AUGMENTED, "maxiter": math.ceil(limit / CYCLE)}
    if name == "gcrotmk":
        options |= {"m": PAIRS, "k": PAIRS, "maxiter": math.ceil(limit / PAIRS)}
    middle = clock()
    x, _ = getattr(spla, name)(A, b, **options)
    end = clock()
    iterations = A.count if name in ("lgmres", "gcrotmk") else steps[0]  # these two count cycles
    return Outcome(x, iterations, A.count, middle - start, end - middle)


def pyamg_names() -> dict[str, str]:
    """Return pyamg's name of each method it has."""
    return {"CG": "cg", "GMRES(30)": "gmres", "BiCGStab": "bicgstab"}


def pyamg_method(name: str, matrix: Any, b: np.ndarray, recipe: Any, rtol: float, limit: int, *, amg: bool) -> Outcome:
    """Solve by pyamg's Krylov methods."""
    start = clock()
    M, A, norms = _operator_for(matrix, recipe, amg), Counted(matrix), []
    options: dict[str, Any] = {"tol": rtol, "M": M, "residuals": norms, "maxiter": limit}
    if name == "gmres":
        options |= {"restart": CYCLE, "maxiter": math.ceil(limit / CYCLE)}
    middle = clock()
    x, _ = getattr(pyamg.krylov, name)(A, b, **options)
    end = clock()
    return Outcome(x, len(norms) - 1, A.count, middle - start, end - middle)


def petsc_names() -> dict[str, tuple[str, dict[str, str]]]:
    """Return PETSc's type and options of each method it has."""
    return {
        "CG": ("cg", {}),
        "MINRES": ("minres", {}),
        "GMRES(30)": ("gmres", {"ksp_gmres_restart": str(CYCLE)}),
        "BiCGStab": ("bcgs", {}),
        "TFQMR": ("tfqmr", {}),
        "LGMRES(30,3)": (
            "lgmres",
            {"ksp_gmres_restart": str(CYCLE + AUGMENTED), "ksp_lgmres_augment": str(AUGMENTED)},
        ),
    }


PETSC_PRECONDITIONERS: dict[str, tuple[str, dict[str, str]]] = {
    "none": ("none", {}),
    "Jacobi": ("jacobi", {}),
    "SSOR": ("sor", {"pc_sor_symmetric": ""}),
    "IC(0)": ("icc", {}),
    "ILU(0)": ("ilu", {}),
    "AMG": ("hypre", {"pc_hypre_type": "boomeramg"}),
}


def petsc(name: str, matrix: Any, b: np.ndarray, M: str, rtol: float, limit: int, *, definite: bool) -> Outcome:
    """Solve by PETSc, matrix and vectors its own, on the unpreconditioned norm where its method can."""
    from petsc4py import PETSc

    PETSc.Log.begin()
    multiply = PETSc.Log.Event("MatMult")
    ksp_type, options = petsc_names()[name]
    pc_type, more = PETSC_PRECONDITIONERS[M]
    csr = (matrix.indptr.astype(PETSc.IntType), matrix.indices.astype(PETSc.IntType), matrix.data)
    A = PETSc.Mat().createAIJWithArrays(matrix.shape, csr, comm=PETSc.COMM_SELF)
    A.setOption(PETSc.Mat.Option.SPD if definite else PETSc.Mat.Option.STRUCTURALLY_SYMMETRIC, True)
    x = np.zeros_like(b)
    right = PETSc.Vec().createWithArray(b.copy(), comm=PETSc.COMM_SELF)
    solution = PETSc.Vec().createWithArray(x, comm=PETSc.COMM_SELF)
    start = clock()
    ksp = PETSc.KSP().create(PETSc.COMM_SELF)
    ksp.setOperators(A)
    ksp.setType(ksp_type)
    ksp.getPC().setType(pc_type)
    database = PETSc.Options()
    for option, value in (options | more).items():
        database[option] = value
    ksp.setFromOptions()
    for option in options | more:
        database.delValue(option)
    if ksp_type != "minres":  # which can only watch the preconditioned norm
        if ksp_type != "cg":
            ksp.setPCSide(PETSc.PC.Side.RIGHT)
        ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    ksp.setTolerances(rtol=rtol, atol=0.0, max_it=limit)
    ksp.setUp()
    ksp.getPC().setUp()
    before = multiply.getPerfInfo()["count"]
    middle = clock()
    ksp.solve(right, solution)
    end = clock()
    products = int(multiply.getPerfInfo()["count"] - before)
    outcome = Outcome(x, ksp.getIterationNumber(), products, middle - start, end - middle)
    for thing in (ksp, A, right, solution):
        thing.destroy()
    return outcome


def best(call: Callable[[], Outcome], most: int, budget: float = 0.3) -> Outcome:
    """Return the fastest of `most` runs, of fewer where one takes long."""
    outcome = call()
    spent, runs = outcome.setup_seconds + outcome.seconds, 1
    while runs < most and spent < budget:
        again = call()
        spent, runs = spent + again.setup_seconds + again.seconds, runs + 1
        if again.setup_seconds + again.seconds < outcome.setup_seconds + outcome.seconds:
            outcome = again
    return outcome
