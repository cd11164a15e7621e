"""A solver is its options; preparing it for an operator gives something that solves many right-hand sides."""

from __future__ import annotations

import abc
import dataclasses
import time
from typing import Any, ClassVar, final

import numpy as np

from ..operators import Array, LinearOperator, Props, StructureError, as_operator
from ..operators.arrays import is_torch
from .foreign import fingerprint
from .monitor import Monitor
from .preconditioners.recipe import Recipe, build, rebuild
from .progress import Callback
from .result import Column, Counts, Result, Timing
from .scaling import safe_scale, within_range
from .status import Status
from .vectors import vectors_for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solver(abc.ABC):
    """Options of a method: immutable, printable, picklable, without any state of a solve.

    Parameters
    ----------
    rtol, atol : float
        Converged when ‖b − A x‖₂ ≤ max(rtol ‖b‖₂, atol), for the recomputed residual.
    maxiter : int, optional
        Largest number of iterations; 10 n by default.
    """

    rtol: float = 1e-8
    atol: float = 0.0
    maxiter: int | None = None

    lockstep: ClassVar[bool] = True
    """Whether `_run` takes many columns at once; otherwise they are solved one after the other."""

    needs: ClassVar[Props] = Props.NONE
    """What the method relies on, whether A claims it or not."""

    def __post_init__(self) -> None:
        for name in ("rtol", "atol"):
            value = getattr(self, name)
            numeric = isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool)
            if not (numeric and 0.0 <= value < np.inf):
                raise ValueError(f"{name} must be a number ≥ 0, got {value!r}")
        if self.maxiter is not None and (int(self.maxiter) != self.maxiter or self.maxiter < 0):
            raise ValueError(f"maxiter must be a whole number ≥ 0 or None, got {self.maxiter!r}")

    # What a method writes --------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        """Improve x (n, k) until the monitor has finished every column: the algorithm, nothing else."""

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        """Raise StructureError if A or M cannot be used with this method."""

    def _setup(self, A: LinearOperator) -> Any:
        """Return what depends on A alone, apart from the preconditioner."""
        return None

    def _refresh(self, state: Any, A: LinearOperator) -> Any:
        """Return the state for new values of A, reusing what the old state allows."""
        return self._setup(A)

    def _adjoint(self, state: Any, A: LinearOperator) -> Any:
        """Return the state for A = (the prepared operator)ᴴ, reusing what the old state allows."""
        return self._setup(A)

    # What users call -------------------------------------------------------------------------------------------------

    @final
    def prepare(self, A: Any, M: Any = None) -> Prepared:
        """Do all that depends on A alone (factorisation, preconditioner), for many right-hand sides.

        Parameters
        ----------
        A : (n, n) operator or anything `as_operator` takes
            System.
        M : operator ≈ A⁻¹, recipe, or None
            Preconditioner, applied as ``M @ r``.

        Raises
        ------
        ValueError
            If A is not square or M has another shape.
        StructureError
            If the method cannot use A or M.
        """
        return Prepared(self, A, M)

    @final
    def solve(
        self, A: Any, b: Array, x0: Array | None = None, M: Any = None, *, callback: Callback | None = None
    ) -> Result:
        """Solve A x = b. The same as ``prepare(A, M).solve(b, x0)``; see there."""
        return self.prepare(A, M).solve(b, x0, callback=callback)

    def __str__(self) -> str:
        changed = [
            f"{f.name}={getattr(self, f.name)!r}"
            for f in dataclasses.fields(self)
            if f.name == "rtol" or getattr(self, f.name) != f.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


class Prepared:
    """A solver together with all that depends on A: solves many right-hand sides, follows changes of A.

    Attributes
    ----------
    solver, A, M
        The method, the system, and the preconditioner as an operator (or None).
    seconds : float
        Time of the last set-up.
    """

    def __init__(self, solver: Solver, given: Any, M: Any) -> None:
        A = as_operator(given)
        if A.shape[0] != A.shape[1]:
            raise ValueError(
                f"a linear system needs a square operator, got {A.shape[0]} x {A.shape[1]}: "
                "use a least-squares method for a rectangular one"
            )
        start = time.perf_counter()
        self.solver, self.A = solver, A
        self.recipe: Recipe | None = M if isinstance(M, Recipe) else None
        self.M = build(M, A)
        solver._check(A, self.M)
        self._state = solver._setup(A)
        self._watch(given)
        self.seconds = time.perf_counter() - start

    def _watch(self, given: Any) -> None:
        """Remember what was prepared for, so that a change is noticed: by version, by checksum for foreign matrices."""
        self._given = None if isinstance(given, LinearOperator) else given
        self._version, self._fingerprint = self.A.version, fingerprint(self._given)

    def _follow(self) -> None:
        """Update if A changed since it was prepared for."""
        if self._given is not None and fingerprint(self._given) != self._fingerprint:
            self.update(self._given)
        elif self.A.version != self._version:
            self.update()

    def update(self, A: Any = None) -> None:
        """Prepare for new values: of the same operator after ``A.update(…)``, or of another one of the same shape.

        The preconditioner is updated by its recipe, a factorisation keeps its ordering where the pattern repeats.
        A preconditioner that was given as an operator is kept as it is. `solve` calls this by itself when `A.version`
        has grown, or when the matrix of another library that was prepared for was changed in place.
        """
        start = time.perf_counter()
        given = A if A is not None else self.A if self._given is None else self._given
        A = self.A if A is None else as_operator(A)
        if A.shape != self.A.shape:
            raise ValueError(f"expected an operator of shape {self.A.shape}, got {A.shape}: prepare a new solver")
        # Assigned last, and together: an error on the way leaves what was prepared before.
        M = self.M if self.recipe is None or self.M is None else rebuild(self.recipe, self.M, A)
        self.solver._check(A, M)
        self._state = self.solver._refresh(self._state, A)
        self.A, self.M = A, M
        self._watch(given)
        self.seconds = time.perf_counter() - start

    def adjoint(self) -> Prepared:
        """Return what solves Aᴴ x = b, with the adjoint preconditioner and the same factors where there are any."""
        self._follow()
        if (self.A.props | self.solver.needs) & Props.SELF_ADJOINT:
            return self
        other = object.__new__(Prepared)
        other.solver, other.recipe = self.solver, None
        other.A = self.A.H
        other.M = None if self.M is None else self.M.H
        other._state = self.solver._adjoint(self._state, other.A)
        other._watch(other.A)
        other.seconds = self.seconds
        return other

    def solve(self, b: Array, x0: Array | None = None, *, callback: Callback | None = None) -> Result:
        """Solve A x = b.

        Parameters
        ----------
        b : (n,), (n, k) or grid-shaped array
            One or many right-hand sides.
        x0 : array like b, optional
            Initial guess, zero by default; never altered.
        callback : callable, optional
            Called with a `Progress` after each iteration; returning True stops the solve.

        Returns
        -------
        result : Result
            With x in the shape of b. Lack of convergence is a status, not an exception.

        Raises
        ------
        ValueError, TypeError
            For wrong shapes, dtypes or devices.
        """
        self._follow()
        if is_torch(b) and not self.A._holds_torch():
            from ._torch import solve_on_host

            return solve_on_host(self, b, x0, callback)
        start = time.perf_counter()
        b = b if is_torch(b) else np.asarray(b)
        B, X = self._columns(b, x0)
        with np.errstate(all="ignore"):  # overflow and division by zero become statuses
            if self.solver.lockstep or B.shape[1] == 1:
                solves = [self._solve_columns(B, X, callback)]
            else:
                vectors, solves = vectors_for(B), []
                for column in np.arange(B.shape[1]).reshape(-1, 1):
                    x = vectors.take(X, column)
                    solves.append(self._solve_columns(vectors.take(B, column), x, callback))
                    vectors.put(X, column, x)
        return self._report(solves, X, b, time.perf_counter() - start)

    def _columns(self, b: Array, x0: Array | None) -> tuple[Array, Array]:
        """Return b and a fresh copy of x0 as (n, k) arrays of the working dtype."""
        A = self.A
        n = A.shape[0]
        if A._holds_torch():
            from ._torch import columns_of

            return columns_of(A, self.M, b, x0)
        if b.dtype.kind not in "fciub" or A.result_dtype(b.dtype).char not in "fdFD":
            hint = ": pass b.toarray()" if hasattr(b.reshape(-1)[:1].tolist()[0] if b.size else None, "toarray") else ""
            raise TypeError(f"b must be numeric, of at most double precision, got dtype {b.dtype}{hint}")
        _check_shape("b", b.shape, n, A.grid)
        dtype = A.result_dtype(b.dtype)
        if self.M is not None:
            dtype = np.result_type(dtype, self.M.dtype)
        width = 1 if b.shape == A.grid or b.ndim == 1 else b.shape[1]
        B = np.ascontiguousarray(b.reshape(n, width), dtype=dtype)
        if x0 is None:
            return B, np.zeros_like(B)
        x0 = np.asarray(x0)
        if x0.shape != b.shape and not (x0.size == b.size and x0.ndim and x0.shape[0] == n):
            raise ValueError(f"x0 must have the shape of b, {b.shape}, got {x0.shape}")
        if x0.dtype.kind == "c" and dtype.kind != "c":
            raise TypeError("x0 is complex but the system is real: pass x0.real, or a complex b")
        return B, np.array(x0.reshape(n, width), dtype=dtype, order="C")

    def _solve_columns(self, b: Array, x: Array, callback: Callback | None) -> tuple[Monitor, tuple[Column, ...]]:
        """Overwrite x with the solution; b and x are divided by a power of two where products would overflow."""
        vectors, solver = vectors_for(b), self.solver
        scale = safe_scale(vectors.largest(b))
        scaled = bool((scale != 1.0).any())
        if scaled:
            whole, b = b, vectors.empty_like(b)
            vectors.assign(1.0 / scale, whole, b)
            vectors.assign(1.0 / scale, x, x)
        monitor = Monitor(
            self.A,
            self.M,
            b,
            x,
            vectors,
            rtol=solver.rtol,
            atol=solver.atol / scale,
            maxiter=10 * self.A.shape[0] if solver.maxiter is None else int(solver.maxiter),
            callback=callback,
            scale=scale,
            self_adjoint=Props.SELF_ADJOINT in solver.needs,
        )
        zero = np.flatnonzero(monitor.rhs_norm == 0.0)
        if len(zero):  # the solution is zero whatever x0 is; anything else could only approximate it
            vectors.put(x, zero, vectors.take(b, zero))
        monitor.retire(~np.isfinite(monitor.rhs_norm), Status.NONFINITE, x, "b is not finite")
        monitor.retire(~vectors.finite(x), Status.NONFINITE, x, "x0 is not finite")
        if monitor.running:
            solver._run(self._state, b, x, monitor)
        columns = monitor.columns()
        if scaled:
            vectors.assign(scale, x, x)
            columns = within_range(columns, vectors.largest(x), scale)
            vectors.clear(x, np.flatnonzero(~vectors.finite(x)))
        return monitor, columns

    def _report(self, solves: list[tuple[Monitor, tuple[Column, ...]]], X: Array, b: Array, seconds: float) -> Result:
        columns = tuple(column for _, verdicts in solves for column in verdicts)
        counts = Counts()
        extra: dict[str, Any] = {}
        for monitor, _ in solves:
            counts.add(monitor.counts)
            extra.update(monitor.extra)
        worst = max(columns, key=lambda c: (c.status.severity, _excess(c)))
        furthest = max(columns, key=_excess)
        if worst.reason:
            extra["reason"] = worst.reason
        name = str(self.solver)
        if self.recipe is not None:
            name += f" with {self.recipe}"
        elif self.M is not None:
            name += f" with {self.M!r}"
        return Result(
            x=X.reshape(b.shape),
            status=worst.status,
            iterations=max(c.iterations for c in columns),
            residual_norm=furthest.residual_norm,
            rhs_norm=furthest.rhs_norm,
            tolerance=furthest.tolerance,
            history=furthest.history,
            counts=counts,
            seconds=Timing(self.seconds, seconds),
            solver=name,
            columns=columns,
            extra=extra,
        )


def refuse_variable(A: LinearOperator, M: LinearOperator | None, method: str, flexible: str) -> None:
    """Raise StructureError if M may change between applications: the short recurrence of `method` would be lost."""
    if M is not None and Props.VARIABLE in M.props:
        raise StructureError(f"{method} needs a fixed preconditioner, but {M!r} is VARIABLE: use {flexible}")
    if Props.VARIABLE in A.props:
        raise StructureError(f"{method} needs a fixed operator, but {A!r} is VARIABLE")


def refuse_not_self_adjoint(A: LinearOperator, method: str) -> None:
    """Raise StructureError for an operator known to be complex symmetric rather than self-adjoint."""
    if A.dtype.kind == "c" and Props.SYMMETRIC in A.props and Props.SELF_ADJOINT not in A.props:
        raise StructureError(f"{method} needs A = Aᴴ, but {A!r} is complex symmetric (A = Aᵀ): use GMRES")


def _check_shape(name: str, shape: tuple[int, ...], n: int, grid: tuple[int, ...] | None) -> None:
    if shape == (n,) or (len(shape) == 2 and shape[0] == n and shape[1] > 0) or (grid is not None and shape == grid):
        return
    field = "" if grid is None else f" or the field shape {grid}"
    raise ValueError(f"{name} must have shape ({n},) or ({n}, k){field} to fit A, got {shape}")


def _excess(column: Any) -> float:
    """How far the residual is above its tolerance; not-a-number counts as infinitely far."""
    if not np.isfinite(column.residual_norm):
        return float("inf")
    return float(column.residual_norm / column.tolerance) if column.tolerance else float(column.residual_norm > 0)
