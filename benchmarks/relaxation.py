"""Learned relaxation factors: the shifted Laplacian by SOR and the heat equation by SSOR-CG, beside reference figures.

    python benchmarks/relaxation.py             # some 25 minutes, nearly all of it for the tables of costs
    python benchmarks/relaxation.py --quick     # half a minute: 1,000 systems, the heat equation at nx = 25

The two experiments of "Learning to Relax" (arXiv:2310.02246), T = 5,000 systems each, 20 factors 1.00, 1.05, …, 1.95.
Costs are iterations, no seconds. The cost of every factor on every system is computed once by real solves, from the
exact previous solution for the heat equation, and all learners play on that table; some also run through solves of
their own, whose means must agree with the table within 1 %. Each repeat draws new systems for SOR; the heat equation
is one sequence, where repeats change the learners' chance alone. Ratios are to the best fixed factor in hindsight.

The reference column was measured once from other code (2 seeds; two of the five periods of the heat equation, the
second repeated). The overhead is timed: suggestion and observation together.

Writes benchmarks/results/relaxation[-quick].json and .png.
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

import _relaxation_problems as problems
from _relaxation_problems import OMEGAS, SHIFTS, Heat
from _report import about, console, one_thread, show, spread, verdict, write

from resolvent.solvers.tuning import (
    Binned,
    ChebCB,
    ClosedForm,
    EpsilonGreedy,
    FixedArm,
    LowerConfidenceBound,
    RandomArm,
    Ridge,
    TsallisINF,
    Tuner,
    jacobi_radius,
)

ARMS = len(OMEGAS)
Make = Callable[[int], Tuner]

# Mean iterations, and mean over the last 1,000 systems.
REFERENCE: dict[str, dict[str, tuple[float | None, float | None]]] = {
    "low": {
        "ω = 1": (269.0, None),
        "ω = 1.5": (81.3, None),
        "random": (144.0, None),
        "best fixed": (59.0, 58.0),
        "Tsallis-INF": (66.9, 60.2),
        "Tsallis-INF, reduced variance": (64.7, 59.7),
        "ε-greedy": (62.8, 59.8),
        "lower confidence bound": (61.2, 59.9),
        "Tsallis-INF, bins": (62.3, 55.3),
        "ChebCB": (46.4, 44.0),
        "oracle": (43.1, None),
        "closed form ω*(c)": (41.7, None),
    },
    "high": {
        "ω = 1": (617.0, None),
        "ω = 1.5": (200.0, None),
        "random": (283.0, None),
        "best fixed": (103.8, 104.3),
        "Tsallis-INF": (121.0, 108.9),
        "Tsallis-INF, reduced variance": (118.0, 107.8),
        "ε-greedy": (116.0, 113.7),
        "lower confidence bound": (126.0, 126.9),
        "Tsallis-INF, bins": (101.0, 90.4),
        "ChebCB": (66.8, 61.9),
        "oracle": (58.7, None),
        "closed form ω*(c)": (56.4, None),
    },
}
_HEAT = {
    "CG": (17.1, 32.9, 65.0),
    "ω = 1": (6.56, 12.2, 23.5),
    "ω = 1.5": (6.46, 8.80, 15.5),
    "best fixed": (5.88, 8.58, 12.8),
    "Tsallis-INF": (6.13, 9.14, 13.9),
    "ε-greedy": (6.24, 9.13, 13.7),
    "Tsallis-INF, bins": (5.88, 8.63, 13.1),
    "ChebCB": (5.18, 7.19, 10.4),
    "oracle": (4.84, 6.94, 9.91),
}
REFERENCE |= {
    f"nx = {nx}": {name: (means[place], None) for name, means in _HEAT.items()}
    for place, nx in enumerate((25, 50, 100))
}
BEST_OMEGA = {"low": 1.65, "high": 1.80, "nx = 25": 1.40, "nx = 50": 1.60, "nx = 100": 1.75}
TUNED = ("Tsallis-INF", "ε-greedy", "Tsallis-INF, bins", "ChebCB", "ridge")
"""Learners that also run through solves of their own."""


def learners(low: float, high: float, bins: int) -> dict[str, Make]:
    """Return what makes each learner from a seed, for contexts of a range. Iterations are at least one."""
    box: dict[str, Any] = {"low": low, "high": high}
    return {
        "random": lambda seed: RandomArm(ARMS, rng=seed),
        "Tsallis-INF": lambda seed: TsallisINF(ARMS, floor=1.0, rng=seed),
        "Tsallis-INF, reduced variance": lambda seed: TsallisINF(ARMS, reduced_variance=True, floor=1.0, rng=seed),
        "ε-greedy": lambda seed: EpsilonGreedy(ARMS, rng=seed),
        "lower confidence bound": lambda seed: LowerConfidenceBound(ARMS, rng=seed),
        "Tsallis-INF, bins": lambda seed: Binned(
            TsallisINF(ARMS, reduced_variance=True, floor=1.0, rng=seed), bins=bins, **box
        ),
        "ChebCB": lambda seed: ChebCB(ARMS, floor=1.0, rng=seed, **box),
        "ridge": lambda seed: Ridge(ARMS, degree=5, rng=seed, **box),
    }


def summary(name: str, problem: str, runs: list[np.ndarray], best: list[float]) -> dict[str, Any]:
    """Return a row: what a policy cost in each repeat, against the best fixed factor of the same repeat."""
    reference, reference_last = REFERENCE.get(problem, {}).get(name, (None, None))
    row: dict[str, Any] = {"problem": problem, "policy": name, "mean": spread(run.mean() for run in runs)}
    row["ratio"] = spread(run.mean() / b for run, b in zip(runs, best, strict=True))
    row["first 500"] = float(np.mean([run[:500].mean() for run in runs]))
    row["last 1000"] = float(np.mean([run[-1000:].mean() for run in runs]))
    row |= {"reference": reference, "reference last 1000": reference_last}
    row["to reference"] = None if reference is None else row["mean"]["mean"] / reference
    # Of each fiftieth of the sequence, for the plot.
    parts = [[part.mean() / b for part in np.array_split(run, 50)] for run, b in zip(runs, best, strict=True)]
    row["course"] = np.mean(parts, axis=0).round(4).tolist()
    return row


def kept(folder: Path | None, name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return arrays from a file of the folder, or make and keep them there."""
    if folder is None:
        return make()
    path = folder / f"{name}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, **make())
    with np.load(path) as found:
        return dict(found)


# ---------------------------------------------------------------------------------------------------------------------
# SOR


def shifted(law: str, T: int, repeats: int, folder: Path | None) -> list[dict[str, Any]]:
    """Play every policy on the shifted Laplacian; return a row each."""

    def make(seed: int) -> dict[str, np.ndarray]:
        c, b = problems.draw_shifted(law, T, np.random.default_rng([seed, list(problems.LAWS).index(law)]))
        return {"c": c, "table": problems.sor_costs(c, b), "closed": problems.closed_form_costs(c, b)}

    A = problems.laplacian(problems.SIDE)
    beta = jacobi_radius(A, rng=0)
    policies = learners(**SHIFTS, bins=5)
    policies["closed form, on the grid"] = lambda seed: ClosedForm(OMEGAS, beta=beta, diagonal=4.0, rng=seed)
    runs: dict[str, list[np.ndarray]] = {}
    best, where = [], []
    for seed in range(repeats):
        found = kept(folder, f"{law}-{T}-{seed}", lambda seed=seed: make(seed))  # type: ignore[misc]
        c, table = found["c"], found["table"]
        means = table.mean(axis=0)
        best.append(float(means.min()))
        where.append(float(OMEGAS[means.argmin()]))
        fixed = {"ω = 1": 0, "ω = 1.5": 10, "best fixed": int(means.argmin())}
        for name, arm in fixed.items():
            runs.setdefault(name, []).append(table[:, arm])
        for name, policy in policies.items():
            runs.setdefault(name, []).append(problems.run_table(table, c, policy(seed)))
        runs.setdefault("oracle", []).append(table.min(axis=1))
        runs.setdefault("closed form ω*(c)", []).append(found["closed"])
    rows = [summary(name, law, theirs, best) for name, theirs in runs.items()]
    report(
        f"Shifted Laplacian, {law} variance: sweeps of SOR, {repeats} × {T} systems, best fixed ω {where[0]:g}", rows
    )
    return [row | {"best ω": where} for row in rows]


# ---------------------------------------------------------------------------------------------------------------------
# The heat equation


def heat(nx: int, T: int, repeats: int, folder: Path | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Play every policy on the heat equation; return a row each, and how some do in solves of their own."""
    problem = Heat(nx, T)

    def make() -> dict[str, np.ndarray]:
        table, plain = problems.heat_costs(problem)
        return {"table": table, "plain": plain}

    found = kept(folder, f"heat-{nx}-{T}", make)
    table, means = found["table"], found["table"].mean(axis=0)
    arm = int(means.argmin())
    best = [float(means.min())]
    fixed = {"CG": found["plain"], "ω = 1": table[:, 0], "ω = 1.5": table[:, 10], "best fixed": table[:, arm]}
    name = f"nx = {nx}"
    policies = learners(**problem.range, bins=6)
    rows = [summary(key, name, [costs], best) for key, costs in fixed.items()]
    for key, policy in policies.items():
        runs = [problems.run_table(table, problem.contexts, policy(seed)) for seed in range(repeats)]
        rows.append(summary(key, name, runs, best * repeats))
    rows.append(summary("oracle", name, [table.min(axis=1)], best))
    report(f"Heat equation, {name}: iterations of SSOR-CG, {T} steps, best fixed ω {OMEGAS[arm]:g}", rows)

    def real() -> dict[str, np.ndarray]:
        made: dict[str, Make] = {"best fixed": lambda seed: FixedArm(ARMS, arm=arm), **policies}
        return {key: problems.run_heat(problem, made[key](0)) for key in ("best fixed", *TUNED)}

    solved = kept(folder, f"heat-{nx}-{T}-real", real)
    compared = []
    for key in ("best fixed", *TUNED):
        tuner: Tuner = FixedArm(ARMS, arm=arm) if key == "best fixed" else policies[key](0)
        by_table = problems.run_table(table, problem.contexts, tuner)
        pair = {"table": float(by_table.mean()), "solves": float(solved[key].mean())}
        compared.append({"problem": name, "policy": key} | pair | {"ratio": pair["solves"] / pair["table"]})
    show(
        f"{name}: the same learner, same seed, on the table and through solves",
        ("policy", "table", "solves", "ratio"),
        [[r["policy"], f"{r['table']:.3f}", f"{r['solves']:.3f}", f"{r['ratio']:.4f}"] for r in compared],
    )
    return [row | {"best ω": [float(OMEGAS[arm])]} for row in rows], compared


# ---------------------------------------------------------------------------------------------------------------------
# What a decision costs


def overhead(rounds: int) -> list[dict[str, Any]]:
    """Time suggestion and observation of every learner, at T ~ `rounds`, on costs that are made up."""
    rng = np.random.default_rng(0)
    contexts = rng.uniform(0.0, 1.0, rounds)
    costs = 5.0 + 40.0 * np.abs(contexts[:, None] - np.linspace(0.0, 1.0, ARMS)) + rng.exponential(5.0, (rounds, ARMS))
    rows = []
    for name, make in learners(0.0, 1.0, bins=5).items():
        tuner = make(0)
        asked, told = np.empty(rounds), np.empty(rounds)
        for t in range(rounds):
            begin = time.perf_counter()
            arm = tuner.suggest(contexts[t])
            middle = time.perf_counter()
            tuner.observe(arm, float(costs[t, arm]))
            asked[t], told[t] = middle - begin, time.perf_counter() - middle
        rows.append({"policy": name, "suggest µs": 1e6 * np.median(asked), "observe µs": 1e6 * np.median(told)})
    show(
        f"Overhead: median of {rounds} rounds, {ARMS} arms",
        ("policy", "suggest, µs", "observe, µs"),
        [[row["policy"], f"{row['suggest µs']:.1f}", f"{row['observe µs']:.1f}"] for row in rows],
    )
    return rows


def report(title: str, rows: list[dict[str, Any]]) -> None:
    """Print one table: ours, the reference beside it, and the ratio of the two."""
    reference_best = next((row["reference"] for row in rows if row["policy"] == "best fixed"), None)
    cells = []
    for row in rows:
        mean, other = row["mean"], row["reference"]
        cells.append(
            [
                row["policy"],
                f"{mean['mean']:.4g}" + (f" ± {mean['std']:.1g}" if mean["std"] else ""),
                f"{row['ratio']['mean']:.3f}",
                f"{row['first 500']:.4g}",
                f"{row['last 1000']:.4g}",
                "" if other is None else f"{other:.4g}",
                "" if other is None else f"{other / reference_best:.2f}",
                "" if row["reference last 1000"] is None else f"{row['reference last 1000']:.4g}",
                "" if other is None else f"{row['to reference']:.3f}",
            ]
        )
    columns = ("policy", "mean", "ratio", "first 500", "last 1000", "ref mean", "ratio", "last 1000", "ours/ref")
    show(title, columns, cells)


def judge(rows: list[dict[str, Any]], compared: list[dict[str, Any]], *, judged: bool) -> list[dict[str, Any]]:
    """Print whether the figures are where they are wanted."""
    found = {(row["problem"], row["policy"]): row for row in rows}
    console.print()
    checks = []

    def check(name: str, value: float, bound: float, *, least: bool = False) -> None:
        checks.append(verdict(name, value, bound, least=least, judged=judged))

    wanted = {
        ("low", "Tsallis-INF"): (0.0, 1.20),
        ("high", "Tsallis-INF"): (0.0, 1.20),
        ("low", "Tsallis-INF, reduced variance"): (0.0, 1.17),
        ("high", "Tsallis-INF, reduced variance"): (0.0, 1.17),
        ("low", "ε-greedy"): (0.0, 1.15),
        ("high", "ε-greedy"): (0.0, 1.15),
        ("low", "ChebCB"): (0.75, 0.85),
        ("high", "ChebCB"): (0.60, 0.70),
        ("low", "closed form ω*(c)"): (0.0, 0.74),
        ("high", "closed form ω*(c)"): (0.0, 0.58),
    }
    wanted |= {(problem, "ChebCB"): (0.0, 0.93) for problem, _ in found if problem.startswith("nx")}
    for key, (low, high) in wanted.items():
        if key in found:
            ratio = found[key]["ratio"]["mean"]
            if low:
                check(f"{key[0]}: {key[1]} to best fixed, at least", ratio, low, least=True)
            check(f"{key[0]}: {key[1]} to best fixed", ratio, high)
    for (problem, policy), row in found.items():
        if policy in ("ω = 1", "ω = 1.5", "best fixed", "CG") and row["reference"]:
            bound = 0.02 if problem.startswith("nx") else 0.03
            check(f"{problem}: {policy}, deviation from the reference", abs(row["to reference"] - 1.0), bound)
        if policy == "best fixed" and problem in BEST_OMEGA:
            most = max(set(row["best ω"]), key=row["best ω"].count)
            check(f"{problem}: best ω {most:g}, distance from the reference", abs(most - BEST_OMEGA[problem]), 0.051)
    for row in compared:
        check(f"{row['problem']}: {row['policy']}, solves against table", abs(row["ratio"] - 1.0), 0.01)
    return checks


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the course of learning on the shifted Laplacian, and iterations against size for the heat equation."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(15, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    colours = {
        "Tsallis-INF": "C0",
        "Tsallis-INF, reduced variance": "C9",
        "ε-greedy": "C2",
        "Tsallis-INF, bins": "C4",
        "ChebCB": "C3",
        "ridge": "C1",
        "closed form ω*(c)": "k",
        "oracle": "0.6",
        "best fixed": "0.3",
        "CG": "C5",
        "ω = 1": "C6",
        "ω = 1.5": "C7",
    }
    for place, law in enumerate(("low", "high")):
        axes = figure.add_subplot(1, 3, place + 1)
        for row in rows:
            if row["problem"] == law and row["policy"] in colours and row["policy"] not in ("ω = 1", "ω = 1.5"):
                style = ":" if row["policy"] in ("oracle", "closed form ω*(c)", "best fixed") else "-"
                x = np.linspace(0.0, 1.0, len(row["course"]))
                axes.plot(x, row["course"], style, color=colours[row["policy"]], label=row["policy"])
        axes.set(title=f"SOR, shifted Laplacian, {law} variance", xlabel="part of the sequence")
        axes.set(ylabel="sweeps, relative to best fixed ω", ylim=(0.4, 1.6))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, frameon=False)
    axes = figure.add_subplot(1, 3, 3)
    sizes = sorted({int(row["problem"].split()[-1]) for row in rows if row["problem"].startswith("nx")})
    for name, colour in colours.items():
        means = [r["mean"]["mean"] for nx in sizes for r in rows if (r["problem"], r["policy"]) == (f"nx = {nx}", name)]
        if means:
            axes.loglog(sizes, means, ":" if name == "oracle" else "-", color=colour, marker="o", ms=4, label=name)
    axes.set_xticks(sizes, [str(nx) for nx in sizes])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(title="SSOR-CG, heat equation", xlabel="cells a side", ylabel="iterations a step")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=120)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="1,000 systems, one repeat, nx = 25")
    parser.add_argument("--systems", type=int, help="T, 5,000")
    parser.add_argument("--repeats", type=int, help="sequences of SOR systems, and seeds on the heat equation; 40")
    parser.add_argument(
        "--sizes", type=int, nargs="+", help="nx of the heat equation; 25 50 100; 200 takes longer than all of these"
    )
    parser.add_argument("--tables", type=Path, help="folder that keeps the tables of costs between runs")
    parser.add_argument("--results", type=Path, help="folder to write to; benchmarks/results")
    options = parser.parse_args(arguments)
    T = options.systems or (1_000 if options.quick else 5_000)
    repeats = options.repeats or (1 if options.quick else 40)
    sizes = options.sizes or ([25] if options.quick else [25, 50, 100])
    machine = about()
    with one_thread():
        rows = [row for law in problems.LAWS for row in shifted(law, T, repeats, options.tables)]
        compared: list[dict[str, Any]] = []
        for nx in sizes:
            more, pairs = heat(nx, T, repeats, options.tables)
            rows, compared = rows + more, compared + pairs
        timed = overhead(1_000 if options.quick else 5_000)
    checks = judge(rows, compared, judged=not options.quick)
    everything = {"machine": machine, "systems": T, "repeats": repeats, "rtol": problems.RTOL, "checks": checks}
    everything |= {"rows": rows, "solves": compared, "overhead": timed}
    path = write(everything, "relaxation" + ("-quick" if options.quick else ""), options.results)
    plot(rows, path.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
