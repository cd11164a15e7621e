"""A solver together with all that depends on the operator."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..operators import Array, LinearOperator, Props, StructureError, as_operator
from ..operators.arrays import is_torch, without_mask
from ..operators.props import complete
from .foreign import fingerprint
from .monitor import Monitor
from .preconditioners.recipe import Recipe, build, fitted, rebuild
from .progress import Callback
from .residual import true_residual
from .result import Column, Counts, Result, Timing, excess
from .scaling import out_of_range, safe_scale, within_range
from .status import Status
from .vectors import vectors_for

if TYPE_CHECKING:
    from .recycling.space import RecycleSpace
    from .solver import Solver


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
        if A.shape[0] != A.shape[1] and not solver.least_squares:
            raise ValueError(
                f"a linear system needs a square operator, got {A.shape[0]} x {A.shape[1]}: "
                "use LSMR or LSQR for a rectangular one"
            )
        start = time.perf_counter()
        self.solver, self.A = solver, A
        self.recipe: Recipe | None = M if isinstance(M, Recipe) else None
        self._given_M = M
        if A._communicator() is not None:
            _check_distributed(solver, self.recipe, A)
        self.M = build(M, A)
        solver._check(A, self.M)
        self._state = solver._setup(A)
        self._watch(given)
        self._built, self._built_for = self.M, self._stamp_of_A()
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

    def _changed(self) -> bool:
        """Return whether what was prepared for was changed since."""
        return self.A.version != self._version or fingerprint(self._given) != self._fingerprint

    def _rebind(self, given: Any, A: LinearOperator) -> None:
        """Go on with another object that holds the values prepared for: later changes of the old one are none here."""
        self.A = A
        self._watch(given)

    def _stamp_of_A(self) -> Any:
        return self.A.stamp() if self._fingerprint is None else (self.A.shape, self._fingerprint)

    def update(self, A: Any = None, *, M: LinearOperator | None = None, anew: bool = False) -> None:
        """Prepare for new values: of the same operator after ``A.update(…)``, or of another one of the same shape.

        The preconditioner is updated by its recipe, a factorisation keeps its ordering where the pattern repeats.
        A preconditioner that was given as an operator is kept as it is. `solve` calls this by itself when `A.version`
        has grown, or when the matrix of another library that was prepared for was changed in place.

        Parameters
        ----------
        A : operator or matrix, optional
            The new values; by default those that the operator or matrix has now.
        M : operator, optional
            Preconditioner to use from now on, such as the present one, instead of one that the recipe builds.
        anew : bool
            Whether the recipe is to build M instead of bringing the old one up to date.
        """
        start = time.perf_counter()
        given = A if A is not None else self.A if self._given is None else self._given
        A = self.A if A is None else as_operator(A)
        if A.shape != self.A.shape:
            raise ValueError(f"expected an operator of shape {self.A.shape}, got {A.shape}: prepare a new solver")
        # Assigned last, and together: an error on the way leaves what was prepared before.
        renewed = None
        if M is None and self.recipe is not None and self._built is not None:
            M = renewed = build(self.recipe, A) if anew else rebuild(self.recipe, self._built, A)
        M = self.M if M is None else fitted(M, A)
        self.solver._check(A, M)
        self._state = self.solver._refresh(self._state, A)
        if M is not self.M and renewed is None:
            self._given_M = M
        self.A, self.M = A, M
        self._watch(given)
        if renewed is not None:
            self._built, self._built_for = renewed, self._stamp_of_A()
        self.seconds = time.perf_counter() - start

    def adjoint(self) -> Prepared:
        """Return what solves Aᴴ x = b, with the adjoint preconditioner and the same factors where there are any."""
        self._follow()
        needs = complete(self.solver.needs, self.A.dtype, self.A.shape)  # a real symmetric A is self-adjoint
        if (self.A.props | needs) & Props.SELF_ADJOINT:
            return self
        other = object.__new__(Prepared)
        other.solver, other.recipe = self.solver, None
        other.A = self.A.H
        other.M = other._built = other._given_M = None if self.M is None else self.M.H
        other._state = self.solver._adjoint(self._state, other.A)
        other._watch(other.A)
        other.seconds = self.seconds
        return other

    def solve_T(self, b: Array, x0: Array | None = None) -> Result:
        """Solve Aᵀ x = b, with the same factors where there are any: conj(y) for the y with Aᴴ y = conj(b)."""
        if self.A.dtype.kind != "c":
            return self.adjoint().solve(b, x0)
        result = self.adjoint().solve(b.conj(), None if x0 is None else x0.conj())
        return dataclasses.replace(result, x=result.x.conj())

    def logdet(self) -> tuple[Any, float]:
        """Return the sign of det A (a unit complex number where A is complex) and log|det A|, from the factors.

        Raises
        ------
        StructureError
            If the method has no factors that give it.
        SingularError
            If A is singular; eigenvalues that are zero are not replaced by others.
        """
        self._follow()
        return self.solver._logdet(self._state, self.A)

    def eigh(self) -> tuple[Array, LinearOperator]:
        """Return the eigenvalues of a self-adjoint A, unsorted, and the operator whose columns are its eigenvectors.

        Raises
        ------
        StructureError
            If the method does not find them.
        """
        self._follow()
        return self.solver._eigh(self._state, self.A)

    def stamps(self) -> tuple[Any, Any]:
        """Return what tells whether A and M are those that a recycle space was made for."""
        A = self._stamp_of_A()
        if self.M is None:
            return A, None
        if self.recipe is not None:  # the same recipe makes the same of the same matrix, if it keeps no older parts
            same = self.M is self._built and self.recipe.renews
            return A, (self.recipe, self._built_for) if same else self.M.stamp()
        checksum = fingerprint(self._given_M)
        return A, self.M.stamp() if checksum is None else (self.M.shape, checksum)

    def solve(
        self,
        b: Array,
        x0: Array | None = None,
        *,
        callback: Callback | None = None,
        space: RecycleSpace | None = None,
    ) -> Result:
        """Solve A x = b.

        Parameters
        ----------
        b : (n,), (n, k) or grid-shaped array
            One or many right-hand sides.
        x0 : array like b, optional
            Initial guess, zero by default; never altered.
        callback : callable, optional
            Called with a `Progress` after each iteration; returning True stops the solve.
        space : RecycleSpace, optional
            What an earlier solve, of this system or a related one, left in ``result.space``. For methods that recycle.

        Returns
        -------
        result : Result
            With x in the shape of b. Lack of convergence is a status, not an exception.

        Raises
        ------
        ValueError, TypeError
            For wrong shapes, dtypes or devices.
        """
        if space is not None and not self.solver.recycles:
            raise TypeError(f"{type(self.solver).__name__} cannot use a recycle space: use GCRODR, GCROT or DeflatedCG")
        self._follow()
        if is_torch(b) and not self.A._holds_torch():
            from ._torch import solve_on_host

            return solve_on_host(
                lambda right, guess: self.solve(right, guess, callback=callback, space=space), self.A, b, x0
            )
        start = time.perf_counter()
        b = b if is_torch(b) else np.asarray(without_mask("b", b))
        B, X = self._columns_everywhere(b, x0)
        with np.errstate(all="ignore"):  # overflow and division by zero become statuses
            if self.solver.lockstep or B.shape[1] == 1:
                solves = [self._solve_columns(B, X, callback, space)]
            else:
                vectors, solves = vectors_for(B, self.A._communicator()), []
                for column in np.arange(B.shape[1]).reshape(-1, 1):
                    x = vectors.take(X, column)
                    solves.append(self._solve_columns(vectors.take(B, column), x, callback, space))
                    space = solves[-1][0].space
                    vectors.put(X, column, x)
        return self._report(solves, X, b, time.perf_counter() - start)

    def _columns_everywhere(self, b: Array, x0: Array | None) -> tuple[Array, Array]:
        """Return the same as `_columns`; where ranks share the system, an error of one is raised on all of them."""
        communicator = self.A._communicator()
        if communicator is None:
            return self._columns(b, x0)
        from ._mpi import together

        with together(communicator):
            return self._columns(b, x0)

    def _columns(self, b: Array, x0: Array | None) -> tuple[Array, Array]:
        """Return b and a fresh copy of x0 as (n, k) arrays of the working dtype."""
        A = self.A
        m, n = A.shape
        if A._holds_torch():
            from ._torch import columns_of

            return columns_of(A, self.M, b, x0)
        if b.dtype.kind not in "fciub" or A.result_dtype(b.dtype).char not in "fdFD":
            hint = ": pass b.toarray()" if hasattr(b.reshape(-1)[:1].tolist()[0] if b.size else None, "toarray") else ""
            raise TypeError(f"b must be numeric, of at most double precision, got dtype {b.dtype}{hint}")
        grid = A.grid if m == n else None
        _check_shape("b", b.shape, m, grid)
        dtype = A.result_dtype(b.dtype)
        if self.M is not None:
            dtype = np.result_type(dtype, self.M.dtype)
        width = 1 if b.shape == grid or b.ndim == 1 else b.shape[1]
        B = np.ascontiguousarray(b.reshape(m, width), dtype=dtype)
        if x0 is None:
            return B, np.zeros((n, width), dtype=dtype)
        x0 = x0.numpy(force=True) if is_torch(x0) else np.asarray(without_mask("x0", x0))
        if x0.dtype.kind not in "fciub":
            hint = ": pass x0.toarray()" if hasattr(x0[()], "toarray") else ""
            raise TypeError(f"x0 must be numeric, got dtype {x0.dtype}{hint}")
        expected = b.shape if m == n else (n, *b.shape[1:])
        if x0.shape != expected and not (x0.size == n * width and x0.ndim and x0.shape[0] == n):
            raise ValueError(f"x0 must have the shape of {'b' if m == n else 'x'}, {expected}, got {x0.shape}")
        if x0.dtype.kind == "c" and dtype.kind != "c":
            raise TypeError("x0 is complex but the system is real: pass x0.real, or a complex b")
        return B, np.array(x0.reshape(n, width), dtype=dtype, order="C")

    def _solve_columns(
        self, b: Array, x: Array, callback: Callback | None, space: RecycleSpace | None
    ) -> tuple[Monitor, tuple[Column, ...]]:
        """Overwrite x with the solution; b and x are divided by a power of two where products would overflow."""
        vectors, solver = vectors_for(b, self.A._communicator()), self.solver
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
            maxiter=10 * vectors.total(max(self.A.shape)) if solver.maxiter is None else int(solver.maxiter),
            callback=vectors.agreed(callback),
            scale=scale,
            space=space,
            stamps=self.stamps() if solver.recycles else (None, None),
            self_adjoint=Props.SELF_ADJOINT in solver.needs,
        )
        zero = np.flatnonzero(monitor.rhs_norm == 0.0)
        if len(zero):  # the solution is zero whatever x0 is; anything else could only approximate it
            vectors.clear(x, zero)
        monitor.retire(~np.isfinite(monitor.rhs_norm), Status.NONFINITE, x, "b is not finite")
        monitor.retire(~vectors.finite(x), Status.NONFINITE, x, "x0 is not finite")
        if monitor.running:
            solver._run(self._state, b, x, monitor)
        columns = monitor.columns()
        if scaled:
            vectors.assign(scale, x, x)
            lost = out_of_range(vectors.largest(x), scale)
            if lost.any():
                vectors.clear(x, np.flatnonzero(~vectors.finite(x)))
                left = vectors.empty_like(x)
                vectors.assign(1.0 / scale, x, left)
                norms = true_residual(self.A, b, left, vectors.empty_like(b), vectors)
                monitor.counts.matvec += x.shape[1]
                columns = within_range(columns, lost, norms, scale, scale.dtype)
        return monitor, columns

    def _report(self, solves: list[tuple[Monitor, tuple[Column, ...]]], X: Array, b: Array, seconds: float) -> Result:
        columns = tuple(column for _, verdicts in solves for column in verdicts)
        counts = Counts()
        extra: dict[str, Any] = {}
        for monitor, _ in solves:
            counts.add(monitor.counts)
            extra.update(monitor.extra)
        square = self.A.shape[0] == self.A.shape[1]
        worst = max(columns, key=lambda c: (c.status.severity, excess(c)))
        furthest = max(columns, key=excess)
        if worst.reason:
            extra["reason"] = worst.reason
        name = str(self.solver)
        if self.recipe is not None:
            name += f" with {self.recipe}"
        elif self.M is not None:
            name += f" with {self.M!r}"
        return Result(
            x=X.reshape(self.A.shape[1]) if b.ndim == 1 else X.reshape(b.shape if square else X.shape),
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
            space=solves[-1][0].space,
        )


def _check_distributed(solver: Solver, recipe: Recipe | None, A: LinearOperator) -> None:
    if not solver.distributed:
        raise StructureError(f"{type(solver).__name__} cannot solve a system spread over ranks: {A!r}")
    if recipe is not None and not recipe.distributed:
        raise StructureError(f"{recipe} cannot be built for a system spread over ranks: use LocalBlocks({recipe})")


def _check_shape(name: str, shape: tuple[int, ...], n: int, grid: tuple[int, ...] | None) -> None:
    if shape == (n,) or (len(shape) == 2 and shape[0] == n and shape[1] > 0) or (grid is not None and shape == grid):
        return
    field = "" if grid is None else f" or the field shape {grid}"
    raise ValueError(f"{name} must have shape ({n},) or ({n}, k){field} to fit A, got {shape}")
