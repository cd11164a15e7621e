"""Gaussian-process solvers on eleven multiscale problems, beside Adam training and a classical Chebyshev method.

    python benchmarks/gp.py           # about three minutes
    python benchmarks/gp.py --quick   # three problems, half a minute

Errors are relative, in L2, on 3001 points or 300². Solvers see equation, source and boundary values only; models are
chosen by the estimated error, which stands beside the true one. Adam is the published method with a stated number of
updates, on the published grid; published runs take 1e5 to 3e6. Then what a Gaussian process is for: fewer than π nodes
a wavelength, noisy sources, a missing side, sources and coefficients from sensors, each beside a Tikhonov baseline
where there is one. Writes benchmarks/results/gp[-quick].json and .png.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _report import about, one_thread, show, verdict, write

from resolvent.datasets.multiscale import MULTISCALE, MultiscaleProblem, classical_solution, multiscale_problem
from resolvent.solvers.gp import (
    PDE,
    AdamGP,
    Dirichlet,
    Observations,
    invert_coefficients,
    invert_source,
    laplacian,
    mixture,
    solve,
    solve_chebyshev,
    tikhonov,
)
from resolvent.solvers.gp.posterior import functionals

PUBLISHED = "1e-3 … 1e-7"
"""Range of the published errors over all problems, after 1e5 to 3e6 updates; the tables are not quoted."""
POINTS = (4.0, 2.1, 1.5, 1.1)
"""Nodes a wavelength."""
SCAN = [(log_ls, eps) for log_ls in (-6.0, -4.0, -2.0, 0.0) for eps in (1e-8, 1e-10, 1e-12)]
SEED = 7


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call returns, and its seconds."""
    begin = time.perf_counter()
    found = call()
    return found, time.perf_counter() - begin


def compare(problem: MultiscaleProblem, updates: int) -> dict[str, Any]:
    """Return errors and seconds of one problem: chosen, fixed kernel, Adam, classical."""
    field, chosen = timed(lambda: solve(problem.pde))
    nodes = (100, 100) if problem.name == "a3" else problem.nodes
    fixed, direct = timed(lambda: solve(problem.pde, n=nodes, kernels=problem.kernels(), eps=problem.kernel[2]))
    classical, beside = timed(lambda: classical_solution(problem))
    weight = 500.0 if problem.name == "v1" else 200.0
    gp = AdamGP(problem.published_pde, problem.nodes, problem.frequencies, boundary_weight=weight)
    state, trained = timed(lambda: gp.run(updates))
    assert field.defect is not None and fixed.defect is not None
    return {
        "problem": problem.name,
        "method": f"{field.method}, {'×'.join(str(x.size) for x in field.nodes)}",
        "error": problem.error(field),
        "estimate": field.defect.error,
        "seconds": chosen,
        "fixed": problem.error(fixed),
        "fixed estimate": fixed.defect.error,
        "fixed seconds": direct,
        "adam": problem.error(gp.function(state)),
        "adam updates": updates,
        "adam seconds": trained,
        "classical": problem.error(classical),
        "classical size": "×".join(map(str, problem.classical)),
        "classical seconds": beside,
    }


def few_points(name: str, a_wave: float) -> dict[str, Any]:
    """Return errors with few nodes and known frequencies, scale and jitter chosen by the estimated error."""
    problem = multiscale_problem(name)
    low, high = problem.pde.box[0]
    n = round(a_wave * max(problem.angular[0]) * (high - low) / (2.0 * np.pi)) + 1
    mu = np.array([0.0, *problem.angular[0]]) / (2.0 * np.pi)
    fields = [solve(problem.pde, n=n, kernels=mixture(mu, log_ls), eps=eps) for log_ls, eps in SCAN]
    best = min(fields, key=lambda field: field.defect.error)
    classical = problem.error(classical_solution(problem, (n,)))
    return {"problem": name, "nodes a wavelength": a_wave, "n": n, "gp": problem.error(best), "classical": classical}


def noisy(level: float, n: int) -> dict[str, Any]:
    """Return errors with a noisy source of one frequency."""
    rng = np.random.default_rng(SEED)
    x, fine = np.linspace(0.0, 1.0, n), np.linspace(0.0, 1.0, 1001)
    u = lambda t: np.sin(40.0 * t)  # noqa: E731
    sigma = level * 1600.0
    f = -1600.0 * u(x) + sigma * rng.standard_normal(n)
    pde = PDE([(0.0, 1.0)], laplacian(1), f, u, source_noise=sigma)
    field, seconds = timed(lambda: solve(pde))
    baseline, _ = tikhonov(pde, functionals(pde, [x]), [60])
    error = np.abs(field(fine) - u(fine))
    return {
        "case": f"source noise {100 * level:g} %, {n} nodes",
        "gp": relative(field(fine), u(fine)),
        "tikhonov": relative(baseline.at(fine[:, None], (0,)), u(fine)),
        "prior mean": 1.0,
        "within 2 deviations": float(np.mean(error <= 2.0 * field.error(fine) + 1e-9)),
        "seconds": seconds,
    }


def missing_side() -> dict[str, Any]:
    """Return errors where one side of a square has no data and sensors stand for it."""
    rng = np.random.default_rng(SEED)
    u = lambda x, y: np.sin(8 * x) * np.cos(5 * y)  # noqa: E731
    points = rng.uniform(0.0, 1.0, (20, 2))
    seen = Observations(points, u(points[:, 0], points[:, 1]) + 0.01 * rng.standard_normal(20), 0.01)
    sides = Dirichlet(u, sides=[(0, 0), (1, 0), (1, 1)])
    pde = PDE([(0.0, 1.0)] * 2, laplacian(2), lambda x, y: -89.0 * u(x, y), sides, observations=seen)
    field, seconds = timed(lambda: solve(pde, n=16))
    baseline, _ = tikhonov(pde, functionals(pde, pde.grid((16, 16))), [14, 14])
    x = np.linspace(0.0, 1.0, 40)
    exact = u(x[:, None], x)
    error = np.abs(field.on_grid([x, x]) - exact)
    return {
        "case": "one side missing, 20 sensors",
        "gp": relative(field.on_grid([x, x]), exact),
        "tikhonov": relative(baseline.on_tensor([x, x], (0, 0)), exact),
        "prior mean": 1.0,
        "within 2 deviations": float(np.mean(error <= 2.0 * field.error(x[:, None], x) + 1e-9)),
        "seconds": seconds,
    }


def source(dimensions: int, sensors: int) -> dict[str, Any]:
    """Return errors of a source found from sensors."""
    rng = np.random.default_rng(SEED)
    f = lambda *x: 10.0 * np.exp(-sum((t - 0.4) ** 2 for t in x) / 0.02)  # noqa: E731
    truth = PDE([(0.0, 1.0)] * dimensions, laplacian(dimensions), f, 0.0)
    points = rng.uniform(0.05, 0.95, (sensors, dimensions))
    u = solve_chebyshev(truth, (64,) * dimensions)[0].at(points, (0,) * dimensions)
    noise = 0.003 * float(np.abs(u).max())
    seen = Observations(points, u + noise * rng.standard_normal(sensors), noise)
    found, seconds = timed(lambda: invert_source(truth.replace(source=0.0, observations=seen), 32))
    x = [np.linspace(0.03, 0.97, 60)] * dimensions
    exact, zero = f(*np.meshgrid(*x, indexing="ij", sparse=True)), (0,) * dimensions
    error = np.abs(found.source.on_tensor(x, zero) - exact)
    return {
        "case": f"source, {dimensions}-D, {sensors} sensors",
        "gp": relative(found.source.on_tensor(x, zero), exact),
        "tikhonov": relative(found.tikhonov.on_tensor(x, zero), exact),
        "prior mean": 1.0,
        "within 2 deviations": float(np.mean(error <= 2.0 * found.deviation.on_tensor(x, zero) + 1e-9)),
        "seconds": seconds,
    }


def coefficients() -> dict[str, Any]:
    """Return the error of a diffusion coefficient and a velocity found from sensors."""
    rng = np.random.default_rng(SEED)
    u = lambda x, y: np.sin(3 * x) * np.exp(y)  # noqa: E731
    f = lambda x, y: -7.0 * u(x, y) + 1.5 * np.cos(3 * x) * np.exp(y)  # noqa: E731
    points = rng.uniform(0.0, 1.0, (80, 2))
    seen = Observations(points, u(points[:, 0], points[:, 1]) + 0.01 * rng.standard_normal(80), 0.0)
    start = {(2, 0): 1.0, (0, 2): 1.0, (1, 0): 0.0}
    pde = PDE([(0.0, 1.0)] * 2, start, f, u, observations=seen)
    found, seconds = timed(lambda: invert_coefficients(pde, [(0, 2), (1, 0)], 20))
    values = np.array([found.coefficients[k] for k in ((0, 2), (1, 0))])
    bars = np.array([found.deviation[k] for k in ((0, 2), (1, 0))])
    truth, first = np.array([2.0, 0.5]), np.array([1.0, 0.0])
    return {
        "case": "two coefficients, 80 sensors",
        "gp": relative(values, truth),
        "tikhonov": None,
        "prior mean": relative(first, truth),
        "within 2 deviations": float(np.mean(np.abs(values - truth) <= 2.0 * bars)),
        "seconds": seconds,
    }


def relative(found: np.ndarray, exact: np.ndarray) -> float:
    """Return ‖found − exact‖/‖exact‖."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw errors against seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    kinds = (
        ("error", "seconds", "chosen", "o"),
        ("fixed", "fixed seconds", "fixed kernel", "s"),
        ("adam", "adam seconds", "Adam, stated updates", "x"),
        ("classical", "classical seconds", "Chebyshev", "^"),
    )
    for error, seconds, label, marker in kinds:
        axes.loglog([r[seconds] for r in rows], [max(r[error], 1e-16) for r in rows], marker, label=label)
    for r in rows:
        axes.annotate(
            r["problem"], (r["seconds"], max(r["error"], 1e-16)), fontsize=7, xytext=(3, 3), textcoords="offset points"
        )
    axes.set(xlabel="seconds", ylabel="relative error", title="Multiscale problems: error against time")
    axes.grid(True, color="0.9")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path.with_suffix(".png"), dpi=120)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three problems")
    parser.add_argument("--updates", type=int, nargs=2, help="of Adam, on lines and on squares")
    parser.add_argument("--problems", nargs="+", choices=tuple(MULTISCALE), help="some of them only")
    parser.add_argument("--results", type=Path, help="folder to write to")
    options = parser.parse_args(arguments)
    names = options.problems or (("u1", "u5", "v1") if options.quick else tuple(MULTISCALE))
    updates = options.updates or ((20, 3) if options.quick else (200, 20))
    machine = about()
    with one_thread():
        rows = []
        for name in names:
            problem = multiscale_problem(name)
            rows.append(compare(problem, updates[len(problem.nodes) - 1]))
        few = [few_points(name, p) for name in (("u1",) if options.quick else ("u1", "u3", "u5")) for p in POINTS]
        cases = [noisy(0.05, 121), noisy(0.2, 121), missing_side(), source(1, 19), source(2, 80), coefficients()]
    show(
        f"Relative errors and seconds; published {PUBLISHED}",
        ("problem", "chosen", "error", "estimate", "s", "fixed", "s", "Adam", "updates", "s", "Chebyshev", "size", "s"),
        [
            (r["problem"], r["method"], f"{r['error']:.1e}", f"{r['estimate']:.1e}", f"{r['seconds']:.2f}",
             f"{r['fixed']:.1e}", f"{r['fixed seconds']:.2f}", f"{r['adam']:.1e}", r["adam updates"],
             f"{r['adam seconds']:.1f}", f"{r['classical']:.1e}", r["classical size"], f"{r['classical seconds']:.4f}")
            for r in rows
        ],
    )  # fmt: skip
    show(
        "Few nodes, frequencies known",
        ("problem", "nodes a wavelength", "n", "kernel", "Chebyshev"),
        [(r["problem"], r["nodes a wavelength"], r["n"], f"{r['gp']:.1e}", f"{r['classical']:.1e}") for r in few],
    )
    show(
        "Noisy and inverse problems",
        ("case", "GP", "Tikhonov", "prior mean", "within 2 deviations", "s"),
        [
            (c["case"], f"{c['gp']:.3f}", "" if c["tikhonov"] is None else f"{c['tikhonov']:.3f}",
             f"{c['prior mean']:.3f}", f"{c['within 2 deviations']:.2f}", f"{c['seconds']:.2f}")
            for c in cases
        ],
    )  # fmt: skip
    bounds = {"features": 1e-10, "kernel": 1e-5}
    checks = [verdict(f"{r['problem']}: chosen", r["error"], bounds[r["method"].split(",")[0]]) for r in rows]
    checks += [verdict(f"{c['case']}: against the prior mean", c["gp"] / c["prior mean"], 1.0) for c in cases]
    path = write(
        {"machine": machine, "published": PUBLISHED, "rows": rows, "few nodes": few, "cases": cases, "checks": checks},
        "gp-quick" if options.quick else "gp",
        options.results,
    )
    plot(rows, path)


if __name__ == "__main__":
    main()
