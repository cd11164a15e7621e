"""Certified samples per second with one and two workers, one thread each: local processes, Dask, MPI ranks.

Every run is a program of its own that makes the same set (`darcy2d`), once with one worker and once with two, in turns.
The rate counts from the second chunk of each worker on; what passes before the first (starting processes, importing) is
start-up, and putting the file together is serial: both are printed beside it. In every round the bandwidth
of a triad a = b + s c is measured with one thread and with two: two workers share the memory of one machine, and what
it gives to two threads over one is the most that work bound by memory can gain. Wanted is 1.8, or nine tenths of that.

    python benchmarks/scaling.py [--quick] [--resolution 128] [--rounds 3] [--seconds 10]

Writes benchmarks/results/scaling[-quick].json and .png. Needs dask and mpi4py with mpiexec for their rows; without
them these are left out, and said to be.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

CHUNK = 16
IDLE = 2
"""Chunks of each worker before its rate counts."""
WANTED, SHARE = 1.8, 0.9
MARK = "RESULT "
WORKERS = (1, 2)


def make(executor: str, workers: int, resolution: int, n: int, out: Path) -> dict[str, Any]:
    """Make the set in this process and return its times: what a child prints."""
    from resolvent import datasets
    from resolvent.datasets import families

    begun = time.perf_counter()
    seen: list[tuple[str, int, float]] = []
    data = datasets.generate(
        families.get("darcy2d", resolution=resolution),
        n,
        out=out,
        chunk=CHUNK,
        workers=workers,
        executor=executor,
        two_grid=0,
        progress=lambda state: seen.append((state.phase, state.done, time.perf_counter() - begun)),
    )
    ended = time.perf_counter() - begun
    generated = [(done, seconds) for phase, done, seconds in seen if phase == "generate"]
    waiting, last = generated[0][1], generated[-1][1]
    first = min(seconds for done, seconds in generated if done >= CHUNK)
    walls = data.chunks["seconds_wall"]
    start = max(first - waiting - float(np.median(walls)), 0.0)
    # By then each worker has started and loaded what it needs.
    ready, since = next((done, seconds) for done, seconds in generated if done >= IDLE * workers * CHUNK)
    return {
        "seconds": last - since,
        "rate": (n - ready) / (last - since),
        "before": waiting,
        "start-up": start,
        "publish": ended - last,
        "chunk": float(np.median(walls)),
        "workers": len(set(data.chunks["pid"].tolist())),
        "checksum": data.content_sha256,
        "certified": bool(data.certificates["certified"].all()),
    }


def run(executor: str, workers: int, resolution: int, n: int, folder: Path) -> dict[str, Any]:
    """Make the set in a program of its own."""
    out = folder / f"{executor}-{workers}.h5"
    start = [sys.executable]
    if executor == "mpi":
        start = ["mpiexec", "--oversubscribe", "-n", str(workers + 1), sys.executable, "-m", "mpi4py.futures"]
    command = [*start, __file__, "--child", executor, str(workers), str(resolution), str(n), str(out)]
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    rights = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
    environment = os.environ | dict.fromkeys((*names, *rights), "1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not lines:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    out.unlink()
    found: dict[str, Any] = json.loads(lines[0].removeprefix(MARK))
    return found


def triad(seconds: float) -> dict[int, float]:
    """Return GB/s of a = b + s c over arrays larger than any cache, with one thread and with two."""
    import numba

    @numba.njit(nogil=True)  # type: ignore[untyped-decorator]
    def kernel(a: Any, b: Any, c: Any, s: float) -> None:
        for i in range(a.size):
            a[i] = b[i] + s * c[i]

    size = 1 << 23
    arrays = [[np.full(size, float(k)) for k in range(3)] for _ in WORKERS]
    kernel(*arrays[0], 0.5)

    def work(own: list[np.ndarray]) -> float:
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            kernel(*own, 0.5)
            count += 1
        return count * 3.0 * size * 8.0 / (time.perf_counter() - begun) / 1e9

    with ThreadPoolExecutor(2) as pool:
        return {threads: sum(pool.map(work, arrays[:threads])) for threads in WORKERS}


def executors() -> list[str]:
    """Return those that work here, and say which do not."""
    from _report import console

    found = ["local"]
    for name, package, program in (("dask", "distributed", ""), ("mpi", "mpi4py", "mpiexec")):
        if importlib.util.find_spec(package) is None or (program and shutil.which(program) is None):
            console.print(f"{package} is not installed: no row for {name}")
        else:
            found.append(name)
    return found


def samples_for(resolution: int, seconds: float, folder: Path) -> int:
    """Return how many samples one worker makes in about so many seconds: a whole number of chunks for two."""
    probe = run("local", 1, resolution, 4 * CHUNK, folder)
    return 2 * CHUNK * max(round(seconds * probe["rate"] / (2 * CHUNK)), 4)


def plot(rows: dict[str, Any], bound: float, path: Path) -> None:
    """Draw rates with one and two workers, and what the memory allows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for position, row in enumerate(rows.values()):
        one, two = (row[str(workers)]["rate"] for workers in WORKERS)
        axes.bar(position - 0.2, one, 0.38, color="#9ecae1", label="one worker" if not position else None)
        axes.bar(position + 0.2, two, 0.38, color="#08519c", label="two workers" if not position else None)
        label = "memory of two threads" if not position else None
        axes.hlines(bound * one, position, position + 0.4, color="black", linestyle="--", label=label)
        axes.text(position + 0.2, two, f"{row['ratio']:.2f}×", ha="center", va="bottom")
    axes.set_xticks(range(len(rows)), list(rows))
    axes.set_ylabel("certified samples per second")
    axes.set_ylim(top=1.15 * max(axes.get_ylim()[1], 1e-9))
    axes.legend(frameon=False, loc="upper right")
    axes.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=130)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write."""
    from _report import about, console, show, verdict, write

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small grid, one short round")
    parser.add_argument("--resolution", type=int, help="points a side (128)")
    parser.add_argument("--rounds", type=int, help="how often (3)")
    parser.add_argument("--seconds", type=float, help="length of a run of one worker (10)")
    parser.add_argument("--executors", nargs="+", help="instead of all that are installed")
    parser.add_argument("--results", type=Path, help="folder to write to")
    options = parser.parse_args(arguments)
    resolution = options.resolution or (32 if options.quick else 128)
    rounds = options.rounds or (1 if options.quick else 3)
    seconds = options.seconds or (0.3 if options.quick else 10.0)
    machine = about()
    names = options.executors or executors()
    found: dict[str, dict[int, list[dict[str, Any]]]] = {name: {w: [] for w in WORKERS} for name in names}
    bandwidths: dict[int, list[float]] = {w: [] for w in WORKERS}
    with tempfile.TemporaryDirectory() as folder:
        n = samples_for(resolution, seconds, Path(folder))
        for number in range(rounds):
            for threads, bandwidth in triad(0.05 if options.quick else 1.0).items():
                bandwidths[threads].append(bandwidth)
            for name in names:
                for workers in WORKERS:
                    found[name][workers].append(run(name, workers, resolution, n, Path(folder)))
            console.print(f"round {number + 1} of {rounds} done")
    gain = statistics.median(two / one for one, two in zip(bandwidths[1], bandwidths[2], strict=True))
    rows: dict[str, Any] = {}
    for name, by_workers in found.items():
        row: dict[str, Any] = {
            str(workers): {
                key: statistics.median(run[key] for run in runs)
                for key in ("rate", "seconds", "before", "start-up", "publish", "chunk")
            }
            | {"rates": [run["rate"] for run in runs], "workers": max(run["workers"] for run in runs)}
            for workers, runs in by_workers.items()
        }
        pairs = zip(by_workers[1], by_workers[2], strict=True)
        row["ratios"] = [two["rate"] / one["rate"] for one, two in pairs]
        row["ratio"] = statistics.median(row["ratios"])
        rows[name] = row
    every = [run for by_workers in found.values() for runs in by_workers.values() for run in runs]
    checksums = sorted({run["checksum"] for run in every})
    lines = [
        (
            name,
            f"{row['1']['rate']:.1f}",
            f"{row['2']['rate']:.1f}",
            f"{row['ratio']:.2f} ({min(row['ratios']):.2f}–{max(row['ratios']):.2f})",
            f"{row['1']['start-up']:.1f}",
            f"{row['2']['start-up']:.1f}",
            f"{row['2']['publish']:.2f}",
        )
        for name, row in rows.items()
    ]
    columns = ("executor", "one worker, samples/s", "two", "gain", "start-up of one, s", "of two, s", "file, s")
    show(f"darcy2d {resolution} x {resolution}, {n} samples in chunks of {CHUNK}, medians of {rounds}", columns, lines)
    one, two = (statistics.median(bandwidths[w]) for w in WORKERS)
    console.print(f"  triad: {one:.1f} GB/s with one thread, {two:.1f} GB/s with two: {gain:.2f} times")
    bound = min(WANTED, SHARE * gain)
    checks = [
        verdict(f"{name}: two workers over one", row["ratio"], bound, least=True, judged=not options.quick)
        for name, row in rows.items()
    ]
    checks.append(verdict("different checksums", len(checksums), 1))
    report = {
        "machine": machine,
        "family": "darcy2d",
        "resolution": resolution,
        "samples": n,
        "chunk": CHUNK,
        "rounds": rounds,
        "triad": {"GB/s": {str(w): bandwidths[w] for w in WORKERS}, "gain": gain},
        "executors": rows,
        "certified": all(run["certified"] for run in every),
        "checksums": checksums,
        "checks": checks,
    }
    path = write(report, "scaling" + ("-quick" if options.quick else ""), options.results)
    plot(rows, gain, path.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        kind, workers, resolution, n, out = sys.argv[2:]
        result = make(kind, int(workers), int(resolution), int(n), Path(out))
        sys.stdout.write(MARK + json.dumps(result) + "\n")
        sys.exit(0)
    sys.exit(main())
