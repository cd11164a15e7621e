"""Fit the cost model stored with the package: seconds of each method by kind of problem and size, one thread.

Run it on a quiet machine; it takes some minutes. `resolvent calibrate` does the same at fewer sizes for one's own
machine.

    python benchmarks/cost_model.py [--repeats 5] [--again] [--output src/resolvent/solvers/costs/packaged.json]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from _report import RESULTS, about, console, one_thread

from resolvent.solvers.costs import CostModel, Point, measure
from resolvent.solvers.costs.model import PARTS
from resolvent.solvers.costs.stored import this_machine

STORED = Path(__file__).resolve().parents[1] / "src" / "resolvent" / "solvers" / "costs" / "packaged.json"


def least(found: Sequence[measure.Measured], earlier: CostModel) -> list[measure.Measured]:
    """Return measurements lowered to those of an earlier run on the same machine: what else it did only adds."""
    here = this_machine()
    if {name: earlier.machine.get(name) for name in here} != here:
        raise SystemExit("--again needs a model of this machine")
    known = {
        (kind, way, p.unknowns): p
        for kind, ways in earlier.curves.items()
        for way, curve in ways.items()
        for p in curve.points
    }
    new = {(m.kind, m.way, m.point.unknowns): m.point for m in found}
    merged = []
    for kind, way, n in sorted(known.keys() | new.keys(), key=lambda key: key[2]):
        points = [points[kind, way, n] for points in (known, new) if (kind, way, n) in points]
        parts = {name: min(getattr(p, name) for p in points) for name in PARTS}
        merged.append(measure.Measured(kind, way, Point(n, **parts)))
    order = {
        (kind, way): number for number, (kind, way) in enumerate((k, w) for k, ws in measure.PLAN.items() for w in ws)
    }
    return sorted(merged, key=lambda m: (order[m.kind, m.way], m.point.unknowns))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--patience", type=float, default=6.0, help="seconds for one size of a method")
    parser.add_argument(
        "--again", action="store_true", help="keep the least of what the output holds of this machine and of this run"
    )
    parser.add_argument("--quick", action="store_true", help="few small sizes")
    parser.add_argument("--output", type=Path, help="by default the file of the package; results/ for --quick")
    options = parser.parse_args(arguments)
    output = options.output or (RESULTS / "cost_model-quick.json" if options.quick else STORED)
    sizes = {"": (256, 512), "2d": (6, 8), "3d": (4, 5)} if options.quick else measure.FULL
    found: list[measure.Measured] = []
    with one_thread():
        load = str(about()["load before"])
        for measured in measure.measurements(sizes, patience=options.patience, repeats=options.repeats):
            if measured is None:
                continue
            found.append(measured)
            p = measured.point
            times = " ".join(f"{1e3 * seconds:10.3f}" for seconds in (p.first, p.again, p.solve, p.column))
            console.print(f"{measured.kind:16} {measured.way:20} {p.unknowns:8} {times}", soft_wrap=True)
    if options.again:
        earlier = CostModel.from_json(json.loads(output.read_text(encoding="utf-8")))
        found = least(found, earlier)
    model = measure.fitted(found, load=load)
    text = json.dumps(model.to_json(), ensure_ascii=False)
    text = text.replace('"curves": {', '"curves": {\n ').replace('}], "', '}],\n  "').replace("]}, ", "]},\n ")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text + "\n", encoding="utf-8")
    console.print(f"written: {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
