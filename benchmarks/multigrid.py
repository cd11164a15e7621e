"""Multigrid for diffusion: iterations that stay the same, what they cost, and what memory would allow.

    python benchmarks/multigrid.py           # a quarter of an hour; up to 1024² and 128³
    python benchmarks/multigrid.py --quick   # small grids
    python benchmarks/multigrid.py [--sizes 64 256] [--space 16 32] [--samples 2] [--rounds 5]

Iterations to a true residual of 1e-8 ‖b‖ of `MultigridCG` and of CG with `GeometricMultigrid`, on easy and hard
coefficients. Costs of ensembles of 1 to 16 lognormal members, one thread: in nanoseconds, and in work units, the time
of one product of SciPy's CSR matrix of that size and a vector in double precision, measured beside each figure. A whole
solve is set-up from the operators, solve and recomputed residual, for each member. An iteration is the difference of
runs of 2 and of 8, so that what comes before and after does not count; the bytes that it has to move follow from its
passes (`_multigrid_traffic.py`), and are set beside a copy in memory. Then one and two threads, and torch on the
processor and, where there is one, on a CUDA device. Writes benchmarks/results/multigrid[-quick].json and .png.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _multigrid_cases import CASES, LIMIT, RTOL, iterations, true_residual
from _multigrid_traffic import bytes_of_passes, copy_bandwidth
from _report import about, one_thread, show, verdict, write

from resolvent.datasets.evidence.certification import relative_residual
from resolvent.datasets.family import System
from resolvent.operators import Ensemble
from resolvent.solvers import CG, GeometricMultigrid, Multigrid, MultigridCG, fixed_threads
from resolvent.solvers.multigrid.ensemble_state import EnsembleState
from resolvent.solvers.multigrid.extraction import network_of
from resolvent.solvers.multigrid.network import Network

SINGLE, WIDE = 512, 64
"""Unknowns along an axis, in the plane and in space, up to which ensembles are measured; beyond it one system is."""

DOCUMENTED = {2: 105, 3: 125}
"""Bytes an unknown that the docstring of `MultigridCG` promises."""

AMG_UP_TO = {2: 256, 3: 32}


def grid_name(size: int, dim: int) -> str:
    """Return a grid as it is printed."""
    return f"{size}{'²' if dim == 2 else '³'}"


@functools.cache
def lognormal_systems(n: int, dim: int, count: int) -> tuple[Any, ...]:
    """Return the operators that costs are measured on."""
    return tuple(CASES[0].make(n, dim, seed) for seed in range(count))


def seconds_of(call: Callable[[], Any]) -> float:
    """Return the time of a call, the mean of as many as take a fiftieth of a second."""
    start, count, spent = time.perf_counter(), 0, 0.0
    while spent < 0.02:
        call()
        count, spent = count + 1, time.perf_counter() - start
    return spent / count


def cost(n: int, dim: int, members: int, rounds: int) -> dict[str, Any]:
    """Return set-up, iteration and whole solve of an ensemble, by member, as medians over rounds."""
    systems = lognormal_systems(n, dim, members)
    unknowns, matrix = n**dim, systems[0].to_sparse()
    ensemble = Ensemble(systems)
    prepared = MultigridCG(rtol=RTOL / 2).prepare(ensemble)
    state = EnsembleState(systems, np.float32, 1)
    rows, ones = np.ones((members, unknowns)), np.ones(members)
    added, vector = np.zeros_like(rows), np.ones(unknowns)

    def iterate(count: int) -> float:
        return seconds_of(lambda: state.hierarchy.solve(rows, ones, ones, added, 0.0 * ones, count))

    times: dict[str, list[float]] = {key: [] for key in ("unit", "set-up", "solve", "certificate", "iteration")}
    results = prepared.solve_members(rows)  # one row a member, as the pipeline of datasets has them

    def certify() -> float:
        return max(relative_residual(System(A, vector), r.x) for A, r in zip(systems, results, strict=True))

    worst = certify()
    for number in range(rounds + 1):
        found = {"unit": seconds_of(lambda: matrix @ vector)}
        found["set-up"] = seconds_of(lambda: prepared.update(ensemble)) / members
        found["solve"] = seconds_of(lambda: prepared.solve_members(rows)) / members
        found["certificate"] = seconds_of(certify) / members
        few, many = iterate(2), iterate(8)
        found["iteration"] = (many - few) / 6 / members
        if number:  # the first round warms up
            for key, value in found.items():
                times[key].append(value)
    middle = {key: statistics.median(values) for key, values in times.items()}
    total = middle["set-up"] + middle["solve"] + middle["certificate"]
    passes = bytes_of_passes(state.hierarchy)
    moved = sum(passes.values()) / members
    return {
        "size": n,
        "dim": dim,
        "members": members,
        "seconds": middle,
        "iterations": max(result.iterations for result in results),
        "ns": {key: 1e9 * value / unknowns for key, value in (middle | {"total": total}).items()},
        "work units": {key: value / middle["unit"] for key, value in (middle | {"total": total}).items()},
        "bytes kept": prepared._together.nbytes / (unknowns * members),
        "bytes moved": moved / unknowns,
        "passes": {key: value / (unknowns * members) for key, value in passes.items()},
        "GB/s": moved / middle["iteration"] / 1e9 if middle["iteration"] > 0.0 else None,
        "worst residual": worst,
        "certified": worst <= RTOL,
    }


def two_threads(n: int, members: int, rounds: int) -> dict[str, Any]:
    """Return what a solve of an ensemble takes with one and with two threads, in turn."""
    ensemble, rows = Ensemble(lognormal_systems(n, 2, members)), np.ones((members, n * n))
    prepared = MultigridCG(rtol=RTOL / 2).prepare(ensemble)
    times: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds + 1):
        for threads, found in times.items():
            with fixed_threads(threads):
                spent = seconds_of(lambda: (prepared.update(ensemble), prepared.solve_members(rows)))
            if number:
                found.append(spent / members)
    one, two = (statistics.median(found) for found in times.values())
    return {"size": n, "members": members, "one": one, "two": two, "gain": one / two}


def on_torch(n: int, columns: Sequence[int]) -> list[dict[str, Any]]:
    """Compare CG with `GeometricMultigrid` on numpy arrays and on torch storage, right-hand sides in batches.

    The last figure is a cycle with as many operators as columns, one for each, as `GeometricMultigrid.of_network` makes
    it.
    """
    try:
        import torch
    except ImportError:
        return []
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    solver, recipe = CG(rtol=RTOL / 2), GeometricMultigrid()
    A = lognormal_systems(n, 2, 1)[0]
    rng, found = np.random.default_rng(0), []
    expected = np.empty(0)
    for count in columns:
        B = rng.standard_normal((n * n, count))
        networks = [network_of(member)[0] for member in lognormal_systems(n, 2, count)]
        for device in ("numpy", *devices):
            wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
            move: Callable[[Any], Any] = (
                (lambda values: values)
                if device == "numpy"
                else (lambda values, device=device: torch.as_tensor(values, device=device))
            )
            right, operator = move(B), A if device == "numpy" else A.to_torch(device)
            prepared = solver.prepare(operator, recipe)
            joined = [np.concatenate([w.faces[a] for w in networks], axis=-1) for a in range(2)]
            shift = np.concatenate([w.shift for w in networks], axis=-1)
            M = recipe.of_network(Network(tuple(move(t) for t in joined), move(shift), (False, False)))
            solves, cycles = [], []
            for number in range(3):
                wait()
                start = time.perf_counter()
                result = prepared.solve(right)
                wait()
                middle = time.perf_counter()
                M @ right
                wait()
                if number:
                    solves.append((middle - start) / count)
                    cycles.append((time.perf_counter() - middle) / count)
            x = np.asarray(result.x if device == "numpy" else result.x.cpu())
            expected = x if device == "numpy" else expected
            found.append(
                {
                    "device": device,
                    "size": n,
                    "columns": count,
                    "seconds": min(solves),
                    "cycle": min(cycles),
                    "iterations": result.iterations,
                    "difference": float(abs(x - expected).max() / abs(expected).max()),
                    "worst residual": max(true_residual(A, b, y) for b, y in zip(B.T, x.T, strict=True)),
                }
            )
    return found


def histories(n: int) -> dict[str, list[float]]:
    """Return relative residuals by cycle of the ways to use multigrid, on one lognormal system."""
    A, b = lognormal_systems(n, 2, 1)[0], np.ones(n * n)
    ways: dict[str, Any] = {
        "V-cycles alone": (Multigrid(rtol=RTOL, full=False), None),
        "after a full-multigrid start": (Multigrid(rtol=RTOL), None),
        "CG, V-cycle": (CG(rtol=RTOL), GeometricMultigrid()),
        "CG, W-cycle": (CG(rtol=RTOL), GeometricMultigrid(cycle="W")),
        "MultigridCG": (MultigridCG(rtol=RTOL), None),
    }
    found = {}
    for name, (solver, M) in ways.items():
        result = solver.solve(A, b, M=M).check()
        found[name] = (np.asarray(result.history) / result.rhs_norm).tolist()
    return found


def shown(count: int) -> str:
    """Return iterations as they are printed."""
    return str(count) if count < LIMIT else f"{LIMIT}+"


def report(counts: list[dict[str, Any]], costs: list[dict[str, Any]], copy: float) -> None:
    """Print iterations and costs."""
    columns = ("case", "grid", "MultigridCG", "CG, V(1,1)", "CG, its options", "CG, AMG", "worst residual", "options")
    rows = []
    for r in counts:
        cells = [", ".join(shown(count) for count in r["iterations"].get(way, [])) for way in columns[2:6]]
        note = r["options"].removeprefix("GeometricMultigrid")
        rows.append((r["case"], grid_name(r["size"], r["dim"]), *cells, f"{r['worst residual']:.1e}", note))
    show("Iterations to 1e-8 by sample", columns, rows)
    columns = ("grid", "members", "its", "ns an iteration", "set-up", "iteration", "solve", "certificate", "whole")
    columns += ("kept B", "moved B", "GB/s", "of a copy", "residual")
    rows = [
        (
            grid_name(r["size"], r["dim"]),
            r["members"],
            r["iterations"],
            f"{r['ns']['iteration']:.1f}",
            *(f"{r['work units'][key]:.2f}" for key in ("set-up", "iteration", "solve", "certificate", "total")),
            f"{r['bytes kept']:.0f}",
            f"{r['bytes moved']:.0f}",
            f"{r['GB/s'] or 0.0:.1f}",
            f"{(r['GB/s'] or 0.0) * 1e9 / copy:.2f}",
            f"{r['worst residual']:.1e}",
        )
        for r in costs
    ]
    title = "ns by unknown; set-up, an iteration, a solve, certificate and the whole in work units by member; bytes by"
    show(f"{title} unknown, moved in an iteration; a copy {copy / 1e9:.1f} GB/s", columns, rows)


def judge(counts: list[dict[str, Any]], costs: list[dict[str, Any]], judged: bool) -> list[dict[str, Any]]:
    """Hold the figures against what was specified."""
    checks = []
    for dim in (2, 3):
        for case in CASES:
            rows = [r for r in counts if r["dim"] == dim and r["case"] == case.name]
            if not rows:
                continue
            sizes = f"{grid_name(rows[0]['size'], dim)} to {grid_name(rows[-1]['size'], dim)}"
            for way in ("MultigridCG", "CG, V(1,1)") if case.flat else ():
                most = [max(r["iterations"][way]) for r in rows]
                name = f"{case.name}, {sizes}, {way}: growth of iterations"
                checks.append(verdict(name, max(most) - most[0], 2, judged=judged))
            most = max(max(r["iterations"]["CG, its options"]) for r in rows)
            name = f"{case.name}, {sizes}: most iterations"
            checks.append(verdict(name, most, 20, note=f"CG with {case.options}", judged=judged))
        for size in sorted({r["size"] for r in costs if r["dim"] == dim}):
            rows = [r for r in costs if (r["dim"], r["size"]) == (dim, size)]
            best = min(rows, key=lambda r: r["work units"]["total"])
            name, note = f"{grid_name(size, dim)}: work units a sample", f"{best['members']} members"
            units = best["work units"]["total"]
            checks += [verdict(name, units, bound, note=note, judged=judged) for bound in (40.0, 20.0)]
        largest = max((r for r in costs if r["dim"] == dim), key=lambda r: r["size"], default=None)
        if largest:
            name = f"{grid_name(largest['size'], dim)}: bytes kept by unknown"
            kept, note = largest["bytes kept"], "the docstring of MultigridCG"
            checks.append(verdict(name, kept, DOCUMENTED[dim], note=note, judged=judged))
    return checks


def plot(costs: list[dict[str, Any]], residuals: dict[str, list[float]], size: int, path: Path) -> None:
    """Draw work units a sample against grid size, and residuals by cycle."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for dim, colour, marker in ((2, "#1f5a99", "o"), (3, "#b3261e", "s")):
        widths = sorted({r["members"] for r in costs if r["dim"] == dim})
        for width in widths:
            rows = [r for r in costs if (r["dim"], r["members"]) == (dim, width)]
            strength = 0.25 + 0.75 * (widths.index(width) + 1) / len(widths)
            left.loglog(
                [r["size"] ** dim for r in rows], [r["work units"]["total"] for r in rows],
                color=colour, alpha=strength, marker=marker, markersize=4, label=f"{dim}-D, {width} at once",
            )  # fmt: skip
    lines = ((40.0, "40: a first fused prototype"), (20.0, "20: the target"))
    for bound, text in lines:
        left.axhline(bound, color="0.45", linestyle="--", linewidth=1.0)
        left.annotate(text, (0.01, bound), xycoords=("axes fraction", "data"), fontsize=8, va="bottom", color="0.35")
    largest = max(r["work units"]["total"] for r in costs)
    left.set(ylim=(10.0, max(2.5 * largest, 60.0)), xlabel="grid", ylabel="work units a sample")
    left.set_yticks([10, 20, 40, 80], ["10", "20", "40", "80"])
    ticks: dict[int, list[str]] = {}
    for n, dim in sorted({(r["size"], r["dim"]) for r in costs}, key=lambda grid: grid[1]):
        ticks.setdefault(n**dim, []).append(grid_name(n, dim))
    left.set_xticks(list(ticks), ["\n".join(names) for names in ticks.values()])
    left.minorticks_off()
    left.set_title("Set-up, solve and certificate, in products of a CSR matrix", fontsize=10)
    left.legend(frameon=False, fontsize=7, ncols=2)
    for name, values in residuals.items():
        fused = name == "MultigridCG"
        style = {"color": "black", "linewidth": 2.4} if fused else {"linewidth": 1.3}
        right.semilogy(values, marker="o", markersize=3, label=name, **style)
    right.axhline(RTOL, color="0.5", linestyle=":")
    right.set(xlabel="cycle", ylabel="relative residual", xlim=(0, None))
    right.locator_params(axis="x", integer=True)
    right.set_title(f"One lognormal system, {grid_name(size, 2)}", fontsize=10)
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small grids")
    parser.add_argument("--sizes", type=int, nargs="+", help="points along an axis in the plane")
    parser.add_argument("--space", type=int, nargs="+", help="points along an axis in space")
    parser.add_argument("--samples", type=int, default=2, help="systems whose iterations are counted")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--results", type=Path, help="folder to write to")
    options = parser.parse_args(arguments)
    plane = options.sizes or ([32, 64] if options.quick else [64, 128, 256, 512, 1024])
    space = options.space or ([8, 16] if options.quick else [16, 32, 64, 128])
    widths = [1, 4] if options.quick else [1, 2, 4, 8, 16]
    rounds = options.rounds or (2 if options.quick else 5)
    grids = [(n, 2) for n in plane] + [(n, 3) for n in space]
    machine = about()
    with one_thread():
        counts = []
        for case in CASES:
            for n, dim in grids:
                samples = options.samples if n**dim <= 512**2 else 1
                counts.append(iterations(case, n, dim, samples, amg=case is CASES[-1] and n <= AMG_UP_TO[dim]))
        copy = copy_bandwidth(32 if options.quick else 128)
        costs = []
        for n, dim in grids:
            most = SINGLE if dim == 2 else WIDE
            if dim == 3 and n > most:
                continue  # iterations only
            costs += [cost(n, dim, members, rounds) for members in widths if n <= most or members == 1]
            lognormal_systems.cache_clear()
        size = max((n for n in plane if n <= 256), default=min(plane))
        threads = two_threads(size, widths[-1], rounds)
        batches = on_torch(size, [1, 4] if options.quick else [1, 4, 16])
        residuals = histories(size)
    report(counts, costs, copy)
    rows = [(f"{1e3 * threads['one']:.2f}", f"{1e3 * threads['two']:.2f}", f"{threads['gain']:.2f}")]
    title = f"{grid_name(size, 2)}, {threads['members']} members: milliseconds a member, set-up and solve"
    show(title, ("one thread", "two threads", "gain"), rows)
    if batches:
        columns = ("storage", "columns", "its", "ms a column", "ms a cycle, an operator each", "difference", "residual")
        rows = [
            (
                r["device"],
                r["columns"],
                r["iterations"],
                f"{1e3 * r['seconds']:.2f}",
                f"{1e3 * r['cycle']:.2f}",
                f"{r['difference']:.0e}",
                f"{r['worst residual']:.1e}",
            )
            for r in batches
        ]
        show(f"CG with GeometricMultigrid at {grid_name(size, 2)}, numpy and torch", columns, rows)
    checks = judge(counts, costs, not options.quick)
    found = {"iterations": counts, "costs": costs, "copy": copy, "threads": threads, "torch": batches}
    name = "multigrid" + ("-quick" if options.quick else "")
    path = write(
        {"machine": machine, "rtol": RTOL, **found, "histories": residuals, "checks": checks}, name, options.results
    )
    plot(costs, residuals, size, path.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
