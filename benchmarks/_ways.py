"""The ways of solving a stream of systems that the benchmark compares: ours, PETSc's, MKL PARDISO."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import scipy.sparse as sp
from _report import console, true_residual
from _streams import Kind, Stream

from resolvent.solvers import (
    AMG,
    CG,
    COCG,
    GCRODR,
    GCROT,
    GMRES,
    IC,
    ILU0,
    MINRES,
    RMINRES,
    SSOR,
    BiCGStab,
    DeflatedCG,
    Direct,
    Factorised,
    FastPoisson,
    Jacobi,
    Refresh,
    Sequence,
    ShiftedLaplacian,
)
from resolvent.solvers.petsc import PETScKSP

RTOL = 1e-8
LIMIT = 3000
NEVER = 10**9
REFRESH = {
    "every 5": Refresh.EVERY(5),
    "when slow": Refresh.WHEN_SLOW(),
    "rescaled": Refresh.RESCALED,
    "by cost": Refresh.BY_COST,
    "never": Refresh.EVERY(NEVER),
}


@dataclasses.dataclass(frozen=True)
class Solved:
    """One solution with its counts; `products` has the set-up in it."""

    x: np.ndarray
    iterations: int
    products: int
    setup: int
    rebuilt: bool
    status: str


Solve = Callable[[Any, np.ndarray], Solved]


@dataclasses.dataclass(frozen=True)
class Way:
    """One line of the table: `make` starts afresh and returns what solves one system after the other."""

    group: str
    method: str
    M: str
    how: str
    make: Callable[[], Solve]

    @property
    def label(self) -> str:
        return ", ".join(part for part in (self.method, self.M, self.how) if part)


def along(solver: Any, M: Any = None, **options: Any) -> Callable[[], Solve]:
    """Solve by a `Sequence`."""

    def make() -> Solve:
        sequence = Sequence(solver, M=M, **options)

        def solve(A: Any, b: np.ndarray) -> Solved:
            r = sequence.solve(A, b)
            c = r.counts
            return Solved(r.x, r.iterations, c.products, c.setup, r.extra["refreshed"], r.status.name)

        return solve

    return make


def cold(solver: Any, M: Any = None) -> Callable[[], Solve]:
    """Solve each system without a space, with M brought up to date as in a `Sequence`."""

    def make() -> Solve:
        prepared: Any = None

        def solve(A: Any, b: np.ndarray) -> Solved:
            nonlocal prepared
            if prepared is None:
                prepared = solver.prepare(A, M)
            else:
                prepared.update(A)
            r = prepared.solve(b)
            rebuilt = M is not None
            return Solved(r.x, r.iterations, r.counts.products, r.counts.setup, rebuilt, r.status.name)

        return solve

    return make


def pardiso(kind: Kind) -> Callable[[], Solve]:
    """Solve by MKL PARDISO, analysis of the pattern once: phases that only a private method of pypardiso reaches."""

    def make() -> Solve:
        from pypardiso import PyPardisoSolver

        solver = PyPardisoSolver(mtype=2 if kind == "definite" else 11)
        analysed = False

        def phase(number: int, matrix: Any, b: np.ndarray) -> np.ndarray:
            solver.set_phase(number)
            return solver._call_pardiso(matrix, b)

        def solve(A: Any, b: np.ndarray) -> Solved:
            nonlocal analysed
            matrix = A.to_sparse()
            matrix = sp.csr_array(sp.triu(matrix) if kind == "definite" else matrix)
            matrix.sort_indices()
            if not analysed:
                phase(11, matrix, b)
                analysed = True
            phase(22, matrix, b)
            return Solved(phase(33, matrix, b), 1, 0, 0, True, "CONVERGED")

        return solve

    return make


def has_pardiso() -> bool:
    """Whether pypardiso is there and can do what `pardiso` asks of it; says so where not."""
    os.environ.setdefault("MKL_NUM_THREADS", "1")
    problem = ""
    if importlib.util.find_spec("pypardiso") is None:
        problem = "pypardiso is not installed (pip install 'resolvent[bench]', x86 only)"
    else:
        from resolvent.operators import as_operator

        matrix = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(5, 5))
        try:
            for kind in ("definite", "nonsymmetric"):
                solve = pardiso(kind)()
                for scale in (1.0, 2.0):  # again with the analysis of the first
                    x = solve(as_operator(scale * matrix), np.ones(5)).x
                    if not true_residual(scale * matrix, np.ones(5), x) < 1e-12:
                        problem = "pypardiso gives wrong answers through its private method"
        except (ImportError, AttributeError, TypeError, OSError) as error:
            problem = f"pypardiso cannot be used: {error}"
    if problem:
        console.print(f"{problem}: no PARDISO rows")
    return not problem


def ways(kind: Kind, petsc: bool, mkl: bool, related: bool) -> list[Way]:
    """Return what is compared on streams of a kind; policies of renewal only where neighbours are related."""
    list_of = {"definite": _definite, "nonsymmetric": _nonsymmetric, "complex symmetric": _waves}[kind]
    found = list(list_of())
    if not related:
        found = [way for way in found if way.group != "refresh"]
    found.append(Way("direct", "Direct, ordering kept", "", "", along(Direct(rtol=RTOL))))
    if mkl and kind != "complex symmetric":
        found.append(Way("direct", "MKL PARDISO, analysis kept", "", "", pardiso(kind)))
    if petsc and kind == "definite":
        for package in ("cholmod", "mumps"):
            options = {"ksp_type": "preonly", "pc_type": "cholesky", "pc_factor_mat_solver_type": package}
            name = f"PETSc {package.upper()}, analysis kept"
            found.append(Way("direct", name, "", "", along(PETScKSP(options=options, rtol=RTOL))))
        options = {"ksp_type": "cg", "pc_type": "hypre", "pc_hypre_type": "boomeramg"}
        found.append(Way("cold", "PETSc CG", "BoomerAMG", "", along(PETScKSP(options=options, rtol=RTOL))))
    return found


def _definite() -> Iterable[Way]:
    recipes = {"none": None, "Jacobi": Jacobi(), "SSOR": SSOR(), "IC(0)": IC(), "FastPoisson": FastPoisson()}
    recipes |= {"AMG": AMG()}
    cg, limits = CG(rtol=RTOL, maxiter=LIMIT), {"rtol": RTOL, "maxiter": LIMIT}
    for name, M in recipes.items():
        yield Way("cold", "CG", name, "", along(cg, M))
        if name not in ("none", "SSOR"):
            for guess in ("previous", "scaled", "projected"):
                yield Way("warm", "CG", name, guess, along(cg, M, warm_start=guess))
        if name not in ("SSOR", "IC(0)"):
            deflated = DeflatedCG(k=16, **limits)
            yield Way("recycled", "DeflatedCG(16)", name, "", along(deflated, M, cold_every=None))
        if name not in ("none", "Jacobi", "SSOR"):
            for when, refresh in REFRESH.items():
                yield Way("refresh", "CG", name, when, along(cg, M, refresh=refresh))
    for when, refresh in REFRESH.items():
        yield Way("refresh", "CG", "Factorised", when, along(cg, Factorised(), refresh=refresh))
    M = Jacobi()
    both = along(DeflatedCG(k=16, **limits), M, cold_every=None, warm_start="projected")
    yield Way("recycled", "DeflatedCG(16)", "Jacobi", "projected", both)
    yield Way("cold", "MINRES", "Jacobi", "", along(MINRES(**limits), M))
    yield Way("recycled", "RMINRES", "Jacobi", "", along(RMINRES(**limits), M, cold_every=None))
    yield from _cycles({"Jacobi": M, "FastPoisson": recipes["FastPoisson"]}, 30, limits)
    yield Way("recycled", "GCRODR(30,10)", "AMG", "by benefit", along(GCRODR(restart=30, k=10, **limits), AMG()))


def _nonsymmetric() -> Iterable[Way]:
    limits = {"rtol": RTOL, "maxiter": LIMIT}
    recipes = {"none": None, "Jacobi": Jacobi(), "SSOR": SSOR(), "ILU(0)": ILU0(), "FastPoisson": FastPoisson()}
    for name, M in recipes.items():
        yield Way("cold", "BiCGStab", name, "", along(BiCGStab(**limits), M))
    yield from _cycles(recipes, 30, limits)
    gmres = GMRES(restart=30, **limits)
    for guess in ("previous", "scaled", "projected"):
        yield Way("warm", "GMRES(30)", "ILU(0)", guess, along(gmres, ILU0(), warm_start=guess))
    for name, M in {"ILU(0)": ILU0(), "Factorised": Factorised()}.items():
        for when, refresh in REFRESH.items():
            yield Way("refresh", "GMRES(30)", name, when, along(gmres, M, refresh=refresh))


def _waves() -> Iterable[Way]:
    limits = {"rtol": RTOL, "maxiter": LIMIT // 3}
    yield Way("cold", "COCG", "none", "", along(COCG(rtol=RTOL, maxiter=LIMIT)))
    shifted = ShiftedLaplacian()
    yield from _cycles({"shifted Laplacian": shifted}, 40, limits)
    gmres = GMRES(restart=40, **limits)
    for guess in ("previous", "scaled", "projected"):
        yield Way("warm", "GMRES(40)", "shifted Laplacian", guess, along(gmres, shifted, warm_start=guess))
    for when, refresh in {"on change": Refresh.ON_CHANGE, **REFRESH}.items():
        yield Way("refresh", "GMRES(40)", "Factorised", when, along(gmres, Factorised(), refresh=refresh))


def _cycles(recipes: dict[str, Any], m: int, limits: dict[str, Any]) -> Iterable[Way]:
    """GMRES(m), GCRO-DR(m, m/3) cold, recycled and left to choose, and GCROT of about the same storage."""
    k, inner = m // 3, 2 * m // 3
    for name, M in recipes.items():
        recycling, truncated = GCRODR(restart=m, k=k, **limits), GCROT(m=inner, k=k, **limits)
        yield Way("cold", f"GMRES({m})", name, "", along(GMRES(restart=m, **limits), M))
        yield Way("cold", f"GCRODR({m},{k})", name, "", cold(recycling, M))
        yield Way("cold", f"GCROT({inner},{k})", name, "", cold(truncated, M))
        yield Way("recycled", f"GCRODR({m},{k})", name, "", along(recycling, M, cold_every=None))
        yield Way("recycled", f"GCRODR({m},{k})", name, "by benefit", along(recycling, M))
        yield Way("recycled", f"GCROT({inner},{k})", name, "", along(truncated, M, cold_every=None))


def run(stream: Stream, way: Way) -> dict[str, Any]:
    """Solve a stream; return one row: means over all systems but the first, and the figures of each."""
    matrices = [sp.csr_array(A.to_sparse()) for A, _ in stream.systems]
    solve, solved, seconds, residuals = way.make(), [], [], []
    for (A, b), matrix in zip(stream.systems, matrices, strict=True):
        start = time.perf_counter()
        solved.append(solve(A, b))
        seconds.append(time.perf_counter() - start)
        residuals.append(true_residual(matrix, b, solved[-1].x))
    later = slice(min(1, len(solved) - 1), None)  # the first is cold for all, and pays for the analysis
    return {
        "stream": stream.name,
        "group": way.group,
        "method": way.method,
        "M": way.M,
        "how": way.how,
        "iterations": float(np.mean([s.iterations for s in solved[later]])),
        "products": float(np.mean([s.products for s in solved[later]])),
        "products of set-up": float(np.mean([s.setup for s in solved[later]])),
        "seconds": float(np.mean(seconds[later])),
        "seconds, median": float(np.median(seconds[later])),
        "rebuilt": sum(s.rebuilt for s in solved[later]),
        "worst residual": max(residuals),
        "missed": sum(not rho <= RTOL for rho in residuals),
        "untrue": sum(s.status == "CONVERGED" and not rho <= RTOL for s, rho in zip(solved, residuals, strict=True)),
        "each": {"iterations": [s.iterations for s in solved], "products": [s.products for s in solved]}
        | {"setup": [s.setup for s in solved], "seconds": seconds, "status": [s.status for s in solved]},
    }
