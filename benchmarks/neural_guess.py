"""Trained networks inside of solvers: predictions as initial guesses, networks as preconditioners, and what both cost.

    python benchmarks/neural_guess.py              # about ten minutes, most of it training
    python benchmarks/neural_guess.py --quick      # under half a minute, a small grid and hardly any training

Darcy systems with the two-phase coefficient (12 and 3) on 65 × 65 nodes, independent of one another, to a true
residual of 1e-8 ‖b‖, one thread. Guesses: zero, the solution of the system before, an FNO and an MgNO that map the
coefficient to the solution. Preconditioners of `FlexibleCG`: an FNO and an MgNO that map coefficient and residual to
the direction of the correction, trained on residuals that conjugate gradients have left and on noise. Beside them `CG`
with AMG, `MultigridCG` and `Direct`. Milliseconds hold set-up, guess and solve of a system; making the training set and
training are counted in the number of solves after which a network has paid for itself, against the same method without
it and against the fastest without any: "never" where it is no faster.

Writes benchmarks/results/neural_guess[-quick].json and .png.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _report import about, console, one_thread, show, true_residual, verdict, write

from resolvent.datasets.families import Darcy2D
from resolvent.solvers import AMG, CG, Direct, FlexibleCG, MultigridCG
from resolvent.solvers import Sequence as Stream

RTOL = 1e-8
HARVESTED = (0, 1, 2, 4, 8, 16)
"""Iterations of CG whose residuals are trained on."""


def made(family: Darcy2D, count: int, seed: int) -> list[dict[str, Any]]:
    """Draw systems and solve them."""
    rng, samples = np.random.default_rng(seed), []
    for _ in range(count):
        inputs = family.draw(rng)
        A, b = family.assemble(inputs)
        samples.append({"a": inputs["a"], "A": A, "b": b, "x": Direct().solve(A, b).x})
    return samples


def solutions(family: Darcy2D, samples: Sequence[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and solutions as channels."""
    fields = [family.expand(s["x"], {"a": s["a"]})["u"] for s in samples]
    return np.stack([s["a"] for s in samples])[:, None], np.stack(fields)[:, None]


def directions(family: Darcy2D, samples: Sequence[dict[str, Any]], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients with residuals, and the corrections that would end the iteration, all of unit size.

    A flexible iteration finds the length of a step by itself, so that only the direction is learned: lengths would
    differ by four orders of magnitude between smooth and rough residuals.
    """
    rng, x, y = np.random.default_rng(seed), [], []
    for s in samples:
        left = {}

        def keep(p: Any, s: dict[str, Any] = s, left: dict[int, np.ndarray] = left) -> bool:
            if p.iteration in HARVESTED:
                left[p.iteration] = s["b"] - s["A"] @ p.x[:, 0]
            return p.iteration >= max(HARVESTED)

        CG(rtol=1e-14).solve(s["A"], s["b"], callback=keep)
        residuals = [s["b"], *left.values(), rng.standard_normal(len(s["b"]))]
        solved = Direct().solve(s["A"], np.stack(residuals, axis=1)).x
        for r, e in zip(residuals, solved.T, strict=True):
            fields = [family.expand(v / np.sqrt(np.mean(v**2)), {"a": s["a"]})["u"] for v in (r, e)]
            x.append(np.stack([s["a"], fields[0]]))
            y.append(fields[1][None])
    return np.stack(x), np.stack(y)


def trained(name: str, data: tuple[np.ndarray, np.ndarray], epochs: int, width: int, seconds: float) -> dict[str, Any]:
    """Train a model by name; `seconds` is what its data took."""
    from resolvent.operators.neural import count_params
    from resolvent.training import train

    begin = time.perf_counter()
    run = train(*data, model=name, options={"width": width}, loss="h1", epochs=epochs, batch_size=10, device="cpu")
    taken = time.perf_counter() - begin
    error = run.best
    console.print(
        f"  {name} on {len(data[0])} samples of {data[0].shape[1]} channels: error {error:.3f}, {taken:.0f} s"
    )
    count = count_params(run.model.net)
    return {"name": name, "model": run.model, "error": error, "seconds": taken, "data": seconds, "parameters": count}


def ways(current: dict[str, Any], guesses: Sequence[dict[str, Any]], learned: Sequence[dict[str, Any]]) -> list[Any]:
    """Return (method, M, guess, network or None, how to solve) of everything that is compared."""
    from resolvent.solvers.learned import NeuralGuess, NeuralPreconditioner

    def image(A: Any) -> Any:
        return current["a"][None]

    starts: list[tuple[str, Any, Any]] = [("zero", None, None), ("previous solution", "previous", None)]
    starts += [(net["name"], NeuralGuess(net["model"], image=image), net) for net in guesses]
    listed: list[Any] = [("Direct", "", "", None, Direct(), None, None)]
    for label, solver, M in (
        ("CG", CG(rtol=RTOL), None),
        ("CG", CG(rtol=RTOL), AMG()),
        ("MultigridCG", MultigridCG(rtol=RTOL), None),
    ):
        name = "" if M is None else "AMG"
        listed += [(label, name, start, net, solver, M, warm) for start, warm, net in starts]
    for net in learned:
        M = NeuralPreconditioner(net["model"], image=image)
        listed.append(("FlexibleCG", net["name"], "zero", net, FlexibleCG(rtol=RTOL, safe=AMG()), M, None))
    return listed


def measure(way: Any, systems: Sequence[dict[str, Any]], current: dict[str, Any]) -> dict[str, Any]:
    """Solve all systems one way; the first is left out of the means, since it compiles and has none before it."""
    method, M, guess, net, solver, recipe, warm = way
    stream, rows = Stream(solver, M=recipe, warm_start=warm), []
    for s in systems:
        current["a"] = s["a"]
        begin = time.perf_counter()
        result = stream.solve(s["A"], s["b"])
        seconds = time.perf_counter() - begin
        rho = true_residual(s["A"].to_sparse(), s["b"], result.x)
        start = float(result.history[0] / np.linalg.norm(s["b"]))
        rows.append((result.iterations, seconds, rho, start, result.extra.get("abandoned", 0)))
    iterations, seconds, rho, start, abandoned = np.array(rows[1:]).T
    return {
        "method": method,
        "M": M,
        "guess": guess,
        "learned": net is not None,
        "iterations": float(iterations.mean()),
        "milliseconds": 1e3 * float(np.median(seconds)),
        "start": float(start.mean()),
        "worst residual": float(rho.max()),
        "abandoned": int(abandoned.sum()),
        "training": 0.0 if net is None else net["seconds"] + net["data"],
        "history": [float(r) for r in result.history / np.linalg.norm(s["b"])],
    }


def paid(rows: Sequence[dict[str, Any]]) -> None:
    """Add after how many solves a network has paid, against the same method from zero and against the fastest."""
    plain = {(r["method"], r["M"]): r["milliseconds"] for r in rows if r["guess"] == "zero" and not r["learned"]}
    best = min(r["milliseconds"] for r in rows if not r["learned"])
    for row in rows:
        if not row["learned"]:
            continue
        own = plain.get((row["method"], row["M"]), best)
        for name, base in (("pays after", own), ("pays against the fastest after", best)):
            gain = 1e-3 * (base - row["milliseconds"])
            row[name] = float(np.ceil(row["training"] / gain)) if gain > 0.0 else None


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the residuals of the last system, and the whole time over the number of solves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    solves = np.geomspace(1, 1e6, 60)
    for i, row in enumerate(r for r in rows if r["guess"] != "previous solution"):
        label = " + ".join(part for part in (row["method"], row["M"]) if part)
        label += f", {row['guess']} guess" if row["guess"] not in ("", "zero") else ""
        style = {"color": f"C{i % 10}", "ls": "--" if row["learned"] else "-", "label": label}
        if len(row["history"]) > 1:
            left.semilogy(row["history"], **style)
        right.loglog(solves, row["training"] + 1e-3 * row["milliseconds"] * solves, **style)
    left.set(xlabel="iteration", ylabel="‖r‖ / ‖b‖", title="one system")
    right.set(xlabel="systems", ylabel="seconds, training included", title="the whole cost (dashed: learned)")
    right.legend(fontsize=7)
    figure.savefig(path.with_suffix(".png"), dpi=110)


def table(rows: Sequence[dict[str, Any]]) -> None:
    """Print what was measured."""

    def count(value: float | None) -> str:
        return "never" if value is None else f"{value:,.0f}"

    cells = []
    for r in rows:
        after = [count(r[k]) if r["learned"] else "" for k in ("pays after", "pays against the fastest after")]
        figures = [f"{r['start']:.1e}", f"{r['iterations']:.1f}", f"{r['milliseconds']:.2f}", f"{r['training']:.0f}"]
        note = f"given up in {r['abandoned']} systems" if r["abandoned"] else ""
        cells.append([r["method"], r["M"], r["guess"], *figures, *after, note])
    columns = ("method", "M", "guess", "‖r₀‖/‖b‖", "iterations", "ms", "training, s", "pays after", "vs fastest", "")
    show("Means over systems; solves after which training has paid", columns, cells)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small grid, hardly any training")
    parser.add_argument("--systems", type=int, help="systems to solve")
    parser.add_argument("--results", type=Path, help="folder of the results")
    options = parser.parse_args(arguments)
    quick = options.quick
    n, samples, epochs, width = (17, 24, 1, 8) if quick else (65, 300, 12, 24)
    count = options.systems or (4 if quick else 31)
    family = Darcy2D(resolution=n, grid="vertex", coefficient="fno_twophase")
    with one_thread():
        import torch

        torch.set_num_threads(1)
        machine = about()
        clock: Callable[[], float] = time.perf_counter
        begin = clock()
        known = made(family, samples, 1)
        fields = solutions(family, known)
        first = clock() - begin
        begin = clock()
        pairs = directions(family, known[: samples // 3], 2)
        second = first / 3 + clock() - begin
        console.print("Training")
        guesses = [trained(name, fields, epochs, width, first) for name in ("fno", "mgno")]
        learned = [trained(name, pairs, max(1, epochs // 2), width, second) for name in ("fno", "mgno")]
        current: dict[str, Any] = {}
        systems = made(family, count, 3)
        rows = [measure(way, systems, current) for way in ways(current, guesses, learned)]
    paid(rows)
    table(rows)
    found = {(r["method"], r["M"], r["guess"]): r for r in rows}
    ratio = found["CG", "AMG", "fno"]["iterations"] / found["CG", "AMG", "zero"]["iterations"]
    cheapest = min(r["milliseconds"] for r in rows if r["learned"] and r["method"] == "FlexibleCG")
    checks = [
        verdict("worst true residual", max(r["worst residual"] for r in rows), 1.01 * RTOL),
        verdict("iterations of CG with AMG, FNO guess over zero guess", ratio, 1.0, judged=not quick),
        verdict(
            "milliseconds of a learned preconditioner over those of MultigridCG",
            cheapest / found["MultigridCG", "", "zero"]["milliseconds"],
            1.0,
            least=True,
            note="what it would have to fall below to pay at all",
            judged=not quick,
        ),
    ]
    networks = [{k: v for k, v in net.items() if k != "model"} for net in (*guesses, *learned)]
    report = {"machine": machine, "grid": n, "systems": count, "networks": networks, "rows": rows, "checks": checks}
    path = write(report, "neural_guess-quick" if quick else "neural_guess", options.results)
    plot(rows, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
