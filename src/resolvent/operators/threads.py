"""Running a numba kernel on several cores.

A kernel that takes a range of rows and releases the GIL is called for one part by the calling thread and for the others
by a pool of sleeping threads. Numba's own ``parallel=True`` is not used: its GNU OpenMP threads spin at barriers, which
on a machine that others use as well (a test run, a shared node) made products of 0.3 ms take 10 ms on average; it ends
a forked child that enters a parallel region after its parent did; and it takes a second to compile each kernel. Waking
a thread of the pool costs about 40 µs instead of 5.

Imported by kernel modules only, since it imports numba.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import threadpoolctl

_pool: ThreadPoolExecutor | None = None
_asked = False


def numba_threads() -> int:
    """Return `numba.get_num_threads`, leaving the OpenMP threads of others as they are.

    At the first call numba starts its own threads, and where these are OpenMP's it sets the number for the whole
    process: torch, told by OMP_NUM_THREADS to use one thread, would use all from then on.
    """
    global _asked
    if _asked:
        return int(numba.get_num_threads())
    libraries = threadpoolctl.ThreadpoolController().select(user_api="openmp").lib_controllers
    before = [(library, library.num_threads) for library in libraries]
    threads = int(numba.get_num_threads())
    for library, count in before:
        library.set_num_threads(count)
    _asked = True
    return threads


def run_in_parts(kernel: Callable[..., None], count: int, parts: int, *arguments: Any) -> None:
    """Call ``kernel(*arguments, start, stop)`` for ranges that cover 0 … count, at most `parts` of them at a time.

    One part at most is used outside of the main thread, because a program with threads of its own already keeps the
    cores busy, and no more than `numba.get_num_threads` says (`numba.set_num_threads`, NUMBA_NUM_THREADS).

    Parameters
    ----------
    kernel : callable
        Compiled with ``nogil=True``; its parts must write to different places.
    count : int
        Number of rows.
    parts : int
        How many parts pay: the work divided by the least work of a part.
    *arguments
        Passed on before the range.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.zeros(4)
    >>> def kernel(x, out, start, stop):
    ...     out[start:stop] = 2.0 * x[start:stop]
    >>> run_in_parts(kernel, 4, 2, np.arange(4.0), out)
    >>> out
    array([0., 2., 4., 6.])
    """
    if parts > 1:
        parts = min(parts, numba_threads())
    if parts < 2 or threading.current_thread() is not threading.main_thread():
        kernel(*arguments, 0, count)
        return
    bounds = [count * part // parts for part in range(parts + 1)]
    pool = _started_pool()
    waiting = [pool.submit(kernel, *arguments, bounds[part], bounds[part + 1]) for part in range(1, parts)]
    kernel(*arguments, 0, bounds[1])
    for part in waiting:
        part.result()


def _started_pool() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        # A bound: threads start when there are parts for them.
        _pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="resolvent")
    return _pool


def _forget_pool() -> None:
    # A forked child has none of its parent's threads.
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
