"""How exact must labels be? One network, trained on labels that a solver left at several tolerances.

    python benchmarks/labels.py              # about six minutes of one core, nearly all of it training
    python benchmarks/labels.py --quick      # a few seconds: a small grid and hardly any training

Darcy flow with the two-phase coefficient (12 and 3) on 33 × 33 nodes. All sets have the same coefficients; their labels
are iterates of CG and of GMRES, without a preconditioner, stopped at ‖r‖ ≤ rtol ‖b‖, or certified solutions (1e-8). The
same FNO learns from each, labels of the validation included, and is judged by certified solutions that training never
saw. The two methods differ in what a tolerance means: GMRES makes the residual small, and the error is what smooth
modes leave, of the size of the tolerance; CG makes the energy norm of the error small, and its residual, which is
rough, is ten times as large as the error.

Published for an FNO on Darcy flow (arXiv 2402.05957): labels at 1e-1 hold it at an error of 0.12, at 1e-2 at 9.4e-3.
From there is the rule of `datasets.verify(target_error=…)`, which warns where the tolerance is above a hundredth of
the error that a model shall reach; here it is asked about the error that the network has with certified labels.

Writes benchmarks/results/labels[-quick].json and .png.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _report import about, console, one_thread, show, verdict, write

from resolvent import datasets
from resolvent.datasets.families import Darcy2D
from resolvent.solvers import CG, GMRES

CERTIFIED = 1e-8
SETS = [("CG", 1e-1), ("CG", 1e-2), ("CG", 1e-3), ("CG", 1e-5), ("GMRES", 1e-1), ("GMRES", 1e-2), ("GMRES", 1e-3)]
METHODS = {"CG": CG, "GMRES": GMRES}
HARMLESS = 1.1
"""Test error over that with certified labels up to which labels count as exact."""


def stopped(family: Darcy2D, a: np.ndarray, method: str, rtol: float) -> tuple[np.ndarray, float]:
    """Return the iterates at which a method stops, and its iterations, on average."""
    solver, fields, iterations = METHODS[method](rtol=rtol), np.empty_like(a), 0
    for i, coefficient in enumerate(a):
        A, b = family.assemble({"a": coefficient})
        result = solver.solve(A, b)
        fields[i] = family.expand(result.x, {"a": coefficient})["u"]
        iterations += result.iterations
    return fields, iterations / len(a)


def relative(u: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return the relative L2 error of each field; the nodes on the boundary, of half a weight, are zero."""
    return np.linalg.norm(u - exact, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))


def warned(rtol: float, target: float, folder: Path) -> bool:
    """Ask `verify` about a set of that tolerance and a model of that error."""
    path = folder / f"{rtol:.0e}.h5"
    if not path.exists():
        datasets.generate(Darcy2D(resolution=9, grid="vertex"), 10, rtol=rtol, out=path).close()
    return bool(datasets.verify(path, target_error=target).warnings)


def learned(a: np.ndarray, labels: np.ndarray, test: Any, options: dict[str, Any], epochs: int, seed: int) -> Any:
    """Train on labels, a tenth of them for validation; return the mean error on test solutions, and CPU seconds."""
    from resolvent.training import train

    begin = time.process_time()
    run = train(
        a[:, None], labels[:, None], model="fno", options=options, epochs=epochs, seed=seed, fractions=(1 / 11, 0.0),
        device="cpu",
    )  # fmt: skip
    seconds = time.process_time() - begin
    return float(relative(run.predict(test[0][:, None])[:, 0], test[1]).mean()), seconds


def plot(rows: Sequence[dict[str, Any]], reference: float, published: Sequence[Any], path: Path) -> None:
    """Draw errors of labels and of models by tolerance, and the error of models by that of their labels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 4.8))
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, gridspec_kw={"left": 0.06, "right": 0.99, "bottom": 0.11, "top": 0.97})
    errors = np.geomspace(1e-7, 0.3, 200)
    right.plot(errors, np.hypot(reference, errors), color="0.6", lw=1, label="both errors, independent")
    for colour, method in (("#1f5a99", "CG"), ("#d9822b", "GMRES")):
        own = [r for r in rows if r["method"] == method]
        rtol, label, model = ([r[k] for r in own] for k in ("rtol", "label error", "test error"))
        left.plot(rtol, model, "o-", color=colour, label=f"FNO, labels by {method}")
        left.plot(rtol, label, "s--", color=colour, ms=4, label=f"labels by {method}")
        right.plot(label, model, "o", color=colour, label=f"labels by {method}")
    left.plot(*zip(*published, strict=True), "x", color="0.3", label="FNO, published, another Darcy set")
    left.axhline(reference, color="0.6", lw=1, label="FNO, certified labels")
    left.axvspan(reference / 100, 0.2, color="#b3261e", alpha=0.07, lw=0)
    left.text(reference / 80, 2e-7, "verify warns", color="#b3261e", fontsize=9)
    left.set(xlabel="tolerance of the labels", ylabel="relative L² error", xlim=(5e-6, 0.2), ylim=(1e-7, 30.0))
    right.set(xlabel="error of the labels", ylabel="error of the FNO")
    for ax in (left, right):
        ax.set(xscale="log", yscale="log")
        ax.grid(True, color="0.92")
        ax.legend(fontsize=8, loc="upper left")
    figure.savefig(path.with_suffix(".png"), dpi=110)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the sets, train, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small grid, hardly any training")
    parser.add_argument("--results", type=Path, help="folder of the results")
    parsed = parser.parse_args(arguments)
    quick = parsed.quick
    n, samples, tests, epochs = (13, 22, 8, 1) if quick else (33, 550, 100, 20)
    options = {"width": 8, "n_modes": [6, 6], "layers": 1} if quick else {"width": 24, "n_modes": [12, 12], "layers": 3}
    family = Darcy2D(resolution=n, grid="vertex", coefficient="fno_twophase")
    rows: list[dict[str, Any]] = []
    with one_thread(), tempfile.TemporaryDirectory() as name:
        import torch

        torch.set_num_threads(1)
        machine, folder = about(), Path(name)
        with datasets.generate(family, samples + tests, seed=0, rtol=CERTIFIED, out=folder / "certified.h5") as known:
            a, u = (np.asarray(known.column(field), dtype=np.float64) for field in ("a", "u"))
            certified = int(known.certificates["certified"].sum())
        test = a[samples:], u[samples:]
        a, u = a[:samples], u[:samples]
        exact = [learned(a, u, test, options, epochs, seed) for seed in range(1 if quick else 2)]
        reference = exact[0][0]
        console.print(f"certified labels: {', '.join(f'{error:.4f}, {seconds:.0f} s' for error, seconds in exact)}")
        for method, rtol in SETS:
            labels, iterations = stopped(family, a, method, rtol)
            off = relative(labels, u)
            error, seconds = learned(a, labels, test, options, epochs, 0)
            rows.append(
                {
                    "method": method,
                    "rtol": rtol,
                    "iterations": iterations,
                    "label error": float(off.mean()),
                    "worst label error": float(off.max()),
                    "test error": error,
                    "over certified": error / reference,
                    "warned": warned(rtol, reference, folder),
                    "CPU seconds": seconds,
                }
            )
            console.print(f"{method} {rtol:.0e}: labels {off.mean():.1e}, FNO {error:.4f}, {seconds:.0f} s")
    cells = [
        [
            r["method"], f"{r['rtol']:.0e}", f"{r['iterations']:.0f}", f"{r['label error']:.1e}",
            f"{r['worst label error']:.1e}", f"{r['test error']:.4f}", f"{r['over certified']:.2f}",
            "yes" if r["warned"] else "no",
        ]
        for r in rows
    ]  # fmt: skip
    cells.append(["certified", f"{CERTIFIED:.0e}", "", "", "", f"{reference:.4f}", "1.00", "no"])
    columns = ("labels by", "rtol", "iterations", "label error", "worst", "FNO, test error", "over certified", "warned")
    show("Relative L2 errors against certified solutions", columns, cells)
    silent = [r["over certified"] for r in rows if not r["warned"]]
    harmful = {r["rtol"] for r in rows if r["over certified"] > HARMLESS}
    needless = {r["rtol"] for r in rows if r["warned"]} - harmful
    checks = [
        verdict("samples without a certificate", samples + tests - certified, 0),
        verdict(
            "error of labels over the least model error that the rule allows them",
            max(r["label error"] / (100.0 * r["rtol"]) for r in rows),
            0.1,
            note="a label error of a tenth adds half a per cent to a model's, if both are independent",
        ),
        verdict(
            "test error over that of certified labels, worst set without a warning",
            max(silent, default=1.0),
            HARMLESS,
            judged=not quick,
        ),
        verdict(
            "test error over that of certified labels, worst set with a warning",
            max(r["over certified"] for r in rows),
            HARMLESS,
            least=True,
            note="a rule that never had to speak would not have been tried",
            judged=not quick,
        ),
    ]
    report = {
        "machine": machine,
        "grid": n,
        "samples": {"train": samples * 10 // 11, "valid": samples // 11, "test": tests},
        "epochs": epochs,
        "fno": options,
        "certified": [{"seed": i, "test error": e, "CPU seconds": s} for i, (e, s) in enumerate(exact)],
        "rows": rows,
        "largest tolerance warned about that does no harm by either method": max(needless, default=None),
        "published": [{"rtol": rtol, "test error": error} for rtol, error in PUBLISHED],
        "checks": checks,
    }
    path = write(report, "labels-quick" if quick else "labels", parsed.results)
    plot(rows, reference, PUBLISHED, path)
    return 0


PUBLISHED = [(1e-1, 0.12), (1e-2, 9.4e-3)]
"""Tolerance of labels and error of an FNO, arXiv 2402.05957."""


if __name__ == "__main__":
    sys.exit(main())
