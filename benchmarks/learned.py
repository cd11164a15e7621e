"""Learned preconditioners beside the best classical ones on moving obstacles, in one run.

    python benchmarks/learned.py           # half an hour of one core
    python benchmarks/learned.py --quick   # a minute: tiny training, small grids

The systems are those of the family ``poisson_obstacles``: obstacles with u = 0 or no flux on them, as holes in a box.
One symmetric cycle in two dimensions is trained on 64² and used on 64² to 256², one in three dimensions on 24³ and used
on 32³ to 64³. DCDM and MgNO's Gram form are trained on 64² and used there. Shown apart: obstacle fractions inside and
outside of those of the training, and coefficients (Darcy) of a kind that was never trained on.

Every method meets the same systems, at true residuals of 1e-4, 1e-6 and 1e-8, on one thread. Geometry moves: set-up is
charged for every system, in a column of its own, so that a fixed matrix can be read off too. Seconds are of processor
time, for the machine may be shared, medians of three after one warm-up; iterations are means over the systems. Memory
is by how much the peak of set-up and solve is above what the process held before. Set-up counts on both sides of
N* = (T_data + T_train)/(t_base − t_learned).

Reduced against the protocol that comparisons for publication should follow: three repetitions instead of five, one on
64³ and of DCDM; two systems a case instead of many, one on 64³; 256² and 64³ as the largest grids; three training seeds
for the cycle in two dimensions and one for the others; no tolerance of 1e-10; no baselines whose set-up lags behind the
geometry. The published DCDM trains for hours on a GPU (`PreconditionerTraining.dcdm_published`); here it has minutes of
one core.

Writes benchmarks/results/learned[-quick].json and .png.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import gc
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyamg
import torch

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

import _peers
from _learned_protocol import checked, pays_after
from _report import RESULTS, about, console, has_petsc, one_thread, show, true_residual, verdict, write

from resolvent.datasets.families import Darcy2D, PoissonObstacles
from resolvent.solvers import AMG, CG, IC, SSOR, DeflatedCG, FlexibleCG, MultigridCG, Sequence
from resolvent.solvers.learned import (
    DCDM,
    DeflationNetwork,
    Gated,
    Learned,
    LearnedGuess,
    LearnedSpaces,
    MgNOGram,
    SPDCycle,
)
from resolvent.training.preconditioners import (
    PreconditionerTraining,
    harvest_family,
    train_deflation,
    train_preconditioner,
)

TOLERANCES = (1e-4, 1e-6, 1e-8)
LIMIT = 2000
CYCLE_2D, CYCLE_3D = "CG, learned cycle", "CG, learned cycle in 3-D"
BASELINES = (
    "CG",
    "CG, SSOR",
    "CG, IC(0)",
    "CG, untrained cycle",
    "MultigridCG",
    "pyamg CG, smoothed aggregation",
    "pyamg CG, Ruge-Stüben",
    "PETSc CG, ICC(0)",
    "PETSc CG, BoomerAMG",
    "PETSc CG, GAMG",
)


def obstacles(n: int, dim: int, walls: str, fraction: tuple[float, float] = (0.0, 0.3)) -> PoissonObstacles:
    return PoissonObstacles(resolution=n, dim=dim, walls=walls, fraction=fraction)


def both_walls(n: int, dim: int, count: int, **options: Any) -> Any:
    """Return samples of both kinds of walls."""
    parts = [harvested(obstacles(n, dim, walls), count, **options) for walls in ("dirichlet", "neumann")]
    return parts[0].joined(parts[1])


def harvested(family: Any, count: int, **options: Any) -> Any:
    """Return samples of a family that know the seconds of processor time they took."""
    begin = time.process_time()
    samples = harvest_family(family, count, **options)
    return dataclasses.replace(samples, about=samples.about | {"seconds": time.process_time() - begin})


def trained_networks(quick: bool, seeds: int) -> tuple[dict[str, tuple[Learned, int | None]], list[dict[str, Any]]]:
    """Train everything; return recipes with the resolution they are confined to, and what it cost."""
    recipes: dict[str, tuple[Learned, int | None]] = {}
    log = []

    def train(name: str, network: Any, samples: Any, only: int | None, seed: int = 0, **options: Any) -> None:
        begin = time.process_time()
        run = train_preconditioner(network, samples, PreconditionerTraining(seed=seed, **options))
        seconds = time.process_time() - begin
        span = (only, only) if only else (8, 1024)
        costs = {"training seconds": seconds, "data seconds": float(samples.about["seconds"])}
        recipes[name] = (Learned(run.network, "poisson_obstacles", span, costs), only)
        parameters = sum(p.numel() for p in run.network.parameters())
        console.print(f"  {name}: {parameters} parameters, {seconds:.0f} s, validation {run.validation}")
        log.append(
            {
                "name": name,
                "network": type(network).__name__,
                "options": run.network.options,
                "parameters": parameters,
                "grid": list(samples.grid),
                "operators": len(samples),
                "validation": run.validation,
                "history": [row["valid_loss"] for row in run.history],
                **costs,
            }
        )

    n = 16 if quick else 64
    samples = both_walls(n, 2, 4 if quick else 20)
    for seed in range(seeds):
        torch.manual_seed(seed)
        network = SPDCycle(dim=2, smoothing=(1, 1) if quick else (2, 2))
        name = CYCLE_2D if seed == 0 else f"{CYCLE_2D}, seed {seed}"
        epochs = 6 if quick else 16
        train(name, network, samples, None, seed, loss="reduction", steps=6, epochs=epochs, residuals=2, lr=4e-3)
    torch.manual_seed(0)
    options: dict[str, Any] = {"loss": "reduction", "steps": 4, "residuals": 2}
    network = MgNOGram(dim=2, levels=3 if quick else 5, width=8)
    train("CG, MgNO's Gram form", network, samples, n, **options, epochs=2 if quick else 30, lr=1e-2)
    torch.manual_seed(0)
    space = both_walls(8 if quick else 24, 3, 2 if quick else 8, ritz=1, krylov=30, at=(0, 1, 4))
    network = SPDCycle(dim=3, smoothing=(1, 1) if quick else (1, 2), reach="star")
    train(CYCLE_3D, network, space, None, **options, batch_size=2, epochs=2 if quick else 25, lr=6e-4)
    # First on Ritz mixtures, as published, then on residuals of its own iteration too.
    torch.manual_seed(0)
    name, network = "FlexibleCG(2), DCDM", DCDM(dim=2, width=4 if quick else 16)
    mixing: dict[str, Any] = {"at": (0,), "ritz": 8, "krylov": 40 if quick else 300, "noise": 0}
    mixtures = harvested(obstacles(n, 2, "dirichlet"), 4 if quick else 20, **mixing)
    rounds: dict[str, Any] = {"loss": "residual", "batch_size": 1, "residuals": 8, "lr": 1e-3}
    train(name, network, mixtures, n, **rounds, epochs=2 if quick else 10)
    own = {"at": (0, 1, 2, 4, 8, 16, 32, 64), "ritz": 1, "krylov": 40, "noise": 0, "M": recipes[name][0], "seed": 1}
    refreshed = harvested(obstacles(n, 2, "dirichlet"), 4 if quick else 20, **own)
    first = recipes[name][0].about
    train(name, network, mixtures.joined(refreshed), n, **rounds, epochs=2 if quick else 8)
    recipes[name][0].about["training seconds"] += first["training seconds"]
    return recipes, log


def peak_growth(call: Callable[[], Any]) -> int:
    """Return the bytes by which the peak of a call is above what the process held before; 0 where nobody can tell."""
    status, marks = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before would hide what is taken now
        marks.write_text("5", encoding="ascii")  # the peak begins anew
        before = _kilobytes(status.read_text(encoding="ascii"), "VmRSS")
        call()
        return 1024 * max(_kilobytes(status.read_text(encoding="ascii"), "VmHWM") - before, 0)
    except (OSError, AttributeError):
        call()
        return 0


def _kilobytes(status: str, name: str) -> int:
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))


Run = Callable[[Any, Any, np.ndarray, float], _peers.Outcome]


def classical(petsc: bool) -> dict[str, Run]:
    """Return the baselines: functions of operator, matrix, right-hand side and tolerance."""

    def own(solver: Any, M: Any = None) -> Run:
        return lambda A, matrix, b, tol: _peers.ours(solver(rtol=tol, maxiter=LIMIT), A, b, M)

    def multigrid(build: Callable[..., Any]) -> Run:
        def run(A: Any, matrix: Any, b: np.ndarray, tol: float) -> _peers.Outcome:
            start = _peers.clock()
            hierarchy = build(matrix)
            middle = _peers.clock()
            norms: list[float] = []
            # It stops on the preconditioned norm: a tenth of the tolerance, as its users learn to ask for.
            x = hierarchy.solve(b, tol=0.1 * tol, accel="cg", maxiter=200, residuals=norms)
            end = _peers.clock()
            return _peers.Outcome(x, len(norms) - 1, len(norms), middle - start, end - middle)

        return run

    def foreign(M: str) -> Run:
        return lambda A, matrix, b, tol: _peers.petsc("CG", matrix, b, M, tol, LIMIT, definite=True)

    dim = {
        dim: Learned(
            SPDCycle(dim=dim, smoothing=(2, 2) if dim == 2 else (1, 2), reach="cube" if dim == 2 else "star"),
            "any",
            (1, 4096),
        )
        for dim in (2, 3)
    }
    found: dict[str, Run] = {
        "CG": own(CG),
        "CG, SSOR": own(CG, SSOR()),
        "CG, IC(0)": own(CG, IC()),
        "CG, untrained cycle": lambda A, matrix, b, tol: own(CG, dim[len(A.grid)])(A, matrix, b, tol),
        "MultigridCG": own(MultigridCG),
        "pyamg CG, smoothed aggregation": multigrid(pyamg.smoothed_aggregation_solver),
        "pyamg CG, Ruge-Stüben": multigrid(pyamg.ruge_stuben_solver),
    }
    if petsc:
        _peers.PETSC_PRECONDITIONERS.setdefault("GAMG", ("gamg", {}))
        found |= {
            "PETSc CG, ICC(0)": foreign("IC(0)"),
            "PETSc CG, BoomerAMG": foreign("AMG"),
            "PETSc CG, GAMG": foreign("GAMG"),
        }
    return found


def systems_of(family: Any, count: int) -> list[tuple[Any, Any, np.ndarray]]:
    """Return systems that no training has seen."""
    found = []
    for index in range(count):
        A, b = family.assemble(family.draw(np.random.default_rng([2024, family.family_id, index])))
        matrix = A.to_sparse().tocsr()
        found.append((A, type(matrix)(matrix) if isinstance(matrix, np.ndarray) else matrix, b))
    return found


def measured(run: Run, systems: list[tuple[Any, Any, np.ndarray]], tol: float, repeats: int) -> dict[str, Any]:
    """Return the means over systems of medians over repetitions."""
    setup, solve, spread, outcomes, grown = [], [], [], [], []
    for A, matrix, b in systems:
        grown.append(peak_growth(lambda A=A, matrix=matrix, b=b: run(A, matrix, b, tol)))
        several = [run(A, matrix, b, tol) for _ in range(repeats)]
        setup.append(statistics.median(o.setup_seconds for o in several))
        seconds = sorted(o.seconds for o in several)
        solve.append(statistics.median(seconds))
        low, high = np.percentile(seconds, [25, 75])
        spread.append(float(high - low))
        outcomes.append((several[0], true_residual(matrix, b, several[0].x)))
    worst = max(rho for _, rho in outcomes)
    return {
        "tolerance": tol,
        "setup seconds": statistics.fmean(setup),
        "solve seconds": statistics.fmean(solve),
        "solve interquartile seconds": statistics.fmean(spread),
        "iterations": statistics.fmean(o.iterations for o, _ in outcomes),
        "products": statistics.fmean(o.products for o, _ in outcomes),
        "memory bytes": max(grown),
        "true residual": worst,
        "failed": sum(not rho <= 1.01 * tol for _, rho in outcomes),
    }


def comparison(
    cases: dict[str, Any], recipes: dict[str, tuple[Learned, int | None]], count: int, repeats: int, *, petsc: bool
) -> list[dict[str, Any]]:
    """Return a row for each case, method and tolerance."""
    rows = []
    for case, family in cases.items():
        systems = systems_of(family, count)
        grid = systems[0][0].grid
        methods: dict[str, tuple[Run, dict[str, float]]] = {k: (v, {}) for k, v in classical(petsc).items()}
        for name, (recipe, only) in recipes.items():
            if recipe.network.dim != len(grid) or "seed" in name or (only is not None and only != grid[0]):
                continue
            if family.name != recipe.family and not isinstance(recipe.network, SPDCycle):
                continue
            method = FlexibleCG if isinstance(recipe.network, DCDM) else CG
            limit = 500 if isinstance(recipe.network, DCDM) else LIMIT

            def run(
                A: Any, matrix: Any, b: np.ndarray, tol: float, *, M: Any = recipe, m: Any = method, k: int = limit
            ):
                return _peers.ours(m(rtol=tol, maxiter=k), A, b, M)

            methods[name] = (run, recipe.about)
        here = []
        for tol in TOLERANCES:
            for name, (run, costs) in methods.items():
                large = np.prod(grid) > 100_000
                times = 1 if large or name == "FlexibleCG(2), DCDM" else repeats
                row = {"case": case, "method": name, "data seconds": 0.0, "training seconds": 0.0, "pays against": {}}
                here.append(
                    row
                    | {"unknowns": int(np.prod(grid))}
                    | costs
                    | measured(run, systems[:1] if large else systems, tol, times)
                )
        for row in here:
            if row["training seconds"] > 0.0:
                invested = row["data seconds"] + row["training seconds"]
                for base in here:
                    if base["method"] in BASELINES and base["tolerance"] == row["tolerance"]:
                        ours = np.inf if row["failed"] else row["setup seconds"] + row["solve seconds"]
                        theirs = base["setup seconds"] + base["solve seconds"]
                        # A baseline that fails is beaten by everything that does not: there is nothing to pay back.
                        row["pays against"][base["method"]] = (
                            pays_after(invested, theirs, ours) if not base["failed"] else "fails"
                        )
        rows += here
        show(
            f"{case}, {grid}: milliseconds of set-up + solve (iterations)",
            ["method", *(f"{tol:g}" for tol in TOLERANCES)],
            [[name, *(_cell(r) for r in here if r["method"] == name)] for name in methods],
        )
    return rows


def _cell(row: dict[str, Any]) -> str:
    failed = " FAILED" if row["failed"] else ""
    return f"{1e3 * row['setup seconds']:.1f} + {1e3 * row['solve seconds']:.1f} ({row['iterations']:.1f}){failed}"


def growth(recipes: dict[str, tuple[Learned, int | None]], quick: bool) -> list[dict[str, Any]]:
    """Return iterations to 1e-8 against the number of cells, at fixed weights."""
    rows = []
    plan = {2: (16, 32) if quick else (32, 64, 128, 256, 512), 3: (8, 16) if quick else (16, 32, 64)}
    for name, (recipe, only) in recipes.items():
        if only is not None:
            continue
        dim = recipe.network.dim
        for walls in ("dirichlet", "neumann"):
            counts = {}
            for n in plan[dim]:
                systems = systems_of(obstacles(n, dim, walls), 2 if n**dim < 100_000 else 1)
                solver = CG(maxiter=LIMIT)
                counts[str(n)] = statistics.fmean(solver.solve(A, b, M=recipe).iterations for A, _, b in systems)
            values = list(counts.values())
            worst = max(b / a for a, b in itertools.pairwise(values))
            rows.append({"method": name, "walls": walls, "iterations": counts, "worst growth per doubling": worst})
    show(
        "iterations to 1e-8 against the grid, one model for all",
        ["method", "walls", "iterations", "worst growth"],
        [[r["method"], r["walls"], r["iterations"], f"{r['worst growth per doubling']:.2f}"] for r in rows],
    )
    return rows


def other_uses(recipes: dict[str, tuple[Learned, int | None]], quick: bool) -> dict[str, Any]:
    """Return what a learned guess and a learned deflation space save, in iterations to 1e-8 on a sequence."""
    n, k = (16, 4) if quick else (64, 12)
    torch.manual_seed(0)
    samples = harvested(
        obstacles(n, 2, "dirichlet", (0.1, 0.3)),
        6 if quick else 40,
        at=(0,),
        ritz=6,
        krylov=30 if quick else 60,
        noise=1,
    )
    untrained = DeflationNetwork(dim=2, k=k, depth=2)
    torch.manual_seed(0)
    trained = train_deflation(DeflationNetwork(dim=2, k=k, depth=2), samples, epochs=3 if quick else 15)
    systems = systems_of(obstacles(n, 2, "dirichlet", (0.1, 0.3)), 3 if quick else 6)
    learned = recipes[CYCLE_2D][0]
    ways = {
        "CG": Sequence(CG()),
        "CG, learned guess": Sequence(CG(), warm_start=LearnedGuess(learned)),
        "DeflatedCG, recycled": Sequence(DeflatedCG(k=k), cold_every=None),
        "DeflatedCG, learned space": Sequence(
            DeflatedCG(k=k, update=False), spaces=LearnedSpaces(trained.network), cold_every=None
        ),
        "DeflatedCG, space before training (masked sines)": Sequence(
            DeflatedCG(k=k, update=False), spaces=LearnedSpaces(untrained), cold_every=None
        ),
    }
    found: dict[str, Any] = {"training seconds": trained.seconds, "history": trained.history, "ways": {}}
    for name, sequence in ways.items():
        results = [sequence.solve(A, b) for A, _, b in systems]
        found["ways"][name] = {
            "iterations": statistics.fmean(r.iterations for r in results),
            "products": statistics.fmean(r.counts.products for r in results),
        }
    show(
        f"other uses, {n}²: means over a sequence, to 1e-8",
        ["way", "iterations", "products with set-up"],
        [[name, f"{v['iterations']:.1f}", f"{v['products']:.1f}"] for name, v in found["ways"].items()],
    )
    return found


def gates(recipes: dict[str, tuple[Learned, int | None]], quick: bool) -> list[dict[str, Any]]:
    """Return the gate's verdicts beside AMG and IC(0) as incumbents."""
    rows = []
    A = systems_of(obstacles(16 if quick else 64, 2, "dirichlet"), 1)[0][0]
    for name, (recipe, _) in recipes.items():
        if recipe.network.dim != 2 or "seed" in name:
            continue
        for incumbent in (IC(), AMG()):
            v = Gated(recipe, incumbent)(A).verdict
            rows.append({"method": name, "incumbent": str(incumbent), "open": v.open, "reason": v.reason})
    show("gate", ["method", "incumbent", "open", "reason"], [list(r.values()) for r in rows])
    return rows


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw total seconds against the number of solves, training included."""
    import matplotlib.pyplot as plt

    cases = [c for c in dict.fromkeys(r["case"] for r in rows) if c.startswith("inside")]
    shown = [c for c in cases if "2-D" in c][-1:] + [c for c in cases if "3-D" in c][-1:] or cases[-1:]
    figure, axes = plt.subplots(1, len(shown), figsize=(6.5 * len(shown), 5.2), squeeze=False)
    N = np.logspace(0, 6, 200)
    for ax, case in zip(axes[0], shown, strict=True):
        for row in rows:
            if row["case"] != case or row["tolerance"] != 1e-8 or row["failed"]:
                continue
            each = row["setup seconds"] + row["solve seconds"]
            invested = row["data seconds"] + row["training seconds"]
            ax.loglog(
                N, invested + N * each, label=row["method"], lw=2.2 if invested else 1.0, ls="-" if invested else "--"
            )
        ax.set(
            title=f"{case}, to 1e-8", xlabel="number of solves, geometry new in each", ylabel="seconds, all included"
        )
        ax.legend(fontsize=7)
        ax.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"), dpi=120)
    plt.close(figure)


def cases_of(quick: bool, sizes: list[int] | None) -> dict[str, Any]:
    """Return the families to compare on: inside and outside of what was trained on."""
    planes = sizes or ([16] if quick else [64, 128, 256])
    spaces = [8] if quick else [32, 64]
    largest = planes[-1]
    cases: dict[str, Any] = {}
    for n in planes:
        cases[f"inside, 2-D {n}², u = 0 on obstacles"] = obstacles(n, 2, "dirichlet")
    cases[f"inside, 2-D {largest}², no flux through obstacles"] = obstacles(largest, 2, "neumann")
    for n in spaces:
        cases[f"inside, 3-D {n}³, u = 0 on obstacles"] = obstacles(n, 3, "dirichlet")
    middle = planes[len(planes) // 2]
    cases[f"outside, 2-D {middle}², obstacle fraction 0.4 to 0.5"] = obstacles(middle, 2, "dirichlet", (0.4, 0.5))
    cases[f"outside, 2-D {middle}², no obstacles"] = obstacles(middle, 2, "dirichlet", (0.0, 0.0))
    if not quick:
        for coefficient in ("lognormal_unit", "fno_twophase"):
            cases[f"outside, 2-D {middle}², Darcy, {coefficient}"] = Darcy2D(resolution=middle, coefficient=coefficient)
    return cases


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", help="cells a side of the squares")
    parser.add_argument("--seeds", type=int, help="training seeds of the cycle in two dimensions")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    quick = options.quick
    _peers.clock = time.process_time
    report: dict[str, Any] = {"about": about(), "torch": str(torch.__version__)}
    petsc = has_petsc()
    with one_thread():
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        recipes, report["training"] = trained_networks(quick, options.seeds or (1 if quick else 3))
        report["rows"] = comparison(
            cases_of(quick, options.sizes), recipes, 1 if quick else 2, 1 if quick else 3, petsc=petsc
        )
        report["growth"] = growth(recipes, quick)
        report["other uses"] = other_uses(recipes, quick)
        report["gates"] = gates(recipes, quick)
        torch.set_num_threads(before)
    checked(report["rows"], BASELINES)
    report["checks"] = checks(report, judged=not quick)
    path = write(report, "learned-quick" if quick else "learned", options.results)
    plot(report["rows"], path)


def checks(report: dict[str, Any], *, judged: bool) -> list[dict[str, Any]]:
    """Return the verdicts on the aims."""
    found = []
    for dim, name in ((2, CYCLE_2D), (3, CYCLE_3D)):
        grown = [r["worst growth per doubling"] for r in report["growth"] if r["method"] == name]
        found.append(verdict(f"growth of iterations per doubling, {dim}-D", max(grown), 1.3, judged=judged))
    best = {}
    for row in report["rows"]:
        key, seconds = (row["case"], row["tolerance"]), row["setup seconds"] + row["solve seconds"]
        kind = "learned" if row["method"].startswith(CYCLE_2D) else "classical" if row["method"] in BASELINES else ""
        if kind and kind != "untrained" and not row["failed"] and row["method"] != "CG, untrained cycle":
            best.setdefault(key, {}).setdefault(kind, []).append(seconds)
    ratios = {key: min(v["learned"]) / min(v["classical"]) for key, v in best.items() if "learned" in v}
    tightest = {case: ratio for (case, tol), ratio in ratios.items() if tol == 1e-8}
    for case, ratio in tightest.items():
        found.append(
            verdict(
                f"seconds against the best classical method, {case}", ratio, 1.0, judged=judged, note="set-up included"
            )
        )
    return found


if __name__ == "__main__":
    main()
