"""Neural operators on certified data: accuracy, parameters, memory and speed, ours beside neuraloperator's in one run.

    python benchmarks/neural.py           # about an hour and a half of one core; finished cells are kept
    python benchmarks/neural.py --quick   # two minutes: small sets, one epoch

Accuracy: models trained with the recipe of the package (AdamW, H1 loss by differences, OneCycle by update, 25 epochs)
on 1000 samples, judged on 100 others that training never sees. `darcy33` is −∇·(a∇u) = 1 with a of two phases (12 and
3) on a vertex-centred 65² grid, taken at every second point; `darcy65` the grid itself; `helmholtz` and `convdiff` are
the families of those names. neuraloperator's FNO (2.0.0, from .venv/foreign, where scripts/foreign.sh puts it) is
trained by the same loop on the same batches, with modes, width, layers and parameters equal to ours.

Speed: milliseconds of processor time for a sample, forward and backward, batches of 20, one thread, methods in turn,
the least of seven rounds. Memory: bytes that the backward pass keeps for a sample, each storage counted once.

Writes benchmarks/results/neural[-quick].json and .png. A cell that is in the file already is not measured again unless
--again is given.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1
sys.path.append(str(Path(__file__).resolve().parents[1] / ".venv" / "foreign"))

from _report import RESULTS, about, one_thread, show, verdict, write

from resolvent import datasets
from resolvent.operators.neural import NeuralOperator, build, count_params
from resolvent.training import Pairs, Trainer, TrainingConfig, as_pairs, relative_errors, train
from resolvent.training.config import RECIPES

SETS: dict[str, tuple[dict[str, Any], int]] = {
    "darcy33": ({"family": "darcy", "resolution": 65, "grid": "vertex", "coefficient": "fno_twophase"}, 2),
    "darcy65": ({"family": "darcy", "resolution": 65, "grid": "vertex", "coefficient": "fno_twophase"}, 1),
    "helmholtz": ({"family": "helmholtz", "resolution": 32}, 1),
    "convdiff": ({"family": "convection_diffusion", "resolution": 33}, 1),
}
"""Family and options, and stride."""
CELLS = [
    *[("darcy33", model, seed) for seed in range(3) for model in ("fno", "mgno")],
    *[("darcy33", model, 0) for model in ("neuraloperator", "tfno", "monarch", "deeponet", "pod_deeponet")],
    *[(name, model, 0) for name in ("helmholtz", "convdiff") for model in ("fno", "mgno")],
    *[("darcy65", model, 0) for model in ("fno", "mgno")],
    *[("darcy33", model, 0) for model in ("local_fno", "attention", "unet")],
]
BARS = {"fno": 0.025, "mgno": 0.016}


class Peer(NeuralOperator):
    """neuraloperator's FNO behind our interface, so that one loop trains both."""

    function_space = "the same operator on every grid, up to the aliases of the activation"

    def __init__(self, *, c_in: int, c_out: int, n_modes: list[int], width: int = 32, layers: int = 4) -> None:
        super().__init__(c_in=c_in, c_out=c_out, dim=len(n_modes))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from neuralop.models import FNO

        self.net = FNO(
            n_modes=tuple(n_modes), in_channels=c_in, out_channels=c_out, hidden_channels=width, n_layers=layers
        )
        # Its own state_dict holds a dict of options among the tensors, its load_state_dict expects it.
        for name in ("state_dict", "load_state_dict"):
            setattr(self.net, name, functools.partial(getattr(torch.nn.Module, name), self.net))

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def has_peer() -> bool:
    import importlib.util

    found = importlib.util.find_spec("neuralop") is not None
    if not found:
        print("neuraloperator is not installed: no rows of it (scripts/foreign.sh installs it)")
    return found


@functools.cache
def data(name: str, samples: int, folder: Path) -> Pairs:
    """Generate a set, or open it, and return its pairs."""
    options, stride = SETS[name]
    options = dict(options)
    path = folder / f"{options['family']}{options['resolution']}-{samples}.h5"
    if not path.exists():
        family = datasets.families.get(options.pop("family"), **options)
        parts = (1000 / 1200, 100 / 1200, 100 / 1200)
        datasets.generate(family, samples, seed=0, rtol=1e-8, splits=parts, out=path).close()
    return as_pairs(path).strided(stride)


def trained_cell(name: str, model: str, seed: int, samples: int, epochs: int, folder: Path) -> dict[str, Any]:
    """Train one model and judge it on the test split."""
    pairs = data(name, samples, folder)
    begin, wall = time.process_time(), time.perf_counter()
    if model == "neuraloperator":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            peer = Peer(c_in=pairs.c_in, c_out=pairs.c_out, n_modes=[16, 16])
        run = Trainer(peer, TrainingConfig.of({**RECIPES["fno"], "epochs": epochs, "seed": seed})).fit(pairs)
    else:
        run = train(pairs, model=model, epochs=epochs, seed=seed)
    seconds = time.process_time() - begin
    rows = pairs.splits["test"]
    x, y = pairs.batch(rows)
    found = relative_errors(run.predict(x), y, pairs.geometry).mean()
    return {
        "set": name,
        "model": model,
        "seed": seed,
        "grid": list(pairs.geometry.grid),
        "epochs": epochs,
        "training samples": len(pairs.splits["train"]),
        "parameters": count_params(run.model.net, complex_as_one=True),
        "relative L2": found["relative_l2"],
        "relative H1": found["relative_h1"],
        "CPU seconds": seconds,
        "seconds": time.perf_counter() - wall,
    }


def speed(sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    """Return milliseconds of a sample, forward and backward, methods in turn."""
    rows = []
    for n in sizes:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            models: dict[str, NeuralOperator] = {
                "resolvent FNO": build("fno", c_in=1, c_out=1),
                "resolvent MgNO": build("mgno", c_in=1, c_out=1),
            }
            if has_peer():
                models["neuraloperator FNO"] = Peer(c_in=1, c_out=1, n_modes=[16, 16])
            x = torch.randn(20, 1, n, n)
        least = dict.fromkeys(models, float("inf"))
        for _ in range(rounds):
            for label, model in models.items():
                model.zero_grad(set_to_none=True)
                begin = time.process_time()
                model(x).square().mean().backward()
                least[label] = min(least[label], time.process_time() - begin)
        for label, model in models.items():
            rows.append(
                {
                    "model": label,
                    "grid": n,
                    "ms": 1e3 * least[label] / len(x),
                    "kept bytes": kept_for_backward(model, x) / len(x),
                    "parameters": count_params(model, complex_as_one=True)
                    if "resolvent" in label
                    else sum(p.numel() for p in model.parameters()),
                }
            )
    return rows


def kept_for_backward(model: torch.nn.Module, x: torch.Tensor) -> int:
    """Return the bytes that a forward pass keeps for the gradient, parameters not counted."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def note(t: torch.Tensor) -> torch.Tensor:
        kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        y = model(x)
    del y
    return sum(size for pointer, size in kept.items() if pointer not in own)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--again", action="store_true", help="measure cells that are in the results already")
    parser.add_argument("--samples", type=int)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "resolvent-neural")
    options = parser.parse_args(arguments)
    name = "neural-quick" if options.quick else "neural"
    samples, epochs = options.samples or (120 if options.quick else 1200), 1 if options.quick else 25
    options.data.mkdir(parents=True, exist_ok=True)
    target = options.results / f"{name}.json"
    report: dict[str, Any] = {"cells": [], "speed": [], "checks": []}
    if target.is_file() and not options.again and not options.quick:
        report |= json.loads(target.read_text(encoding="utf-8"))
    peer = has_peer()
    with one_thread():
        torch.set_num_threads(1)
        if not report["speed"]:
            report["speed"] = speed([33, 65] if options.quick else [33, 65, 129], 2 if options.quick else 7)
            report["about speed"] = about()
        known = {(cell["set"], cell["model"], cell["seed"]) for cell in report["cells"]}
        for cell in CELLS if not options.quick else [("darcy33", m, 0) for m in ("fno", "mgno", "neuraloperator")]:
            if cell in known or (cell[1] == "neuraloperator" and not peer):
                continue
            report["cells"].append({**trained_cell(*cell, samples, epochs, options.data), "about": about()})
            save(report, target)
        finish(report, target, judged=not options.quick)


def finish(report: dict[str, Any], target: Path, *, judged: bool) -> None:
    """Print the tables, judge, and write file and picture."""
    rows = []
    for name in SETS:
        for model in dict.fromkeys(cell["model"] for cell in report["cells"] if cell["set"] == name):
            cells = [cell for cell in report["cells"] if (cell["set"], cell["model"]) == (name, model)]
            median = {
                key: statistics.median(cell[key] for cell in cells)
                for key in ("relative L2", "relative H1", "CPU seconds")
            }
            rows.append(
                {"set": name, "model": model, "seeds": len(cells), "parameters": cells[0]["parameters"], **median}
            )
    report["medians"] = rows
    show(
        "Test errors after 25 epochs on 1000 samples (medians of seeds)",
        ("set", "model", "parameters, complex as one", "seeds", "relative L2", "relative H1", "CPU-s of training"),
        [
            (r["set"], r["model"], f"{r['parameters']:,}", r["seeds"], f"{r['relative L2']:.4f}",
             f"{r['relative H1']:.4f}", f"{r['CPU seconds']:.0f}")
            for r in rows
        ],
    )  # fmt: skip
    show(
        "Forward and backward, one thread, batches of 20",
        ("model", "grid", "ms a sample", "kept for the gradient, MB a sample", "parameters"),
        [
            (r["model"], f"{r['grid']}²", f"{r['ms']:.2f}", f"{r['kept bytes'] / 1e6:.2f}", f"{r['parameters']:,}")
            for r in report["speed"]
        ],
    )
    checks = []
    for model, bar in BARS.items():
        found = [r["relative L2"] for r in rows if (r["set"], r["model"]) == ("darcy33", model)]
        if found:
            checks.append(verdict(f"{model} on darcy33, relative L2", found[0], bar, judged=judged))
    by = {(r["model"], r["grid"]): r["ms"] for r in report["speed"]}
    for n in dict.fromkeys(r["grid"] for r in report["speed"]):
        if ("neuraloperator FNO", n) in by:
            gain = by["neuraloperator FNO", n] / by["resolvent FNO", n]
            checks.append(verdict(f"FNO against neuraloperator's at {n}²", gain, 1.3, least=True, judged=judged))
    ratio = by["resolvent MgNO", 33] / by["resolvent FNO", 33]
    checks.append(
        verdict("MgNO / FNO at 33²", ratio, 1.5, judged=judged, note="of our FNO, which is faster than others")
    )
    report["checks"] = checks
    report["about"] = about()
    save(report, target)
    draw(report, target.with_suffix(".png"))


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw errors against parameters, and times by grid."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    marks = dict(zip(SETS, "osD^", strict=True))
    for row in report["medians"]:
        left.loglog(row["parameters"], row["relative L2"], marks[row["set"]], color="#1f5a99" if row["set"] == "darcy33"
                    else "#d9822b" if row["set"] == "darcy65" else "0.5")  # fmt: skip
        left.annotate(f" {row['model']}", (row["parameters"], row["relative L2"]), fontsize=7, va="center")
    for name, mark in marks.items():
        if any(row["set"] == name for row in report["medians"]):
            left.plot([], [], mark, color="0.3", label=name)
    left.margins(x=0.25)
    left.set_xlabel("parameters (complex as one)")
    left.set_ylabel("relative L² error on the test split")
    left.legend(fontsize=8)
    for model in dict.fromkeys(r["model"] for r in report["speed"]):
        rows = [r for r in report["speed"] if r["model"] == model]
        right.loglog([r["grid"] for r in rows], [r["ms"] for r in rows], "o-", label=model)
    sizes = sorted({r["grid"] for r in report["speed"]})
    right.set_xticks(sizes, [f"{n}²" for n in sizes])
    right.minorticks_off()
    right.set_xlabel("grid")
    right.set_ylabel("ms a sample, forward and backward")
    right.legend(fontsize=8)
    for ax in (left, right):
        ax.grid(alpha=0.3)
    figure.savefig(path, dpi=130)


def save(report: dict[str, Any], target: Path) -> None:
    """Write the report after each cell, so that an interrupted run keeps what it has."""
    write(report, target.stem, target.parent)


if __name__ == "__main__":
    main()
