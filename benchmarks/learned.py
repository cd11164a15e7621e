"""Learned preconditioners beside the best classical ones on moving obstacles, in one run.

    python benchmarks/learned.py           # half an hour of one core, and 80 minutes for training the first time
    python benchmarks/learned.py --quick   # two minutes: tiny training, small grids

The systems are those of the family ``poisson_obstacles``: obstacles with u = 0 or no flux on them, as holes in a box.
One symmetric cycle in two dimensions is trained on 64² and used on all grids, one in three dimensions on 24³. DCDM has
two models for each grid: by the published loss, the residual after one line search, on mixtures of Ritz vectors, with
minutes of one core where the publication has hours of a GPU (`PreconditionerTraining.dcdm_published` has its settings;
here rates are ten times as high and fall); and by the energy that is left, on residuals of its own iteration too,
beginning with the former on the coarsest grid. A finer grid's model begins with the weights of the coarser one's and is
charged for them. NPSD has a model for 32³, MgNO's Gram form one for 64². Trained networks are kept in a folder
(``--models``) with what they cost; an interrupted training goes on.

Every method meets the same systems, at true residuals of 1e-4, 1e-6, 1e-8 and 1e-10, on one thread. Geometry moves:
set-up is charged for every system, in a column of its own, so that a fixed matrix can be read off too; two baselines
have M of the frame before, in which every obstacle is one cell further, and no set-up at all. Seconds are of processor
time, for the machine may be shared: medians of five after one warm-up, means over three systems. Memory is by how much
the peak of set-up and solve is above what the process held before. Set-up counts on both sides of
N* = (T_data + T_train)/(t_base − t_learned).

Reduced against the protocol that comparisons for publication should follow: above 100,000 unknowns one system and one
repetition; of DCDM and NPSD one run, above 20,000 unknowns of one system, stopped where it takes more iterations than
CG; 256² and 64³ as the largest grids that are timed; five training seeds for the cycle in two dimensions and one for
the others.

Writes benchmarks/results/learned[-quick].json and .png.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

import _peers
from _learned_methods import BASELINES, LIMIT, Run, System, classical, measured, obstacles, own, systems_of
from _learned_protocol import checked, pays_after
from _learned_shift import gates, growth, other_uses, published, shift
from _learned_training import CYCLE_2D, CYCLE_3D, Trained, all_trained, cycles
from _learned_training import published as published_plans
from _report import RESULTS, about, console, has_petsc, one_thread, show, verdict, write

from resolvent.datasets.families import Darcy2D
from resolvent.solvers import CG, FlexibleCG

TOLERANCES = (1e-4, 1e-6, 1e-8, 1e-10)
LARGE, SLOW = 100_000, 20_000
"""Unknowns above which there is one system, and one repetition; above which there is one for DCDM and NPSD."""


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


def learned_methods(family: Any, system: System, networks: dict[str, Trained]) -> dict[str, tuple[Run, Trained]]:
    """Return the learned methods for a case: those of its dimension and resolution, others than cycles inside only.

    What is not linear is stopped where it has taken as many iterations as CG does to the least tolerance.
    """
    grid = system.A.grid
    most = CG(rtol=min(TOLERANCES), maxiter=LIMIT).solve(system.A, system.b).iterations
    found = {}
    for name, trained in networks.items():
        network = trained.recipe.network
        if network.dim != len(grid) or "seed" in name or (trained.only is not None and trained.only != grid[0]):
            continue
        if network.definite and (family.name == trained.recipe.family or trained.only is None):
            found[name] = (own(CG, trained.recipe), trained)
        elif family.name == trained.recipe.family and not network.definite:
            found[name] = (own(FlexibleCG, trained.recipe, most), trained)
    return found


def comparison(
    cases: dict[str, Any], networks: dict[str, Trained], count: int, repeats: int, *, petsc: bool
) -> list[dict[str, Any]]:
    """Return a row for each case, method and tolerance."""
    rows = []
    for case, family in cases.items():
        systems = systems_of(family, count)
        grid = systems[0].A.grid
        learned = learned_methods(family, systems[0], networks)
        methods = classical(len(grid), petsc) | {name: run for name, (run, _) in learned.items()}
        cells = int(np.prod(grid))
        nonlinear = {name for name, (_, t) in learned.items() if not t.recipe.network.definite}
        for name in methods.keys() - nonlinear:  # what a first call loads and compiles is no memory of the method
            methods[name](systems[0], 1e-2)
        here = []
        for tol in TOLERANCES:
            for name, run in methods.items():
                costs = {"data seconds": 0.0, "training seconds": 0.0}
                if name in learned:
                    costs = {key: learned[name][1].log[key] for key in costs}
                row = {"case": case, "method": name, "unknowns": cells, "pays against": {}} | costs
                slow = name in nonlinear
                some = systems[:1] if cells > (SLOW if slow else LARGE) else systems
                times = 0 if slow else 1 if cells > LARGE else repeats
                here.append(row | measured(run, some, tol, times))
        for row in here:
            if row["training seconds"] > 0.0:
                row["pays against"] = _paid_back(row, [b for b in here if b["method"] in BASELINES])
        rows += here
        show(
            f"{case}, {grid}: milliseconds of set-up + solve (iterations)",
            ["method", *(f"{tol:g}" for tol in TOLERANCES)],
            [[name, *(_cell(r) for r in here if r["method"] == name)] for name in methods],
        )
    return rows


def _paid_back(row: dict[str, Any], baselines: list[dict[str, Any]]) -> dict[str, float | str]:
    """Return N* against each baseline at the same tolerance."""
    found: dict[str, float | str] = {}
    invested = row["data seconds"] + row["training seconds"]
    ours = np.inf if row["failed"] else row["setup seconds"] + row["solve seconds"]
    for base in baselines:
        if base["tolerance"] == row["tolerance"]:
            theirs = base["setup seconds"] + base["solve seconds"]
            # A baseline that fails is beaten by everything that does not: there is nothing to pay back.
            found[base["method"]] = "fails" if base["failed"] else pays_after(invested, theirs, ours)
    return found


def _cell(row: dict[str, Any]) -> str:
    failed = " FAILED" if row["failed"] else ""
    return f"{1e3 * row['setup seconds']:.1f} + {1e3 * row['solve seconds']:.1f} ({row['iterations']:.1f}){failed}"


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw total seconds against the number of solves, training included."""
    import matplotlib.pyplot as plt

    cases = [c for c in dict.fromkeys(r["case"] for r in rows) if c.startswith("inside")]
    shown = [c for c in cases if "2-D" in c and "u = 0" in c][-1:] + [c for c in cases if "3-D" in c][-1:] or cases[-1:]
    figure, axes = plt.subplots(1, len(shown), figsize=(8.5 * len(shown), 5.2), squeeze=False)
    colours = dict(zip(BASELINES, plt.get_cmap("tab20").colors, strict=False))
    N = np.logspace(0, 5, 200)
    for ax, case in zip(axes[0], shown, strict=True):
        here = [row for row in rows if row["case"] == case and row["tolerance"] == 1e-8 and not row["failed"]]
        # The legend lists them from the dearest to the cheapest, as the lines end.
        for row in sorted(here, key=lambda row: -row["setup seconds"] - row["solve seconds"]):
            each = row["setup seconds"] + row["solve seconds"]
            invested = row["data seconds"] + row["training seconds"]
            style: dict[str, Any] = {"lw": 2.5, "ls": "-", "color": "black"}
            if row["method"] in colours:
                style = {"lw": 1.3, "ls": "--", "color": colours[row["method"]]}
            elif row["method"] not in (CYCLE_2D, CYCLE_3D):
                style["ls"] = ":"
            ax.loglog(N, invested + N * each, label=row["method"], **style)
        ax.set(
            title=f"{case}, to 1e-8", xlabel="number of solves, geometry new in each", ylabel="seconds, all included"
        )
        ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        ax.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"), dpi=120)
    plt.close(figure)


def checks(report: dict[str, Any], *, judged: bool) -> list[dict[str, Any]]:
    """Return the verdicts on the aims."""
    found = []
    for dim, name in ((2, CYCLE_2D), (3, CYCLE_3D)):
        grown = [r["worst growth per doubling"] for r in report["growth"] if r["method"] == name]
        found.append(verdict(f"growth of iterations per doubling, {dim}-D", max(grown), 1.3, judged=judged))
    best: dict[str, dict[str, list[float]]] = {}
    for row in report["rows"]:
        learned = row["method"] in (CYCLE_2D, CYCLE_3D)
        if row["failed"] or row["tolerance"] != 1e-8 or not (learned or row["method"] in BASELINES):
            continue
        seconds = row["setup seconds"] + row["solve seconds"]
        best.setdefault(row["case"], {}).setdefault("learned" if learned else "classical", []).append(seconds)
    for case, seconds in best.items():
        # A side without a solution is infinitely slow.
        ratio = min(seconds.get("learned", [np.inf])) / min(seconds.get("classical", [np.inf]))
        note = "set-up included"
        found.append(
            verdict(f"seconds against the best classical method, {case}", ratio, 1.0, judged=judged, note=note)
        )
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", help="cells a side of the squares")
    parser.add_argument("--seeds", type=int, help="training seeds of the cycle in two dimensions")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--models", type=Path, help="where trained networks are kept, benchmarks/models by default")
    parser.add_argument("--train-only", action="store_true", help="train what is missing and stop")
    options = parser.parse_args(arguments)
    quick = options.quick
    folder = options.models or (options.results / "models-quick" if quick else Path(__file__).parent / "models")
    folder.mkdir(parents=True, exist_ok=True)
    _peers.clock = time.process_time
    report: dict[str, Any] = {"about": about(), "torch": str(torch.__version__)}
    petsc = has_petsc()
    with one_thread():
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        plans = cycles(quick, options.seeds or (1 if quick else 5)) + published_plans(quick)
        networks = all_trained(plans, folder)
        if options.train_only:
            return
        report["training"] = [trained.log for trained in networks.values()]
        cases = cases_of(quick, options.sizes)
        report["rows"] = comparison(cases, networks, 1 if quick else 3, 1 if quick else 5, petsc=petsc)
        report["growth"] = growth(networks, quick)
        report["published"] = published(networks, quick)
        report["shift"] = shift(networks, quick)
        report["other uses"] = other_uses(networks, quick)
        report["gates"] = gates(networks, quick)
        torch.set_num_threads(before)
    report["checks"] = checks(report, judged=not quick)
    path = write(report, "learned-quick" if quick else "learned", options.results)
    checked(report["rows"], BASELINES)
    plot(report["rows"], path)
    console.print(f"trained networks are in {folder}")


if __name__ == "__main__":
    main()
