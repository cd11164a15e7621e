"""The tables and the plot of the benchmark of bootstrap multigrid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from _report import console, show

REFERENCE = {
    "Poisson": (0.791, 0.455, 0.433, 0.332, 0.119),
    "anisotropic 1:0.01": (0.846, 0.553, 0.456, 0.256),
    "jumps 1e4": (0.887, 0.641, 0.342, 0.137),
    "S Poisson S": (0.973, 0.667, 0.594, 0.498, 0.200),
}
"""Symmetrised rates on 64² from an independent implementation with a greedy matching."""


def show_all(report: dict[str, Any]) -> None:
    """Print the tables."""
    show(
        "Rates as hierarchies are added, w = 1 first (in brackets: reference, 64²)",
        ("problem", "composition", "1", "2", "3", "4", "5", "6"),
        [
            (
                row["problem"],
                row["composition"],
                *(
                    f"{rate:.3f}" + (f" ({known[i]:.3f})" if i < len(known) else "")
                    for i, rate in enumerate(row["rates"])
                ),
                *[""] * (6 - len(row["rates"])),
            )
            for row in report["rates"]
            for known in [REFERENCE.get(row["problem"], ()) if row["composition"] == "sym" else ()]
        ],
    )
    show(
        "Hierarchies, symmetrised, until the rate of 15 steps meets the target",
        ("problem", "target", "hierarchies", "rates", "reached"),
        [
            (row["problem"], row["target"], "–".join(map(str, sorted(set(row["hierarchies"])))),
             f"{min(row['rates']):.2f}–{max(row['rates']):.2f}", "yes" if row["reached"] else "NO")
            for row in report["stopping"]
        ],
    )  # fmt: skip
    ways = [key for key in report["cycles"][0] if key not in ("problem", "n", "composite")]
    show(
        "Cycles to 1e-8 in flexible CG: composites of 1 … 5, and one hierarchy for each vector",
        ("problem", "n", "composite", *ways),
        [
            (row["problem"], row["n"], " ".join(map(str, row["composite"])), *(row[way]["cycles"] for way in ways))
            for row in report["cycles"]
        ],
    )
    show(
        "All ways to a true residual of 1e-8, default and best of the options tried",
        ("problem", "unknowns", "method", "options", "iterations", "complexity", "work", "set-up work", "set-up s",
         "solve s"),
        [
            (row["problem"], row["unknowns"], row["method"],
             (row["options"] or "default") + (", best" if row.get("tuned") else ""),
             *((row["iterations"] if row["met"] else f"{row['iterations']} not met",
                "" if row["complexity"] is None else f"{row['complexity']:.2f}",
                "" if row["solve work"] is None else f"{row['solve work']:.0f}",
                "" if row["set-up work"] is None else f"{row['set-up work']:.0f}",
                f"{row['set-up']:.3f}", f"{row['solve']:.3f}") if "failed" not in row else ("failed", *[""] * 5)))
            for row in report["compared"]
            if row.get("default") or row.get("tuned")
        ],
    )  # fmt: skip
    vectors = ("bootstrap", "LOBPCG", "relaxed random", "eigenvectors of A")
    show(
        "SSOR-CG with k vectors deflated: iterations (set-up work)",
        ("problem", "k", "none", *vectors),
        [
            (row["problem"], row["k"], row["none"],
             *(f"{row[v]}" + (f" ({row[f'{v}: set-up work']:.0f})" if row[f"{v}: set-up work"] else "")
               for v in vectors))
            for row in report["deflation"]
        ],
    )  # fmt: skip
    show(
        "Deflated CG(16) along Darcy systems, SSOR: means a system",
        ("correlation of neighbours", "space", "iterations", "of the first", "products of set-up"),
        [
            (f"cos {row['angle']:.2f}", row["policy"], f"{row['mean']:.1f}", row["iterations"][0],
             f"{row['set-up']:.0f}")
            for row in report["sequences"]
        ],
    )  # fmt: skip
    show(
        "Poisson as the grid is refined: cycles (operator complexity)",
        ("n", "plain", "K", "smooth"),
        [
            (row["n"], *(f"{row[w]} ({row[f'{w}: complexity']:.2f})" for w in ("plain", "K", "smooth")))
            for row in report["growth"]
        ],
    )


def say_who_is_better(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Name, for each problem, the methods that take no more work than the best of bootstrap multigrid."""
    found: dict[str, dict[str, float]] = {}
    for problem in dict.fromkeys((row["problem"], row["unknowns"]) for row in rows):
        own = [row for row in rows if (row["problem"], row["unknowns"]) == problem and row.get("met")]
        work = {
            method: min(row["solve work"] for row in own if row["method"] == method and row["solve work"])
            for method in {row["method"] for row in own if row["solve work"]}
        }
        best = work["bootstrap"]
        found[f"{problem[0]}, {problem[1]}"] = {k: v / best for k, v in sorted(work.items(), key=lambda kv: kv[1])}
        better = [f"{k} {v / best:.2f}" for k, v in sorted(work.items(), key=lambda kv: kv[1]) if v <= best]
        console.print(f"  {problem[0]}, {problem[1]}: work relative to the best bootstrap, not above it: {better}")
    return found


def plot(report: dict[str, Any], path: Path) -> None:
    """Draw the rates of composites, and the work of all methods."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(14.0, 6.0), layout="constrained")
    for row in report["rates"]:
        if row["composition"] == "sym":
            left.plot(range(1, len(row["rates"]) + 1), row["rates"], marker="o", label=row["problem"])
    left.set(xlabel="hierarchies, symmetrised", ylabel="measured rate", ylim=(0.0, 1.0))
    left.legend(frameon=False)
    names = list(report["work"])
    methods = sorted({method for name in names for method in report["work"][name]})
    for method in methods:
        places = [i for i, name in enumerate(names) if method in report["work"][name]]
        right.plot([report["work"][names[i]][method] for i in places], places, "o", label=method)
    right.set(xscale="log", xlabel="work of the solve, relative to the best bootstrap", yticks=range(len(names)))
    right.set_yticklabels(names)
    right.axvline(1.0, color="grey", linewidth=0.5)
    right.legend(frameon=False)
    figure.savefig(path.with_suffix(".png"), dpi=120)
    plt.close(figure)
