"""A solver together with all that depends on the members of an ensemble."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..operators import Array, Ensemble, StructureError
from ..operators.arrays import is_torch, without_mask
from .preconditioners.recipe import Recipe
from .prepared import Prepared
from .progress import Callback
from .result import Column, Counts, Result, Timing, excess
from .scaling import out_of_range, safe_scale, within_range

if TYPE_CHECKING:
    from .solver import Solver


class PreparedEnsemble:
    """A solver together with all that depends on the members of an ensemble.

    Methods that solve all members together do so (`MultigridCG`); with any other one is solved after the other.

    Attributes
    ----------
    solver, A
        The method and the ensemble.
    seconds : float
        Time of the last set-up.
    """

    def __init__(self, solver: Solver, A: Ensemble, M: Any) -> None:
        if M is not None and not isinstance(M, Recipe):
            raise StructureError(
                f"the members of an ensemble need a preconditioner each: give a recipe for M, not {M!r}"
            )
        if A._holds_torch():
            raise StructureError(
                f"ensembles are solved on the host, but {A!r} is on torch: solve its members one by one"
            )
        start = time.perf_counter()
        self.solver, self.A, self.recipe = solver, A, M
        self._together: Any = None
        self._apart: list[Prepared] = []
        if hasattr(solver, "_prepare_members"):
            if M is not None:
                raise StructureError(f"{type(solver).__name__} takes no preconditioner: leave M out")
            for member in A.members:
                solver._check(member, None)
            self._together = solver._prepare_members(A.members)
        else:
            self._apart = [solver.prepare(member, M) for member in A.members]
        self._version = A.version
        self.seconds = time.perf_counter() - start

    def update(self, A: Ensemble | None = None) -> None:
        """Prepare for new values: of the same members, or of another ensemble of as many systems of the same shape."""
        start = time.perf_counter()
        new = self.A if A is None else A
        if not isinstance(new, Ensemble) or new.shape != self.A.shape or len(new.members) != len(self.A.members):
            raise ValueError(f"expected an ensemble like {self.A!r}, got {new!r}: prepare a new solver")
        if self._together is not None:
            for member in new.members:
                self.solver._check(member, None)
            self._together.renew(new.members)
        for prepared, member in zip(self._apart, new.members, strict=False):
            prepared.update(member)
        self.A, self._version = new, new.version
        self.seconds = time.perf_counter() - start

    def solve(
        self, b: Array, x0: Array | None = None, *, callback: Callback | None = None, space: Any = None
    ) -> Result:
        """Solve A x = b.

        Parameters
        ----------
        b : (nB,) or (*grid, B) array
            Members innermost.
        x0 : array like b, optional
            Initial guess, zero by default; never altered.
        callback : callable, optional
            For methods that solve one member after the other: called with a `Progress` after each of their iterations.

        Returns
        -------
        result : Result
            Its `columns` hold the verdict on each member; status, residual and history are those of the worst.
        """
        if space is not None:
            raise TypeError("the members of an ensemble share no recycle space: solve them as a Sequence instead")
        if is_torch(b):
            from ._torch import solve_on_host

            return solve_on_host(lambda right, guess: self.solve(right, guess, callback=callback), self.A, b, x0)
        b = np.asarray(without_mask("b", b))
        count = len(self.A.members)
        n = self.A.shape[0] // count
        if b.shape not in ((n * count,), (n, count), self.A.grid):
            raise ValueError(f"b must have the shape ({n * count},), ({n}, {count}) or {self.A.grid}, got {b.shape}")
        guess = None if x0 is None else np.asarray(without_mask("x0", x0))
        if guess is not None and guess.shape != b.shape:
            raise ValueError(f"x0 must have the shape of b, {b.shape}, got {guess.shape}")
        rows = np.ascontiguousarray(b.reshape(n, count).T)
        results = self.solve_members(
            rows, None if guess is None else np.ascontiguousarray(guess.reshape(n, count).T), callback=callback
        )
        return _combined(results, np.stack([r.x for r in results], axis=1).reshape(b.shape))

    def solve_members(self, b: Array, x0: Array | None = None, *, callback: Callback | None = None) -> list[Result]:
        """Solve for the rows of a (B, n) array, one for each member, and return a result for each."""
        count = len(self.A.members)
        shape = (count, self.A.shape[0] // count)
        for name, values in (("b", b), ("x0", x0)):
            if values is not None and tuple(values.shape) != shape:
                raise ValueError(
                    f"{name} must have the shape {shape}, a row for each member, got {tuple(values.shape)}"
                )
        if self.A.version != self._version:
            self.update()
        if self._together is None:
            guesses = [None] * len(b) if x0 is None else list(x0)
            return [
                prepared.solve(right, guess, callback=callback)
                for prepared, right, guess in zip(self._apart, b, guesses, strict=True)
            ]
        return self._solve_together(b, x0)

    def _solve_together(self, b: Array, x0: Array | None) -> list[Result]:
        from .vector_kernels import sizes_of_rows

        start = time.perf_counter()
        b = np.ascontiguousarray(_real_rows("b", b), dtype=np.float64)
        x = np.zeros_like(b) if x0 is None else np.array(_real_rows("x0", x0), dtype=np.float64, order="C")
        with np.errstate(all="ignore"):  # overflow and not-a-number become statuses
            largest, norms = np.empty((2, len(b)))
            sizes_of_rows(b, largest, norms)
            scale = safe_scale(largest)
            scaled = bool((scale != 1.0).any())
            if scaled:
                b, x = b / scale[:, None], x / scale[:, None]
                sizes_of_rows(b, largest, norms)
            tolerances = np.maximum(self.solver.rtol * norms, self.solver.atol / scale)
            x[norms == 0.0] = 0.0  # the solution, whatever x0 is; anything else could only approximate it
            known = norms if x0 is None else np.where(norms == 0.0, norms, np.nan)
            limit = 10 * b.shape[1] if self.solver.maxiter is None else int(self.solver.maxiter)
            outcome = self._together.solve(b, x, tolerances, known, limit)
            columns = tuple(
                Column.judged(
                    outcome.status[number],
                    norms=(float(outcome.norms[number]), float(norms[number]), float(tolerances[number])),
                    history=np.array(outcome.histories[number]),
                    scale=float(scale[number]),
                    reason=outcome.reasons[number],
                )
                for number in range(len(b))
            )
            if scaled:
                x *= scale[:, None]
                columns = self._left(columns, b, x, scale)
        seconds = Timing(self.seconds, time.perf_counter() - start)
        results, solver = [], str(self.solver)
        for number, column in enumerate(columns):
            counts = Counts(matvec=outcome.products // len(b), preconditioner=outcome.cycles // len(b))
            results.append(_result(x[number], (column,), counts, seconds, solver))
        return results

    def _left(self, columns: tuple[Column, ...], b: Array, x: Array, scale: np.ndarray) -> tuple[Column, ...]:
        """Return the verdicts on what is left of solutions that were scaled back."""
        lost = out_of_range(_largest(x), scale)
        norms = np.full(len(b), np.nan)
        for number in np.flatnonzero(lost):
            if not np.isfinite(x[number]).all():
                x[number] = 0.0
            left = self.A.members[number].matvec(x[number] / scale[number])
            norms[number] = np.linalg.norm(b[number] - left)
        return within_range(columns, lost, norms, scale, scale.dtype)


def _largest(rows: Array) -> np.ndarray:
    """Return max |x| of each row."""
    found: np.ndarray = np.maximum(rows.max(axis=1), -rows.min(axis=1))
    return found


def _real_rows(name: str, values: Any) -> Array:
    """Return an array of real numbers, of at most double precision."""
    values = np.asarray(values)
    if values.dtype.kind not in "fiub" or values.dtype.itemsize > 8:
        raise TypeError(f"{name} must be real and numeric, of at most double precision, got dtype {values.dtype}")
    return values


def _combined(results: list[Result], x: Array) -> Result:
    counts = Counts()
    for result in results:
        counts.add(result.counts)
    columns = tuple(column for result in results for column in result.columns)
    apart = results[0].seconds is not results[-1].seconds
    seconds = results[0].seconds
    if apart:
        seconds = Timing(sum(r.seconds.prepare for r in results), sum(r.seconds.solve for r in results))
    return _result(x, columns, counts, seconds, results[0].solver)


def _result(x: Array, columns: tuple[Column, ...], counts: Counts, seconds: Timing, solver: str) -> Result:
    worst = max(columns, key=lambda c: (c.status.severity, excess(c)))
    furthest = max(columns, key=excess)
    return Result(
        x=x,
        status=worst.status,
        iterations=max(c.iterations for c in columns),
        residual_norm=furthest.residual_norm,
        rhs_norm=furthest.rhs_norm,
        tolerance=furthest.tolerance,
        history=furthest.history,
        counts=counts,
        seconds=seconds,
        solver=solver,
        columns=columns,
        extra={"reason": worst.reason} if worst.reason else {},
    )
