"""Chunks on Dask workers: of a cluster that this run starts, of a scheduler that is running, or behind an executor.

Dask gives the chunk of a worker that dies to another one, three times (``distributed.scheduler.allowed-failures``), so
that a run survives the loss of single workers. Every chunk takes one worker, and a worker one thread: see
`placement.run_alone`. Workers with more threads are refused, because all but one of them would wait.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from multiprocessing import resource_tracker
from typing import Any

from .. import provenance
from ..errors import WorkerLostError
from ..settings import changes_text, differences, plain
from ..worker import ChunkTask
from .executors import run_on
from .placement import OnRecord, OnSample, Placement, run_alone

logger = logging.getLogger(__name__)

_CONNECT = 30.0
"""Seconds for a scheduler to answer."""

_LOGGERS = ("distributed", "distributed.client", "tornado.application")
"""Loggers that Dask gives a handler of their own."""

_WORKERLESS = 120.0
"""Seconds for a cluster without workers to get one: longer than a batch system needs to restart a node's process."""


def load_distributed() -> Any:
    """Return the module `distributed`.

    Raises
    ------
    ImportError
        If it is missing, with the line that installs it.
    """
    try:
        import distributed
    except ImportError as error:
        raise ImportError('a Dask executor needs dask: pip install "resolvent[cluster]"') from error
    return distributed


class LocalDask(Placement):
    """A Dask cluster of single-threaded worker processes on this machine, which ends with the run."""

    label = "dask"

    def __init__(self, workers: int) -> None:
        load_distributed()
        self.workers = workers

    def run(self, tasks: Iterator[ChunkTask], on_record: OnRecord, on_sample: OnSample, missing: int) -> None:
        """Start the cluster, make chunks, and close it."""
        distributed = load_distributed()
        workers = max(min(self.workers, missing), 1)
        with _silenced():
            # Memory is the caller's decision: Dask would kill workers at a share of the machine's.
            with _interrupts_kept_here():
                cluster = distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=0,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            with cluster, distributed.Client(cluster) as client:
                _run_on_client(client, tasks, on_record, workers)


class DaskScheduler(Placement):
    """The workers of a scheduler that is running.

    Parameters
    ----------
    address : str
        ``dask://host:port``, or as Dask writes it: ``tcp://host:port``.
    """

    def __init__(self, address: str) -> None:
        load_distributed()
        self.label = address
        self.address = "tcp://" + address.removeprefix("dask://") if address.startswith("dask://") else address
        self.workers = 0

    def at_once(self) -> int:
        """Return how many workers the scheduler has now: one at least, since a run waits for it."""
        with _silenced(), self._connected() as client:
            return max(len(client.scheduler_info(n_workers=-1)["workers"]), 1)

    def run(self, tasks: Iterator[ChunkTask], on_record: OnRecord, on_sample: OnSample, missing: int) -> None:
        """Connect, make chunks on all workers there are, and disconnect."""
        with _silenced(), self._connected() as client:
            _run_on_client(client, tasks, on_record, min(_ready_workers(client, self.address), missing))

    def _connected(self) -> Any:
        distributed = load_distributed()
        try:
            return distributed.Client(self.address, timeout=_CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise WorkerLostError(
                f"no Dask scheduler answers at {self.address} ({error}): start one with `dask scheduler`, and workers "
                "with `dask worker tcp://host:port --nthreads 1`"
            ) from error


class DaskExecutor(Placement):
    """What ``Client.get_executor()`` returned; neither it nor its client is closed."""

    def __init__(self, executor: Executor, workers: int) -> None:
        self.executor, self.workers = executor, workers
        self.label = type(executor).__qualname__

    def run(self, tasks: Iterator[ChunkTask], on_record: OnRecord, on_sample: OnSample, missing: int) -> None:
        """Make chunks, as many at once as the caller said."""
        client = getattr(self.executor, "_client", None)
        workers = max(min(self.workers, missing), 1)
        if client is None:
            run_on(self.executor, tasks, on_record, workers, call=run_alone)
        else:
            _check_workers(client)
            _run_on_client(client, tasks, on_record, workers, self.executor)


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keep Dask's log from the terminal: the tracebacks in it are of what this package raises as an error."""
    before = {logger: logger.level for logger in map(logging.getLogger, _LOGGERS)}
    for logger in before:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


@contextlib.contextmanager
def _interrupts_kept_here() -> Iterator[None]:
    """Block Ctrl-C in the processes and threads that the block starts; here it arrives when the block is left.

    It reaches every process of a terminal, and the one that leads decides what it means. A mask of signals is inherited
    by whatever a thread starts, so that there is no moment in which a worker does not have it yet.
    """
    resource_tracker.ensure_running()  # multiprocessing starts it with the first process, and then lifts the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ready_workers(client: Any, address: str) -> int:
    """Return how many workers a scheduler has, once it has one."""
    deadline = time.monotonic() + _WORKERLESS
    while not (count := _check_workers(client)):
        if time.monotonic() > deadline:
            raise WorkerLostError(
                f"the Dask scheduler at {address} has had no workers for {_WORKERLESS:g} s: start some with `dask "
                f"worker {address} --nthreads 1`"
            )
        logger.warning("waiting for workers of the Dask scheduler at %s", address)
        time.sleep(min(5.0, _WORKERLESS / 4))
    return count


def _check_workers(client: Any) -> int:
    """Return the number of workers, and refuse those with several threads or without this package."""
    workers: Mapping[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    crowded = [f"{name} has {w['nthreads']}" for name, w in workers.items() if w["nthreads"] != 1]
    if crowded:
        raise ValueError(
            f"Dask workers need one thread each, because a chunk holds BLAS and OpenMP of its process to a fixed "
            f"number of threads; {', '.join(crowded[:3])}: start them with `--nthreads 1 --nworkers N`"
        )
    found = client.run(_versions, on_error="return")
    here = plain(provenance.comparable(provenance.versions()))
    for name, there in found.items():
        if isinstance(there, BaseException):
            raise WorkerLostError(
                f"the Dask worker {name} cannot use resolvent ({type(there).__name__}: {there}): install the same "
                "version in its environment"
            )
        changed = differences(here, there)
        changed.pop("blas", None)  # lists what is loaded so far
        if changed:
            logger.warning(
                "Dask worker %s differs from this process, so checksums may: %s", name, changes_text(changed)
            )
    return len(workers)


def _versions() -> dict[str, Any]:
    return plain(provenance.comparable(provenance.versions()))


def _run_on_client(
    client: Any, tasks: Iterator[ChunkTask], on_record: OnRecord, workers: int, executor: Executor | None = None
) -> None:
    distributed = load_distributed()
    since: float | None = None

    def look() -> None:
        """Raise when the scheduler is gone, or all workers for too long: the futures would wait for ever."""
        nonlocal since
        try:
            if client.status != "running":
                raise OSError(f"the connection is {client.status}")
            count = len(client.scheduler_info(n_workers=-1)["workers"])
        except (OSError, distributed.TimeoutError) as error:
            since = since or time.monotonic()
            if client.status in ("closed", "closing") or time.monotonic() - since > _CONNECT:
                raise BrokenExecutor(f"the Dask scheduler is gone: {error}") from error
            return
        if count:
            since = None
            return
        since = since or time.monotonic()
        if time.monotonic() - since > _WORKERLESS:
            raise BrokenExecutor(f"the Dask scheduler has had no workers for {_WORKERLESS:g} s")

    run_on(
        client.get_executor(pure=False) if executor is None else executor,
        tasks,
        on_record,
        workers,
        call=run_alone,
        lost=(BrokenExecutor, CancelledError, distributed.KilledWorker, distributed.comm.CommClosedError),
        advice="the Dask cluster was lost: its scheduler ended, or workers died several times over one chunk",
        look=look,
    )
