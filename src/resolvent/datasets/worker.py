"""One chunk of work: draw, assemble, solve, certify, write. Runs in the calling process or in a worker.

A chunk is the unit of determinism: its samples are solved in order from its border on, with one thread count, and its
content depends on nothing else.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import resource
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..solvers.fixed_threads import fixed_threads
from .chunk_order import DrawnChunk, chunk_order
from .discrete_problem import DiscreteProblem
from .errors import CertificationError, SampleError
from .evidence.certification import INADMISSIBLE, Certificate, certify
from .family import Family
from .methods.strategies import SolveSystems, setup_seconds
from .settings import Settings
from .storage.file_format import CERTIFICATE, STAGES, Column, Layout, sample_digest
from .storage.sample_arrays import check_arrays, working_inputs, working_solution
from .storage.shards import ShardWriter


@dataclasses.dataclass(frozen=True)
class ChunkTask:
    """Samples ``start`` … ``stop`` − 1 of one chunk, and where their shard goes.

    The chunk is solved from its border even when `start` lies behind it: those samples are already published, and
    only their effect on what follows is needed.

    With `warm`, a method that this process has not used yet solves the first window once before the clock starts:
    what is compiled or loaded at the first use of a method would otherwise decide what is taken for its cost.
    """

    family: Family
    settings: Settings
    chunk: int
    start: int
    stop: int
    folder: Path
    warm: bool = False

    @property
    def border(self) -> int:
        """First index of the chunk."""
        return self.chunk * self.settings.chunk


@dataclasses.dataclass(frozen=True)
class ChunkRecord:
    """What the journal keeps of a finished chunk.

    Attributes
    ----------
    shard, sha256 : str
        File name in the parts folder, and hash of the file.
    seconds : dict
        Wall time by stage, ``sort`` and ``wall`` included; ``setup`` is a part of ``solve``.
    worst_rho : float
        Largest rho_float64.
    """

    chunk: int
    start: int
    stop: int
    shard: str
    sha256: str
    seconds: dict[str, float]
    worst_rho: float
    failed: int
    iterations: int
    host: str
    pid: int
    peak_mib: float


class Clock:
    """Attributes all of the time that passes to stages: each lap is the time since the one before.

    Attributes
    ----------
    seconds : dict of str to float
        By stage. ``setup`` is no stage of its own but the part of ``solve`` that went into preparing for matrices.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys((*STAGES, "sort", "setup"), 0.0)
        self.begun = self._last = time.perf_counter()

    def lap(self, stage: str) -> float:
        """Book the time since the last lap on a stage, and return it."""
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        self.seconds[stage] += elapsed
        return elapsed


def run_chunk(
    task: ChunkTask,
    should_stop: Callable[[], bool] | None = None,
    on_sample: Callable[[], None] | None = None,
) -> ChunkRecord:
    """Make a chunk and write its shard.

    Parameters
    ----------
    task : ChunkTask
    should_stop : callable, optional
        Asked between samples; True abandons the chunk with a KeyboardInterrupt.
    on_sample : callable, optional
        Called after each stored sample.

    Raises
    ------
    CertificationError
        For the first sample that fails when failures are refused. No shard is left.
    SampleError
        When the family breaks its contract.
    StorageError
        When the shard cannot be written.
    """
    with fixed_threads(task.settings.threads):
        layout = Layout(task.family, task.settings.dtype)
        if task.warm:
            _warm_up(task, layout)
        clock = Clock()
        name = f"shard-{task.chunk:07d}-{task.start}-{task.stop}-{secrets.token_hex(4)}.npy"
        worst, failed, iterations = 0.0, 0, 0
        with ShardWriter(task.folder / name, layout.record, task.stop - task.start, layout.timing_offset) as shard:
            for record in sample_records(task, layout, clock):
                rho = float(record["certificate/rho_float64"])
                worst = rho if not rho <= worst else worst  # keeps a NaN
                failed += not record["certificate/certified"]
                iterations += int(record["certificate/iterations"])

                def stop_clock(record: np.ndarray) -> None:
                    record["timing/write"] += clock.lap("write")

                shard.write(int(record["index"]) - task.start, record, stop_clock)
                if on_sample is not None:
                    on_sample()
                if should_stop is not None and should_stop():
                    raise KeyboardInterrupt("generation was asked to stop")
            sha256 = shard.commit()
        clock.lap("write")
        return ChunkRecord(
            task.chunk,
            task.start,
            task.stop,
            name,
            sha256,
            {**clock.seconds, "wall": time.perf_counter() - clock.begun},
            worst,
            failed,
            iterations,
            platform.node(),
            os.getpid(),
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024.0 if sys.platform != "darwin" else 1024.0**2),
        )


_used: set[str] = set()
"""Methods that this process has used, as printed."""


def _warm_up(task: ChunkTask, layout: Layout) -> None:
    method = repr(task.settings.method)
    if method not in _used:
        _used.add(method)
        settings = dataclasses.replace(task.settings, on_failure="flag", order="none")
        first = dataclasses.replace(task, settings=settings, start=task.border, stop=task.border + 1)
        next(sample_records(first, layout, Clock()))


@dataclasses.dataclass(frozen=True)
class LineUp:
    """The samples of a chunk in the order in which they are solved.

    Attributes
    ----------
    indices : list of int
        Of the whole chunk, whether or not the set has all of them.
    drawn : DrawnChunk
    """

    indices: list[int]
    drawn: DrawnChunk


def line_up(task: ChunkTask, layout: Layout, clock: Clock) -> LineUp:
    """Put the samples of a task's chunk into their order."""
    family, settings = task.family, task.settings
    drawn = DrawnChunk(family, layout, settings.seed, task.border, settings.chunk, clock.lap)
    order = chunk_order(settings.order, drawn, family, layout, settings.method)
    clock.lap("sort")
    return LineUp([task.border + position for position in order], drawn)


def sample_records(
    task: ChunkTask, layout: Layout, clock: Clock, lined_up: LineUp | None = None
) -> Iterator[np.ndarray]:
    """Yield the record of each sample of a task as it is made; its ``timing/write`` holds the time of packing only.

    Without an order of the settings that is the order of their numbers.
    """
    family, settings = task.family, task.settings
    line = line_up(task, layout, clock) if lined_up is None else lined_up
    solve = settings.method.start()
    window, missing = settings.method.window, task.stop - task.start
    for first in range(0, len(line.indices), window):
        indices = line.indices[first : first + window]
        samples = [_Sample(index, family, settings, layout, clock, line.drawn) for index in indices]
        solvable = [sample for sample in samples if sample.posed is not None]
        _solve(solve, solvable, clock)
        for sample in samples:
            if task.start <= sample.index < task.stop:
                missing -= 1
                yield sample.record(clock)
        if not missing:
            return


class _Sample:
    """One sample on its way through the stages."""

    def __init__(
        self, index: int, family: Family, settings: Settings, layout: Layout, clock: Clock, drawn: DrawnChunk
    ) -> None:
        self.index, self.family, self.settings, self.layout = index, family, settings, layout
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.result: Any = None
        self.stored, before = drawn.take(index)
        self.inputs = working_inputs(self.stored, layout)
        self.seconds["draw"] = before + clock.lap("draw")
        self.posed: DiscreteProblem | None = None
        self.problem = ""
        try:
            self.posed = family.pose(self.inputs)
        except ValueError as error:
            self.problem = str(error)
        self.seconds["assemble"] = clock.lap("assemble")

    def record(self, clock: Clock) -> np.ndarray:
        """Certify the sample and return its record."""
        settings, layout = self.settings, self.layout
        if self.result is None:
            certificate = Certificate(np.inf, np.inf, np.nan, settings.rtol, 0, INADMISSIBLE, False)
            solution = {name: _missing(layout.fields[name]) for name in layout.names("solution")}
        else:
            anew = self.family.pose(working_inputs(self.stored, layout))
            solution = anew.expand(self.result.x)
            check_arrays(solution, self.family, layout, ("solution",), self.index)
            solution = {name: np.asarray(solution[name], dtype=layout.fields[name].dtype) for name in solution}
            certificate = certify(
                anew,
                self.result.x,
                working_solution(solution, layout),
                tolerance=settings.rtol,
                iterations=int(self.result.iterations),
                status=str(self.result.status.name),
            )
        self.seconds["certify"] = clock.lap("certify")
        if not certificate.certified and settings.on_failure == "raise":
            raise CertificationError(
                self.index,
                settings.seed,
                certificate.status,
                certificate.rho_float64,
                settings.rtol,
                self.problem or ", ".join(f"{name} {value:.1e}" for name, value in certificate.evidence.items()),
            )
        record = self._pack({**self.stored, **solution}, certificate)
        self.seconds["write"] = clock.lap("write")
        for stage in STAGES:
            record[f"timing/{stage}"] = self.seconds[stage]
        return record

    def _pack(self, fields: Mapping[str, np.ndarray], certificate: Certificate) -> np.ndarray:
        layout = self.layout
        record = np.zeros((), dtype=layout.record)
        record["index"] = self.index
        for column, value in zip(CERTIFICATE, certificate.common, strict=True):
            record[column.path] = value
        for column in layout.evidence:
            record[column.path] = certificate.evidence.get(column.name, np.inf)  # of a problem that was not admissible
        for name, value in fields.items():
            record[layout.fields[name].path] = value
        digests = content_digests(layout.content, record)
        for path, digest in digests.items():
            record[f"digests/{path}"] = np.frombuffer(digest, dtype=np.uint8)
        record["digests/sample"] = np.frombuffer(sample_digest(self.index, digests), dtype=np.uint8)
        return record


def _missing(column: Column) -> np.ndarray:
    """Solution of a problem that is not admissible."""
    return np.full(column.shape, np.nan if column.dtype.kind in "fc" else 0, dtype=column.dtype)


def content_digests(columns: Sequence[Column], values: Any) -> dict[str, bytes]:
    """Return the digest of each column of one sample; `values` is indexed by path."""
    return {column.path: column.digest(values[column.path]) for column in columns}


def _solve(solve: SolveSystems, samples: Sequence[_Sample], clock: Clock) -> None:
    """Solve the systems of a window and share the time equally among them."""
    results = solve([sample.posed.task for sample in samples if sample.posed is not None])
    if len(results) != len(samples):
        raise SampleError(f"the method returned {len(results)} results for {len(samples)} systems")
    seconds = clock.lap("solve")
    clock.seconds["setup"] += min(setup_seconds(results), seconds)
    for sample, result in zip(samples, results, strict=True):
        sample.result = result
        sample.seconds["solve"] = seconds / len(samples)
        sample.posed = None  # the certificate poses its own
