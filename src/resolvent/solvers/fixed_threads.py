"""Holding everything that computes to one number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_in_force: int | None = None


def threads_in_force() -> int | None:
    """Return the number that `fixed_threads` holds everything to, None outside of it."""
    return _in_force


@contextmanager
def fixed_threads(threads: int) -> Iterator[None]:
    """Hold BLAS, OpenMP and numba to a number of threads, and restore what was there before.

    Speed and the last bits of a result can depend on that number. Workers of a dataset run inside this, so that as many
    processes as cores do not start as many threads each. Nested calls with the same number do nothing. It holds for the
    whole process, so it is not for several threads at once.

    Parameters
    ----------
    threads : int
        At least one. Numba takes no more than it started with (NUMBA_NUM_THREADS).

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers import fixed_threads, solve
    >>> with fixed_threads(1):
    ...     x, info = solve(np.diag([1.0, 2.0]), np.ones(2))
    """
    global _in_force
    if int(threads) != threads or threads < 1:
        raise ValueError(f"threads must be a whole number ≥ 1, got {threads!r}")
    if _in_force == threads:
        yield
        return
    # The limits reach only the libraries that are loaded, so load those that solving will need.
    import numba
    import scipy.linalg
    import scipy.sparse.linalg  # noqa: F401
    import threadpoolctl

    from ..operators.threads import numba_threads

    before, numba_before = _in_force, numba_threads()
    with threadpoolctl.threadpool_limits(limits=int(threads)):
        most = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        numba.set_num_threads(min(int(threads), most))
        _in_force = int(threads)
        try:
            yield
        finally:
            numba.set_num_threads(numba_before)
            _in_force = before
