"""Kronecker-structured operators: products and solves against what else there is, as ratios measured in one run.

    python benchmarks/kronecker.py           # about two minutes
    python benchmarks/kronecker.py --quick   # small grids

Products A x of a `Kronecker` and a `KroneckerSum` with dense factors, and of a sum with tridiagonal ones, against
SciPy's sparse matrix, the dense matrix, numpy.einsum, and tensordot with transpositions. Solves of A X + X Bᵀ = F
against scipy.linalg.solve_sylvester, SuperLU and dense LU, of a Laplacian against FastPoisson, and of systems with a
varying diagonal or missing observations by Krylov methods with and without the structured preconditioner. Preparing is
counted apart from a right-hand side. One thread, and processor time, so that other work on the machine counts less; the
least of several rounds, methods in turn; each residual is recomputed by a product that is not the package's. Where a
method would need more than 1 GB it is left out. Writes benchmarks/results/kronecker[-quick].json and .png.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _report import about, one_thread, show, verdict, write

from resolvent.operators import SPD, Dense, Kronecker, KroneckerPlusDiagonal, KroneckerSum, Masked, Sparse, Toeplitz
from resolvent.solvers import CG, GMRES, FastPoisson, KroneckerSolver

ROUNDS = 7
MEMORY = 1e9


def timed(ways: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the least seconds of each way, called in turn so that a change of the machine's speed hits all."""
    least = dict.fromkeys(ways, np.inf)
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.process_time()
            way()
            least[name] = min(least[name], time.process_time() - begin)
    return least


def general(n: int, seed: int) -> np.ndarray:
    """Return a general matrix whose eigenvalues have positive real parts."""
    A = np.random.default_rng(seed).standard_normal((n, n)) / n**0.5
    return A + 3.0 * np.eye(n)


def definite(n: int, seed: int) -> np.ndarray:
    """Return a symmetric positive definite matrix."""
    A = np.random.default_rng(seed).standard_normal((n, n)) / n**0.5
    return A @ A.T + np.eye(n)


def second(n: int) -> sp.csr_array:
    """Return the second difference with Dirichlet ends."""
    return sp.csr_array(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)) * (n + 1.0) ** 2)


def sparse_sum(factors: list[Any]) -> sp.csr_array:
    """Return Σ I ⊗ A ⊗ I as a sparse matrix."""
    sizes = [f.shape[0] for f in factors]
    terms = []
    for a, factor in enumerate(factors):
        before, after = int(np.prod(sizes[:a])), int(np.prod(sizes[a + 1 :]))
        terms.append(sp.kron(sp.kron(sp.eye_array(before), factor), sp.eye_array(after)))
    return sp.csr_array(functools.reduce(lambda one, two: one + two, terms))


def by_tensordot(factors: list[np.ndarray], X: np.ndarray) -> np.ndarray:
    """Return (A_1 ⊗ …) X axis by axis, moving each axis to the front and back: what reshaping libraries do."""
    for a, factor in enumerate(factors):
        X = np.moveaxis(np.tensordot(factor, X, axes=(1, a)), 0, a)
    return np.ascontiguousarray(X)


def by_einsum(factors: list[np.ndarray], X: np.ndarray) -> np.ndarray:
    """Return (A_1 ⊗ …) X by one call of einsum that chooses its order."""
    path = {2: "ai,bj,ij->ab", 3: "ai,bj,ck,ijk->abc"}[len(factors)]
    return np.asarray(np.einsum(path, *factors, X, optimize=True))


def products(dims: tuple[int, ...], kind: str) -> dict[str, Any]:
    """Time products with one operator."""
    n = int(np.prod(dims))
    sparse = kind == "tridiagonal sum"
    factors: list[Any] = [second(m) if sparse else general(m, a) for a, m in enumerate(dims)]
    A = Kronecker(*factors) if kind == "product" else KroneckerSum(*factors)
    x = np.random.default_rng(0).standard_normal((n, 1))
    out, X = np.empty_like(x), x.reshape(dims)
    ways: dict[str, Callable[[], Any]] = {"resolvent": lambda: A._matmat_into(x, out)}
    entries = n * n if kind == "product" else n * (2 * len(dims) + 1) if sparse else n * sum(dims)
    reference = None
    if 12 * entries <= MEMORY:
        matrix = functools.reduce(sp.kron, map(sp.csr_array, factors)) if kind == "product" else sparse_sum(factors)
        reference = sp.csr_array(matrix)
        ways["SciPy CSR"] = lambda: reference @ x
    if 8 * n * n <= MEMORY / 4 and not sparse and reference is not None:
        dense = reference.toarray()
        ways["dense"] = lambda: dense @ x
    if kind == "product":
        ways |= {"tensordot": lambda: by_tensordot(factors, X), "einsum": lambda: by_einsum(factors, X)}
    A._matmat_into(x, out)
    if reference is not None:
        expected = reference @ x
    elif kind == "product":
        expected = by_tensordot(factors, X).reshape(-1, 1)
    else:
        moved = [np.moveaxis(np.tensordot(f, X, axes=(1, a)), 0, a) for a, f in enumerate(factors)]
        expected = sum(moved).reshape(-1, 1)
    error = float(np.linalg.norm(out - expected) / np.linalg.norm(expected))
    return {"kind": kind, "grid": dims, "unknowns": n, "seconds": timed(ways), "error": error}


def sylvester(n: int, kind: str) -> dict[str, Any]:
    """Time the solution of A X + X Bᵀ = F: preparing, and a right-hand side."""
    A, B = (definite(n, 1), definite(n, 2)) if kind == "symmetric" else (general(n, 1), general(n, 2))
    F = np.random.default_rng(0).standard_normal((n, n))
    operator = KroneckerSum(*(Dense(M, props=SPD) for M in (A, B))) if kind == "symmetric" else KroneckerSum(A, B)
    solvers = {"diagonalisation": KroneckerSolver(method="eig"), "Schur": KroneckerSolver(method="schur")}
    prepared = {name: solver.prepare(operator) for name, solver in solvers.items()}
    b = F.ravel()
    rounds = 3 if n > 200 else ROUNDS
    setup: dict[str, Callable[[], Any]] = {
        name: functools.partial(solver.prepare, operator) for name, solver in solvers.items()
    }
    apply: dict[str, Callable[[], Any]] = {name: functools.partial(p.solve, b) for name, p in prepared.items()}
    apply["SciPy solve_sylvester"] = lambda: scipy.linalg.solve_sylvester(A, B.T, F)
    solutions = {name: p.solve(b).x.reshape(n, n) for name, p in prepared.items()}
    solutions["SciPy solve_sylvester"] = scipy.linalg.solve_sylvester(A, B.T, F)
    if 8 * n**4 <= MEMORY / 8:
        matrix = np.kron(A, np.eye(n)) + np.kron(np.eye(n), B)
        setup["dense LU"] = lambda: scipy.linalg.lu_factor(matrix)
        factors = scipy.linalg.lu_factor(matrix)
        apply["dense LU"] = lambda: scipy.linalg.lu_solve(factors, b)
        solutions["dense LU"] = scipy.linalg.lu_solve(factors, b).reshape(n, n)
    residuals = {name: float(np.linalg.norm(A @ X + X @ B.T - F) / np.linalg.norm(F)) for name, X in solutions.items()}
    return {
        "kind": f"Sylvester, {kind}",
        "grid": (n, n),
        "prepare": timed(setup, rounds),
        "solve": timed(apply, rounds),
        "residual": residuals,
    }


def laplacian(n: int) -> dict[str, Any]:
    """Time the 5-point Laplacian: transforms, eigenvectors of its axes, SuperLU."""
    T, matrix = second(n), sparse_sum([second(n), second(n)])
    operator = KroneckerSum(Toeplitz(T.toarray()[0]), Toeplitz(T.toarray()[0]))
    assembled = Sparse(matrix, props=SPD, grid=(n, n))
    b = np.random.default_rng(0).standard_normal(n * n)
    methods = {
        "transforms": (KroneckerSolver(), operator),
        "diagonalisation": (KroneckerSolver(method="eig"), operator),
        "FastPoisson, assembled": (FastPoisson(), assembled),
    }
    prepared = {name: solver.prepare(A) for name, (solver, A) in methods.items()}
    setup: dict[str, Callable[[], Any]] = {
        name: functools.partial(solver.prepare, A) for name, (solver, A) in methods.items()
    }
    apply: dict[str, Callable[[], Any]] = {name: functools.partial(p.solve, b) for name, p in prepared.items()}
    solutions = {name: p.solve(b).x for name, p in prepared.items()}
    if n <= 300:
        column = sp.csc_array(matrix)
        lu = spla.splu(column)
        setup["SuperLU"], apply["SuperLU"] = lambda: spla.splu(column), lambda: lu.solve(b)
        solutions["SuperLU"] = lu.solve(b)
    residuals = {name: float(np.linalg.norm(matrix @ x - b) / np.linalg.norm(b)) for name, x in solutions.items()}
    rounds = 3
    return {
        "kind": "Laplacian",
        "grid": (n, n),
        "prepare": timed(setup, rounds),
        "solve": timed(apply, rounds),
        "residual": residuals,
    }


def chebyshev(n: int) -> np.ndarray:
    """Return the second derivative on the n inner Chebyshev points of n + 2, with zero ends."""
    x = np.cos(np.pi * np.arange(n + 2) / (n + 1))
    c = np.ones(n + 2) * (-1.0) ** np.arange(n + 2)
    c[[0, -1]] *= 2.0
    D = np.outer(c, 1.0 / c) / (x[:, None] - x[None, :] + np.eye(n + 2))
    D -= np.diag(D.sum(axis=1))
    return np.asarray((D @ D)[1:-1, 1:-1])


def preconditioned(n: int) -> list[dict[str, Any]]:
    """Count iterations to 1e-8 with and without the structured preconditioner."""
    t = (np.arange(n) + 0.5) / n
    reaction = 200.0 * (1.0 + np.sin(9.0 * t)[:, None] * np.cos(7.0 * t)[None, :])
    T = Sparse(second(n), props=SPD)
    K = Dense(np.exp(-((t[:, None] - t[None, :]) ** 2) / 0.01) + 1e-6 * np.eye(n), props=SPD)
    D = chebyshev(n)
    rng = np.random.default_rng(0)
    systems: list[tuple[str, Any, Any]] = [
        ("Laplacian and reaction", KroneckerPlusDiagonal(KroneckerSum(T, T), reaction), CG(maxiter=3000)),
        ("Chebyshev and Newton diagonal", KroneckerPlusDiagonal(KroneckerSum(D, D), -reaction), GMRES(maxiter=300)),
        (
            "covariance, 10 % missing",
            Masked(KroneckerPlusDiagonal(Kronecker(K, K), 1e-2), rng.random((n, n)) > 0.1),
            CG(maxiter=3000),
        ),
        (
            "covariance, uneven noise",
            KroneckerPlusDiagonal(Kronecker(K, K), 0.01 + 0.02 * rng.random(n * n)),
            CG(maxiter=3000),
        ),
    ]
    rows = []
    for name, A, solver in systems:
        b = A @ rng.standard_normal(A.shape[1])
        found: dict[str, Any] = {"system": name, "grid": (n, n), "method": type(solver).__name__}
        for label, M in (("none", None), ("KroneckerSolver", KroneckerSolver())):
            begin = time.process_time()
            result = solver.solve(A, b, M=M)
            seconds = time.process_time() - begin
            residual = float(np.linalg.norm(b - A.to_scipy() @ result.x) / np.linalg.norm(b))
            found[label] = {
                "iterations": result.iterations if result.converged else None,
                "seconds": seconds,
                "residual": residual,
            }
        rows.append(found)
    return rows


def grid_text(grid: tuple[int, ...]) -> str:
    """Return a grid as it is shown."""
    return " × ".join(map(str, grid))


def milliseconds(seconds: float | None) -> str:
    """Return a time for a table."""
    return "–" if seconds is None else f"{1e3 * seconds:.3g}"


def plot(rows: list[dict[str, Any]], solves: list[dict[str, Any]], path: Path) -> None:
    """Draw products and solves as multiples of ours."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    for axis, found, key, own in ((axes[0], rows, "seconds", "resolvent"), (axes[1], solves, "solve", None)):
        labels, height = [], 0
        for row in found:
            base = row[key][own] if own else min(v for k, v in row[key].items() if k in OURS)
            for name, seconds in row[key].items():
                axis.barh(height, seconds / base, color="tab:blue" if name in OURS else "tab:gray")
                labels.append(f"{row['kind']} {grid_text(row['grid'])}: {name}")
                height += 1
        axis.set_yticks(range(height), labels, fontsize=6)
        axis.invert_yaxis()
        axis.axvline(1.0, color="black", linewidth=0.8)
        axis.set(xscale="log", xlabel="time, as a multiple of " + ("ours" if own else "the fastest of ours"))
    axes[0].set_title("Products")
    axes[1].set_title("One right-hand side, prepared")
    figure.savefig(path.with_suffix(".png"), dpi=120)
    plt.close(figure)


OURS = ("resolvent", "diagonalisation", "Schur", "transforms", "FastPoisson, assembled")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small grids")
    parser.add_argument("--results", type=Path, help="folder to write to")
    options = parser.parse_args(arguments)
    quick = options.quick
    grids = [(16, 12), (6, 7, 8)] if quick else [(64, 64), (256, 256), (400, 400), (24, 24, 24), (96, 96, 96)]
    machine = about()
    with one_thread():
        rows = [products(dims, kind) for kind in ("product", "sum", "tridiagonal sum") for dims in grids]
        sizes = [10] if quick else [50, 100, 400]
        solves = [sylvester(n, kind) for kind in ("symmetric", "general") for n in sizes]
        solves += [laplacian(n) for n in ([20] if quick else [255, 511])]
        counts = preconditioned(12 if quick else 96)
    others = ("SciPy CSR", "dense", "tensordot", "einsum")
    show(
        "Products with a vector: milliseconds, and times of others as multiples of ours",
        ("operator", "grid", "ms", *others),
        [
            (
                r["kind"],
                grid_text(r["grid"]),
                milliseconds(r["seconds"]["resolvent"]),
                *(f"{r['seconds'][o] / r['seconds']['resolvent']:.2f}" if o in r["seconds"] else "–" for o in others),
            )
            for r in rows
        ],
    )
    show(
        "Solves: milliseconds to prepare and for a right-hand side, and the residual",
        ("system", "grid", "method", "prepare", "solve", "residual"),
        [
            (
                r["kind"],
                grid_text(r["grid"]),
                name,
                milliseconds(r["prepare"].get(name)),
                milliseconds(seconds),
                f"{r['residual'][name]:.0e}",
            )
            for r in solves
            for name, seconds in r["solve"].items()
        ],
    )
    show(
        "Krylov methods to 1e-8: iterations (milliseconds)",
        ("system", "grid", "method", "alone", "with KroneckerSolver"),
        [
            (
                r["system"],
                grid_text(r["grid"]),
                r["method"],
                *(
                    f"{r[M]['iterations'] or 'not reached'} ({milliseconds(r[M]['seconds'])})"
                    for M in ("none", "KroneckerSolver")
                ),
            )
            for r in counts
        ],
    )
    checks = [
        verdict("largest error of a product", max(r["error"] for r in rows), 1e-12),
        verdict(
            "largest residual of ours", max(v for r in solves for k, v in r["residual"].items() if k in OURS), 1e-8
        ),
    ]
    # Two axes are two matrix products for everybody; with three, what is not transposed is gained.
    for axes, bound in ((2, 1.1), (3, 0.8)):
        largest = [r for r in rows if r["kind"] == "product" and len(r["grid"]) == axes][-1]["seconds"]
        ratio = largest["resolvent"] / largest["tensordot"]
        checks.append(verdict(f"product over {axes} axes / tensordot", ratio, bound, judged=not quick))
    for r in solves:
        if "SciPy solve_sylvester" in r["solve"] and r["grid"][0] == sizes[-1]:
            name = "diagonalisation" if "symmetric" in r["kind"] else "Schur"
            ratio = r["solve"]["SciPy solve_sylvester"] / r["solve"][name]
            checks.append(verdict(f"{r['kind']}: solve_sylvester / {name}", ratio, 2.0, least=True, judged=not quick))
    path = write(
        {"machine": machine, "products": rows, "solves": solves, "preconditioned": counts, "checks": checks},
        "kronecker-quick" if quick else "kronecker",
        options.results,
    )
    plot(rows, solves, path)


if __name__ == "__main__":
    main()
