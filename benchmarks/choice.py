"""The automatic choice against every hand-picked method: family × size × method, for one solve and for generation.

``solve`` times one system from the assembled operator to the answer, set-up included, with nothing prepared:
`solve(A, b)` is the chosen one, and pays for choosing. ``generate`` times one more sample of a long run, in the windows
and with all that a method keeps from sample to sample; the chosen one is what `--solver auto` takes. Methods take
turns, one thread, medians. A method counts if its true residual is at most 1e-8. PETSc is shown as a reference from
outside, and not among the best.

    python benchmarks/choice.py [--quick] [--families darcy2d convdiff2d] [--sizes 64 128] [--sizes3d 16 32]
        [--repeats 5]

Writes benchmarks/results/choice[-quick].json and .png.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _report import about, console, has_petsc, one_thread, show, true_residual, verdict, write
from _rivals import petsc

from resolvent import choose, solve
from resolvent.datasets import families
from resolvent.datasets.choosing.decision import decide
from resolvent.datasets.methods.strategies import STRATEGIES as NAMED
from resolvent.datasets.methods.strategies import OneByOne, Request
from resolvent.datasets.seeding import sample_rng
from resolvent.operators import Sparse
from resolvent.solvers import COCG, GMRES, Jacobi, ShiftedLaplacian
from resolvent.solvers.costs import WAYS

RTOL = 1e-8
WANTED = 1.2
PLANE, SPACE = (64, 128, 256, 512), (16, 32, 64)

DEFINITE = ("multigrid", "direct", "cg+amg", "cg+ic", "cg+ssor", "cg+fft")
UNSTRUCTURED = ("direct", "cg+amg", "cg+ic", "cg+ssor")
NONSYMMETRIC = ("direct", "gmres+ilu", "gmres+ilu0", "gmres+amg", "bicgstab+ilu0")
WAVES = ("direct", "cocg+jacobi", "gmres+shifted")

PROBLEMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "darcy2d": ("darcy2d", DEFINITE),
    "heat2d_step": ("heat2d_step", DEFINITE),
    "convdiff2d": ("convdiff2d", NONSYMMETRIC),
    "helmholtz2d": ("helmholtz2d", WAVES),
    "darcy3d": ("darcy3d", DEFINITE),
    "darcy2d, shuffled": ("darcy2d", UNSTRUCTURED),
    "darcy3d, shuffled": ("darcy3d", UNSTRUCTURED),
}
"""Name -> family and hand-picked methods; shuffled: a matrix whose numbering does not show the grid, `solve` only."""

REFERENCES = {
    "PETSc CG + BoomerAMG": ("cg", "hypre", {"pc_hypre_type": "boomeramg"}),
    "PETSc CHOLMOD": ("preonly", "cholesky", {"pc_factor_mat_solver_type": "cholmod"}),
    "PETSc MUMPS LU": ("preonly", "lu", {"pc_factor_mat_solver_type": "mumps"}),
}

Run = Callable[[Sequence[Any]], list[np.ndarray]]
"""Solves a window of systems."""


@dataclasses.dataclass
class Timed:
    """A method on its way through the repeats.

    Attributes
    ----------
    run : Run
    window : int
        Systems that `run` takes.
    seconds : list of float
        A system.
    """

    run: Run
    window: int = 1
    seconds: list[float] = dataclasses.field(default_factory=list)
    worst: float = 0.0
    failed: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds) if self.seconds else float("inf")

    @property
    def counts(self) -> bool:
        return not self.failed and self.worst <= RTOL and bool(self.seconds)


def hand_picked(name: str) -> tuple[Any, Any]:
    """Return method and preconditioner."""
    if name == "cocg+jacobi":
        return COCG(rtol=RTOL / 2, maxiter=5000), Jacobi()
    if name == "gmres+shifted":
        return GMRES(rtol=RTOL / 2, restart=100, maxiter=500), ShiftedLaplacian()
    return WAYS[name].solver(rtol=RTOL / 2), WAYS[name].M


def alone(name: str) -> Timed:
    """Return a method that starts afresh for every system."""
    solver, M = hand_picked(name)
    return Timed(lambda systems: [solver.solve(A, b, None, M).x for A, b in systems])


def in_a_run(name: str, request: Request) -> Timed:
    """Return a method as generation uses it."""
    method = NAMED[name](request) if name in NAMED else OneByOne(*hand_picked(name))
    step = method.start()
    return Timed(lambda systems: [result.x for result in step(systems)], method.window)


def reference(name: str) -> Timed:
    """Return one of PETSc's."""
    outer, inner, options = REFERENCES[name]
    step = petsc(outer, inner, **options)
    return Timed(lambda systems: [step(A, b) for A, b in systems])


def systems_of(name: str, family: Any, first: int, count: int) -> list[Any]:
    """Return assembled systems with consecutive numbers, as operators."""
    found = []
    for index in range(first, first + count):
        A, b = family.assemble(family.draw(sample_rng(0, family.family_id, index)))
        if "shuffled" in name:
            order = np.random.default_rng(0).permutation(b.size)
            A, b = Sparse(A.to_sparse()[order][:, order], props=A.props), b[order]
        found.append((A, b))
    return found


def time_once(entry: Timed, systems: Sequence[Any], *, counted: bool) -> float:
    """Run a method once, note time and residual, and return the seconds of all."""
    start = time.perf_counter()
    try:
        solutions = entry.run(systems)
    except (ValueError, ArithmeticError, RuntimeError, AssertionError, MemoryError) as error:
        entry.failed = f"{type(error).__name__}: {error}"[:200]
        return time.perf_counter() - start
    elapsed = time.perf_counter() - start
    if counted:
        entry.seconds.append(elapsed / len(systems))
        for (A, b), x in zip(systems, solutions, strict=True):
            entry.worst = max(entry.worst, true_residual(A.to_sparse(), b, x))
    return elapsed


def measure(entries: dict[str, Timed], name: str, family: Any, repeats: int, patience: float) -> None:
    """Let the methods take turns; one that is slow beyond `patience` seconds has one turn only."""
    widest = max(entry.window for entry in entries.values())
    warm = systems_of(name, family, 0, widest)
    slow = {
        label for label, entry in entries.items() if time_once(entry, warm[: entry.window], counted=False) > patience
    }
    for repeat in range(repeats):
        systems = systems_of(name, family, widest * (repeat + 1), widest)
        for label, entry in entries.items():
            if not entry.failed and not (label in slow and repeat):
                time_once(entry, systems[: entry.window], counted=True)


def outcome(problem: str, mode: str, side: int, entries: dict[str, Timed], chosen: str, auto: float) -> dict[str, Any]:
    """Return one row of the report."""
    own = {label: entry.median for label, entry in entries.items() if entry.counts and label not in REFERENCES}
    best = min(own, key=lambda label: own[label])
    return {
        "problem": problem,
        "mode": mode,
        "side": side,
        "chosen": chosen,
        "chosen_seconds": auto,
        "best": best,
        "ratio": auto / own[best],
        "seconds": {label: entry.median if entry.seconds else None for label, entry in entries.items()},
        "worst_residual": {label: entry.worst for label, entry in entries.items() if entry.seconds},
        "failed": {label: entry.failed for label, entry in entries.items() if entry.failed},
    }


def compare(
    problem: str, side: int, options: argparse.Namespace, skipped: set[str], outside: bool
) -> list[dict[str, Any]]:
    """Measure both modes at one size; methods that were too slow are added to `skipped`."""
    name, methods = PROBLEMS[problem]
    family = families.get(name, resolution=side)
    first = systems_of(problem, family, 0, 1)[0]
    unknowns = first[1].size
    rows = []
    for mode in ("solve", "generate"):
        if mode == "generate" and "shuffled" in problem:
            continue
        request = Request(RTOL, unknowns, len(family.axes()), 64)
        names = [method for method in methods if f"{mode} {method}" not in skipped]
        entries = {m: alone(m) if mode == "solve" else in_a_run(m, request) for m in names}
        if mode == "solve":
            entries["chosen"] = Timed(lambda systems: [solve(A, b, rtol=RTOL / 2).x for A, b in systems])
            choice = choose(first[0], rtol=RTOL / 2)
            chosen = choice.estimates[0].way if choice.estimates else str(choice.solver)
        else:
            chosen = decide("auto", RTOL, family, 0).chosen
            entries.setdefault(chosen, in_a_run(chosen, request))
        if outside and first[1].dtype.kind != "c" and np.isrealobj(first[0].diagonal()):
            definite = methods in (DEFINITE, UNSTRUCTURED)
            entries |= {label: reference(label) for label in REFERENCES if definite or "LU" in label}
        measure(entries, problem, family, options.repeats, options.patience)
        auto = entries.pop("chosen") if mode == "solve" else entries[chosen]
        rows.append(outcome(problem, mode, side, entries, chosen, auto.median))
        skipped |= {f"{mode} {label}" for label, entry in entries.items() if entry.median > options.patience}
        print_row(rows[-1])
    return rows


def print_row(row: dict[str, Any]) -> None:
    """Print one comparison, the fastest first."""
    title = f"{row['problem']}, {row['side']} a side, {row['mode']}: chosen {row['chosen']}"
    known = {label: seconds for label, seconds in row["seconds"].items() if seconds is not None}
    best = known[row["best"]]
    lines = []
    for label, seconds in sorted(known.items(), key=lambda item: item[1]):
        marks = "← chosen" if label == row["chosen"] else "outside" if label in REFERENCES else ""
        missed = row["worst_residual"][label] > RTOL
        lines.append((label, f"{1e3 * seconds:.2f}", f"{seconds / best:.2f}", "not solved" if missed else marks))
    show(title, ("method", "ms", "/ best", ""), lines)
    console.print(f"  chosen, choosing included: {1e3 * row['chosen_seconds']:.2f} ms, {row['ratio']:.2f} of the best")


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the ratio of the chosen method to the best one, a panel a mode."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, mode in zip(panels, ("solve", "generate"), strict=True):
        for problem in PROBLEMS:
            found = [row for row in rows if row["problem"] == problem and row["mode"] == mode]
            if found:
                axes.plot([r["side"] for r in found], [r["ratio"] for r in found], marker="o", label=problem)
        axes.axhline(WANTED, color="0.5", linewidth=1.0, linestyle="--")
        axes.set_xscale("log", base=2)
        axes.set_xlabel("points a side")
        axes.set_title({"solve": "one solve", "generate": "one more sample of a long run"}[mode])
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("time of the chosen method / best hand-picked")
    panels[0].set_ylim(bottom=0.0)
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(path.with_suffix(".png"), dpi=130)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small grids and few repeats")
    parser.add_argument("--families", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--sizes", type=int, nargs="+", help="points a side in 2-D")
    parser.add_argument("--sizes3d", type=int, nargs="+", help="points a side in 3-D")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--patience", type=float, default=5.0, help="seconds from which a method is not tried larger")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args(arguments)
    options.repeats = options.repeats or (2 if options.quick else 5)
    plane = options.sizes or ((16, 32) if options.quick else PLANE)
    space = options.sizes3d or ((8,) if options.quick else SPACE)
    rows: list[dict[str, Any]] = []
    with one_thread():
        machine = about()
        outside = has_petsc()
        for problem in options.families:
            skipped: set[str] = set()
            for side in space if "3d" in problem else plane:
                rows += compare(problem, side, options, skipped, outside)
    columns = ("problem", "mode", "side", "chosen", "ms", "best", "ms of the best", "ratio")
    summary = [
        (r["problem"], r["mode"], r["side"], r["chosen"], f"{1e3 * r['chosen_seconds']:.2f}", r["best"],
         f"{1e3 * r['seconds'][r['best']]:.2f}", f"{r['ratio']:.2f}")
        for r in rows
    ]  # fmt: skip
    show("the choice against the best hand-picked method", columns, summary)
    judged = not options.quick
    checks = [verdict(f"{r['problem']}, {r['side']}, {r['mode']}", r["ratio"], WANTED, judged=judged) for r in rows]
    report = {"machine": machine, "rtol": RTOL, "repeats": options.repeats, "rows": rows, "checks": checks}
    path = write(report, "choice-quick" if options.quick else "choice", options.results)
    plot(rows, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
