"""What is kept of a multigrid hierarchy or a factorisation along a slowly changing sequence: seconds and iterations.

    python benchmarks/amg_reuse.py           # some minutes
    python benchmarks/amg_reuse.py --quick   # small grids

Darcy systems on a path of lognormal coefficients, neighbours correlated by cos 0.1, to a true residual of 1e-8 ‖b‖,
one thread. Conjugate gradients with each algebraic multigrid, whose recipe builds anew, keeps its interpolation, or
keeps all of it when the coefficient changes; and each factorisation, prepared anew or updated with its analysis kept.
Every system is solved in all ways in turn, so that a change of the machine's speed hits all. The first system, on which
all are set up, is left out of means and medians. Writes benchmarks/results/amg_reuse[-quick].json and .png; PETSc rows
need petsc4py.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _report import about, has_petsc, one_thread, show, true_residual, verdict, write
from _streams import rotating

from resolvent.datasets.families.coefficients import coefficient_law
from resolvent.datasets.families.darcy import Darcy2D, Darcy3D
from resolvent.solvers import AMG, CG, Direct

RTOL = 1e-8
ANGLE = 0.1
DIRECT_LIMIT = {2: 256**2, 3: 24**3}
"""Unknowns up to which factorisations take part, by dimension: beyond, they take most of the time of the script."""
KEPT = {
    "nothing": "all anew",
    "interpolation": "interpolation kept",
    "hierarchy": "all kept",
    "analysis": "analysis kept",
}
"""What a row is called, by what is kept."""


@dataclasses.dataclass
class Way:
    """One way to go along a sequence: a method, and what is kept.

    Attributes
    ----------
    anew : bool
        Whether each system is prepared anew; otherwise one prepared solver is updated.
    """

    method: str
    kept: str
    solver: Any
    M: Any = None
    anew: bool = False
    prepared: Any = None
    setup: list[float] = dataclasses.field(default_factory=list)
    solve: list[float] = dataclasses.field(default_factory=list)
    iterations: list[int] = dataclasses.field(default_factory=list)
    residuals: list[float] = dataclasses.field(default_factory=list)
    converged: list[bool] = dataclasses.field(default_factory=list)

    def go(self, A: Any, b: np.ndarray, matrix: Any) -> None:
        """Solve the next system."""
        begin = time.perf_counter()
        if self.prepared is None or self.anew:
            self.prepared = None  # factors of the last one are freed first
            self.prepared = self.solver.prepare(A, self.M)
        else:
            self.prepared.update(A)
        middle = time.perf_counter()
        result = self.prepared.solve(b)
        self.setup.append(middle - begin)
        self.solve.append(time.perf_counter() - middle)
        self.iterations.append(result.iterations)
        self.residuals.append(true_residual(matrix, b, result.x))
        self.converged.append(result.converged)

    def row(self, grid: str) -> dict[str, Any]:
        """Return the figures: means of counts and medians of seconds, over all systems but the first."""
        return {
            "grid": grid,
            "method": self.method,
            "kept": self.kept,
            "set-up": float(np.median(self.setup[1:])),
            "solve": float(np.median(self.solve[1:])),
            "seconds": float(np.median(np.add(self.setup[1:], self.solve[1:]))),
            "iterations": float(np.mean(self.iterations[1:])),
            "most iterations": max(self.iterations[1:]),
            "missed": sum(not rho <= RTOL for rho in self.residuals),
            "untrue": sum(c and not rho <= RTOL for c, rho in zip(self.converged, self.residuals, strict=True)),
            "each": {"set-up": self.setup, "solve": self.solve, "iterations": self.iterations},
        }


def multigrids(*, petsc: bool) -> list[Way]:
    """Return conjugate gradients with each multigrid, and all that it can keep."""
    recipes: dict[str, tuple[Any, tuple[Any, ...], tuple[str, ...]]] = {
        "pyamg Ruge-Stüben": (AMG, ("ruge_stuben",), ("nothing", "interpolation", "hierarchy")),
        "pyamg aggregation": (AMG, ("smoothed_aggregation",), ("nothing", "interpolation", "hierarchy")),
    }
    if petsc:
        from resolvent.solvers.petsc import PETScAMG

        recipes["PETSc GAMG"] = (PETScAMG, ("gamg",), ("nothing", "interpolation", "hierarchy"))
        recipes["PETSc BoomerAMG"] = (PETScAMG, ("boomeramg",), ("nothing", "hierarchy"))
    return [
        Way(name, reuse, CG(rtol=RTOL, maxiter=500), recipe(*method, reuse=reuse))
        for name, (recipe, method, all_reuse) in recipes.items()
        for reuse in all_reuse
    ]


def factorisations(dim: int, *, petsc: bool) -> list[Way]:
    """Return each factorisation, prepared anew and updated; a band only where it is narrow, in two dimensions."""
    solvers = {"Direct, SuperLU": Direct(rtol=RTOL, ordering="symmetric")}
    if dim == 2:
        solvers["Direct, band"] = Direct(rtol=RTOL, ordering="band")
    if petsc:
        solvers |= {
            f"Direct, {name}": Direct(rtol=RTOL, backend=backend)
            for name, backend in (("MUMPS", "mumps"), ("CHOLMOD", "cholmod"), ("UMFPACK", "umfpack"))
        }
    return [
        Way(name, kept, solver, anew=kept == "nothing")
        for name, solver in solvers.items()
        for kept in ("nothing", "analysis")
    ]


def measure(n: int, dim: int, count: int, *, petsc: bool) -> list[dict[str, Any]]:
    """Go along one sequence in all ways; return their rows, with seconds relative to building anew and to the best."""
    law = coefficient_law("lognormal_unit", dim)
    family = (Darcy2D if dim == 2 else Darcy3D)(resolution=n)
    ways = multigrids(petsc=petsc)
    if n**dim <= DIRECT_LIMIT[dim]:
        ways += factorisations(dim, petsc=petsc)
    for g in rotating(lambda rng: law.field.sample(rng, n), count, ANGLE, seed=0):
        A, b = family.assemble({"a": np.exp(g)})
        matrix = A.to_sparse()
        for way in ways:
            way.go(A, b, matrix)
    rows = [way.row(f"{n}^{dim}") for way in ways]
    anew = {row["method"]: row for row in rows if row["kept"] == "nothing"}
    best = min(row["seconds"] for row in rows)
    for row in rows:
        other = anew[row["method"]]
        row["set-up, relative to anew"] = row["set-up"] / other["set-up"]
        row["seconds, relative to anew"] = row["seconds"] / other["seconds"]
        row["more iterations than anew"] = row["most iterations"] - other["most iterations"]
        row["seconds, relative to the best"] = row["seconds"] / best
    return rows


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return a row as it is printed."""
    return (
        row["grid"],
        row["method"],
        KEPT[row["kept"]],
        f"{row['iterations']:.1f}",
        f"{row['set-up']:.4f}",
        f"{row['solve']:.4f}",
        f"{row['set-up, relative to anew']:.2f}",
        f"{row['seconds, relative to anew']:.2f}",
        f"{row['seconds, relative to the best']:.1f}",
    )


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw seconds of set-up and solve of all ways, one panel a grid."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    grids = list(dict.fromkeys(row["grid"] for row in rows))
    figure, panels = plt.subplots(1, len(grids), figsize=(5.5 * len(grids), 6.5), layout="constrained", squeeze=False)
    for axes, grid in zip(panels[0], grids, strict=True):
        own = [row for row in rows if row["grid"] == grid][::-1]
        names = [f"{row['method']}, {KEPT[row['kept']]}" for row in own]
        setup = [row["set-up"] for row in own]
        axes.barh(names, setup, label="set-up")
        axes.barh(names, [row["solve"] for row in own], left=setup, label="solve")
        axes.set(xlabel="seconds a system", title=grid)
    panels[0][0].legend(frameon=False)
    figure.savefig(path.with_suffix(".png"), dpi=120)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small grids")
    parser.add_argument("--systems", type=int, help="systems of a sequence")
    parser.add_argument("--results", type=Path, help="folder to write to")
    options = parser.parse_args(arguments)
    grids = [(32, 2), (10, 3)] if options.quick else [(64, 2), (128, 2), (256, 2), (24, 3), (32, 3)]
    count = options.systems or (4 if options.quick else 10)
    if count < 2:
        parser.error("a sequence has at least two systems")
    machine, petsc = about(), has_petsc()
    with one_thread():
        rows = [row for n, dim in grids for row in measure(n, dim, count, petsc=petsc)]
    show(
        f"Darcy, path, cos {ANGLE}: mean iterations, median seconds of {count - 1} systems after the first",
        ("grid", "method", "kept", "iterations", "set-up s", "solve s", "set-up / anew", "all / anew", "all / best"),
        [cells(row) for row in rows],
    )
    kept = [row for row in rows if row["kept"] == "interpolation"]
    analysed = [row for row in rows if row["kept"] == "analysis"]
    judged = not options.quick
    checks = [
        verdict("residuals above the tolerance", sum(row["missed"] for row in rows), 0),
        verdict("interpolation kept: most iterations more", max(r["more iterations than anew"] for r in kept), 3),
        verdict(
            "interpolation kept: largest set-up relative to anew",
            max(row["set-up, relative to anew"] for row in kept),
            0.8,
            judged=judged,
        ),
        verdict(
            "analysis kept: largest set-up relative to anew",
            max(row["set-up, relative to anew"] for row in analysed),
            1.1,
            judged=judged,
        ),
    ]
    path = write(
        {"machine": machine, "systems": count, "rows": rows, "checks": checks},
        "amg_reuse-quick" if options.quick else "amg_reuse",
        options.results,
    )
    plot(rows, path)


if __name__ == "__main__":
    main()
