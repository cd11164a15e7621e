"""Streams of related systems: cold, warm and recycled starts, renewal of preconditioners, and direct solution.

    python benchmarks/sequences.py                 # about ten minutes
    python benchmarks/sequences.py --quick         # under a minute, small grids and few systems
    python benchmarks/sequences.py --parts published --systems 21

Three parts. `streams`: every way of solving on every stream of `_streams.py`, to a true residual of 1e-8 ‖b‖, set-up
counted, one thread; means over all systems but the first, which is cold for all. `sweep`: GCRO-DR(40, k) for several k
on independent coefficients, its k products for a new matrix charged. `published`: GCRO-DR(40, 20) against GMRES(40) on
the systems of arXiv 2401.09516, its index fault corrected, and on definite ones of the same coefficients.

Writes benchmarks/results/sequences[-quick].json and .png. PARDISO rows need pypardiso (`pip install -e '.[bench]'`),
PETSc rows petsc4py; without them they are left out, and said to be.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _report import about, console, has_petsc, one_thread, show, spread, spread_text, true_residual, verdict, write
from _streams import darcy, independent, published_skr, streams
from _ways import has_pardiso, run, ways

from resolvent.solvers import AMG, GCRODR, GMRES, Jacobi, Sequence

GROUPS = ("cold", "warm", "recycled", "refresh", "direct")
SPACES = (5, 10, 16, 20, 32)


def measure_streams(n: int, count: int, half: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run every way on every stream and print a table for each; return the rows and the verdicts."""
    petsc, mkl, rows = has_petsc(), has_pardiso(), []
    small = {stream.name: stream for stream in streams(12, 3, 12)} if n > 16 else {}
    for stream in streams(n, count, half):
        here = []
        for way in ways(stream.kind, petsc, mkl, stream.related):
            if small:
                run(small[stream.name], way)  # compiles
            here.append(run(stream, way))
        report_stream(stream.name, len(stream.systems[0][1]), len(stream.systems), here)
        rows += here
    return rows, check_streams(rows, n)


def report_stream(name: str, unknowns: int, count: int, rows: list[dict[str, Any]]) -> None:
    """Print one table, the fastest of each group first."""
    cells = []
    for group in GROUPS:
        for r in sorted((r for r in rows if r["group"] == group), key=lambda r: r["seconds"]):
            note = "" if not r["missed"] else f"{r['missed']} not converged"
            if r["untrue"]:
                note = f"{r['untrue']} FALSELY CONVERGED"
            counts = [f"{r[key]:.1f}" for key in ("iterations", "products", "products of set-up")]
            residual = f"{r['worst residual']:.0e}"
            milliseconds = f"{1e3 * r['seconds']:.2f}"
            cells.append([group, r["method"], r["M"], r["how"], *counts, milliseconds, r["rebuilt"], residual, note])
    columns = ("", "method", "M", "start, renewal", "iterations", "products", "set-up")
    columns += ("ms", "rebuilt", "residual", "")
    title = f"{name}: {count} systems of {unknowns} unknowns; means, products and ms with set-up"
    show(title, columns, cells)


def check_streams(rows: list[dict[str, Any]], n: int) -> list[dict[str, Any]]:
    """Compare with what recycling is expected to gain, and whether it stays away where it cannot."""
    found = {(r["stream"], r["group"], r["method"], r["M"], r["how"]): r for r in rows}

    def products(group: str, method: str, M: str, how: str = "") -> float:
        return found["Darcy, path, cos 0.1", group, method, M, how]["products"]

    console.print(f"\nPath of cos 0.1, {n} x {n}, Jacobi, products with set-up")
    gcrodr, gmres = "GCRODR(30,10)", "GMRES(30)"
    cold, judged = products("cold", gcrodr, "Jacobi"), n >= 100
    checks = [
        verdict("recycled GCRO-DR(30,10) / cold", products("recycled", gcrodr, "Jacobi") / cold, 0.8, judged=judged),
        verdict("cold GCRO-DR(30,10) / GMRES(30)", cold / products("cold", gmres, "Jacobi"), 0.5, judged=judged),
        verdict(
            "deflated CG(16) / CG",
            products("recycled", "DeflatedCG(16)", "Jacobi") / products("cold", "CG", "Jacobi"),
            0.7,
            judged=judged,
        ),
    ]
    untrue = sum(r["untrue"] for r in rows)
    checks.append(verdict("CONVERGED above the tolerance", untrue, 0))
    for stream in sorted({r["stream"] for r in rows if r["stream"].startswith("Helmholtz")}):
        seconds = {r["how"]: r["seconds"] for r in rows if r["stream"] == stream and r["M"] == "Factorised"}
        best = min(seconds["on change"], seconds["never"])
        checks.append(
            verdict(f"{stream}: LU by cost / better of always and never", seconds["by cost"] / best, 1.2, judged=judged)
        )
    size, systems = (64, 50) if n >= 100 else (24, 12)
    field = darcy(independent("lognormal_unit", size, systems, seed=7))
    solver = GCRODR(restart=30, k=10)
    chosen = Sequence(solver, M=Jacobi())
    total = [sum(chosen.solve(A, b).counts.products for A, b in field)]
    total.append(sum(solver.solve(A, b, M=Jacobi()).counts.products for A, b in field))
    name = f"{systems} independent systems of {size} x {size}: GCRO-DR(30,10) by benefit / cold"
    checks.append(verdict(name, total[0] / total[1], 1.05, judged=judged))
    chosen, different = Sequence(solver, M=AMG()), 0
    for A, b in field[:5]:
        different += not np.array_equal(chosen.solve(A, b).x, solver.solve(A, b, M=AMG()).x)
    checks.append(verdict("over AMG: solutions that differ from cold ones in any bit", different, 0))
    return checks


def chain(systems: list[tuple[Any, np.ndarray]], solver: Any, M: Any, *, recycled: bool) -> dict[str, Any]:
    """Solve systems in their order; return iterations, set-up products and the worst true residual over tolerance."""
    sequence = Sequence(solver, M=M, cold_every=None)
    iterations, setup, worst, failed = [], [], 0.0, 0
    for i, (A, b) in enumerate(systems):
        if not recycled:
            sequence.reset()
        r = sequence.solve(A, b)
        failed += not r.converged
        worst = max(worst, true_residual(A.to_sparse(), b, r.x) / solver.rtol)
        if i or not recycled:
            iterations.append(r.iterations)
            setup.append(r.counts.setup)
    charged = [i + s for i, s in zip(iterations, setup, strict=True)]
    return {"iterations": spread(iterations), "with set-up": spread(charged), "worst": worst, "failed": failed}


def sweep(n: int, count: int, limit: int) -> list[dict[str, Any]]:
    """Vary the size of the space, with and without Jacobi, on two laws of independent coefficients."""
    rows = []
    for law in ("skr", "lognormal_unit"):
        systems = darcy(independent(law, n, count))
        for name, M in (("none", None), ("Jacobi", Jacobi())):
            limits = {"rtol": 1e-8, "maxiter": limit}
            gmres = chain(systems, GMRES(restart=40, **limits), M, recycled=False)
            for k in SPACES:
                solver = GCRODR(restart=40, k=k, **limits)
                cold, warm = (chain(systems, solver, M, recycled=recycled) for recycled in (False, True))
                rows.append({"law": law, "M": name, "k": k, "GMRES(40)": gmres, "cold": cold, "recycled": warm})
    cells = []
    for r in rows:
        gmres, cold, warm = (r[key] for key in ("GMRES(40)", "cold", "recycled"))
        charged = warm["with set-up"]["mean"]
        ratios = [f"{gmres['iterations']['mean'] / charged:.2f}", f"{cold['iterations']['mean'] / charged:.2f}"]
        missed = gmres["failed"] + cold["failed"] + warm["failed"]
        texts = [spread_text(part["iterations"]) for part in (gmres, cold)] + [spread_text(warm["with set-up"])]
        cells.append([r["law"], r["M"], r["k"], *texts, *ratios, f"{missed} missed" if missed else ""])
    title = f"GCRO-DR(40, k), {count} independent systems of {n} x {n}, 1e-8: mean ± std (least–largest) iterations"
    columns = ("law", "M", "k", "GMRES(40)", "cold", "recycled + k products", "GMRES / recycled", "cold / recycled", "")
    show(title, columns, cells)
    return rows


# Iterations that the literature and earlier measurements lead to expect: GMRES(40), GCRO-DR(40,20) in a chain, cold.
EXPECTED = {
    ("definite, skr", 1e-5): (958, 134, 309),
    ("definite, skr", 1e-8): (1553, 231, 461),
    ("published, corrected", 1e-5): (685, 229, None),
    ("published, corrected", 1e-8): (1025, 329, None),
}
GAINS = {"definite, skr": 5.0, "published, corrected": 2.5}


def published(n: int, count: int, full: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Compare GCRO-DR(40, 20) with GMRES(40) on independent coefficients of the law `skr`, without preconditioner."""
    nodes = independent("skr", n, count, grid="vertex")
    problems = {
        "definite, skr": darcy(independent("skr", n, count)),
        "published, corrected": [published_skr(a) for a in nodes],
    }
    rows, checks, cells = [], [], []
    for name, systems in problems.items():
        for rtol in (1e-5, 1e-8):
            limits = {"rtol": rtol, "maxiter": 10_000}
            gmres = chain(systems, GMRES(restart=40, **limits), None, recycled=False)
            solver = GCRODR(restart=40, k=20, **limits)
            cold, warm = (chain(systems, solver, None, recycled=recycled) for recycled in (False, True))
            row = {"problem": name, "rtol": rtol, "GMRES(40)": gmres, "cold": cold, "recycled": warm}
            row["ratio"] = gmres["iterations"]["mean"] / warm["iterations"]["mean"]
            row["ratio with set-up"] = gmres["iterations"]["mean"] / warm["with set-up"]["mean"]
            row["ratio, cold"] = gmres["iterations"]["mean"] / cold["iterations"]["mean"]
            rows.append(row)
            parts = [spread_text(part["iterations"]) for part in (gmres, cold, warm)]
            ratios = [f"{row[key]:.2f}" for key in ("ratio", "ratio with set-up", "ratio, cold")]
            worst = max(part["worst"] for part in (gmres, cold, warm)) * rtol
            cells.append([name, f"{rtol:.0e}", len(systems[0][1]), *parts, *ratios, f"{worst:.0e}"])
    columns = ("matrices", "rtol", "n", "GMRES(40)", "cold", "recycled", "GMRES / recycled")
    columns += ("with k products", "GMRES / cold", "residual")
    title = f"GCRO-DR(40, 20), {count} independent systems: mean ± std (least–largest) iterations"
    show(title, columns, cells)
    console.print()
    for row in rows:
        case = f"{row['problem']}, {row['rtol']:.0e}"
        note = f"{row['ratio with set-up']:.2f} with the k products"
        gain = GAINS[row["problem"]]
        name = f"{case}: GMRES / recycled"
        checks.append(verdict(name, row["ratio"], gain, least=True, note=note, judged=full))
        if not full:
            continue
        expected = EXPECTED[row["problem"], row["rtol"]]
        for part, figure in zip(("GMRES(40)", "recycled", "cold"), expected, strict=True):
            if figure is not None:
                off = row[part]["iterations"]["mean"] / figure - 1.0
                text = f"{row[part]['iterations']['mean']:.0f}, expected {figure}"
                checks.append(verdict(f"{case}, {part}: distance from expected", abs(off), 0.25, note=text))
    return rows, checks


PLOTTED = {
    "definite": [
        ("cold", "CG", "Jacobi", ""),
        ("warm", "CG", "Jacobi", "projected"),
        ("recycled", "DeflatedCG(16)", "Jacobi", ""),
        ("cold", "GCRODR(30,10)", "Jacobi", ""),
        ("recycled", "GCRODR(30,10)", "Jacobi", ""),
        ("cold", "CG", "FastPoisson", ""),
    ],
    "nonsymmetric": [
        ("cold", "GMRES(30)", "ILU(0)", ""),
        ("warm", "GMRES(30)", "ILU(0)", "projected"),
        ("cold", "GCRODR(30,10)", "ILU(0)", ""),
        ("recycled", "GCRODR(30,10)", "ILU(0)", ""),
        ("refresh", "GMRES(30)", "Factorised", "when slow"),
    ],
    "complex symmetric": [
        ("cold", "GMRES(40)", "shifted Laplacian", ""),
        ("warm", "GMRES(40)", "shifted Laplacian", "projected"),
        ("cold", "GCRODR(40,13)", "shifted Laplacian", ""),
        ("recycled", "GCRODR(40,13)", "shifted Laplacian", ""),
        ("refresh", "GMRES(40)", "Factorised", "never"),
    ],
}


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw iterations per system along each stream: cold dashed, warm dotted, recycled or renewed solid."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, NullFormatter

    figure = Figure(figsize=(15, 8.5), layout="constrained")
    FigureCanvasAgg(figure)
    names = list(dict.fromkeys(row["stream"] for row in rows))
    style = {"cold": "--", "warm": ":", "recycled": "-", "refresh": "-"}
    for place, name in enumerate(names):
        axes = figure.add_subplot(2, -(-len(names) // 2), place + 1)
        here = {(r["group"], r["method"], r["M"], r["how"]): r for r in rows if r["stream"] == name}
        for kind in PLOTTED.values():
            for key in kind:
                if key in here:
                    group, method, M, how = key
                    label = f"{method}, {M}" + (f", {how}" if how else "") + (" cold" if group == "cold" else "")
                    figures = here[key]["each"]["iterations"]
                    marker = {"cold": ".", "warm": "+"}.get(group, "o")
                    axes.semilogy(range(1, len(figures) + 1), figures, style[group], marker=marker, ms=4, label=label)
        axes.set(title=name, xlabel="system", ylabel="iterations")
        axes.grid(alpha=0.3)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    figure.savefig(path, dpi=120)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small grids, few systems: under a minute")
    parser.add_argument("--parts", nargs="+", choices=["streams", "sweep", "published"])
    parser.add_argument("--size", type=int, help="unknowns a side of the streams, half of it for some; 128")
    parser.add_argument("--systems", type=int, help="systems a stream (12) and of the other parts (21)")
    parser.add_argument("--results", type=Path, help="folder to write to; benchmarks/results")
    options = parser.parse_args(arguments)
    size = options.size or (32 if options.quick else 128)
    parts = options.parts or ["streams", "sweep", "published"]
    figures: dict[str, Any] = {}
    checks: list[dict[str, Any]] = []
    found = about()
    with one_thread():
        if "published" in parts:
            n = min(size, 32) if options.quick else 100
            systems = options.systems or (4 if options.quick else 21)
            figures["published"], checks = published(n, systems, not options.quick)
        if "sweep" in parts:
            n = min(size, 32) if options.quick else 48
            figures["sweep"] = sweep(n, options.systems or (3 if options.quick else 21), 5_000)
        if "streams" in parts:
            systems = options.systems or (4 if options.quick else 12)
            figures["streams"], more = measure_streams(size, systems, size if options.quick else size // 2)
            checks += more
    report = {"machine": found, "size": size, "checks": checks} | figures
    path = write(report, "sequences" + ("-quick" if options.quick else ""), options.results)
    if "streams" in figures:
        plot(figures["streams"], path.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
