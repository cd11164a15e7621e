"""Sorted Krylov recycling (SKR, arXiv 2401.09516) on correct matrices: what it gains, over what, and what beats it.

    python benchmarks/skr.py                  # about 20 minutes
    python benchmarks/skr.py --quick          # under a minute
    python benchmarks/skr.py --parts orders exhibit --systems 24

Parts. `cells`: the published comparison, PETSc's GMRES(40) against our GCRO-DR(40, 20) cold, recycled, recycled in
sorted order, and from one shared space, for every preconditioner of the paper, on Darcy, Thermal, Poisson and
indefinite Helmholtz systems of the paper's sizes. `default`: what `--solver auto` takes, against every single method,
CG and MINRES with BoomerAMG and sparse direct solution among them. `orders`: order × recycling over several seeds, and
what sorting takes. `exhibit`: the released stencil with its index error, and which checks see it.

One thread, true residuals in double precision by SciPy, set-up counted, means with spread over fixed-seed systems.
Writes benchmarks/results/skr[-quick].json and .png. Needs petsc4py for `cells`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _report import about, console, has_petsc, one_thread, verdict, write
from _skr_cells import compare, summary
from _skr_default import defaults
from _skr_exhibit import exhibit
from _skr_orders import ablation, sort_times
from _skr_systems import PRECONDITIONERS, problems

PARTS = ("cells", "default", "orders", "exhibit")
PUBLISHED = {"Darcy": (2.84, 17.9), "Thermal": (2.73, 11.0), "Poisson": (1.25, 4.1), "Helmholtz": (6.78, 20.3)}
"""Median ratios of time and iterations over the paper's cells."""


def conclusions(report: dict[str, Any], judged: bool) -> list[dict[str, Any]]:
    """Print what the figures say, and return the verdicts."""
    checks = []
    for entry in report.get("summary", []):
        time_ratio, iterations = PUBLISHED[entry["family"].partition(",")[0]]
        for way in ("cold", "recycled"):
            part = entry.get(f"{way}, with set-up")
            if part is not None:
                note = f"published medians {iterations} of iterations, {time_ratio} of time"
                name = f"{entry['family']}: median of GMRES(40) / {way}, iterations"
                checks.append(verdict(name, part["median"], 1.0, least=True, note=note, judged=judged))
    for row in report.get("orders", []):
        best = min(
            (part["against the unsorted chain"]["mean"], way)
            for way, part in row["ways"].items()
            if way.startswith("chain")
        )
        console.print(f"        {row['family']}, {row['method']}: best order {best[1]}, {best[0]:+.1f} % of products")
    for row in report.get("exhibit", []):
        if "error" in row["matrix"] or "released" in row["matrix"]:
            name = f"exhibit, {row['matrix']}: checks that every faulty matrix fails"
            checks.append(verdict(name, len(row["checks failed by every one"]), 2, least=True))
    return checks


def plot(report: dict[str, Any], path: Path) -> None:
    """Draw iteration ratios of the cells, times of the default and its rivals, and the ablation."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15.0, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    entries = [entry for entry in report.get("summary", []) if "recycled, seconds" in entry]  # converged somewhere
    shown = [(way, what) for what in ("with set-up", "seconds") for way in ("cold", "recycled")]
    for offset, ((way, what), marker) in enumerate(zip(shown, "os^v", strict=True)):
        for place, entry in enumerate(entries):
            part = entry.get(f"{way}, {what}")
            if part is not None:
                at = place + 0.15 * (offset - 1.5)
                label = f"{way}, {'iterations' if what == 'with set-up' else 'time'}" if place == 0 else None
                left.plot([at, at], [part["min"], part["max"]], color=f"C{offset}", lw=1.5)
                left.plot(at, part["median"], marker, color=f"C{offset}", label=label)
    left.axhline(1.0, color="0.5", ls="--", lw=1.0)
    left.set_ylim(top=14.0)  # room for the legend
    left.set(title="GMRES(40) / GCRO-DR(40, 20), range over cells", yscale="log")
    left.set_xticks(range(len(entries)), [entry["family"] for entry in entries])
    if entries:
        left.legend(frameon=False, fontsize=8)
    for place, row in enumerate(report.get("default", [])):
        best = row["seconds"][row["best"]]
        for name, seconds in row["seconds"].items():
            if row["worst residual"][name] <= 1e-8 and name not in row["failed"]:
                chosen = name == row["chosen"]
                recycles = "gcrodr" in name or "recycled" in name or "shared" in name
                marker, color = ("*", "C3") if chosen else (("s", "C1") if recycles else ("o", "0.6"))
                middle.plot(place, seconds / best, marker, color=color, ms=11 if chosen else 5)
    rows = report.get("default", [])
    middle.axhline(1.2, color="0.5", ls="--", lw=1.0)
    middle.set(title="time / best; star: default, squares: recycling", yscale="log")
    middle.set_xticks(range(len(rows)), [row["family"].replace("convection–diffusion", "conv.–diff.") for row in rows])
    middle.tick_params(axis="x", labelsize=8)
    for number, row in enumerate(report.get("orders", [])):
        names = list(row["ways"])
        means = [row["ways"][way]["with set-up"]["mean"] for way in names]
        bars = [row["ways"][way]["with set-up"]["std"] for way in names]
        right.errorbar(range(len(names)), means, bars, marker="o", lw=1.0, label=f"{row['family']}, {row['method']}")
        right.set_xticks(range(len(names)), [n.replace("chain, ", "") for n in names], rotation=45)
        right.set(title="products a system, mean ± std over seeds" if number == 0 else right.get_title())
    if report.get("orders"):
        right.set(yscale="log")
        right.legend(frameon=False, fontsize=7)
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
    figure.savefig(path.with_suffix(".png"), dpi=120)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="tiny grids and few systems: under a minute")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--systems", type=int, help="systems a cell, 20")
    parser.add_argument("--repeats", type=int, help="repeats of the part `default`, 5")
    parser.add_argument("--resolution", type=int, help="points a side in the quick form")
    parser.add_argument("--results", type=Path, help="folder to write to; benchmarks/results")
    options = parser.parse_args(arguments)
    quick = options.quick
    count, repeats = options.systems or (4 if quick else 20), options.repeats or (1 if quick else 5)
    report: dict[str, Any] = {"machine": about(), "systems": count, "repeats": repeats}
    petsc, checks = has_petsc(), []
    begun = time.perf_counter()
    with one_thread():
        if "cells" in options.parts and petsc:
            names = ["none", "Jacobi", "ILU"] if quick else list(PRECONDITIONERS)
            report["cells"] = compare(problems(quick, options.resolution), count, names)
            report["summary"] = summary(report["cells"])
        if "default" in options.parts:
            report["default"], found = defaults(quick, repeats, petsc)
            checks += found
        if "orders" in options.parts:
            report["orders"] = ablation(quick, 6 if quick else 48, 2 if quick else 5)
            report["sorting"] = sort_times(quick)
        if "exhibit" in options.parts:
            report["exhibit"] = exhibit(20 if quick else 100, 2 if quick else 5, 300 if quick else 10_000, petsc)
    console.print()
    report["checks"] = checks + conclusions(report, not quick)
    report["seconds"] = time.perf_counter() - begun
    path = write(report, "skr-quick" if quick else "skr", options.results)
    plot(report, path)
    missed = [check["name"] for check in report["checks"] if check["met"] is False]
    console.print(f"{report['seconds']:.0f} s" + (f"; missed: {'; '.join(missed)}" if missed else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
