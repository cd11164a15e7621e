"""The bookkeeping of one iterative solve: convergence, history, counts, clock, callback.

A solver's file holds the algorithm; everything a user is told about its run comes from here. The rules:

- A column converges when ‖b − A x‖ ≤ max(rtol ‖b‖, atol), never relative to the initial residual, so that a warm
  start is not punished. The recurrence only proposes; the residual is recomputed in double precision. A proposal that
  fails replaces the recurrence's residual by the true one. Three failures without gain are STAGNATED.
- Columns are independent: each has its own status, history and tolerance, and leaves when it is finished.
- Not-a-number ends a column at once, and never reaches the caller's x.
- A method whose residual may rise on the way keeps its best iterate, so that a failure returns that one.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ..operators import Array, LinearOperator
from .best_iterate import BestIterate
from .inconsistency import REASON, least_squares_solved, no_gain
from .masks import all_of, any_of, spread
from .progress import Callback, EachCycle, progress_of
from .residual import true_residual
from .result import Column, Counts
from .status import Status
from .vectors import Vectors

logger = logging.getLogger(__name__)

GROWTH_LIMIT = 1e12
"""DIVERGED above this multiple of max(‖b‖, ‖r₀‖). Residuals of CG may legitimately grow by √κ, up to about 1e8."""


class Monitor:
    """Judge of one solve of A X = B with k columns.

    Parameters
    ----------
    A, M : LinearOperator
        System and preconditioner (or None).
    b, x : (n, k) arrays
        Right-hand sides, and initial guesses that are overwritten with the solutions.
    scale : (k,) array, optional
        What b, x and atol were divided by to stay clear of overflow; reported figures are multiplied by it.
    self_adjoint : bool
        Whether the method relies on A = Aᴴ, so that products with A serve where Aᴴ is needed.
    """

    def __init__(
        self,
        A: LinearOperator,
        M: LinearOperator | None,
        b: Array,
        x: Array,
        vectors: Vectors,
        *,
        rtol: float,
        atol: float | np.ndarray,
        maxiter: int,
        callback: Callback | None = None,
        scale: np.ndarray | None = None,
        self_adjoint: bool = False,
        space: Any = None,
        stamps: tuple[Any, Any] = (None, None),
    ) -> None:
        width = b.shape[1]
        self.A, self.M, self.vectors = A, M, vectors
        self.counts = Counts()
        self.extra: dict[str, Any] = {}
        self.space, self.stamps = space, stamps
        """The recycle space, for which the one to hand on is put, and what tells whether it belongs to this A and M."""
        self.iteration, self.maxiter = 0, maxiter
        self.active = np.arange(width)
        """Columns of the original b that the working arrays hold."""
        self._own: slice | np.ndarray = slice(None)
        """The same as an index: a slice until columns leave, since indexing with an array takes microseconds."""
        self.unfinished = np.ones(width, dtype=bool)
        """Which of the working columns are unfinished."""
        self._remaining: int = width
        self.self_adjoint = self_adjoint
        self.eps = float(np.finfo(vectors.dot(b[:1], b[:1]).dtype).eps)
        """Unit roundoff of the working precision."""
        self.rhs_norm = vectors.norm(vectors.widen(b))
        self.tolerance = np.maximum(rtol * self.rhs_norm, atol)
        self._rhs, self._b, self._x = b, b, x
        self._best: BestIterate | None = None
        self._callback = callback.each_iteration if isinstance(callback, EachCycle) else callback
        self._each_cycle = callback.receive if isinstance(callback, EachCycle) else None
        self.scale = np.ones(width) if scale is None else scale
        self._status: list[Status | None] = [None] * width
        self._reason = [""] * width
        self._iterations, self._stalls = np.zeros((2, width), dtype=int)
        self._true_norm, self._refused = np.full((2, width), np.inf)
        self._current = np.zeros(width, dtype=bool)
        self._largest = self.rhs_norm.copy()
        self._history = np.full((min(maxiter, 128) + 1, width), np.nan)
        self._set_limits()

    # What an algorithm calls -----------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether any column is unfinished."""
        return self._remaining > 0

    def finished(self) -> bool:
        """Whether there is none. A method, because type checkers take properties to stay as they were last seen."""
        return not self.running

    @property
    def watched(self) -> bool:
        """Whether a callback looks at the iterate after each step."""
        return self._callback is not None

    def multiply(self, x: Array, out: Array, *, setup: bool = False) -> None:
        """Write A x into `out`, counted, as a product of the set-up if it is one."""
        if setup:
            self.counts.setup += x.shape[1]
        else:
            self.counts.matvec += x.shape[1]
        self.A._matmat_into(x, out)

    def multiply_adjoint(self, x: Array, out: Array) -> None:
        """Write Aᴴ x into `out`, counted; A x for a method that relies on A = Aᴴ."""
        if self.self_adjoint:
            self.multiply(x, out)
        else:
            self.A._rmatmat_into(x, out)
            self.counts.rmatvec += x.shape[1]

    def precondition(self, r: Array, out: Array, *, adjoint: bool = False) -> Array:
        """Return M r, or Mᴴ r, written into `out`; r itself without a preconditioner."""
        if self.M is None:
            return r
        self.counts.preconditioner += r.shape[1]
        (self.M._rmatmat_into if adjoint else self.M._matmat_into)(r, out)
        return out

    def start(self, x: Array, r: Array, *, keep_best: bool = False, final: bool = True) -> np.ndarray:
        """Set r to the true residual b − A x, finish the columns that need nothing more; return its norms.

        Called once at the beginning and again at each restart of a restarted method. With `keep_best` the best of the
        iterates passed to `step` is kept (one vector), for methods whose residual may rise. Without `final` no column
        converges here, as where a damped solution is wanted.
        """
        norms = self._residual(x, r)
        self._history[self.iteration, self.active] = norms
        if self.iteration == 0:
            self._largest[self.active] = np.fmax(self._largest[self.active], norms)
            self._set_limits()
            if keep_best:
                self._best = BestIterate(self.vectors, x, norms)
        self.retire(~np.isfinite(norms), Status.NONFINITE, x)
        if final:
            self.retire(norms <= self.tolerance[self.active], Status.CONVERGED, x)
        if self._each_cycle is not None and self._each_cycle(progress_of(self, norms, x)):
            self.retire(np.ones(len(self.active), dtype=bool), Status.STOPPED, x)
        if self.iteration >= self.maxiter:
            self._run_out(x, r)
        return norms

    def step(self, norms: np.ndarray, x: Array, r: Array, recompute: np.ndarray | None = None) -> np.ndarray:
        """Close one iteration of a method that updates x and r: test, confirm, record.

        Parameters
        ----------
        norms : (k,) array
            Residual norms of the recurrence.
        x, r : (n, k) arrays
            Iterates and residuals; where a proposal fails, r is replaced by the true residual.
        recompute : (k,) bool array, optional
            Columns that want the true residual in any case, because they have to start afresh.

        Returns
        -------
        restart : (k,) bool array
            Columns whose residual changed so much that old directions are worthless.
        """
        proposals = self.advance(norms, x)
        doubtful = proposals if recompute is None else proposals | (recompute & self.unfinished)
        restart = doubtful
        if any_of(doubtful):
            restart = self._confirm(proposals, doubtful, x, r)
            norms = self._history[self.iteration, self._own]
        self._offer(x, norms)
        if self.iteration >= self.maxiter:
            self._run_out(x, r)
        return restart

    def step_recomputed(self, x: Array, r: Array, *, gain: float = 1.0, patience: int = 100) -> np.ndarray:
        """Close one iteration of a method without a recurrence: r is set to the true residual, and tested.

        A column stalls when its residual does not fall below `gain` times the least so far; `patience` times running is
        STAGNATED. Returns which columns stalled this time, a (k,) bool array.
        """
        norms = self._residual(x, r)
        columns = self.active
        self.advance(norms, x)
        # Where the column ended, x may be the best iterate instead, whose norm is another.
        self._current[columns] = self.unfinished
        self.retire(norms <= self.tolerance[columns], Status.CONVERGED, x)
        stalled: np.ndarray = ~(norms < gain * self._refused[columns]) & self.unfinished
        self._stalls[columns] = np.where(stalled, self._stalls[columns] + 1, 0)
        self._refused[columns] = np.minimum(norms, self._refused[columns])
        self._offer(x, norms)
        self.retire(self._stalls[columns] >= patience, Status.STAGNATED, x)
        if self.iteration >= self.maxiter:
            self._run_out(x, r)
        return stalled

    def advance(self, norms: np.ndarray, x: Array | None = None) -> np.ndarray:
        """Count and record one iteration; return the columns whose residual must be recomputed.

        Those that claim to have converged, and those whose recurrence has gone below the rounding of b, where it no
        longer says anything about the true residual.
        """
        self.record(norms[None])
        if not all_of(norms <= self.limit):  # not-a-number fails the comparison too
            finite = np.isfinite(norms)
            self.retire(~finite, Status.NONFINITE, x)
            self.retire(finite & (norms > self.limit), Status.DIVERGED, x)
        if self._callback is not None and self._callback(progress_of(self, norms, x)):
            self.retire(np.ones(len(self.active), dtype=bool), Status.STOPPED, x)
        logger.debug("iteration %d: residual norms %s", self.iteration, norms)
        proposals: np.ndarray = (norms <= self.floor) & self.unfinished
        return proposals

    def record(self, norms: np.ndarray) -> None:
        """Count and record iterations with residual norms (m, k) between `floor` and `limit`: nothing is tested."""
        first = self.iteration + 1
        self.iteration += len(norms)
        while self.iteration >= len(self._history):
            self._history = np.concatenate([self._history, np.full_like(self._history, np.nan)])
        self._history[first : self.iteration + 1, self._own] = norms
        self._current[self._own] = False

    def retire(self, which: np.ndarray, status: Status, x: Array | None, reason: str = "") -> bool:
        """Finish the given columns of the working arrays with a status; return whether there were any."""
        which = which & self.unfinished
        if not any_of(which):
            return False
        positions = np.flatnonzero(which)
        columns = self.active[positions]
        for c in columns:
            self._status[c], self._reason[c] = status, reason
        self._iterations[columns] = self.iteration
        self.unfinished = self.unfinished & ~which
        self._remaining -= len(columns)
        if x is not None and x is not self._x:
            self.vectors.put(self._x, columns, self.vectors.take(x, positions))
        # Otherwise x may have moved since the last residual.
        if status not in (Status.CONVERGED, Status.LEAST_SQUARES, Status.MAXITER):
            self._current[columns] = False
        # At maxiter the last iterate of CG is the best in the energy norm, even while its residual rises.
        last = (Status.CONVERGED, Status.STOPPED, *((Status.MAXITER,) if self.self_adjoint else ()))
        if self._best is not None and status not in last:
            norms = np.nan if status is Status.NONFINITE else self._history[self.iteration, columns]
            self._current[self._best.restore(self._x, norms, columns)] = False
        return True

    def reject_nonpositive(self, value: np.ndarray, name: str, x: Array) -> bool:
        """Finish columns whose quadratic form is not positive (INDEFINITE) or not finite; return whether any were."""
        if all_of((value > 0.0) & (value < np.inf)):
            return False
        bad = ~np.isfinite(value)
        rejected = self.retire(bad, Status.NONFINITE, x, f"{name} is not finite")
        return self.retire(~bad & (value <= 0.0), Status.INDEFINITE, x, f"{name} ≤ 0") or rejected

    def retire_inconsistent(self, which: np.ndarray, x: Array, r: Array) -> bool:
        """Finish columns where Aᴴr = 0 up to rounding with r ≠ 0, which no x can solve; return whether there were any.

        Costs four products, counted, if any of the columns asked about is unfinished, else none.
        """
        which = which & self.unfinished
        return any_of(which) and self.retire(which & least_squares_solved(self, x, r), Status.STAGNATED, x, REASON)

    def compact(self, *arrays: Any) -> tuple[Any, ...]:
        """Drop finished columns (the last axis) from the working arrays; the arrays themselves if none finished.

        An array given twice, as M r is r without a preconditioner, stays one array.
        """
        if self._remaining in (0, len(self.active)):
            return arrays
        positions = np.flatnonzero(self.unfinished)
        self._own = self.active = self.active[positions]
        self.unfinished = self.unfinished[positions]
        self._set_limits()
        kept: dict[int, Any] = {}
        for a in (self._b, *arrays):
            if id(a) not in kept:
                is_numpy = isinstance(a, np.ndarray)
                kept[id(a)] = np.ascontiguousarray(a[..., positions]) if is_numpy else self.vectors.take(a, positions)
        self._b = kept[id(self._b)]
        return tuple(kept[id(a)] for a in arrays)

    # What the driver reads -------------------------------------------------------------------------------------------

    def columns(self) -> tuple[Column, ...]:
        """Return the verdict on every column; residuals that are not of the present x are recomputed first.

        Where x overflowed, it becomes the best iterate, or zero where none was kept.
        """
        v = self.vectors
        self._iterations[self.active[self.unfinished]] = self.iteration
        overflowed = np.flatnonzero(~v.finite(self._x))
        if self._best is not None:
            self._best.restore(self._x, np.nan, overflowed)
        v.clear(self._x, np.flatnonzero(~v.finite(self._x)) if len(overflowed) else overflowed)
        self._current[overflowed] = False
        stale = np.flatnonzero(~self._current)
        if len(stale):
            self._own = self.active = stale
            self._b = v.take(self._rhs, stale)
            x = v.take(self._x, stale)
            self._residual(x, v.empty_like(self._b))
        return tuple(
            Column.judged(
                self._status[c],
                norms=(float(self._true_norm[c]), float(self.rhs_norm[c]), float(self.tolerance[c])),
                history=self._history[: self._iterations[c] + 1, c],
                scale=float(self.scale[c]),
                reason=self._reason[c],
            )
            for c in range(len(self._status))
        )

    # Internals -------------------------------------------------------------------------------------------------------

    def _set_limits(self) -> None:
        """Gather what every iteration compares with, for the working columns: once, and again when columns leave."""
        self.floor = np.maximum(self.tolerance, self.eps * self.rhs_norm)[self.active]
        self.limit = GROWTH_LIMIT * self._largest[self.active]

    def _residual(self, x: Array, out: Array, positions: np.ndarray | None = None) -> np.ndarray:
        """Write b − A x of the working columns, or of those at `positions`, into `out`; return the norms."""
        v = self.vectors
        b = self._b if positions is None else v.take(self._b, positions)
        self.counts.matvec += x.shape[1]
        norms = true_residual(self.A, b, x, out, v)
        columns = self.active if positions is None else self.active[positions]
        self._true_norm[columns] = norms
        self._current[columns] = True
        return norms

    def _refresh(self, positions: np.ndarray, x: Array, r: Array) -> np.ndarray:
        """Set r to the true residual in the columns at `positions`; return the norms."""
        if len(positions) == len(self.active):
            return self._residual(x, r)
        true_r = self.vectors.take(r, positions)
        norms = self._residual(self.vectors.take(x, positions), true_r, positions)
        self.vectors.put(r, positions, true_r)
        return norms

    def recompute(self, positions: np.ndarray, x: Array, r: Array) -> np.ndarray:
        """Set r to the true residual in the columns at `positions`, and record it; return the norms."""
        norms = self._refresh(positions, x, r)
        self._history[self.iteration, self.active[positions]] = norms
        return norms

    def _confirm(self, proposals: np.ndarray, doubtful: np.ndarray, x: Array, r: Array) -> np.ndarray:
        """Recompute the residual of the doubtful columns; finish them or replace r. Return who must restart."""
        v = self.vectors
        positions = np.flatnonzero(doubtful)
        old_r = v.take(r, positions)
        norms = self._refresh(positions, x, r)
        old_r -= r if len(positions) == len(self.active) else v.take(r, positions)
        drift = v.norm(old_r)
        columns = self.active[positions]
        self._history[self.iteration, columns] = norms
        proposed, gained = proposals[positions], norms < 0.5 * self._refused[columns]
        self._stalls[columns] = np.where(gained, 0, self._stalls[columns] + proposed)
        self._refused[columns] = np.where(proposed, np.fmin(norms, self._refused[columns]), self._refused[columns])
        self.retire(spread(~np.isfinite(norms), doubtful), Status.NONFINITE, x)
        self.retire(spread(norms <= self.tolerance[columns], doubtful), Status.CONVERGED, x)
        self.retire(spread(self._stalls[columns] >= 3, doubtful), Status.STAGNATED, x, "the limit of rounding")
        # While the true residual is close to the recurrence's, the old directions stay conjugate enough to be worth
        # more than a fresh start (van der Vorst & Ye 2000, doi:10.1137/S1064827599353865).
        return spread(drift > 0.1 * norms, doubtful)

    def _offer(self, x: Array, norms: np.ndarray) -> None:
        """Let the best iterate be kept; a finished column may be offered too, since it is not restored any more."""
        if self._best is not None:
            self._best.offer(x, norms, self.active)

    def _run_out(self, x: Array, r: Array) -> None:
        """Judge the columns still running after the last allowed iteration by their true residual."""
        stuck = no_gain(self._history[: self.iteration + 1, self.active])
        stale = self.unfinished & ~self._current[self.active]
        if self._best is not None and not self.self_adjoint:  # what gives way to the best iterate needs no look itself
            stale &= stuck | ~self._best.beats(self._history[self.iteration, self.active], self.active)
        if stale.any():
            norms = self._refresh(np.flatnonzero(stale), x, r)
            # What the best iterate, perhaps this one, is compared with: the true norm where the recurrence was wrong.
            row, own = self._history[self.iteration], self.active[stale]
            row[own] = np.where(norms > 1.01 * row[own], norms, row[own])
            self.retire(spread(norms <= self.tolerance[self.active[stale]], stale), Status.CONVERGED, x)
        self.retire_inconsistent(stuck, x, r)
        self.retire(np.ones(len(self.active), dtype=bool), Status.MAXITER, x)
