"""Krylov methods: iterations and time a product beside SciPy, PETSc and pyamg, with equal preconditioners.

    python benchmarks/krylov.py            # some eight minutes
    python benchmarks/krylov.py --quick    # under a minute: 64² and 128²

All stop at ‖b − A x‖ ≤ 1e-8 ‖b‖ as far as the library can; the residual in the tables is recomputed in float64, and
what misses the tolerance is marked. One thread. Definite methods on Darcy systems (`lognormal_unit`), the others on
convection–diffusion at Péclet number 100. Products are counted in all libraries, so that times a product compare
methods, not ways of counting. Long runs end early on grids of 256² and more; their times a product are what counts.

Then the overhead of small systems, n = 1000, and whether a cycle of GCRO-DR(40, 20) at n = 1e5 takes what its products
and the bytes its orthogonalisation reads and writes take at the bandwidth measured in the same run.

Writes benchmarks/results/krylov[-quick].json and .png. PETSc rows need petsc4py.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

import _peers as peers
from _report import about, console, has_petsc, one_thread, show, true_residual, verdict, write
from _streams import darcy, independent, wind
from scipy.linalg import get_blas_funcs

from resolvent.operators import as_operator
from resolvent.solvers import (
    AMG,
    CG,
    GCRODR,
    GCROT,
    GMRES,
    IC,
    IDR,
    ILU0,
    LGMRES,
    MINRES,
    SSOR,
    TFQMR,
    BiCGStab,
    Jacobi,
)

RTOL = 1e-8
DEFINITE: dict[str, Any] = {"CG": CG, "MINRES": MINRES}
GENERAL: dict[str, Any] = {
    "GMRES(30)": lambda **limits: GMRES(restart=peers.CYCLE, **limits),
    "BiCGStab": BiCGStab,
    "IDR(4)": lambda **limits: IDR(s=4, **limits),
    "TFQMR": TFQMR,
    "LGMRES(30,3)": lambda **limits: LGMRES(inner_m=peers.CYCLE, outer_k=peers.AUGMENTED, **limits),
    "GCROT(20,20)": lambda **limits: GCROT(m=peers.PAIRS, k=peers.PAIRS, **limits),
}
RECIPES = {"none": None, "Jacobi": Jacobi(), "SSOR": SSOR(), "IC(0)": IC(), "ILU(0)": ILU0(), "AMG": AMG()}


def limit_of(method: str, M: str, A: Any, b: np.ndarray, n: int, budget: float = 1.2) -> int:
    """Return how many iterations a method is given: on large grids what ours does in `budget` seconds."""
    if n <= 128:
        return 5000
    trial = peers.ours((DEFINITE | GENERAL)[method](rtol=RTOL, maxiter=32), A, b, RECIPES[M])
    return int(np.clip(budget * 32 / trial.seconds, 64, 5000))


def contenders(
    method: str, M: str, A: Any, matrix: Any, b: np.ndarray, limit: int, *, petsc: bool
) -> dict[str, Callable[[], peers.Outcome]]:
    """Return a call for each library that has the method."""
    definite = method in DEFINITE
    recipe, amg = RECIPES[M], M == "AMG"
    solver = (DEFINITE | GENERAL)[method](rtol=RTOL, maxiter=limit)
    calls = {"resolvent": lambda: peers.ours(solver, A, b, recipe)}
    if method in peers.scipy_names():
        name = peers.scipy_names()[method]
        calls["SciPy"] = lambda: peers.scipy(name, matrix, b, recipe, RTOL, limit, amg=amg)
    if petsc and method in peers.petsc_names():
        calls["PETSc"] = lambda: peers.petsc(method, matrix, b, M, RTOL, limit, definite=definite)
    if method in peers.pyamg_names():
        other = peers.pyamg_names()[method]
        calls["pyamg"] = lambda: peers.pyamg_method(other, matrix, b, recipe, RTOL, limit, amg=amg)
    return calls


def compare(sizes: list[int], *, petsc: bool, repeats: int) -> list[dict[str, Any]]:
    """Run every method with every preconditioner in every library; print a table a size."""
    rows: list[dict[str, Any]] = []
    smallest = 16  # only compiles, before larger ones
    for n in [smallest, *sizes] if max(sizes) > 20 else sizes:
        systems = {
            True: darcy(independent("lognormal_unit", n, 1))[0],
            False: wind(n, 1)[0],
        }
        here = []
        for method in [*DEFINITE, *GENERAL]:
            definite = method in DEFINITE
            A, b = systems[definite]
            matrix = sp.csr_array(A.to_sparse())
            for M in ("none", "Jacobi", "SSOR", "IC(0)" if definite else "ILU(0)", "AMG"):
                if n > 256 and method != "CG" and M in ("none", "SSOR"):
                    continue
                limit = limit_of(method, M, A, b, n)
                for library, call in contenders(method, M, A, matrix, b, limit, petsc=petsc).items():
                    o = peers.best(call, repeats) if n > smallest else call()
                    rho = true_residual(matrix, b, o.x)
                    row = {"size": n, "method": method, "M": M, "library": library, "iterations": o.iterations}
                    row |= {"products": o.products, "set-up seconds": o.setup_seconds, "seconds": o.seconds}
                    here.append(row | {"microseconds a product": 1e6 * o.seconds / max(o.products, 1), "residual": rho})
        if n > smallest:
            report(n, here)
            rows += here
    return rows


def report(n: int, rows: list[dict[str, Any]]) -> None:
    """Print one table: a line a method and preconditioner, the libraries side by side."""
    libraries = [name for name in ("resolvent", "SciPy", "PETSc", "pyamg") if any(r["library"] == name for r in rows)]
    found = {(r["method"], r["M"], r["library"]): r for r in rows}
    cells = []
    for method, M in dict.fromkeys((r["method"], r["M"]) for r in rows):
        line = [method, M]
        for library in libraries:
            r = found.get((method, M, library))
            if r is None:
                line += ["", "", ""]
                continue
            missed = "" if r["residual"] <= RTOL * 1.001 else f" [{r['residual']:.0e}]"
            seconds = r["seconds"] + r["set-up seconds"]
            line += [f"{r['iterations']}{missed}", f"{r['microseconds a product']:.0f}", f"{1e3 * seconds:.1f}"]
        cells.append(line)
    columns = ["method", "M"]
    for library in libraries:
        columns += [library, "µs", "ms"]
    title = f"{n} x {n}: iterations (and the true residual where it misses {RTOL:.0e}), µs a product, ms with set-up"
    show(title, columns, cells)


def small(*, petsc: bool, repeats: int) -> list[dict[str, Any]]:
    """Measure what a library adds around the arithmetic: n = 1000, tridiagonal."""
    n, rows = 1000, []
    matrix = sp.diags_array([-1.0, 2.1, -1.0], offsets=[-1, 0, 1], shape=(n, n), format="csr")
    A, b = as_operator(matrix), np.ones(n)
    for method in [*DEFINITE, *GENERAL]:
        for library, call in contenders(method, "none", A, matrix, b, 1000, petsc=petsc).items():
            call()
            o = peers.best(call, repeats, budget=1.0)
            row = {"method": method, "library": library, "products": o.products, "seconds": o.seconds}
            row["microseconds a product"] = 1e6 * o.seconds / max(o.products, 1)
            rows.append(row | {"set-up seconds": o.setup_seconds, "residual": true_residual(matrix, b, o.x)})
    cells = [
        [r["method"], r["library"], r["products"], f"{r['microseconds a product']:.1f}"]
        + [f"{1e6 * r[key]:.0f}" for key in ("seconds", "set-up seconds")]
        + [f"{r['residual']:.0e}"]
        for r in rows
    ]
    columns = ("method", "library", "products", "µs/product", "µs/solve", "µs/set-up", "residual")
    show(f"Small systems: tridiagonal, n = {n}, no preconditioner", columns, cells)
    return rows


def fastest(call: Callable[[], Any], repeats: int) -> float:
    """Return the shortest CPU seconds of a call: of one thread, and the same where it has to share its core."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def cycle(side: int, repeats: int, *, judged: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare cycles of GCRO-DR(40, 20) with what products and orthogonalisation need at least."""
    m, k = 40, 20
    (A, b), (nearby, _) = darcy(independent("skr", side, 2))
    n = len(b)
    space = GCRODR(restart=m, k=k, maxiter=200, rtol=1e-14).solve(nearby, b).space

    # Start and end of a solve cancel in the difference of a long one and a short one.
    lengths = (2, 8)
    short, long = (GCRODR(restart=m, k=k, rtol=1e-14, maxiter=c * (m - space.k)).prepare(A) for c in lengths)
    cycles = lengths[1] - lengths[0]
    first, last = (prepared.solve(b, space=space).counts.products for prepared in (short, long))
    products = (last - first) / cycles
    # Each step passes over the basis twice; a pass reads it for the coefficients and again to subtract, reads w twice
    # and writes it once.
    counted = sum(2 * (2 * (space.k + j) + 3) for j in range(1, m - space.k + 1)) * n * 8
    x, y, out = b.reshape(-1, 1), np.empty((n, 1)), np.zeros(n)
    V, ones = np.random.default_rng(0).standard_normal((m, n)), np.ones(m)
    gemv = get_blas_funcs("gemv", (V,))
    source, target = np.ones(20 * n), np.empty(20 * n)
    C, U, W = np.ones((k, m + 1)), np.ones((k, n)), np.zeros((m + 1, n))
    rounds = []
    for _ in range(repeats):  # in turn, so that a change of the machine's speed hits all of them
        taken = fastest(lambda: long.solve(b, space=space), 2) - fastest(lambda: short.solve(b, space=space), 2)
        reading = fastest(lambda: gemv(1.0, V.T, b, trans=2), 5)
        writing = fastest(lambda: gemv(1.0, V.T, ones, beta=1.0, y=out, overwrite_y=True), 5)
        product, copying = fastest(lambda: A._matmat_into(x, y), 5), fastest(lambda: np.copyto(target, source), 3)
        # C and U of the next cycle, and what chooses them: not part of what the cycle is held against.
        renewing = fastest(lambda: (C @ W, C[:, :m] @ V, W @ U.T), 2)
        rounds.append((taken / cycles, product, (2 * m + 3) * n * 8 / (reading + writing), copying, renewing))
    ratios = [t / (products * p + counted / w) for t, p, w, _, _ in rounds]
    taken, product, bandwidth, copying, renewal = (float(np.median(column)) for column in zip(*rounds, strict=True))
    ratio, least, stream = (
        float(np.median(ratios)),
        products * product + counted / bandwidth,
        2 * source.nbytes / copying,
    )
    found = {
        "n": n,
        "seconds a cycle": taken,
        "products a cycle": products,
        "seconds a product": product,
        "bytes of orthogonalisation": counted,
        "bandwidth, GB/s, basis times vector": bandwidth / 1e9,
        "bandwidth, GB/s, copying": stream / 1e9,
        "seconds of renewal": renewal,
        "ratio": ratio,
        "ratio of each round": ratios,
        "ratio, renewal counted": taken / (least + renewal),
    }
    console.print(
        f"\nGCRO-DR({m},{k}), n = {n}: {1e3 * taken:.1f} ms a cycle; {products:.1f} products of {1e6 * product:.0f} µs "
        f"and {counted / 1e9:.2f} GB of orthogonalisation at {bandwidth / 1e9:.1f} GB/s need {1e3 * least:.1f} ms;\n"
        f"copying runs at {stream / 1e9:.1f} GB/s; renewing the space needs {1e3 * renewal:.1f} ms more in products of "
        f"matrices, with which the ratio is {taken / (least + renewal):.2f}"
    )
    note = f"{min(ratios):.2f}–{max(ratios):.2f} in {repeats} rounds"
    return found, verdict("cycle / (products + orthogonalisation)", ratio, 1.3, note=note, judged=judged)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw microseconds a product against size, one panel a method, with Jacobi."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(13, 6), layout="constrained")
    FigureCanvasAgg(figure)
    colours = {"resolvent": "C3", "SciPy": "C0", "PETSc": "C1", "pyamg": "C2"}
    for place, method in enumerate([*DEFINITE, *GENERAL]):
        axes = figure.add_subplot(2, 4, place + 1)
        for library, colour in colours.items():
            some = [r for r in rows if (r["method"], r["M"], r["library"]) == (method, "Jacobi", library)]
            if some:
                width = 2.2 if library == "resolvent" else 1.2
                unknowns, times = [r["size"] ** 2 for r in some], [r["microseconds a product"] for r in some]
                axes.loglog(unknowns, times, color=colour, marker="o", ms=4, linewidth=width, label=library)
        sizes = sorted({r["size"] for r in rows})
        axes.set_xticks([n**2 for n in sizes], [f"{n}²" for n in sizes])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set(title=f"{method}, Jacobi", xlabel="unknowns", ylabel="µs a product")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="x-small", frameon=False)
    figure.savefig(path, dpi=120)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="64² and 128² only")
    parser.add_argument("--sizes", type=int, nargs="+", help="unknowns a side; 64 128 256 512")
    parser.add_argument("--results", type=Path, help="folder to write to; benchmarks/results")
    options = parser.parse_args(arguments)
    sizes = options.sizes or ([64, 128] if options.quick else [64, 128, 256, 512])
    found = about()
    with one_thread():
        petsc = has_petsc()
        overhead = small(petsc=petsc, repeats=3 if options.quick else 30)
        side = min(max(sizes), 100) if options.quick else 316
        gcrodr, check = cycle(side, 2 if options.quick else 9, judged=not options.quick)
        rows = compare(sizes, petsc=petsc, repeats=2 if options.quick else 5)
    everything = {"machine": found, "rtol": RTOL, "small": overhead, "cycle": gcrodr, "checks": [check], "rows": rows}
    path = write(everything, "krylov" + ("-quick" if options.quick else ""), options.results)
    plot(rows, path.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
