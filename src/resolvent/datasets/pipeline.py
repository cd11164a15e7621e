"""Generating a dataset: the public entry point."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..solvers.fixed_threads import fixed_threads
from . import families, provenance
from .capacity import refuse_full_disk
from .discretisation import inspect_discretisation
from .errors import ConfigurationMismatch, GenerationInterrupted
from .executors import run_here, run_in_processes, run_on
from .existing import begun_set, finished_set, refuse_altered, refuse_flagged
from .family import Family, LinearFamily
from .file_format import Layout
from .methods import STRATEGIES, Decision, Method, decide
from .progress import Meter, ProgressCallback
from .publication import blocks_of_file, blocks_of_shards, chunk_table, extended_table, publish
from .reader import Dataset
from .seeding import check_shares
from .settings import (
    DTYPES,
    Settings,
    changes_text,
    check_choice,
    check_count,
    check_tolerance,
    configuration,
    differences,
    plain,
)
from .worker import ChunkRecord, ChunkTask
from .workspace import Workspace, parts_folder

if TYPE_CHECKING:
    from ..solvers.solver import Solver

logger = logging.getLogger(__name__)

_COARSE = 1e-4
"""Labels solved to 1e-2 were found to hold a model's error near 1e-2, to 1e-1 near 1e-1, to 1e-5 not to limit it
(https://arxiv.org/abs/2402.05957): a hundredth of an aim of one per cent."""


def generate(
    family: Family | str,
    n: int,
    *,
    out: str | Path,
    seed: int = 0,
    rtol: float = 1e-8,
    solver: str | Solver | Method = "auto",
    chunk: int = 64,
    workers: int = 1,
    executor: Executor | None = None,
    threads: int = 1,
    dtype: str = "float64",
    on_failure: str = "raise",
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    two_grid: int | None = None,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> Dataset:
    """Generate n certified samples of a family into one HDF5 file, resuming or extending what is there.

    Every sample is drawn from its own random stream, so that sample i is the same whatever `n`, `workers`
    and interruptions: 100 samples are the first 100 of 1000. Work in progress lies in ``<out>.parts`` and survives
    any kill; the same call again continues. A finished file grows when called with a larger `n`.

    Parameters
    ----------
    family : Family or str
        Family with its options, or the name of a registered one with default options.
    n : int
        Number of samples the set shall have.
    out : path
        The HDF5 file. Missing folders are made. All workers must see this path.
    seed : int ≥ 0
        Root of all random streams.
    rtol : float
        Largest ‖b − A u‖₂/‖b‖₂ accepted, measured in float64 on the problem assembled anew from the stored inputs.
    solver : {"auto", "multigrid", "direct", "cg+amg", "gmres+ilu", …}, Solver or Method
        How systems are solved: `methods.STRATEGIES` has all names. A solver less accurate than `rtol` demands is
        tightened. ``auto`` decides by the structure of the first systems and the costs stored with the package, alike
        on every machine (`explain` shows it); the decision is stored before the first chunk.
    chunk : int
        Samples in a unit of work. Solver state is reset at its border, so it can influence the last bits. A run uses
        at most n/chunk workers.
    workers : int
        Local processes; 1 works in the calling process. With `executor`, how many chunks it runs at once.
    executor : concurrent.futures.Executor, optional
        Where chunks run instead, such as Dask's ``Client.get_executor()`` or an ``MPIPoolExecutor``. Give each of its
        workers one thread. It is not shut down.
    threads : int
        BLAS, OpenMP and numba threads of each worker: part of the configuration, since last bits can depend on it.
    dtype : {"float64", "float32"}
        Storage precision of inputs and solutions. Problems are assembled from the inputs as stored and solved in
        double precision; with float32 the certificate is that of the solution before rounding, and the
        residual after rounding and the rounding error are stored besides.
    on_failure : {"raise", "flag"}
        A sample above `rtol` stops the run and its chunk is not written, or is stored with ``certified`` False.
    splits : three floats
        Shares of train, valid and test. A sample never changes its split when the set grows.
    two_grid : int, optional
        Number of samples whose discretisation error is estimated on a grid twice as fine, before the first chunk;
        by default 4 unless that grid is large. Like the structural checks of the first matrix it becomes part of the
        provenance, not of the samples.
    overwrite : bool
        Discard a set of another configuration at `out`. Files that are not datasets are never overwritten.
    progress : callable, optional
        Called with a `Progress` now and then, in the calling thread.

    Returns
    -------
    dataset : Dataset
        The finished file, open for reading.

    Raises
    ------
    ConfigurationMismatch
        If `out` holds samples of another configuration; ``.differences`` says which keys.
    CertificationError
        If a sample fails and failures are refused.
    DiscretisationError
        If the matrix of the first sample fails the family's structural checks.
    GenerationInterrupted
        On Ctrl-C (it is a KeyboardInterrupt); the same call resumes.
    OutputLockedError, StorageError, FormatError, WorkerLostError
        Two runs on one output; unwritable or full; a foreign or damaged file there; a worker died.
    ValueError, TypeError
        For arguments out of range, and for fewer samples than a finished file has.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from resolvent import datasets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ds = datasets.generate("darcy", 4, out=Path(folder) / "darcy.h5")
    ...     ds[0]["u"].shape, bool(ds.certificates["rho_stored"].max() < 1e-8)
    ((64, 64), True)
    """
    check_tolerance(rtol)
    if rtol > _COARSE:
        logger.warning(
            "rtol=%g: errors of the labels limit what a model learns; stay below a hundredth of the error you aim at",
            rtol,
        )
    run = _Run(
        as_linear_family(family),
        check_count("n", n, 1),
        Path(out),
        {
            "seed": check_count("seed", seed, 0),
            "rtol": float(rtol),
            "chunk": check_count("chunk", chunk, 1),
            "threads": check_count("threads", threads, 1),
            "dtype": dtype,
            "on_failure": on_failure,
            "splits": check_shares(splits),
        },
        solver,
        None if two_grid is None else check_count("two_grid", two_grid, 0),
        check_count("workers", workers, 1),
        executor,
        progress,
    )
    return run(overwrite)


def as_linear_family(family: Family | str) -> LinearFamily:
    """Return a family that may be given by its name."""
    if isinstance(family, str):
        family = families.get(family)
    if not isinstance(family, LinearFamily):
        raise TypeError(f"family must be a LinearFamily or the name of one, got {family!r}")
    return family


class _Run:
    """One call of `generate`."""

    def __init__(
        self,
        family: LinearFamily,
        n: int,
        out: Path,
        options: dict[str, Any],
        solver: str | Solver | Method,
        two_grid: int | None,
        workers: int,
        executor: Executor | None,
        progress: ProgressCallback | None,
    ) -> None:
        self.family, self.n, self.out = family, n, out
        self.layout = Layout(family, check_choice("dtype", options["dtype"], DTYPES))
        with fixed_threads(options["threads"]):
            self.decision: Decision = decide(solver, options["rtol"], family, options["seed"], options["chunk"])
        self.settings = Settings(solver=self.decision.requested, method=self.decision.method, **options)
        self.config = configuration(family, self.settings)
        self._keep_decision()
        self.two_grid, self.workers, self.executor, self.progress = two_grid, workers, executor, progress
        self.published = 0
        """Samples of the finished file that are kept."""

    def _keep_decision(self) -> None:
        """Keep to the solver that `auto` chose when the set was begun, should the rule have changed since."""
        begun = begun_set(self.out) if self.decision.requested == "auto" else None
        if begun is None:
            return
        config, decision = begun
        changed = differences(config, self.config).keys()
        if changed and changed <= {"method", "window"} and decision["chosen"] in STRATEGIES:
            method = decide(
                decision["chosen"], self.settings.rtol, self.family, self.settings.seed, self.settings.chunk
            ).method
            self.decision = Decision("auto", decision["chosen"], decision["why"], method)
            self.settings = dataclasses.replace(self.settings, method=method)
            self.config = configuration(self.family, self.settings)

    def __call__(self, overwrite: bool) -> Dataset:
        found = self._published(overwrite)
        if found is not None and len(found) == self.n and not parts_folder(self.out).exists():
            return found
        refuse_full_disk(self.out, self.layout, self.n, 0 if found is None else len(found))
        with Workspace(self.out) as workspace:
            found = self._published(overwrite)  # another run may have finished it before we had the lock
            self.published = 0 if found is None else len(found)
            if self.published == self.n:
                workspace.clear()
                return Dataset(self.out)
            try:
                self._adopt(workspace, overwrite)
                with fixed_threads(self.settings.threads):
                    self._generate(workspace)
                    self._publish(workspace)
            except KeyboardInterrupt as interrupt:
                workspace.reread()  # the last chunk may be entered on disk and not yet here
                done = self.published + self._fresh(workspace)
                raise GenerationInterrupted(done, self.n, str(self.out)) from interrupt
            workspace.clear()
        return Dataset(self.out)

    def _published(self, overwrite: bool) -> Dataset | None:
        """Return the finished file that this run continues, if there is one."""
        found = finished_set(self.out, self.config, self.n, overwrite=overwrite)
        if found is not None and self.settings.on_failure == "raise":
            refuse_flagged(found)
        return found

    def _adopt(self, workspace: Workspace, overwrite: bool) -> None:
        """Take over finished chunks of an interrupted run, and enter this session into the manifest."""
        manifest = workspace.manifest
        if manifest is not None and workspace.records:
            changed = differences(manifest["config"], self.config)
            if changed and not overwrite:
                raise ConfigurationMismatch(str(workspace.folder), changed)
            if changed:
                logger.warning("discarding the unfinished set in %s, as asked", workspace.folder)
                manifest = None
        if manifest is None or not workspace.records:
            workspace.forget()
            manifest = self._first_manifest()
        workspace.check_shards()
        if self.settings.on_failure == "raise":  # a flagged sample of an earlier run is then made again, and refused
            workspace.records = {chunk: record for chunk, record in workspace.records.items() if not record.failed}
        session = provenance.session(
            workers=self.workers,
            executor="none" if self.executor is None else type(self.executor).__qualname__,
            on_failure=self.settings.on_failure,
            requested=self.n,
            found=self.published + self._fresh(workspace),
        )
        for earlier in manifest["sessions"]:
            changed = differences(provenance.comparable(earlier), provenance.comparable(plain(session)))
            if changed:
                logger.warning(
                    "versions or machine differ from an earlier session of this set: %s", changes_text(changed)
                )
                break
        decision = {"requested": self.decision.requested, "chosen": self.decision.chosen, "why": self.decision.why}
        workspace.write_manifest(
            {
                "config": self.config,
                "n": self.n,
                "decision": {**decision, "method": repr(self.decision.method)},
                "family": plain(provenance.family_card(self.family)),
                "discretisation": manifest["discretisation"],
                "sessions": [*manifest["sessions"], plain(session)],
            }
        )

    def _first_manifest(self) -> dict[str, Any]:
        """Return what a new parts folder starts from: the finished file's history, or a look at the discretisation."""
        if self.published:
            with Dataset(self.out) as old:
                return {key: old.provenance[key] for key in ("sessions", "discretisation")}
        seed, method = self.settings.seed, self.settings.method
        with fixed_threads(self.settings.threads):
            return {
                "sessions": [],
                "discretisation": inspect_discretisation(self.family, seed, self.n, method, self.two_grid),
            }

    # Chunks ----------------------------------------------------------------------------------------------------------

    def _chunks(self) -> range:
        """Return the numbers of the chunks with samples that the finished file does not have."""
        size = self.settings.chunk
        return range(self.published // size, -(-self.n // size))

    def _span(self, chunk: int) -> tuple[int, int]:
        """Return start and stop of the samples of a chunk that the finished file does not have."""
        size = self.settings.chunk
        return max(chunk * size, self.published), min((chunk + 1) * size, self.n)

    def _has(self, workspace: Workspace, chunk: int) -> bool:
        record, (start, stop) = workspace.records.get(chunk), self._span(chunk)
        return record is not None and record.start <= start and record.stop >= stop

    def _done(self, workspace: Workspace) -> list[int]:
        """Return the chunks that need not be made, found without going through those that must."""
        chunks = self._chunks()
        return [chunk for chunk in workspace.records if chunk in chunks and self._has(workspace, chunk)]

    def _fresh(self, workspace: Workspace) -> int:
        """Number of samples in finished chunks that the finished file does not have."""
        return sum(stop - start for start, stop in map(self._span, self._done(workspace)))

    def _tasks(self, workspace: Workspace) -> Iterator[ChunkTask]:
        folder = workspace.folder.resolve()
        for chunk in self._chunks():
            if not self._has(workspace, chunk):
                yield ChunkTask(self.family, self.settings, chunk, *self._span(chunk), folder)

    def _generate(self, workspace: Workspace) -> None:
        resumed = self.published + self._fresh(workspace)
        missing = len(self._chunks()) - len(self._done(workspace))
        workers = min(self.workers, missing)
        meter = Meter(self.progress, "generate", resumed, self.n)
        for record in workspace.records.values():
            meter.note(record)
        meter.report()

        def on_record(record: ChunkRecord) -> None:
            workspace.append(record)
            meter.chunk(record)

        if self.executor is not None:
            run_on(self.executor, self._tasks(workspace), on_record, max(workers, 1))
        elif workers > 1:
            run_in_processes(self._tasks(workspace), on_record, workers)
        else:
            run_here(self._tasks(workspace), on_record, meter.sample)

    def _publish(self, workspace: Workspace) -> None:
        assert workspace.manifest is not None
        meter = Meter(self.progress, "publish", 0, self.n)
        records = [(workspace.records[chunk], *self._span(chunk)) for chunk in self._chunks()]
        blocks = blocks_of_shards(workspace.folder, self.layout, records)
        made = [dataclasses.replace(record, start=start, stop=stop) for record, start, stop in records]
        table = chunk_table(made)
        if self.published:
            refuse_altered(self.out)
            blocks = chain(blocks_of_file(self.out, self.layout, self.published), blocks)
            table = extended_table(self.out, table)
        card = workspace.manifest["family"]
        sessions = workspace.manifest["sessions"]
        publish(
            self.out,
            workspace.folder / f"{self.out.name}.tmp",
            family=self.family,
            layout=self.layout,
            n=self.n,
            config=self.config,
            provenance={key: workspace.manifest[key] for key in ("family", "decision", "discretisation", "sessions")},
            attributes={
                "family": card["name"],
                **{key: card[key] for key in ("title", "equation", "domain", "boundary", "law", "licence")},
                "seed": str(self.settings.seed),
                "code_version": sessions[-1]["code"],
                "created": provenance.utc_now(),
            },
            blocks=blocks,
            chunks=table,
            on_samples=meter.reached,
        )
