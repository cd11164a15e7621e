"""Running chunks: in this process, in local worker processes, or on any `concurrent.futures.Executor`.

Local workers are *spawned*, not forked: a fork copies the locks and thread pools of BLAS, OpenMP and HDF5 in whatever
state they are, which is how forked workers come to hang; a spawned one starts clean, inherits no file and no lock, and
behaves alike on every platform. It costs about a second of imports for each worker. As with every spawned process, a
script needs ``if __name__ == "__main__":`` around the call.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from typing import Any

from ..errors import WorkerLostError
from ..worker import ChunkRecord, ChunkTask, run_chunk

_AHEAD = 2
"""Chunks in flight for each worker: enough that none waits, few enough that memory does not grow with the set."""

_LOOK = 2.0
"""Seconds after which an executor that reports nothing is looked after."""

_ADVICE = (
    "a worker process died: it was killed, crashed, or ran out of memory, or the calling script lacks "
    '`if __name__ == "__main__":`'
)


def run_here(
    tasks: Iterator[ChunkTask], on_record: Callable[[ChunkRecord], None], on_sample: Callable[[], None] | None = None
) -> None:
    """Make chunks one after the other in this process."""
    for task in tasks:
        on_record(run_chunk(task, on_sample=on_sample))


def run_in_processes(tasks: Iterator[ChunkTask], on_record: Callable[[ChunkRecord], None], workers: int) -> None:
    """Make chunks in local worker processes, which end with this one however it ends."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(stop,))
    try:
        run_on(pool, tasks, on_record, workers, call=_run_in_worker, on_error=stop.set)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run_on(
    executor: Executor,
    tasks: Iterator[ChunkTask],
    on_record: Callable[[ChunkRecord], None],
    workers: int,
    *,
    call: Callable[[ChunkTask], ChunkRecord] = run_chunk,
    on_error: Callable[[], Any] | None = None,
    lost: tuple[type[BaseException], ...] = (BrokenExecutor,),
    advice: str = _ADVICE,
    look: Callable[[], None] | None = None,
) -> None:
    """Make chunks on an executor, with a bounded number of them in flight.

    Parameters
    ----------
    tasks : iterator of ChunkTask
    on_record : callable
        Called in this thread with each finished chunk, in order of completion.
    workers : int
        How many chunks the executor runs at once; twice as many are in flight.
    on_error : callable, optional
        Called when the run is abandoned, to make running chunks stop.
    lost : tuple of exceptions
        How the executor says that workers are gone, and not that a chunk failed.
    advice : str
        What to say then.
    look : callable, optional
        Called every `_LOOK` seconds in which nothing is finished; it raises what the futures do not say.

    Raises
    ------
    WorkerLostError
        When a worker dies.
    """
    in_flight: set[Future[ChunkRecord]] = set()
    try:
        while True:
            while len(in_flight) < _AHEAD * workers and (task := next(tasks, None)) is not None:
                in_flight.add(executor.submit(call, task))
            if not in_flight:
                return
            finished, in_flight = wait(in_flight, None if look is None else _LOOK, return_when=FIRST_COMPLETED)
            if look is not None and not finished:
                look()
            failures = _record(finished, on_record)
            if failures:
                raise failures[0]
    except BaseException as error:
        if on_error is not None:
            on_error()
        running = {future for future in in_flight if not future.cancel()}
        if on_error is not None:  # they stop soon: keep what they finish
            wait(running)
        _record({future for future in running if future.done()}, on_record)
        if isinstance(error, lost):
            raise WorkerLostError(
                f"{advice}. Finished chunks are kept: run the same call again to resume, with fewer workers if memory "
                "was short"
            ) from error
        raise


def _record(finished: set[Future[ChunkRecord]], on_record: Callable[[ChunkRecord], None]) -> list[BaseException]:
    """Pass on what succeeded, in order of chunks, and return the failures."""
    failures = []
    records = []
    for future in finished:
        failure = CancelledError() if future.cancelled() else future.exception()
        if failure is None:
            records.append(future.result())
        else:
            failures.append(failure)
    for record in sorted(records, key=lambda record: record.start):
        on_record(record)
    return failures


# In a worker process -------------------------------------------------------------------------------------------------

_stop: Any = None


def _start_worker(stop: Any) -> None:
    global _stop
    _stop = stop
    # Ctrl-C reaches every process of the terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, even if that was killed.

    A worker of an executor waits on a queue whose other end it also holds, so it would wait for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_in_worker(task: ChunkTask) -> ChunkRecord:
    return run_chunk(task, should_stop=_stop.is_set)
