"""Bootstrap multigrid: its rates, its vectors, and what they are worth beside other algebraic multigrid.

    python benchmarks/bootstrap.py           # some minutes
    python benchmarks/bootstrap.py --quick   # small grids

Rates of composites as hierarchies are added, and how many reach a target; cycles of composites and of single
hierarchies for vectors that were found in different ways; all ways to solve systems to a true residual of 1e-8 ‖b‖,
default and best of a few options, with plain and adaptive smoothed aggregation and classical multigrid of pyamg,
BoomerAMG and GAMG; smooth vectors as deflation space; updates; growth with the size. Work is counted in products with
A: what sweeps and residuals read, relative to the entries of A, and one for each step of conjugate gradients; that of
PETSc is not known, and seconds stand beside. Random right-hand sides in the range of A. Writes
benchmarks/results/bootstrap[-quick].json and .png.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _bootstrap_problems import SINGULAR, diffusion, jumps, poisson, problems, scaled
from _bootstrap_rivals import MOST, RTOL, compare
from _bootstrap_tables import REFERENCE, plot, say_who_is_better, show_all
from _report import about, has_petsc, one_thread, verdict, write
from _streams import rotating

from resolvent.datasets.families.coefficients import coefficient_law
from resolvent.operators import SPD, Sparse
from resolvent.solvers import (
    SSOR,
    BootstrapAMG,
    Bootstrapped,
    DeflatedCG,
    FlexibleCG,
    RecycleSpace,
    Sequence,
)
from resolvent.solvers.multigrid.bootstrap.near_null_space import smooth_vectors

PUBLISHED = BootstrapAMG("compose", relax=0)
"""The method as published, but for random vectors of one sign."""


def spd(matrix: sp.csr_array) -> Sparse:
    """Return a matrix with its claims."""
    return Sparse(matrix, props=SPD)


def model_problems(n: int) -> dict[str, sp.csr_array]:
    """Return the problems of the tables of rates and cycles."""
    return {
        "Poisson": poisson(n),
        "anisotropic 1:0.01": poisson(n, 1.0, 0.01),
        "jumps 1e4": jumps(n),
        "S Poisson S": scaled(poisson(n)),
        "S jumps S": scaled(jumps(n)),
    }


def rates(n: int) -> list[dict[str, Any]]:
    """Add six hierarchies in each composition."""
    found = []
    for name, matrix in model_problems(n).items():
        for composition in ("mult", "sym", "add"):
            M = dataclasses.replace(PUBLISHED, target=0.0, k_max=6, composition=composition)(spd(matrix))
            found.append({"problem": name, "composition": composition, "rates": list(M.rates), "work": M.setup_work})
    return found


def stopping(n: int, seeds: int) -> list[dict[str, Any]]:
    """Count the hierarchies that reach a target, on all problems and for several random vectors."""
    found = []
    for name, make in problems(n).items():
        A = spd(make())
        for target in (0.8, 0.6, 0.3, 0.1):
            built = [
                dataclasses.replace(PUBLISHED, target=target, k_max=15, rng=seed)(A)
                for seed in range(seeds if target != 0.1 else 1)
            ]
            found.append(
                {
                    "problem": name,
                    "target": target,
                    "hierarchies": [len(M.hierarchies) for M in built],
                    "rates": [M.rates[-1] for M in built],
                    "reached": all(M.rates[-1] <= target for M in built),
                }
            )
    return found


def cycles(n: int) -> list[dict[str, Any]]:
    """Count cycles to 1e-8 in flexible CG, for composites and for one hierarchy of each vector."""
    single = {
        "w = 1": BootstrapAMG(relax=0),
        "w relaxed": BootstrapAMG(),
        "eigenvector": BootstrapAMG("eigenvector", relax=0),
        "collapse": BootstrapAMG("collapse", relax=0, k_max=5),
    }
    found = []
    for name, matrix in model_problems(n).items():
        A, b = spd(matrix), np.random.default_rng(1).standard_normal(n * n)
        method = FlexibleCG(rtol=RTOL, maxiter=MOST, mmax=1)
        row: dict[str, Any] = {"problem": name, "n": n, "composite": []}
        for k in range(1, 6):
            M = dataclasses.replace(PUBLISHED, target=0.0, k_max=k)(A)
            row["composite"].append(2 * k * method.solve(A, b, M=M).iterations)
        for way, recipe in single.items():
            for smooth in (False, True):
                M = dataclasses.replace(recipe, smooth=smooth)(A)
                row[f"{way}, smooth" if smooth else way] = {
                    "cycles": method.solve(A, b, M=M).iterations,
                    "work a cycle": M.composite.cost(zero=True),
                    "set-up work": M.setup_work,
                    "complexity": M.operator_complexity,
                }
        found.append(row)
    return found


def deflation(n: int) -> list[dict[str, Any]]:
    """Count iterations of CG with SSOR and smooth vectors deflated, beside other vectors."""
    found = []
    for name, matrix in {k: v for k, v in model_problems(n).items() if not k.startswith("S ")}.items():
        A, b = spd(matrix), np.random.default_rng(1).standard_normal(n * n)
        rng, relaxed = np.random.default_rng(2), []
        M = SSOR()(A)
        for _ in range(8):
            x = rng.random(n * n)
            for _ in range(15):
                x -= M @ (A @ x)
            relaxed.append(x)
        lowest = spla.eigsh(sp.csc_matrix(matrix), 8, sigma=0.0, v0=np.ones(n * n))[1]
        for k in (3, 5, 8):
            spaces = {
                "bootstrap": smooth_vectors(A, k, dataclasses.replace(PUBLISHED, mode="collapse", k_max=5)),
                "LOBPCG": smooth_vectors(A, k),
                "relaxed random": (np.array(relaxed[:k]).T, 15.0 * k * 3.0),
                "eigenvectors of A": (lowest[:, :k], None),
            }
            row: dict[str, Any] = {"problem": name, "k": k}
            row["none"] = DeflatedCG(update=False, rtol=RTOL).solve(A, b, M=SSOR()).iterations
            for way, (Z, work) in spaces.items():
                result = DeflatedCG(update=False, k=k, rtol=RTOL).solve(A, b, M=SSOR(), space=RecycleSpace(Z))
                row[way], row[f"{way}: set-up work"] = result.iterations, work
            found.append(row)
    return found


def sequences(n: int, count: int) -> list[dict[str, Any]]:
    """Count products of deflated CG along a path of coefficients, from bootstrap vectors and from nothing."""
    law = coefficient_law("lognormal_unit", 2)
    found = []
    for angle in (0.02, 0.1, np.pi / 2.0):
        policies = {
            "renewed by CG": None,
            "bootstrap, then renewed": Bootstrapped(16),
            "bootstrap, kept": Bootstrapped(16, drift=1.0),
        }
        for name, policy in policies.items():
            steps = Sequence(DeflatedCG(k=16, rtol=RTOL), M=SSOR(), spaces=policy, cold_every=None)
            iterations, setup = [], 0
            rng = np.random.default_rng(3)
            for g in rotating(lambda r: law.field.sample(r, n), count, angle, seed=0):
                result = steps.solve(spd(diffusion(np.exp(g))), rng.standard_normal(n * n))
                iterations.append(result.iterations)
                setup += result.counts.setup
            found.append(
                {
                    "angle": angle,
                    "policy": name,
                    "iterations": iterations,
                    "mean": float(np.mean(iterations)),
                    "set-up": setup / count,
                }
            )
    return found


def updates(n: int) -> dict[str, float]:
    """Update for coefficients that change by up to 10 %."""
    a, rng = jumps(n), np.random.default_rng(4)
    recipe = BootstrapAMG("compose", relax=0)
    M = recipe(spd(a))
    coarse = np.where(np.random.default_rng(0).random((8, 8)) < 0.5, 1.0, 1e4)
    field = np.kron(coarse, np.ones((n // 8, n // 8))) * rng.uniform(0.9, 1.1, (n, n))
    other = recipe.update(M, spd(diffusion(field)))
    same = other.hierarchies[0].levels[0].P is M.hierarchies[0].levels[0].P
    return {"rate": M.rate, "after": other.rate, "kept": float(same), "work": other.setup_work}


def growth(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Count cycles on Poisson as the grid is refined, by plain and by smoothed interpolation."""
    found = []
    for n in sizes:
        A, b = spd(poisson(n)), np.random.default_rng(1).standard_normal(n * n)
        row: dict[str, Any] = {"n": n}
        for name, recipe in (
            ("plain", BootstrapAMG()),
            ("K", BootstrapAMG(cycle="K")),
            ("smooth", BootstrapAMG(smooth=True)),
        ):
            M = recipe(A)
            row[name] = FlexibleCG(rtol=RTOL, maxiter=MOST, mmax=1).solve(A, b, M=M).iterations
            row[f"{name}: complexity"] = M.operator_complexity
        found.append(row)
    return found


def judge(report: dict[str, Any], *, judged: bool) -> list[dict[str, Any]]:
    """Hold the figures to what is expected of them."""
    found = {(row["problem"], row["composition"]): row["rates"] for row in report["rates"]}
    by_name = {row["problem"]: row for row in report["cycles"] if row["n"] == report["n"]}
    kept = {(row["problem"], row["k"]): row for row in report["deflation"]}
    last = report["growth"][-1]
    checks = [
        verdict("rate of one hierarchy: largest distance from the reference",
                max(abs(found[name, "sym"][0] - known[0]) for name, known in REFERENCE.items()), 0.02, judged=judged),
        verdict("rate of three hierarchies: largest distance from the reference",
                max(abs(found[name, "sym"][2] - known[2]) for name, known in REFERENCE.items()), 0.10, judged=judged),
        verdict("targets not reached", sum(not row["reached"] for row in report["stopping"]), 0, judged=judged),
        verdict("collapse on S Poisson S: cycles", by_name["S Poisson S"]["collapse"]["cycles"], 32, judged=judged),
        verdict("collapse on S jumps S: cycles", by_name["S jumps S"]["collapse"]["cycles"], 52, judged=judged),
        *(verdict(f"collapse on {name}: cycles relative to w = 1",
                  by_name[name]["collapse"]["cycles"] / by_name[name]["w = 1"]["cycles"], 1.1, judged=judged)
          for name in ("Poisson", "jumps 1e4")),
        verdict("coefficients ± 10 %: rate relative to the old",
                report["update"]["after"] / report["update"]["rate"], 1.2, judged=judged),
        verdict("coefficients ± 10 %: interpolation kept", report["update"]["kept"], 1.0, least=True),
        verdict("deflation on Poisson, k = 8: iterations", kept["Poisson", 8]["bootstrap"], 55, judged=judged),
        verdict("deflation on jumps, k = 8: iterations", kept["jumps 1e4", 8]["bootstrap"], 95, judged=judged),
        verdict("smoothed interpolation on the finest grid: cycles", last["smooth"], 14, judged=judged),
        verdict("smoothed interpolation on the finest grid: complexity", last["smooth: complexity"], 3.0),
    ]  # fmt: skip
    bootstrap = [row for row in report["compared"] if row["method"] in ("bootstrap", "composite to 0.3")]
    checks.append(verdict("bootstrap multigrid: residuals above the tolerance",
                          sum(not row.get("met") for row in bootstrap), 0))  # fmt: skip
    return checks


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small grids")
    parser.add_argument("--size", type=int, help="points a side")
    parser.add_argument("--no-petsc", action="store_true", help="leave PETSc out")
    parser.add_argument("--results", type=Path, help="folder to write to")
    options = parser.parse_args(arguments)
    n = options.size or (24 if options.quick else 64)
    machine, petsc = about(), not options.no_petsc and has_petsc()
    report: dict[str, Any] = {"machine": machine, "n": n}
    with one_thread():
        report["rates"] = rates(n)
        report["stopping"] = stopping(n, 1 if options.quick else 5)
        report["cycles"] = [row for size in ((n,) if options.quick else (n, 2 * n)) for row in cycles(size)]
        report["compared"] = [
            row
            for size in ((n,) if options.quick else (n, 2 * n))
            for name, make in problems(size).items()
            for row in compare(name, make(), singular=name in SINGULAR, petsc=petsc)
        ]
        report["deflation"] = deflation(n)
        report["sequences"] = sequences(16 if options.quick else n, 2 if options.quick else 20)
        report["update"] = updates(n)
        report["growth"] = growth((n, 2 * n) if options.quick else (n, 2 * n, 4 * n))
    show_all(report)
    report["work"] = say_who_is_better(report["compared"])
    report["checks"] = judge(report, judged=not options.quick)
    path = write(report, "bootstrap-quick" if options.quick else "bootstrap", options.results)
    plot(report, path)


if __name__ == "__main__":
    main()
