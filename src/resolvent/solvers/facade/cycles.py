"""scipy's `gmres`, and the counting of cycles."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...operators import Array
from ...operators.arrays import is_torch
from ..krylov.gmres import GMRES
from ..progress import Callback, EachCycle, Progress
from ..result import Column, Result
from ..status import Status
from .system import System, tolerances


def gmres(
    A: Any,
    b: Array,
    x0: Array | str | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int | None = None,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    callback_type: str | None = None,
) -> Result:
    """Solve with restarted GMRES, preconditioned on the right. See `resolvent.solvers.GMRES`.

    As in scipy, a cycle has min(20, n) iterations by default, and `maxiter` counts cycles, 10 n by default.

    Parameters
    ----------
    callback_type : {"pr_norm", "x", "legacy"}, optional
        What `callback` is given: ‖b − A x‖/‖b‖ after every iteration, or the iterate after every cycle. "legacy", the
        default, is "pr_norm" with a `maxiter` that counts iterations.

    Warns
    -----
    DeprecationWarning
        For a callback without a type, as scipy does, since that changes what `maxiter` means.
    """
    if callback is not None and callback_type is None:
        warnings.warn(
            "gmres was called without specifying `callback_type`: maxiter then counts iterations instead of cycles. "
            "Say callback_type='pr_norm' for cycles, or 'legacy'",
            DeprecationWarning,
            stacklevel=2,
        )
    if callback_type not in (None, "pr_norm", "legacy", "x"):
        raise ValueError(f"callback_type must be 'x', 'pr_norm' or 'legacy', got {callback_type!r}")
    system = System.of(A, b, x0, M)
    n = system.A.shape[0]
    method = GMRES(**tolerances(rtol, atol), maxiter=maxiter, restart=20 if restart is None else restart)
    limit = 10 * n if maxiter is None else int(maxiter)
    if callback is not None and callback_type in (None, "legacy"):
        result = system.solve(dataclasses.replace(method, maxiter=limit), _norm_callback(callback, system.b))
        return dataclasses.replace(result, extra={**result.extra, "cycles": result.iterations})
    cycles = Cycles(
        limit,
        at_end=callback if callback_type == "x" else None,
        each_iteration=_norm_callback(callback, system.b) if callback_type == "pr_norm" else None,
    )
    # One iteration more than the cycles hold, so that it is their number that ends the solve.
    method = dataclasses.replace(method, maxiter=limit * min(method.restart, n) + 1)
    return cycles.counted(system.solve(method, cycles.callback()))


class Cycles:
    """Ends a solve after so many cycles and reports the iterates that they end with.

    Parameters
    ----------
    limit : int
        Largest number of cycles, for every right-hand side.
    at_start, at_end : callable, optional
        Called with x before each cycle, or after each.
    each_iteration : callable, optional
        Called with a `Progress` after every iteration.
    by_iterates : bool
        Whether a cycle ends where an iteration reports x, rather than where the true residual is formed.
    """

    def __init__(
        self,
        limit: int,
        *,
        at_start: Callable[[Array], Any] | None = None,
        at_end: Callable[[Array], Any] | None = None,
        each_iteration: Callback | None = None,
        by_iterates: bool = False,
    ) -> None:
        self._limit, self._at_start, self._at_end = limit, at_start, at_end
        self._each_iteration = each_iteration
        self._by_iterates = by_iterates
        self._done = self._most = 0

    def callback(self) -> EachCycle:
        """Return what a solve is given as its callback."""
        if self._by_iterates:
            return EachCycle(
                lambda progress: progress.iteration == 0 and self._count(progress),
                lambda progress: progress.x is not None and self._count(progress),
            )
        return EachCycle(self._count, self._each_iteration)

    def _count(self, progress: Progress) -> bool:
        self._done = 0 if progress.iteration == 0 else self._done + 1
        self._most = max(self._most, self._done)
        x = progress.x
        if x is not None and self._at_end is not None and self._done:
            self._at_end(_iterate(x))
        if x is not None and self._at_start is not None and self._done < self._limit:
            self._at_start(_iterate(x))
        return self._done >= self._limit

    def counted(self, result: Result) -> Result:
        """Return the result with the number of cycles as its code in case of failure."""

        def renamed(status: Status) -> Status:
            return Status.MAXITER if status is Status.STOPPED else status

        columns: tuple[Column, ...] = tuple(dataclasses.replace(c, status=renamed(c.status)) for c in result.columns)
        extra = {**result.extra, "cycles": self._most}
        return dataclasses.replace(result, status=renamed(result.status), columns=columns, extra=extra)


def _iterate(x: Array) -> Array:
    return x[:, 0] if x.shape[1] == 1 else x


def _norm_callback(callback: Callable[[Any], Any] | None, b: Array) -> Callback | None:
    """Return a callback that is given the residual norm relative to that of b."""
    if callback is None:
        return None
    rhs_norm = float(b.detach().norm() if is_torch(b) else np.linalg.norm(b)) or 1.0

    def report(progress: Progress) -> None:
        callback(np.float64(progress.residual_norm[0] / rhs_norm))

    return report
