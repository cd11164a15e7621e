"""Conjugate gradients with FastPoisson: iterations by coefficient, size and scaling, and the time of one application.

    python benchmarks/fast_poisson.py           # about a minute
    python benchmarks/fast_poisson.py --quick   # small grids

Iterations to a true residual of 1e-8 ‖b‖ without scaling, scaled by a^(−1/2), and as `scaling="auto"` decides; 300 is
the limit. An application of M is compared with a product with A in the same run, one thread. Writes
benchmarks/results/fast_poisson[-quick].json and .png.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _report import about, one_thread, show, verdict, write

from resolvent.datasets.families.coefficients import coefficient_law
from resolvent.datasets.families.darcy import Darcy2D, Darcy3D
from resolvent.solvers import CG, FastPoisson

SCALINGS = ("none", "sqrt", "auto")
LAWS = {"lognormal_unit": 30, "fno_twophase": 25}
"""Laws of the coefficient, and the most iterations wanted of them in two dimensions."""
SEEDS = 2


def measure(law: str, n: int, dim: int) -> dict[str, Any]:
    """Return the iterations of each scaling, and what an application of M costs in products with A."""
    family = (Darcy2D if dim == 2 else Darcy3D)(resolution=n)
    found: dict[str, Any] = {"law": law, "grid": f"{n}^{dim}", "dim": dim, **{scaling: [] for scaling in SCALINGS}}
    for seed in range(SEEDS):
        a = coefficient_law(law, dim).draw(np.random.default_rng(seed), n, "cell")
        A, b = family.assemble({"a": a})
        for scaling in SCALINGS:
            result = CG(maxiter=300).solve(A, b, M=FastPoisson(scaling=scaling))
            found[scaling].append(result.iterations if result.converged else None)
    M, x, out = FastPoisson()(A), b.reshape(-1, 1), np.empty((len(b), 1))
    times = dict.fromkeys(("M", "A"), np.inf)
    for _ in range(5):  # in turn, so that a change of the machine's speed hits both
        for name, operator in (("M", M), ("A", A)):
            begin = time.perf_counter()
            operator._matmat_into(x, out)
            times[name] = min(times[name], time.perf_counter() - begin)
    return found | {"application in products": times["M"] / times["A"]}


def text(counts: list[int | None]) -> str:
    """Return iterations as they are shown."""
    return ", ".join("300+" if count is None else str(count) for count in counts)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw iterations against grid size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for law in LAWS:
        own = [row for row in rows if row["law"] == law and row["dim"] == 2 and None not in row["auto"]]
        axes.plot([row["grid"] for row in own], [max(row["auto"]) for row in own], marker="o", label=law)
    axes.set(xlabel="grid", ylabel="iterations to 1e-8, the larger of two", ylim=(0, None))
    axes.set_title("Conjugate gradients with FastPoisson")
    axes.legend(frameon=False)
    figure.savefig(path.with_suffix(".png"), dpi=120)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small grids")
    parser.add_argument("--results", type=Path, help="folder to write to")
    options = parser.parse_args(arguments)
    grids = [(32, 2), (64, 2)] if options.quick else [(64, 2), (128, 2), (256, 2), (512, 2), (1024, 2), (32, 3)]
    machine = about()
    with one_thread():
        rows = [measure(law, n, dim) for law in LAWS for n, dim in grids]
    show(
        "CG with FastPoisson, iterations to 1e-8 of two samples",
        ("coefficient", "grid", *SCALINGS, "application / product"),
        [(r["law"], r["grid"], *(text(r[s]) for s in SCALINGS), f"{r['application in products']:.1f}") for r in rows],
    )
    checks = []
    for law, bound in LAWS.items():
        most = max(
            300 if count is None else count for r in rows if r["law"] == law and r["dim"] == 2 for count in r["auto"]
        )
        checks.append(verdict(f"{law}, two dimensions: most iterations", most, bound))
    path = write(
        {"machine": machine, "rows": rows, "checks": checks},
        "fast_poisson-quick" if options.quick else "fast_poisson",
        options.results,
    )
    plot(rows, path)


if __name__ == "__main__":
    main()
