"""What a set will take before it is made: time, room on the disk, and memory of a worker.

The time of solving is that of the cost model, adjusted by the user's calibration. Without a calibration the model is
that of another machine: where it says that a second suffices for it, or has no figure at all, some samples are solved
instead. What a sample takes besides is measured on the sample from which the solver is decided. Nothing of all this
enters a decision or a file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..solvers.fixed_threads import fixed_threads
from .choosing.decision import Decision, decide
from .choosing.judgement import judge
from .evidence.discretisation import ESTIMATE_LIMIT, ESTIMATES
from .family import Family
from .memory import resident_bytes, worker_bytes
from .methods.strategies import SAFETY, Method
from .pipeline import as_family
from .settings import DTYPES, check_choice, check_count, check_tolerance
from .storage.capacity import bytes_text
from .storage.file_format import USER_BLOCK, Layout
from .storage.sample_arrays import drawn_inputs, first_sample, working_inputs, working_solution

if TYPE_CHECKING:
    from ..solvers.solver import Solver

_BUDGET = 1.0
"""Seconds for measuring what the cost model does not know."""

_SHORT = 2e6
"""Values times steps of the trajectory that is made to measure a family's integrator: a fraction of a second."""

_TRAJECTORIES = 12
"""How many of them at most."""

_HASHES = 5
"""How often a byte of a sample is hashed or copied until it is published: by column, in the shard, from the shard, in
the file, and in writing both."""

_SPAWN = 2.0
"""Seconds in which a worker process starts and imports."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a set is estimated to take; print it.

    Attributes
    ----------
    n, workers : int
        Samples to be made, and how many chunks are made at once.
    sample : dict of str to float
        Seconds of one worker for a sample, by stage.
    start : float
        Seconds before the first sample.
    seconds : float
        Wall time of all.
    file_bytes, disk_bytes : int
        Size of the finished file, 0 where only chunks are made; and room needed until that is done.
    memory_bytes : int
        Largest resident memory of a worker.
    free_bytes : int or None
        What the disk of the output has.
    source : str
        Where the time of solving is from.
    """

    n: int
    workers: int
    sample: Mapping[str, float]
    start: float
    seconds: float
    file_bytes: int
    disk_bytes: int
    memory_bytes: int
    free_bytes: int | None
    source: str

    @property
    def rows(self) -> dict[str, str]:
        """What to print, by name."""
        stages = ", ".join(f"{stage} {_milliseconds(seconds)}" for stage, seconds in self.sample.items())
        each = f"{_milliseconds(sum(self.sample.values()))} a sample ({stages}; solve {self.source})"
        by = f", {self.workers} workers" if self.workers > 1 else ""
        room = f"{bytes_text(self.disk_bytes)}" + (" until it is complete" if self.file_bytes else "")
        if self.free_bytes is not None:
            room += f", {bytes_text(self.free_bytes)} free" + ("" if self.fits else ": IT DOES NOT FIT")
        return {
            "time": f"about {time_text(self.seconds)} for {self.n} samples{by}, {each}",
            **({"file": f"{bytes_text(self.file_bytes)}, {room}"} if self.file_bytes else {"chunks": room}),
            "memory": f"about {bytes_text(self.memory_bytes)} a worker",
        }

    @property
    def fits(self) -> bool:
        """Whether the disk has room for it."""
        return self.free_bytes is None or self.disk_bytes <= self.free_bytes

    def __str__(self) -> str:
        return "\n".join(f"{name:<8}{text}" for name, text in self.rows.items())


def estimate(
    family: Family | str,
    n: int,
    *,
    out: str | Path | None = None,
    solver: str | Solver | Method = "auto",
    rtol: float | None = None,
    seed: int = 0,
    chunk: int = 64,
    workers: int = 1,
    threads: int = 1,
    dtype: str = "float64",
    two_grid: int | None = None,
    made: int = 0,
    shard: bool = False,
) -> Estimate:
    """Estimate time, disk space and memory of a set before it is made.

    It takes about a second beyond drawing and assembling a few samples, and is meant to be right within a factor of
    two on a quiet machine. `calibrate` makes the figures for solving those of this machine.

    Parameters
    ----------
    family, n, solver, rtol, seed, chunk, workers, threads, dtype, two_grid
        As for `generate`.
    out : path, optional
        To say what its disk has free.
    made : int
        How many of the n samples are there already.
    shard : bool
        That only chunks are made, for `merge` to put into a file, as by `generate_shard`; `n` is then the number of
        samples of the shard.

    Returns
    -------
    estimate : Estimate

    Examples
    --------
    >>> from resolvent import datasets
    >>> estimate = datasets.estimate("darcy", 10_000, workers=2)
    >>> 1.0 < estimate.seconds < 3600.0, estimate.file_bytes // 2**20
    (True, 629)
    """
    family = as_family(family)
    rtol = float(family.default_rtol if rtol is None else rtol)
    check_tolerance(rtol)
    n, workers, made = check_count("n", n, 1), check_count("workers", workers, 1), check_count("made", made, 0)
    if made >= n:
        raise ValueError(f"made must be less than n = {n}, got {made}: there is nothing to estimate")
    layout = Layout(family, check_choice("dtype", dtype, DTYPES))
    with fixed_threads(check_count("threads", threads, 1)):
        return _estimate(
            family, layout, n, out, solver, rtol, seed, check_count("chunk", chunk, 1), workers, two_grid, made, shard
        )


def _estimate(
    family: Family,
    layout: Layout,
    n: int,
    out: str | Path | None,
    solver: str | Solver | Method,
    rtol: float,
    seed: int,
    chunk: int,
    workers: int,
    two_grid: int | None,
    made: int,
    shard: bool,
) -> Estimate:
    decision = decide(solver, rtol, family, seed, chunk)
    found = first_sample(family, seed)
    method = decision.method
    solve, source = _solving(family, decision, found, seed, rtol, chunk)
    sample = _stages(family, layout, seed, found.number)
    hashed = _seconds(lambda: hashlib.sha256(bytes(min(layout.record.itemsize, 1 << 24))))
    hashed *= max(layout.record.itemsize / (1 << 24), 1.0)
    # In the order of the stages of a certificate.
    sample = {"draw": sample["draw"], "assemble": sample["assemble"], "solve": solve, "certify": sample["certify"]}
    sample["write"] = _HASHES * hashed + 5e-5
    work = found.problem.work
    new = n - made
    estimates = 0 if made else ESTIMATES if two_grid is None else two_grid
    if two_grid is None and work * 2 ** len(family.axes()) > ESTIMATE_LIMIT:
        estimates = 0
    # A window of systems is solved for one estimate, on both grids; factors of the finer one cost more than its size.
    finer = 2.0 ** len(family.axes())
    harder = finer ** (1.5 if len(family.axes()) < 3 else 2.0) if decision.chosen == "direct" else finer
    rest = sum(sample.values()) - solve
    start = 1.0 + min(estimates, new) * ((1.0 + finer) * rest + (1.0 + harder) * method.window * solve)
    chunks = math.ceil(new / chunk)
    busy = min(workers, chunks)
    rounds = math.ceil(chunks / busy) * chunk if busy > 1 else new
    seconds = start + min(rounds, new) * sum(sample.values()) + (_SPAWN if busy > 1 else 0.0)
    file_bytes = 0 if shard else USER_BLOCK + n * sum(c.dtype.itemsize * math.prod(c.shape) for c in layout.columns)
    free = None
    if out is not None:
        folder = next((parent for parent in Path(out).absolute().parents if parent.is_dir()), None)
        free = None if folder is None else shutil.disk_usage(folder).free
    return Estimate(
        new,
        busy,
        sample,
        start,
        seconds,
        file_bytes,
        file_bytes + new * layout.record.itemsize,
        resident_bytes() + worker_bytes(decision, found.system, layout, len(family.axes())),
        free,
        source,
    )


def _stages(family: Family, layout: Layout, seed: int, index: int) -> dict[str, float]:
    """Measure what a sample takes besides solving, the first time left out: it compiles and loads."""
    found: dict[str, list[float]] = {"draw": [], "assemble": [], "certify": []}
    begun = time.perf_counter()
    for repeat in range(20):
        clock = [time.perf_counter()]
        stored = drawn_inputs(family, layout, seed, index)
        clock.append(time.perf_counter())
        problem = family.pose(working_inputs(stored, layout))
        clock.append(time.perf_counter())
        anew = family.pose(working_inputs(stored, layout))
        task = anew.task
        if isinstance(task, tuple):  # a system: its certificate is a product, whatever x is
            solution = anew.expand(np.asarray(task[1]))
            stored_solution = {name: np.asarray(v, dtype=layout.fields[name].dtype) for name, v in solution.items()}
            anew.measure(np.asarray(task[1]), working_solution(stored_solution, layout))
        clock.append(time.perf_counter())
        del problem
        if repeat:
            for seconds, took in zip(found.values(), np.diff(clock), strict=True):
                seconds.append(float(took))
            if time.perf_counter() - begun > 0.5 * _BUDGET:
                break
    return {stage: statistics.fmean(seconds) for stage, seconds in found.items()}


def _solving(family: Family, decision: Decision, found: Any, seed: int, rtol: float, chunk: int) -> tuple[float, str]:
    """Return seconds of solving a sample, and where they are from."""
    from ..solvers.costs import calibrated_model, packaged_model

    if decision.estimates:
        model = calibrated_model()
        known = {e.way: e.seconds for e in judge(family, seed, found, SAFETY * rtol, model).estimates}
        name = decision.arms[0].name if decision.arms else decision.chosen
        cheap = known.get(name, math.inf) * decision.method.window <= 0.5 * _BUDGET
        if name in known and (model is not packaged_model() or not cheap):
            return known[name], model.label
    if hasattr(family, "final_time"):
        return _marching(family, decision.method, seed, found.number), "measured on a shorter trajectory"
    return _measured(family, decision.method, seed, found.number, chunk), "measured"


def _marching(family: Any, method: Method, seed: int, first: int) -> float:
    """Measure the integrator of a family over a part of its time, on several samples: their parameters decide much."""
    layout = Layout(family, "float64")
    points = math.prod(len(axis) for name, axis in family.axes().items() if name != "t")
    solve, begun = method.start(), time.perf_counter()
    found: list[float] = []
    for index in range(first, first + _TRAJECTORIES):
        inputs = working_inputs(drawn_inputs(family, layout, seed, index), layout)
        try:
            steps = int(family.steps(inputs))
            frames = max(math.ceil(min(_SHORT / max(points * steps, 1), 1.0) * family.frames), 1)
            final_time = family.final_time * frames / family.frames
            problem = dataclasses.replace(family, final_time=final_time, frames=frames).pose(inputs)
            fewer = max(int(problem.steps), 1)
        except ValueError:
            continue
        if not found:
            _once(lambda problem=problem: solve([problem.task]))  # type: ignore[misc]
        found.append(_once(lambda problem=problem: solve([problem.task])) * steps / fewer)  # type: ignore[misc]
        if time.perf_counter() - begun > _BUDGET:
            break
    return statistics.fmean(found) if found else math.nan


def _measured(family: Family, method: Method, seed: int, first: int, chunk: int) -> float:
    """Solve windows of samples for about `_BUDGET` seconds, the first one to compile and load what it needs."""
    layout = Layout(family, "float64")
    indices = itertools.count(first)

    def window() -> list[Any]:
        tasks: list[Any] = []
        while len(tasks) < method.window:
            try:
                inputs = working_inputs(drawn_inputs(family, layout, seed, next(indices)), layout)
                tasks.append(family.pose(inputs).task)
            except ValueError:
                continue
        return tasks

    method.start()(window())
    solve, spent, solved = method.start(), 0.0, 0
    while solved == 0 or (spent < _BUDGET and solved < chunk):
        tasks = window()
        spent += _once(lambda tasks=tasks: solve(tasks))  # type: ignore[misc]
        solved += len(tasks)
    return spent / solved


def _once(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _seconds(call: Callable[[], Any]) -> float:
    return min(_once(call) for _ in range(3))


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds < 1.0 else f"{seconds:.3g} s"


def time_text(seconds: float) -> str:
    """Return an estimated time with no more digits than it deserves.

    Examples
    --------
    >>> time_text(4.2), time_text(200), time_text(9000), time_text(400_000)
    ('4 s', '3 min', '2.5 h', '4.6 days')
    """
    if seconds < 100.0:
        return f"{max(seconds, 1.0):.0f} s"
    if seconds < 5400.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.1f} h" if seconds < 172_800.0 else f"{seconds / 86_400.0:.1f} days"
