"""The online tuner on three streams of systems, against fixed arms, an oracle, chance, and the defaults of others.

    python benchmarks/tuning.py             # some ten minutes
    python benchmarks/tuning.py --quick     # a minute: 60 systems on 12 × 12
    python benchmarks/tuning.py --seconds   # of the processor, on one thread; other figures on another machine

Darcy (independent log-normal coefficients), convection and diffusion (Péclet number 10 to 10,000) and implicit steps of
the heat equation (length 1e-4 to 1e-1). The arms are `standard_arms` with four bad ones among them: one diverges, one
returns not-a-number, one raises in its set-up, one stagnates.

Every figure of the tuner is from solves, at T = 500 and at T = 5,000, which goes through the 500 systems again, in
another order (heat: in the same). So are those of the fixed arms at T = 500, each with what it keeps between systems;
but an arm that fails, or costs three times the safe arm or more, is abandoned after 20 systems and cannot be the best.
At T = 5,000 the best three and the safe arm are run in full, and the others are not shown. The oracle takes for each
system the arm that was cheapest on it, set-ups spread over the solves they served: no policy, a bound. "Random" is the
mean over all arms that never fail.

The rules of the tuner, its limits and the list of arms were settled on other draws of the same three laws. Ratios are
to the best fixed arm in hindsight. Costs are in products with A (`resolvent.solvers.tuning.work`), set-ups,
trials and attempts that were given up included.

Writes benchmarks/results/tuning[-seconds][-quick].json and .png.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _report import about, console, one_thread, show, verdict, write
from _tuning_streams import STREAMS, Stream, arms_for, defaults

from resolvent.solvers.tuning import Arm, OnlineTuner
from resolvent.solvers.tuning.attempts import Attempts

ABANDON = 20
"""Systems after which an arm that cannot be the best is abandoned."""
FINALISTS = 3


def run_fixed(arm: Arm, stream: Stream, indices: np.ndarray, cost: str, dear: float = np.inf) -> dict[str, Any]:
    """Solve a stream with one arm; stop early where it fails or is too dear."""
    attempts = Attempts((arm,), cost, 1, time.process_time)
    charged, told, failed = [], [], 0
    for count, index in enumerate(indices, start=1):
        attempt = attempts.run(0, *stream.systems[index])
        charged.append(attempt.charged)
        told.append(attempt.told)
        failed += attempt.unsolved
        if count == ABANDON and (failed or np.mean(charged) > dear):
            break
    return {
        "charged": np.array(charged),
        "told": np.array(told),
        "failed": failed,
        "whole": len(charged) == len(indices),
    }


def run_tuner(
    stream: Stream, arms: tuple[Arm, ...], indices: np.ndarray, cost: str, *, contexts: bool
) -> tuple[OnlineTuner, np.ndarray]:
    """Solve a stream with a tuner of its own; return what each system cost."""
    tuner = OnlineTuner(arms, cost=cost, clock=time.process_time)
    for index in indices:
        A, b = stream.systems[index]
        tuner.solve(A, b, context=stream.contexts[index] if contexts else None).check()
    return tuner, np.array([each.cost for each in tuner.history])


def compare(stream: Stream, lengths: list[int], cost: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run everything on one stream; return a row for each policy and length, and what the plot needs."""
    arms = arms_for(stream)
    bad = sum(arm.name.startswith("bad") for arm in arms)
    short = stream.indices(lengths[0])
    safe = run_fixed(arms[0], stream, short, cost)
    fixed = {arms[0].name: safe}
    for arm in arms[1:]:
        fixed[arm.name] = run_fixed(arm, stream, short, cost, dear=3.0 * float(safe["charged"].mean()))
    fit = {name: run for name, run in fixed.items() if run["whole"] and not run["failed"]}
    ranking = sorted(fit, key=lambda name: float(fit[name]["charged"].sum()))
    others = {name: run_fixed(arm, stream, short, cost) for name, arm in defaults(stream).items()}
    rows, drawn = [], {}
    for T in lengths:
        indices = stream.indices(T)
        if len(short) < T:
            chosen = dict.fromkeys([*ranking[:FINALISTS], arms[0].name])
            runs = {arm.name: run_fixed(arm, stream, indices, cost) for arm in arms if arm.name in chosen}
        else:
            runs = fit
        best = min(runs, key=lambda name: float(runs[name]["charged"].sum()))
        least = float(runs[best]["charged"].sum())
        policies: dict[str, float] = {
            f"best fixed: {best}": least,
            f"safe: {arms[0].name}": float(runs[arms[0].name]["charged"].sum()),
        }
        tuners = {}
        for contexts in (False, True):
            name = "tuner, with context" if contexts else "tuner"
            tuners[name], charged = run_tuner(stream, arms, indices, cost, contexts=contexts)
            policies[name] = float(charged.sum())
            if len(short) == T:
                drawn[name] = np.cumsum(charged) / np.arange(1, T + 1) / (least / T)
        if len(short) == T:
            policies["oracle, a bound"] = float(np.min([run["told"] for run in fit.values()], axis=0).sum())
            never = [float(run["charged"].mean()) for run in fixed.values() if not run["failed"]]
            policies["random, of arms that never fail"] = float(np.mean(never)) * T
            policies |= {name: float(run["charged"].sum()) for name, run in others.items()}
        for name, total in policies.items():
            row: dict[str, Any] = {"stream": stream.name, "T": T, "policy": name, "mean": total / T}
            row["ratio"] = total / least
            if name in tuners:
                row |= told_by(tuners[name])
            if name in others and others[name]["failed"]:
                row["failed"] = others[name]["failed"]
            rows.append(row | {"arms": len(arms), "bad arms": bad})
    unit = "ms" if cost == "seconds" else "products"
    scale = 1e3 if cost == "seconds" else 1.0
    show(
        f"{stream.name}: {len(arms)} arms, {bad} of them bad; {stream.systems[0][0].shape[0]} unknowns",
        ("T", "policy", f"mean, {unit}", "ratio", "given up", "probed by", "failed"),
        [
            [
                str(row["T"]),
                row["policy"],
                f"{scale * row['mean']:.4g}",
                f"{row['ratio']:.3f}",
                f"{row['given up']:.1%}" if "given up" in row else "",
                str(row.get("probed by", "")),
                str(row.get("failed", "")),
            ]
            for row in rows
        ],
    )
    rows.append(
        {
            "stream": stream.name,
            "fixed": {
                name: {"mean": float(run["charged"].mean()), "failed": run["failed"], "systems": len(run["charged"])}
                for name, run in sorted(fixed.items(), key=lambda item: float(item[1]["charged"].mean()))
            },
        }
    )
    return rows, drawn


def told_by(tuner: OnlineTuner) -> dict[str, Any]:
    """Return what a tuner says of itself."""
    history = tuner.history
    lost = sum(cost for each in history for _, outcome, cost in each.attempts if outcome != "solved")
    return {
        "kept": len(tuner.strategy.kept),
        "given up": lost / tuner.charged,
        "decision, µs": 1e6 * float(np.median([each.deciding for each in history])),
        "probed by": max((t for t, each in enumerate(history) if each.play.reason == "probe"), default=0),
        "frozen": tuner.frozen,
        "report": tuner.report().splitlines(),
    }


def judge(rows: list[dict[str, Any]], lengths: list[int], *, judged: bool) -> list[dict[str, Any]]:
    """Print whether the figures are where they are wanted."""
    console.print()
    checks = []
    for row in rows:
        if "policy" not in row or not row["policy"].startswith("tuner"):
            continue
        first, what = row["T"] == lengths[0], f"{row['stream']}, T = {row['T']}: {row['policy']}, to best fixed"
        if row["policy"] == "tuner":
            checks.append(verdict(what, row["ratio"], 1.20 if first else 1.08, judged=judged))
        elif not first and row["stream"] != "Darcy":  # where the best arm does not vary with the contrast
            checks.append(verdict(what, row["ratio"], 1.0, judged=judged))
    return checks


def plot(drawn: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Draw the mean cost up to each system, relative to the best fixed arm."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (stream, curves) in enumerate(drawn.items()):
        axes = figure.add_subplot(1, len(drawn), place + 1)
        for name, curve in curves.items():
            axes.loglog(np.arange(1, len(curve) + 1), curve, label=name)
        axes.axhline(1.0, color="0.3", linestyle=":", label="best fixed arm, in hindsight")
        axes.axhline(1.2, color="0.7", linestyle=":", linewidth=0.8)
        axes.set(title=stream, xlabel="systems", ylabel="mean cost so far, relative")
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=120)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="60 and 120 systems on 12 × 12")
    parser.add_argument("--seconds", action="store_true", help="measure seconds instead of work units")
    parser.add_argument("--size", type=int, help="points a side, 32")
    parser.add_argument("--systems", type=int, help="the smaller T, 500; the larger is ten times that")
    parser.add_argument("--seed", type=int, default=5, help="of the streams, 5; arms and limits were settled on 0 to 4")
    parser.add_argument("--streams", nargs="+", choices=list(STREAMS), default=list(STREAMS))
    parser.add_argument("--results", type=Path, help="folder to write to; benchmarks/results")
    options = parser.parse_args(arguments)
    n = options.size or (12 if options.quick else 32)
    T = options.systems or (60 if options.quick else 500)
    lengths = [T, 2 * T if options.quick else 10 * T]
    cost = "seconds" if options.seconds else "work"
    machine = about()
    rows: list[dict[str, Any]] = []
    drawn = {}
    with one_thread():
        for name in options.streams:
            found, curves = compare(STREAMS[name](n, T, options.seed), lengths, cost)
            rows += found
            drawn[found[0]["stream"]] = curves
    full = not options.quick and not options.seconds
    checks = judge(rows, lengths, judged=full)
    report = {
        "machine": machine,
        "cost": cost,
        "points a side": n,
        "seed": options.seed,
        "lengths": lengths,
        "checks": checks,
        "rows": rows,
    }
    suffix = ("-seconds" if options.seconds else "") + ("-quick" if options.quick else "")
    path = write(report, f"tuning{suffix}", options.results)
    plot(drawn, path.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
