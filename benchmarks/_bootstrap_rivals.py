"""All ways to solve a system to one true residual: bootstrap multigrid, and other algebraic multigrid beside it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from _report import true_residual
from pyamg.aggregation import adaptive_sa_solver

from resolvent.operators import SPD, Props, Sparse
from resolvent.solvers import AMG, CG, BootstrapAMG, FlexibleCG
from resolvent.solvers.multigrid.bootstrap.near_null_space import smooth_vectors

RTOL, MOST = 1e-8, 2000
DEAR = 5000
"""Unknowns of a graph with hubs from which coarse levels with several vectors a vertex are left out: they fill up."""
SYMMETRIC = 5.0
"""Passes over the entries of a level in a cycle with symmetric Gauss–Seidel before and after: 2 + residual + 2."""


@dataclasses.dataclass(frozen=True)
class Way:
    """One way; several with one `group` are options of one method, of which the first is the default."""

    group: str
    options: str
    solve: Callable[[Sparse, np.ndarray], dict[str, Any]]


def with_recipe(recipe: Any, method: Any = None) -> Callable[[Sparse, np.ndarray], dict[str, Any]]:
    """Return a solve by conjugate gradients with a recipe."""

    def solve(A: Sparse, b: np.ndarray) -> dict[str, Any]:
        begin = time.perf_counter()
        M = recipe(A) if not callable(getattr(recipe, "made_for", None)) else recipe.made_for(A)
        middle = time.perf_counter()
        result = (method or CG(rtol=RTOL, maxiter=MOST)).solve(A, b, M=M)
        end = time.perf_counter()
        complexity = getattr(M, "operator_complexity", None)
        composite = getattr(M, "composite", None)
        if composite is not None:
            each = composite.cost(zero=True) + 1.0
        else:
            each = None if complexity is None else SYMMETRIC * complexity + 1.0
        return {
            "x": result.x,
            "iterations": result.iterations,
            "complexity": complexity,
            "work a step": each,
            "set-up work": getattr(M, "setup_work", None),
            "hierarchies": len(getattr(M, "hierarchies", ())) if composite is not None else None,
            "rate": getattr(M, "rates", (None,))[-1],
            "set-up": middle - begin,
            "solve": end - middle,
        }

    return solve


@dataclasses.dataclass(frozen=True)
class WithVectors:
    """Another multigrid, told the smooth vectors that bootstrap multigrid finds."""

    make: Any
    k: int

    def made_for(self, A: Sparse) -> Any:
        """Find the vectors, and build."""
        B, work = smooth_vectors(A, self.k)
        M = self.make(B)(A)
        M.setup_work = work
        return M


def adaptive(candidates: int) -> Callable[[Sparse, np.ndarray], dict[str, Any]]:
    """Return a solve by pyamg's adaptive smoothed aggregation, inside pyamg's conjugate gradients."""

    def solve(A: Sparse, b: np.ndarray) -> dict[str, Any]:
        state = np.random.get_state()  # noqa: NPY002 - pyamg draws from it
        np.random.seed(0)  # noqa: NPY002
        begin = time.perf_counter()
        hierarchy, work = adaptive_sa_solver(sp.csr_matrix(A.to_sparse()), num_candidates=candidates)
        middle = time.perf_counter()
        np.random.set_state(state)  # noqa: NPY002
        M = hierarchy.aspreconditioner()
        result = CG(rtol=RTOL, maxiter=MOST).solve(A, b, M=M)
        complexity = float(hierarchy.operator_complexity())
        return {
            "x": result.x,
            "iterations": result.iterations,
            "complexity": complexity,
            "work a step": SYMMETRIC * complexity + 1.0,
            "set-up work": float(work),
            "set-up": middle - begin,
            "solve": time.perf_counter() - middle,
        }

    return solve


def ways(*, petsc: bool) -> list[Way]:
    """Return all ways."""
    flexible = FlexibleCG(rtol=RTOL, maxiter=MOST, mmax=1)
    found = [
        Way("bootstrap", "", with_recipe(BootstrapAMG())),
        Way("bootstrap", "smooth", with_recipe(BootstrapAMG(smooth=True))),
        Way("bootstrap", "W-cycle", with_recipe(BootstrapAMG(cycle="W"))),
        Way("bootstrap", "K-cycle, FCG", with_recipe(BootstrapAMG(cycle="K"), flexible)),
        Way("bootstrap", "w = 1 as it is", with_recipe(BootstrapAMG(relax=0))),
        Way("bootstrap", "eigenvector", with_recipe(BootstrapAMG("eigenvector"))),
        Way("bootstrap", "collapse", with_recipe(BootstrapAMG("collapse"))),
        Way("composite to 0.3", "symmetric", with_recipe(BootstrapAMG("compose"))),
        Way("composite to 0.3", "one-sided, K, FCG",
            with_recipe(BootstrapAMG("compose", composition="mult", cycle="K", inner=8), flexible)),
        Way("aggregation", "", with_recipe(AMG("smoothed_aggregation"))),
        *(Way("aggregation", f"strength {s}", with_recipe(AMG("smoothed_aggregation", strength=s)))
          for s in (0.08, 0.25)),
        Way("aggregation", "evolution", with_recipe(AMG("smoothed_aggregation", strength="evolution"))),
        *(Way("aggregation + vectors", f"k = {k}",
              with_recipe(WithVectors(lambda B: AMG("smoothed_aggregation", near_null_space=B), k)))
          for k in (3, 1, 6)),
        *(Way("adaptive aggregation", f"{c} candidates", adaptive(c)) for c in (1, 3, 5)),
        Way("Ruge-Stüben", "", with_recipe(AMG())),
        Way("Ruge-Stüben", "strength 0.5", with_recipe(AMG(strength=0.5))),
    ]  # fmt: skip
    if petsc:
        from resolvent.solvers.petsc import PETScAMG

        found += [
            Way("BoomerAMG", "", with_recipe(PETScAMG())),
            Way("BoomerAMG", "strength 0.5", with_recipe(PETScAMG(strength=0.5))),
            Way("BoomerAMG", "strength 0.7", with_recipe(PETScAMG(strength=0.7))),
            Way("GAMG", "", with_recipe(PETScAMG("gamg"))),
            Way("GAMG", "strength 0.02", with_recipe(PETScAMG("gamg", strength=0.02))),
            Way("GAMG", "strength 0.08", with_recipe(PETScAMG("gamg", strength=0.08))),
            *(Way("GAMG + vectors", f"k = {k}",
                  with_recipe(WithVectors(lambda B: PETScAMG("gamg", near_null_space=B), k)))
              for k in (3, 6)),
        ]  # fmt: skip
    return found


def compare(name: str, matrix: sp.csr_array, *, singular: bool, petsc: bool) -> list[dict[str, Any]]:
    """Solve one system in all ways; mark the best options of each method by work, or by iterations."""
    A = Sparse(matrix, props=SPD | (Props.SINGULAR if singular else Props.NONE))
    b = matrix @ np.random.default_rng(1).standard_normal(matrix.shape[0])
    rows = []
    dear = name.startswith("preferential") and matrix.shape[0] > DEAR
    for way in ways(petsc=petsc):
        if dear and ("vectors" in way.group or way.options in ("3 candidates", "5 candidates", "smooth", "evolution")):
            continue
        row: dict[str, Any] = {
            "problem": name,
            "unknowns": matrix.shape[0],
            "method": way.group,
            "options": way.options,
        }
        try:
            found = way.solve(A, b)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            rows.append(row | {"failed": str(error)[:200], "iterations": None})
            continue
        residual = true_residual(matrix, b, found.pop("x"))
        work = None if found["work a step"] is None else found["iterations"] * found["work a step"]
        row |= found | {"residual": residual, "met": bool(residual <= RTOL), "solve work": work}
        rows.append(row)
    for group in {row["method"] for row in rows}:
        own = [row for row in rows if row["method"] == group]
        own[0]["default"] = True
        met = [row for row in own if row.get("met")]
        if met:
            min(met, key=lambda row: row["solve work"] or row["iterations"])["tuned"] = True
    return rows
