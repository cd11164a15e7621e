"""Where chunks run: in this process and local ones, on an executor that was given, or on a cluster given by name.

Texts name what the package starts or finds by itself:

=====================================  ================================================================================
``local``                              processes of this machine (`executors`)
``dask``                               a Dask cluster of single-threaded workers on this machine, for this run alone
``dask://host:port``, ``tcp://…``      a Dask scheduler that is running, with all workers it has
``mpi``                                the ranks of ``mpiexec -n N python -m mpi4py.futures …``, the first one leading
=====================================  ================================================================================

Nothing is imported or connected to for a text before there is something to be made, except to refuse what cannot work.
"""

from __future__ import annotations

import abc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path

from ..errors import StorageError
from ..worker import ChunkRecord, ChunkTask, run_chunk
from .executors import run_here, run_in_processes, run_on

OnRecord = Callable[[ChunkRecord], None]
OnSample = Callable[[], None]

SCHEDULER_PREFIXES = ("dask://", "tcp://", "tls://", "ucx://")
"""How the address of a Dask scheduler begins; ``dask://`` means ``tcp://``."""

_VISIBLE_AFTER = 60.0
"""Seconds within which a file that another machine has written must appear here: network file systems keep what they
know of a folder for up to a minute (acdirmax of nfs(5))."""


class Placement(abc.ABC):
    """A place where chunks run.

    Attributes
    ----------
    label : str
        What the provenance says about it.
    workers : int
        How many chunks run at once; 0 where only the cluster knows.
    """

    label: str
    workers: int

    def at_once(self) -> int:
        """Return how many chunks run at once, 1 at least; a cluster that is running is asked."""
        return self.workers

    @abc.abstractmethod
    def run(self, tasks: Iterator[ChunkTask], on_record: OnRecord, on_sample: OnSample, missing: int) -> None:
        """Make chunks; `missing` is how many there are at most, so that no more workers start than have work.

        Raises
        ------
        WorkerLostError
            When workers, or the cluster they belong to, are lost; finished chunks were passed to `on_record`.
        StorageError
            When a worker writes to a folder that is another one here.
        """


class Local(Placement):
    """The calling process, or local worker processes."""

    label = "none"

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, tasks: Iterator[ChunkTask], on_record: OnRecord, on_sample: OnSample, missing: int) -> None:
        """Make chunks here, or in at most `missing` processes."""
        if min(self.workers, missing) > 1:
            run_in_processes(tasks, on_record, min(self.workers, missing))
        else:
            run_here(tasks, on_record, on_sample)


class Given(Placement):
    """An executor of the caller, which is not shut down."""

    def __init__(self, executor: Executor, workers: int) -> None:
        self.executor, self.workers = executor, workers
        self.label = type(executor).__qualname__

    def run(self, tasks: Iterator[ChunkTask], on_record: OnRecord, on_sample: OnSample, missing: int) -> None:
        """Make chunks on the executor."""
        run_on(self.executor, tasks, on_record, max(min(self.workers, missing), 1), call=run_alone)


def placed(executor: Executor | str | None, workers: int) -> Placement:
    """Return the place that an executor, its name, or neither means.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, or something else; for ``mpi`` in a program that was not started for it.
    ImportError
        When what a name needs is not installed, with the line that installs it.
    """
    if executor is None or executor == "local":
        return Local(workers)
    if isinstance(executor, str):
        if executor == "mpi":
            from .cluster_mpi import MPIRanks

            return MPIRanks()
        if executor == "dask":
            from .cluster_dask import LocalDask

            return LocalDask(workers)
        if executor.startswith(SCHEDULER_PREFIXES) and executor.partition("://")[2]:
            from .cluster_dask import DaskScheduler

            return DaskScheduler(executor)
        raise ValueError(
            f"executor must be 'local', 'dask', 'dask://host:port', 'tcp://host:port', 'mpi' or a "
            f"concurrent.futures.Executor, got {executor!r}"
        )
    if not isinstance(executor, Executor):
        raise TypeError(f"executor must be a name or a concurrent.futures.Executor, got {executor!r}")
    if type(executor).__module__.partition(".")[0] == "distributed":
        from .cluster_dask import DaskExecutor

        return DaskExecutor(executor, workers)
    return Given(executor, workers)


# In a worker ----------------------------------------------------------------------------------------------------------

_alone = threading.Lock()


def run_alone(task: ChunkTask) -> ChunkRecord:
    """Make a chunk while no other thread of this process makes one.

    The number of threads of BLAS and OpenMP is one number for a process (`fixed_threads`), so chunks in two threads of
    a worker would change it for one another, and with it last bits. They wait instead: a worker is one thread's work.
    """
    with _alone:
        if not task.folder.is_dir():
            raise StorageError(
                f"a worker on {socket.gethostname()} does not see {task.folder}: the output must lie on a file system "
                "that all workers share under the same path"
            )
        return run_chunk(task)


# In the process that leads --------------------------------------------------------------------------------------------


def refuse_unseen(folder: Path, record: ChunkRecord) -> None:
    """Raise StorageError unless the shard of a record is, or soon becomes, visible in a folder."""
    path, deadline = folder / record.shard, time.monotonic() + _VISIBLE_AFTER
    while not path.exists():
        if time.monotonic() > deadline:
            raise StorageError(
                f"the worker on {record.host} wrote {record.shard}, and it is not in {folder} here: that path is "
                "another folder there. Choose an output on a file system that all workers share"
            )
        time.sleep(0.1)
        list(folder.iterdir())  # network file systems forget what they believed about a folder that is read anew
