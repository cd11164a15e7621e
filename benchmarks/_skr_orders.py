"""Order against recycling: what deflation inside one solve gains, what the chain adds, and what its order adds."""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np
from _report import show, spread
from _skr_cells import PILOTS
from _skr_systems import Problem

from resolvent.datasets import families, order
from resolvent.datasets.ordering import ORDERINGS
from resolvent.solvers import GCRODR, IC, ILU0, DeflatedCG, Jacobi, Sequence
from resolvent.solvers.sequences.policies import Pilot

RTOL, CAP = 1e-8, 10_000


def cases(quick: bool) -> list[tuple[str, Problem, Any, Any]]:
    """Return name, family, method and preconditioner of each line of the ablation."""
    n, m = (16, 16) if quick else (48, 48)
    gcrodr = GCRODR(restart=40, k=20, rtol=RTOL, maxiter=CAP)
    skr = Problem("Darcy, skr", families.get("darcy2d", resolution=n, coefficient="skr"), ("a",), (RTOL,))
    rough = Problem("Darcy, unit", families.get("darcy2d", resolution=n, coefficient="lognormal_unit"), ("a",), (RTOL,))
    wind = Problem("convection–diffusion", families.get("convdiff2d", resolution=m), ("psi", "peclet"), (RTOL,))
    found = [
        ("GCRO-DR(40, 20)", skr, gcrodr, None),
        ("GCRO-DR(40, 20), Jacobi", rough, gcrodr, Jacobi()),
        ("DeflatedCG(16), IC", rough, DeflatedCG(k=16, rtol=RTOL, maxiter=CAP), IC()),
        ("GCRO-DR(40, 20), ILU(0)", wind, gcrodr, ILU0()),
    ]
    return found[:2] if quick else found


def products(systems: list[Any], solver: Any, M: Any, way: str) -> tuple[float, float]:
    """Return mean iterations, and products with those of the space, of all systems but the pilots."""
    spaces = Pilot(PILOTS) if way == "shared" else None
    chain = Sequence(solver, M=M, cold_every=None, spaces=spaces)
    iterations, charged = [], []
    for A, b in systems:
        if way == "cold":
            chain._kept = None
        result = chain.solve(A, b)
        if not result.converged:
            raise RuntimeError(f"{solver!r} did not converge: {result.status.message}")
        iterations.append(result.iterations)
        charged.append(result.iterations + result.counts.setup)
    return float(np.mean(iterations[PILOTS:])), float(np.mean(charged[PILOTS:]))


def _solutions(systems: list[Any], solver: Any, M: Any, positions: list[int]) -> list[np.ndarray]:
    return [solver.solve(*systems[at], M=M).x for at in positions]


def ablation(quick: bool, count: int, seeds: int) -> list[dict[str, Any]]:
    """Measure every order with every kind of recycling, over several seeds."""
    rows = []
    for name, problem, solver, M in cases(quick):
        found: dict[str, list[tuple[float, float]]] = {}
        for seed in range(seeds):
            systems = problem.systems(count, seed)
            solve = functools.partial(_solutions, systems, solver, M)
            for way in ("cold", "shared"):
                found.setdefault(way, []).append(products(systems, solver, M, way))
            for method in ORDERINGS:
                line, _ = problem.sorted(count, method, seed, solve)
                along = [systems[at] for at in line]
                found.setdefault(f"chain, {method}", []).append(products(along, solver, M, "chain"))
        row = {"family": problem.title, "method": name, "n": systems[0][1].size, "systems": count, "seeds": seeds}
        base = np.array([charged for _, charged in found["chain, none"]])
        row["ways"] = {
            way: {
                "iterations": spread(i for i, _ in pairs),
                "with set-up": spread(c for _, c in pairs),
                "against the unsorted chain": spread((np.array([c for _, c in pairs]) / base - 1.0) * 100.0),
            }
            for way, pairs in found.items()
        }
        rows.append(row)
        cells = []
        for way, part in row["ways"].items():
            change = part["against the unsorted chain"]
            texts = [f"{part[key]['mean']:.1f} ± {part[key]['std']:.1f}" for key in ("iterations", "with set-up")]
            cells.append([way, *texts, f"{change['mean']:+.1f} ± {change['std']:.1f} %"])
        title = f"{problem.title}, n = {row['n']}, {name}: {seeds} seeds of {count} systems, mean ± std over seeds"
        show(title, ("", "iterations", "with the k products", "against the unsorted chain"), cells)
    return rows


def sort_times(quick: bool) -> list[dict[str, Any]]:
    """Time the orderings on many fields; features are counted, drawing is not."""
    rows, cells = [], []
    law = families.get("darcy2d", resolution=16 if quick else 100, coefficient="skr")
    rng = np.random.default_rng(0)
    for count in (20,) if quick else (64, 1000):
        fields = np.stack([law.draw(rng)["a"] for _ in range(count)])
        for method in ("greedy", "fft", "hilbert"):
            order(fields[:3], method)
            start = time.process_time()
            order(fields, method)
            seconds = time.process_time() - start
            rows.append({"method": method, "samples": count, "numbers": law.resolution**2, "seconds": seconds})
            cells.append([method, count, f"{1e3 * seconds:.1f}", f"{1e6 * seconds / count:.0f}"])
    title = f"Sorting fields of {law.resolution}²"
    show(title, ("order", "samples", "ms", "µs a sample"), cells)
    return rows
