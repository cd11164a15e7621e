"""Certified Darcy samples per second: this package against the strongest solvers one would pick instead.

Every method solves the same systems (`darcy2d`, cell grid, one thread) to the same true residual, recomputed in
float64. Set-up, assembly of the format a method wants and the certificate (the problem assembled anew and its residual)
are counted. In every round the methods take turns of 50 ms, or two systems or ensembles in a row where these take
longer, so that a change of the machine's speed hits all of them; medians over the rounds are printed. The first column
is solution and certificate; the second, end to end, adds what `generate` does besides for any method: drawing the
coefficient, assembling, checksums and writing, as a run of `generate` in the same process reports them. A work unit is
the time of one product of SciPy's CSR matrix and a vector in double precision, measured in every round as well.

    python benchmarks/generation.py [--quick] [--coefficient lognormal_unit] [--sizes 64 128 256 512] [--rounds 5]
    python benchmarks/generation.py --family darcy3d

Writes benchmarks/results/generation[-darcy3d][-quick].json and .png. Needs petsc4py and pypardiso for their rows;
without them these are left out, and said to be.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _report import about, console, one_thread, show, verdict, write
from _rivals import RTOL, Solve, rivals

from resolvent import datasets
from resolvent.datasets import families
from resolvent.datasets.choosing.decision import decide
from resolvent.datasets.evidence.certification import relative_residual
from resolvent.datasets.methods.strategies import Together
from resolvent.datasets.seeding import sample_rng
from resolvent.solvers import AMG, CG, SSOR, Direct, FastPoisson, MultigridCG

OWN = "resolvent "
FAST = OWN + "MultigridCG, ensemble"

TURN = 0.05
"""Seconds for which a method is run in a round at least: as in a long run, its data are in cache but for the first."""

BOOMER = "PETSc CG + BoomerAMG"

SolveMany = Callable[[Sequence[Any]], Sequence[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Contender:
    """A method: how many systems it takes at once, and how to start it."""

    window: int
    start: Callable[[], SolveMany]


def ours(solver: Any, M: Any = None) -> Solve:
    """Return one of this package's methods, updated from sample to sample as the pipeline does."""
    prepared: Any = None

    def solve(A: Any, b: np.ndarray) -> np.ndarray:
        nonlocal prepared
        if prepared is None:
            prepared = solver.prepare(A, M)
        else:
            prepared.update(A)
        return prepared.solve(b).check().x

    return solve


def in_turn(make: Callable[[], Solve]) -> Callable[[], SolveMany]:
    """Return what solves systems one after the other."""

    def start() -> SolveMany:
        solve = make()
        return lambda systems: [solve(A, b) for A, b in systems]

    return start


def ensemble(method: Together) -> Callable[[], SolveMany]:
    """Return the method of `generate` for many samples at once."""

    def start() -> SolveMany:
        solve = method.start()
        return lambda systems: [result.check().x for result in solve(systems)]

    return start


def contenders(family: Any) -> dict[str, Contender]:
    """Return all methods for a family."""
    unknowns = int(np.prod(family.unknowns))
    decision = decide("auto", RTOL, family, seed=0)
    console.print(f"  generate --solver auto takes: {decision.chosen} ({decision.why})")
    method = decide("multigrid", RTOL, family, seed=0).method
    found = {FAST: Contender(method.window, ensemble(method))}
    one_by_one: dict[str, Callable[[], Solve]] = {
        OWN + "MultigridCG, one by one": lambda: ours(MultigridCG(rtol=RTOL / 2)),
        OWN + "CG + FastPoisson": lambda: ours(CG(rtol=RTOL / 2), FastPoisson()),
        OWN + "CG + AMG (Ruge-Stüben)": lambda: ours(CG(rtol=RTOL / 2), AMG()),
        OWN + "CG + SSOR": lambda: ours(CG(rtol=RTOL / 2), SSOR()),
    }
    if unknowns <= (300_000 if family.dim == 2 else 5_000):
        one_by_one[OWN + "Direct, analysis kept"] = lambda: ours(Direct(rtol=RTOL / 2))
    for name, make in (one_by_one | rivals(unknowns, family.dim)).items():
        found[name] = Contender(1, in_turn(make))
    return found


def product_seconds(matrix: Any) -> float:
    """Return the median time of a product of SciPy's CSR matrix."""
    x, times = np.ones(matrix.shape[0]), []
    for _ in range(15):
        start = time.perf_counter()
        matrix @ x
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(family: Any, rounds: int) -> dict[str, Any]:
    """Run every method in turn; return medians over the rounds, the worst residual, and a work unit."""
    methods = contenders(family)
    most = 8 * max(method.window for method in methods.values())
    started = {name: method.start() for name, method in methods.items()}
    solving: dict[str, list[float]] = {name: [] for name in methods}
    certifying: dict[str, list[float]] = {name: [] for name in methods}
    worst = dict.fromkeys(methods, 0.0)
    units: list[float] = []
    for number in range(rounds + 1):
        begin = number * most
        inputs = [family.draw(sample_rng(0, family.family_id, begin + i)) for i in range(most)]
        units.append(product_seconds(family.assemble(inputs[0]).A.to_sparse()))
        for name, method in methods.items():
            times, count = np.zeros(2), 0
            while count < 2 * method.window or (times.sum() < TURN and count + method.window <= most):
                given = inputs[count : count + method.window]
                count += method.window
                # As in the pipeline, systems are assembled right before they are solved, and certified right after.
                systems = [family.assemble(fields) for fields in given]
                start = time.perf_counter()
                solutions = started[name](systems)
                middle = time.perf_counter()
                rhos = [relative_residual(family.assemble(f), x) for f, x in zip(given, solutions, strict=True)]
                times += middle - start, time.perf_counter() - middle
                worst[name] = max(worst[name], *rhos)
            if number:  # the first round is for compilation, caches, and the analysis that is kept
                solving[name].append(times[0] / count)
                certifying[name].append(times[1] / count)
    unit = statistics.median(units[1:])
    rows = {}
    for name, times in solving.items():
        total = [sum(pair) for pair in zip(times, certifying[name], strict=True)]
        rows[name] = {
            "seconds": statistics.median(total),
            "least": min(total),
            "largest": max(total),
            "solve": statistics.median(times),
            "work units": statistics.median(total) / unit,
            "worst residual": worst[name],
            "certified": worst[name] <= RTOL,
        }
    return {"rows": rows, "work unit": unit}


def shared_seconds(family: Any, n: int) -> dict[str, float]:
    """Return what `generate` spends on a sample besides solving, by stage."""
    with tempfile.TemporaryDirectory() as folder:
        data = datasets.generate(family, n, out=Path(folder) / "sample.h5", two_grid=0, solver="multigrid")
        stages = {stage: float(np.median(data.timing[stage])) for stage in data.timing if stage not in ("sort",)}
        data.close()
    return stages


def report(size: int, dim: int, result: dict[str, Any]) -> None:
    """Add the second column and print one table."""
    rows, stages = result["rows"], result["stages"]
    besides = sum(seconds for stage, seconds in stages.items() if stage != "solve")
    foreign = [r["seconds"] for name, r in rows.items() if not name.startswith(OWN) and r["certified"]]
    best = min(foreign)
    for r in rows.values():
        r["end to end"] = r["solve"] + besides
        r["ratio"] = best / r["seconds"]
    lines = [
        (
            name + ("" if r["certified"] else " (not certified)"),
            f"{1e3 * r['seconds']:.2f} ({1e3 * r['least']:.2f}–{1e3 * r['largest']:.2f})",
            f"{1.0 / r['seconds']:.1f}",
            f"{r['work units']:.1f}",
            f"{r['worst residual']:.1e}",
            f"{r['ratio']:.2f}",
            f"{1.0 / r['end to end']:.1f}",
        )
        for name, r in sorted(rows.items(), key=lambda item: item[1]["seconds"])
    ]
    title = f"{' x '.join([str(size)] * dim)}, a work unit {1e6 * result['work unit']:.1f} µs, "
    title += "besides: " + ", ".join(f"{stage} {1e3 * s:.2f}" for stage, s in stages.items() if stage != "solve")
    columns = ("method", "ms a sample", "samples/s", "work units", "residual", "to the best rival", "end to end/s")
    show(title + " ms", columns, lines)


def judge(results: dict[int, dict[str, Any]], dim: int, judged: bool) -> list[dict[str, Any]]:
    """Hold the ensemble against the figures it was made for."""
    checks = []
    for size, result in results.items():
        rows = {name: r for name, r in result["rows"].items() if r["certified"]}
        own = rows[FAST]["seconds"]
        baselines = {n: r["seconds"] for n, r in rows.items() if not n.startswith(OWN) or "FastPoisson" in n}
        where = f"{size}{'²' if dim == 2 else '³'}"
        if BOOMER in baselines:
            boomer = baselines.pop(BOOMER) / own
            checks.append(verdict(f"{where}: times CG + BoomerAMG", boomer, 8.0, least=True, judged=judged))
        name = min(baselines, key=lambda n: baselines[n])
        others = baselines[name] / own
        checks.append(verdict(f"{where}: times the best other", others, 3.0, least=True, note=name, judged=judged))
        units = result["rows"][FAST]["work units"]
        checks.append(verdict(f"{where}: work units a sample", units, 40.0, judged=judged))
    return checks


def plot(results: dict[int, dict[str, Any]], dim: int, path: Path) -> None:
    """Draw certified samples per second against grid size, one line a method."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    sizes = sorted(results)
    last = {name: r["seconds"] for size in sizes for name, r in results[size]["rows"].items()}
    for name in sorted(last, key=lambda n: last[n]):
        found = [(size, results[size]["rows"][name]) for size in sizes if name in results[size]["rows"]]
        rate = [1.0 / r["seconds"] for _, r in found]
        own = name.startswith(OWN)
        style = {"linewidth": 2.2, "marker": "o"} if own else {"linewidth": 1.1, "marker": ".", "linestyle": "--"}
        if name == FAST:
            style |= {"linewidth": 3.5, "color": "black"}
        axes.loglog([size for size, _ in found], rate, label=name, **style)
    axes.set_xticks(sizes, [f"{size}{'²' if dim == 2 else '³'}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("grid")
    axes.set_ylabel("certified samples per second, one thread")
    axes.set_title(f"Darcy, true residual ≤ {RTOL:g}, set-up and certificate counted")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two small grids, two rounds")
    parser.add_argument("--family", default="darcy2d", choices=["darcy2d", "darcy3d"])
    parser.add_argument("--coefficient", default="lognormal_unit", help="law of the coefficient")
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--results", type=Path, help="folder to write to")
    options = parser.parse_args(arguments)
    plane = options.family == "darcy2d"
    full, quick = ([64, 128, 256, 512], [32, 64]) if plane else ([16, 32, 64], [8, 12])
    sizes = options.sizes or (quick if options.quick else full)
    rounds = options.rounds or (2 if options.quick else 5)
    machine = about()
    results: dict[int, dict[str, Any]] = {}
    checks: list[dict[str, Any]] = []
    with one_thread():
        for size in sizes:
            family = families.get(options.family, resolution=size, coefficient=options.coefficient)
            result = measure(family, rounds)
            result["stages"] = shared_seconds(family, 16 if size <= 256 else 4)
            results[size] = result
            report(size, family.dim, result)
            checks += judge({size: result}, family.dim, not options.quick)
    name = "generation" + ("" if plane else "-darcy3d") + ("-quick" if options.quick else "")
    about_run = {"machine": machine, "rtol": RTOL, "family": options.family, "coefficient": options.coefficient}
    path = write({**about_run, "rounds": rounds, "results": results, "checks": checks}, name, options.results)
    plot(results, 2 if plane else 3, path.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
