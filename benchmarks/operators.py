"""Matrix-vector products: stencils against compressed sparse rows, ours and scipy's.

    python benchmarks/operators.py            # about a minute
    python benchmarks/operators.py --quick    # under 20 s, small grids

Prints times of ``A @ x`` relative to scipy's in the same run, with one and two threads, and the effective bandwidth
(bytes that must be read or written once, divided by the time), and writes benchmarks/results/operators.json and .png.
Grids of 64 x 64 points take as long as the Python around the kernel; solvers go around most of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numba
import numpy as np
import scipy

from resolvent.operators import sparse_kernels, stencil_kernels
from resolvent.operators.sparse import Sparse
from resolvent.operators.stencil import Stencil

RESULTS = Path(__file__).parent / "results"
GRIDS = [(64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (1024,) * 2, (32,) * 3, (64,) * 3, (128,) * 3]
QUICK = [(64,) * 2, (256,) * 2, (32,) * 3]
# Seconds that one measurement lasts: long for the clock, short enough to fit between other work of the machine.
SPAN = 0.005
CSR_PART, STENCIL_PART = sparse_kernels.PART, stencil_kernels.PART


def diffusion(grid: tuple[int, ...]) -> Stencil:
    rng = np.random.default_rng(0)
    faces = [rng.uniform(0.1, 2.0, tuple(g + (a == axis) for a, g in enumerate(grid))) for axis in range(len(grid))]
    return Stencil.from_transmissibilities(faces)


def best_times(calls: dict[str, tuple[int, Callable[[], object]]], rounds: int) -> dict[str, float]:
    """Shortest time in seconds of each call with its number of threads.

    The calls take turns, so that a busy spell of the machine hits all of them.
    """
    counts = {}
    best = dict.fromkeys(calls, np.inf)
    for turn in range(rounds + 1):
        for name, (threads, call) in calls.items():
            numba.set_num_threads(threads)
            if turn == 0:
                call()  # compiles
            count = counts.get(name, 1)
            start = time.perf_counter()
            for _ in range(count):
                call()
            seconds = (time.perf_counter() - start) / count
            if turn == 0:
                counts[name] = max(1, int(SPAN / seconds))
            best[name] = min(best[name], seconds)
    return best


def measure(grid: tuple[int, ...], threads: int, rounds: int) -> dict[str, object]:
    mirrored = diffusion(grid)
    full, matrix = mirrored.expand(), mirrored.to_sparse()
    n = mirrored.shape[0]
    x = np.random.default_rng(1).standard_normal(n)
    ours = Sparse(matrix, props=mirrored.props)
    calls: dict[str, tuple[int, Callable[[], object]]] = {"scipy CSR": (1, lambda: matrix @ x)}
    for count in sorted({1, threads}):
        calls |= {
            f"CSR, {count}": (count, lambda: ours @ x),
            f"stencil, {count}": (count, lambda: full @ x),
            f"mirrored stencil, {count}": (count, lambda: mirrored @ x),
        }
    calls["assembly"] = (1, mirrored.to_sparse)
    seconds = best_times(calls, rounds)
    matrix_bytes = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    stored = {"scipy CSR": matrix_bytes, "CSR": matrix_bytes, "stencil": full.coefficients.nbytes}
    stored["mirrored stencil"] = mirrored.coefficients.nbytes
    products = {name: t for name, t in seconds.items() if name != "assembly"}
    return {
        "grid": list(grid),
        "seconds": seconds,
        "times faster than scipy": {name: seconds["scipy CSR"] / t for name, t in products.items()},
        "GB/s": {name: (stored[name.split(",")[0]] + 16 * n) / t / 1e9 for name, t in products.items()},
        "threads by default": {
            "CSR": min(threads, max(1, matrix.nnz // CSR_PART)),
            "stencil": min(threads, max(1, len(full.offsets) * n // STENCIL_PART)),
        },
    }


def machine() -> dict[str, object]:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": {m.__name__: m.__version__ for m in (np, scipy, numba)} | {"python": platform.python_version()},
        "date": date.today().isoformat(),
    }


def table(rows: list[dict[str, object]]) -> str:
    names = [name for name in rows[0]["times faster than scipy"] if name != "scipy CSR"]
    lines = [f"{'grid':>14} {'scipy CSR':>12} " + " ".join(f"{name:>19}" for name in names) + f" {'assembly':>12}"]
    for row in rows:
        seconds, ratio, rate = row["seconds"], row["times faster than scipy"], row["GB/s"]
        cells = " ".join(f"{ratio[name]:>8.2f} x{rate[name]:>5.0f} GB/s" for name in names)
        grid = " x ".join(map(str, row["grid"]))
        lines.append(f"{grid:>14} {seconds['scipy CSR'] * 1e6:>9.1f} µs {cells} {seconds['assembly'] * 1e6:>9.0f} µs")
    return "\n".join(lines)


def plot(rows: list[dict[str, object]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for ax, dimension, title in zip(axes, (2, 3), ("5-point, 2-D", "7-point, 3-D"), strict=True):
        some = [row for row in rows if len(row["grid"]) == dimension]
        names = [name for name in rows[0]["times faster than scipy"] if name != "scipy CSR"]
        for name in names:
            kind, threads = name.split(", ")
            style = {"CSR": "C0o", "stencil": "C1s", "mirrored stencil": "C2^"}[kind] + (
                "--" if threads == "1" else "-"
            )
            points = [int(np.prod(row["grid"])) for row in some]
            label = f"{kind}, {threads} thread" + ("" if threads == "1" else "s")
            ax.plot(points, [row["times faster than scipy"][name] for row in some], style, label=label)
        ax.axhline(1.0, color="0.6", linewidth=0.8)
        ax.set(xscale="log", title=title, xlabel="points")
    axes[0].set_ylabel("times faster than scipy's CSR product")
    axes[1].legend(fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three small grids; writes operators-quick.json and .png")
    options = parser.parse_args()
    threads = min(2, numba.config.NUMBA_NUM_THREADS)
    about = machine()
    # Both thread counts are measured at every size, also where the kernels would choose one.
    sparse_kernels.PART = stencil_kernels.PART = 1
    rows = [measure(grid, threads, 15 if options.quick else 60) for grid in (QUICK if options.quick else GRIDS)]
    print(f"{about['processor']}, {about['cores']} cores, load {about['load before']}")
    print("A @ x: times faster than scipy's CSR product in the same run, and effective bandwidth; the number after the")
    print("comma is the number of threads. assembly is Stencil.to_sparse")
    print(table(rows))
    RESULTS.mkdir(exist_ok=True)
    name = "operators-quick" if options.quick else "operators"
    report = {"machine": about, "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    plot(rows, RESULTS / f"{name}.png")


if __name__ == "__main__":
    main()
