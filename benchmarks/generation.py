"""Certified Darcy samples per second: this package against the strongest solvers one would pick instead.

Every method solves the same systems (`darcy2d`, cell grid, one thread) to the same true residual, recomputed in
float64; set-up is counted, and so are drawing, assembling and certifying the sample. Methods take turns on each
system, so that a change of the machine's speed hits all of them. Printed are samples per second (median over the
systems) and the ratio to the best competitor.

    python benchmarks/generation.py [--quick] [--coefficient fno_lognormal] [--sizes 64 128 256] [--repeats 9]
    python benchmarks/generation.py --family darcy3d --sizes 16 24 32

Writes benchmarks/results/generation[-darcy3d][-quick].json and .png. Needs petsc4py for the PETSc rows; without it they
are left out, and said to be.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyamg
import scipy
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from threadpoolctl import threadpool_limits

import resolvent
from resolvent.datasets import families
from resolvent.datasets.methods import decide
from resolvent.datasets.seeding import sample_rng
from resolvent.solvers import AMG, CG, SSOR, Direct

RESULTS = Path(__file__).parent / "results"
RTOL = 1e-8
SYMMETRIC = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}

Solve = Callable[[Any, np.ndarray], np.ndarray]
"""Takes the assembled operator and the right-hand side of the next sample; may keep state from sample to sample."""


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


def superlu(**options: Any) -> Solve:
    """Return SciPy's sparse LU."""
    return lambda A, b: spla.splu(A.to_sparse().tocsc(), **options).solve(b)


def pyamg_cg(build: Callable[..., Any]) -> Solve:
    """Return conjugate gradients inside pyamg."""

    def solve(A: Any, b: np.ndarray) -> np.ndarray:
        matrix = sp.csr_matrix(A.to_sparse())
        return build(matrix).solve(b, tol=RTOL / 2, accel="cg", maxiter=200)

    return solve


def scipy_cg_ilu(A: Any, b: np.ndarray) -> np.ndarray:
    """Return the answer of SciPy's CG with SuperLU's incomplete factorisation, a common first choice."""
    matrix = A.to_sparse()
    ilu = spla.spilu(matrix.tocsc(), drop_tol=1e-4, fill_factor=10)
    x, info = spla.bicgstab(matrix, b, rtol=RTOL / 2, M=spla.LinearOperator(matrix.shape, ilu.solve), maxiter=1000)
    assert info == 0
    return x


def petsc(ksp_type: str, pc_type: str, **options: str) -> Solve:
    """Return a PETSc solver; matrix conversion is counted, as its user has to pay it too."""
    from petsc4py import PETSc

    def solve(A: Any, b: np.ndarray) -> np.ndarray:
        matrix = A.to_sparse()
        csr = (matrix.indptr, matrix.indices, matrix.data)
        operator = PETSc.Mat().createAIJWithArrays(matrix.shape, csr, comm=PETSc.COMM_SELF)
        operator.setOption(PETSc.Mat.Option.SPD, True)
        ksp = PETSc.KSP().create(PETSc.COMM_SELF)
        ksp.setOperators(operator)
        ksp.setType(ksp_type)
        ksp.getPC().setType(pc_type)
        database = PETSc.Options()
        for name, value in options.items():
            database[name] = value
        ksp.setFromOptions()
        for name in options:
            database.delValue(name)
        if ksp_type == "cg":
            ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.setTolerances(rtol=RTOL / 2, atol=0.0, max_it=1000)
        x = np.empty_like(b)
        right, left = (
            PETSc.Vec().createWithArray(b.copy(), comm=PETSc.COMM_SELF),
            PETSc.Vec().createWithArray(x, comm=PETSc.COMM_SELF),
        )
        ksp.solve(right, left)
        for thing in (ksp, operator, right, left):
            thing.destroy()
        return x

    return solve


def methods(family: Any) -> dict[str, Solve]:
    """Return the ladder of methods, ours first."""
    chosen = decide("auto", RTOL, family, seed=0)
    ladder: dict[str, Solve] = {
        "resolvent Direct, updated": ours(Direct(rtol=RTOL / 2)),
        "resolvent Direct, no band Cholesky": ours(Direct(rtol=RTOL / 2, ordering="symmetric")),
        "resolvent CG + AMG (Ruge-Stüben)": ours(CG(rtol=RTOL / 2), AMG()),
        "resolvent CG + SSOR": ours(CG(rtol=RTOL / 2), SSOR()),
        "SciPy SuperLU, default (COLAMD)": superlu(),
        "SciPy SuperLU, symmetric mode": superlu(**SYMMETRIC),
        "pyamg CG + Ruge-Stüben": pyamg_cg(pyamg.ruge_stuben_solver),
        "pyamg CG + smoothed aggregation": pyamg_cg(pyamg.smoothed_aggregation_solver),
        "SciPy BiCGStab + ILU": scipy_cg_ilu,
    }
    print(f"  generate --solver auto takes: {chosen.chosen} ({chosen.why})")
    try:
        import petsc4py  # noqa: F401
    except ImportError:
        print("  petsc4py is not installed: no PETSc rows (make test installs it)")
        return ladder
    return ladder | {
        "PETSc CG + BoomerAMG": petsc("cg", "hypre", pc_hypre_type="boomeramg"),
        "PETSc CG + GAMG": petsc("cg", "gamg"),
        "PETSc CG + ICC(0)": petsc("cg", "icc"),
        "PETSc CHOLMOD": petsc("preonly", "cholesky", pc_factor_mat_solver_type="cholmod"),
        "PETSc MUMPS Cholesky": petsc("preonly", "cholesky", pc_factor_mat_solver_type="mumps"),
    }


def samples(family: Any, count: int) -> Iterator[tuple[Any, np.ndarray, float]]:
    """Yield assembled systems and the seconds that drawing and assembling took."""
    for index in range(count):
        start = time.perf_counter()
        system = family.assemble(family.draw(sample_rng(0, family.family_id, index)))
        yield system.A, system.b, time.perf_counter() - start


def measure(family: Any, repeats: int) -> dict[str, dict[str, Any]]:
    """Run every method on `repeats` systems in turn and return median seconds, spread and the worst residual."""
    ladder = methods(family)
    seconds: dict[str, list[float]] = {name: [] for name in ladder}
    worst = dict.fromkeys(ladder, 0.0)
    for count, (A, b, shared) in enumerate(samples(family, repeats + 2)):
        for name, solve in ladder.items():
            start = time.perf_counter()
            x = solve(A, b)
            rho = float(np.linalg.norm(b - A @ x) / np.linalg.norm(b))
            elapsed = time.perf_counter() - start + shared
            if count >= 2:  # the first two are for compilation, caches and the ordering that is reused
                seconds[name].append(elapsed)
                worst[name] = max(worst[name], rho)
    return {
        name: {
            "seconds_median": statistics.median(times),
            "seconds_min": min(times),
            "seconds_max": max(times),
            "samples_per_second": 1.0 / statistics.median(times),
            "worst_residual": worst[name],
            "certified": worst[name] <= RTOL,
        }
        for name, times in seconds.items()
    }


def report(size: int, dim: int, rows: dict[str, dict[str, Any]]) -> None:
    """Print one table; the ratio is to the best method that is not ours."""
    rivals = [r["seconds_median"] for name, r in rows.items() if not name.startswith("resolvent") and r["certified"]]
    best = min(rivals)
    print(f"\n{' x '.join([str(size)] * dim)}, {size**dim} unknowns, rtol {RTOL:g}")
    print(
        f"{'method':38}{'samples/s':>10}{'ms median':>11}{'min':>9}{'max':>9}{'residual':>10}{'speed / best rival':>20}"
    )
    for name, r in sorted(rows.items(), key=lambda item: item[1]["seconds_median"]):
        times = "".join(
            f"{1e3 * r['seconds_' + key]:{width}.2f}" for key, width in (("median", 11), ("min", 9), ("max", 9))
        )
        mark = "" if r["certified"] else "  not certified"
        ratio = best / r["seconds_median"]
        print(f"{name:38}{r['samples_per_second']:10.1f}{times}{r['worst_residual']:10.1e}{ratio:20.2f}{mark}")


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    cpu = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "pyamg": pyamg.__version__,
        "resolvent": resolvent.__version__,
    }


def plot(results: dict[int, dict[str, dict[str, Any]]], dim: int, path: Path) -> None:
    """Draw certified samples per second against grid size, one line a method."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    sizes = sorted(results)
    for name in results[sizes[0]]:
        own = name.startswith("resolvent")
        rate = [results[size][name]["samples_per_second"] for size in sizes]
        style = {"linewidth": 2.5, "marker": "o"} if own else {"linewidth": 1.2, "marker": ".", "linestyle": "--"}
        axes.loglog(sizes, rate, label=name, **style)
    axes.set_xticks(sizes, [f"{size}{'²' if dim == 2 else '³'}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("grid")
    axes.set_ylabel("certified samples per second (one thread)")
    axes.set_title(f"Darcy samples with true residual ≤ {RTOL:g}, set-up and certificate counted")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="64² and 128² with few repeats, under half a minute")
    parser.add_argument("--family", default="darcy2d", choices=["darcy2d", "darcy3d"])
    parser.add_argument("--coefficient", default="lognormal_unit", help="law of the coefficient")
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--repeats", type=int)
    arguments = parser.parse_args()
    sizes = arguments.sizes or ([64, 128] if arguments.quick else [64, 128, 256])
    repeats = arguments.repeats or (3 if arguments.quick else 9)
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, one thread used; coefficient law {arguments.coefficient}")
    results: dict[int, dict[str, dict[str, Any]]] = {}
    import numba

    with threadpool_limits(1):
        numba.set_num_threads(1)
        for size in sizes:
            family = families.get(arguments.family, resolution=size, coefficient=arguments.coefficient)
            results[size] = measure(family, repeats)
            report(size, family.dim, results[size])
    name = "generation" + ("-darcy3d" if arguments.family == "darcy3d" else "") + ("-quick" if arguments.quick else "")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(
        json.dumps(
            {
                "machine": about,
                "rtol": RTOL,
                "family": arguments.family,
                "coefficient": arguments.coefficient,
                "results": results,
            },
            indent=1,
        )
        + "\n",
        encoding="utf-8",
    )
    plot(results, family.dim, RESULTS / f"{name}.png")
    print(f"\nwritten: {RESULTS / name}.json and .png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
