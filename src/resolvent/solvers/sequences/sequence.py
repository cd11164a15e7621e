"""A stream of related systems, each solved with what the ones before it left."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from ...operators import Array, Ensemble, LinearOperator, Sparse, as_operator
from ...operators.arrays import is_torch
from ..foreign import fingerprint
from ..preconditioners.recipe import Recipe, hosted
from ..prepared import Prepared
from ..progress import Callback
from ..recycling.space import RecycleSpace
from ..result import Result, Timing
from ..solver import Solver
from ..status import Status
from .benefit import Benefit
from .carried import carried
from .guesses import guess_from
from .policies import Chained, SpacePolicy
from .refresh import Age, Refresh
from .rescaled import Rescaled

if TYPE_CHECKING:
    from ..tuning import OnlineTuner


class Sequence:
    """Solves systems A₁x₁ = b₁, A₂x₂ = b₂, … of one size, keeping what helps: factors, M, recycle space, solutions.

    The stateful convenience around a `Solver`: every solve is still one of that solver, with the same meaning of the
    tolerance, and a result that tells its whole cost. Not for several threads at once.

    Parameters
    ----------
    solver : Solver
        Method; those that recycle (`GCRODR`, `GCROT`, `DeflatedCG`, …) are given a space.
    M : recipe, operator or None
        Preconditioner. A recipe is rebuilt as `refresh` says, an operator is kept.
    refresh : Refresh
        When to rebuild, ``Refresh.ON_CHANGE`` by default.
    warm_start : {None, "previous", "scaled", "projected"}, Guess or callable
        Initial guess: none by default. "previous" pays on slow paths only, "scaled" costs a product and never starts
        worse than zero, "projected" takes the best combination of the last 20 solutions. A function of A and b is
        asked for each system, the first included: see `Computed`.
    spaces : SpacePolicy
        Which recycle space to give: by default the one the previous solve handed on.
    cold_every : int or None
        One solve in so many is made without a space, and recycling suspended while it saves nothing, 25 by default;
        None always recycles.
    max_age : int, optional
        Rebuild M after so many solves at the latest.
    tuner : OnlineTuner, optional
        Chooses all of the above anew for each system, among its arms; then nothing else is given.

    Attributes
    ----------
    solved : int
        Systems solved.
    space : RecycleSpace or None
        What the next system would be given.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG, IC, Refresh, Sequence
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(400, 400)).tocsr()
    >>> steps = Sequence(CG(), M=IC(), refresh=Refresh.EVERY(10), warm_start="scaled")
    >>> for t in np.linspace(0.0, 1.0, 20):
    ...     A.setdiag(2.0 + 0.01 * t)
    ...     result = steps.solve(A, np.ones(400)).check()
    >>> steps.solved, steps.rebuilt
    (20, 2)
    """

    def __init__(
        self,
        solver: Solver | None = None,
        M: Any = None,
        *,
        refresh: Refresh | None = None,
        warm_start: Any = None,
        spaces: SpacePolicy | None = None,
        cold_every: int | None = 25,
        max_age: int | None = None,
        tuner: OnlineTuner | None = None,
    ) -> None:
        self.tuner = tuner
        if tuner is not None:
            from ..tuning import OnlineTuner

            if not isinstance(tuner, OnlineTuner):
                raise TypeError(f"tuner must be an OnlineTuner, got {type(tuner).__name__}: learners go inside of one")
            if solver is not None or any(given is not None for given in (M, refresh, warm_start, spaces, max_age)):
                raise TypeError("with a tuner nothing else is given: what is to be tried are the arms of the tuner")
            solver = tuner.arms[tuner.safe].solver
        if not isinstance(solver, Solver):
            raise TypeError(f"Sequence needs a Solver such as CG(), got {type(solver).__name__}")
        if refresh is not None and not isinstance(refresh, Refresh):
            raise TypeError(f"refresh must be a Refresh such as Refresh.EVERY(5), got {refresh!r}")
        if spaces is not None and not (isinstance(spaces, SpacePolicy) and solver.recycles):
            wrong = "a method that recycles" if isinstance(spaces, SpacePolicy) else f"a SpacePolicy, got {spaces!r}"
            raise TypeError(f"spaces needs {wrong}")
        for name, value in (("cold_every", cold_every), ("max_age", max_age)):
            if value is not None and (int(value) != value or value < 1):
                raise ValueError(f"{name} must be a whole number ≥ 1 or None, got {value!r}")
        self.solver, self.M = solver, M
        self.refresh = Refresh.ON_CHANGE if refresh is None else refresh
        self.guess = guess_from(warm_start)
        self.spaces = Chained() if spaces is None else spaces
        self.cold_every, self.max_age = cold_every, max_age
        self._forget()

    def reset(self) -> None:
        """Forget everything but the options, what a tuner has learned included."""
        self._forget()
        if self.tuner is not None:
            self.tuner.reset()

    def _forget(self) -> None:
        self._prepared: Prepared | None = None
        self._pattern: Any = None
        self._reference: Array | None = None
        self._unscaled: LinearOperator | None = None
        self._given: Any = None
        self._stamp: Any = None
        self._built_for: Any = None
        self._anew = True
        self._age: Age | None = None
        self._excess = 0.0
        self._kept: RecycleSpace | None = None
        self._benefit = Benefit(self.cold_every or 0)
        window = max(self.guess.window if self.guess else 0, self.spaces.window)
        self._solutions: deque[Array] = deque(maxlen=window)
        self.solved = 0
        self.rebuilt = 0
        """How often the preconditioner, or a factorisation, was built."""
        self.followed = 0
        """How often the method itself was prepared for new values: a factorisation, the hierarchy of `MultigridCG`."""

    @property
    def space(self) -> RecycleSpace | None:
        """What the next system would be given."""
        return self._space(self._solutions[-1] if self._solutions else None)

    @property
    def prepared(self) -> Prepared | None:
        """What the last system was solved with."""
        return self._prepared

    def solve(self, A: Any, b: Array, *, context: Any = None, callback: Callback | None = None) -> Result:
        """Solve the next system.

        Parameters
        ----------
        A : operator or matrix
            Of the size of the ones before, changed in place, updated, or another one. One of another size, dtype or
            pattern starts the sequence anew.
        b : (n,), (n, k) or grid-shaped array
            Right-hand sides.
        context : float, array or None
            With a tuner, numbers known of the system: a Péclet number, a step length. See `OnlineTuner.solve`.
        callback : callable, optional
            See `Prepared.solve`.

        Returns
        -------
        result : Result
            Its counts and seconds include guess, set-up and a repeated solve. ``extra`` tells ``refreshed`` (whether M
            was rebuilt), ``age`` (solves with this M before), and for methods that recycle ``cold``: why there was no
            space, or an empty string.
        """
        if isinstance(A, Ensemble):
            raise TypeError("a sequence takes one system after the other: pass the members of the ensemble one by one")
        if self.tuner is not None:
            result = self.tuner.solve(A, b, context=context, callback=callback)
            self.solved += 1
            return result
        if context is not None:
            raise TypeError("a context is for a tuner: Sequence(tuner=OnlineTuner(...))")
        operator, checksum = as_operator(A), fingerprint(A)
        if is_torch(b) and not operator._holds_torch():
            from .._torch import solve_on_host

            return solve_on_host(lambda right, _: self.solve(A, right, callback=callback), operator, b)
        stamp = operator.stamp() if checksum is None else (operator.shape, checksum)
        pattern = _pattern(operator)
        if self._prepared is not None and pattern != self._pattern:
            self._forget()
        refreshed, seconds = self._bring_up_to_date(A, operator, stamp)
        self._pattern, self._stamp = pattern, stamp
        prepared, age = self._prepared, self._age
        assert prepared is not None
        begin = time.perf_counter()
        B = prepared._columns_everywhere(b, None)[0]
        x0, products = self._start(prepared.A, B, b)
        space, cold, found = None, "", 0
        if self.solver.recycles:
            if self.solved == 0 and self._kept is None:
                self._kept, found = self.spaces.begin(prepared.A)
            known = found > 0 and self._kept is not None
            allowed = self.cold_every is None or known or self._benefit.allows()
            cold = "" if allowed else self._benefit.reason
            space = self._space(B, prepared.A) if allowed else None
        seconds += time.perf_counter() - begin
        failed, result = None, prepared.solve(b, x0, callback=callback, space=space)
        if (stamp != self._built_for or not self._anew) and self._has_recipe() and _may_be_mended(result):
            failed, age, refreshed = result, None, True
            seconds += self._rebuild(A, stamp, anew=True)
            cold = cold or "repeated with a fresh preconditioner"
        elif result.status is Status.BREAKDOWN and space is not None:
            failed, cold = result, "broke down with the space"
        elif result.status is Status.NONFINITE and x0 is not None and _may_be_mended(result):
            failed = result  # a guess of another order of magnitude than the solution
        if failed is not None:
            x0 = None if failed.status is Status.NONFINITE else x0
            seconds += failed.seconds.solve
            result = prepared.solve(b, x0, callback=callback)
            result.counts.add(failed.counts)
        result.counts.setup += products
        self._learn(result, B, recycled=space is not None, repeated=failed is not None)
        result.counts.setup += found  # once for all systems: no part of what recycling costs in each
        extra = {**result.extra, "refreshed": refreshed, "age": 0 if age is None else age.solves}
        if self.solver.recycles:
            extra["cold"] = cold or ("" if space is not None else "no space yet")
        return dataclasses.replace(result, seconds=Timing(seconds, result.seconds.solve), extra=extra)

    # Preconditioner and factors --------------------------------------------------------------------------------------

    def _has_recipe(self) -> bool:
        return isinstance(self.M, Recipe)

    def _bring_up_to_date(self, A: Any, operator: LinearOperator, stamp: Any) -> tuple[bool, float]:
        """Prepare for A; return whether M was rebuilt, and the seconds it took."""
        begin, prepared, last = time.perf_counter(), self._prepared, self._stamp
        given, self._given = self._given, A
        self._stamp = None  # an error leaves it unknown what was prepared for
        if prepared is None:
            self._prepared = self.solver.prepare(A, self.M)
            self._remember(operator, stamp, time.perf_counter() - begin, anew=True)
            return True, time.perf_counter() - begin
        changed = stamp != last
        if not changed and A is not given:
            changed = prepared._changed()  # of the object before, which M may share arrays with
            if not changed:
                prepared._rebind(A, operator)
        if changed and self._age is not None:
            self._age = dataclasses.replace(self._age, changes=self._age.changes + 1)
        age = self._age
        due = self._has_recipe() and (age is None or self.refresh.due(age, changed, self._excess))
        due |= self._has_recipe() and age is not None and self.max_age is not None and age.solves >= self.max_age
        communicator = operator._communicator()
        if communicator is not None:  # clocks differ from rank to rank
            due = communicator.allreduce(int(due)) > 0
        if due:
            return True, self._rebuild(A, stamp)
        if changed:
            M = prepared.M
            if self._unscaled is not None and self._reference is not None:
                M = Rescaled(self._unscaled, self._reference, _diagonal(operator))
            prepared.update(A, M=M if self._has_recipe() else None)
            self.followed += 1
        return False, time.perf_counter() - begin

    def _rebuild(self, A: Any, stamp: Any, *, anew: bool = False) -> float:
        begin, prepared = time.perf_counter(), self._prepared
        assert prepared is not None
        prepared.update(A, anew=anew)
        seconds = time.perf_counter() - begin
        self._remember(prepared.A, stamp, seconds, anew=anew)
        return seconds

    def _remember(self, A: LinearOperator, stamp: Any, seconds: float, *, anew: bool) -> None:
        """Note that M is that of A, and whether all of it is."""
        prepared = self._prepared
        assert prepared is not None
        self.rebuilt += 1
        self.followed += 1
        self._built_for = stamp
        self._anew = anew or not isinstance(self.M, Recipe) or self.M.renews
        self._age, self._excess = Age(0, 0, 0, seconds, 0.0, 0.0), 0.0
        if self.refresh.name == "RESCALED" and self._has_recipe():
            assert prepared.M is not None
            self._reference, self._unscaled = np.array(_diagonal(A)), hosted(prepared.M)

    # Guess, space, history -------------------------------------------------------------------------------------------

    def _start(self, A: LinearOperator, B: Array, b: Array) -> tuple[Array | None, int]:
        """Return the initial guess for b, whose columns are B, and the products it took."""
        kept = self._carried(B)
        if self.guess is None:
            return None, 0
        if self.guess.window and (not kept or (self.guess.window == 1 and kept[-1].shape[1] != B.shape[1])):
            return None, 0
        with np.errstate(all="ignore"):
            x0, products = self.guess.start(A, B, kept)
        m, n = A.shape
        assert x0.shape == (n, B.shape[1])
        return x0.reshape(b.shape if m == n else (n, *b.shape[1:])), products

    def _carried(self, B: Array | None) -> deque[Array]:
        """Return the solutions kept, in the storage and dtype of B."""
        fitting = [] if B is None else [carried(u, B) for u in self._solutions]
        return deque(u for u in fitting if u is not None)

    def _space(self, B: Array | None, A: LinearOperator | None = None) -> RecycleSpace | None:
        """Return the space that the policy chooses, for right-hand sides like B; of a policy that looks at A, for A."""
        if not self.solver.recycles:
            return None
        with np.errstate(all="ignore"):
            known = self._kept, self.solved, self._carried(B)
            space = self.spaces.choose(*known) if A is None else self.spaces.choose_for(A, *known)
        if space is None or B is None or not _is_complex(space.U) or _is_complex(B):
            return space
        U = carried(space.U.T, B)  # by rows, as methods take it
        return None if U is None else RecycleSpace(U.T)

    def _learn(self, result: Result, B: Array, *, recycled: bool, repeated: bool) -> None:
        """Take from a finished solve what serves the next ones."""
        self.solved += 1
        if self._age is not None:
            age, spent = self._age, result.seconds.solve
            first = age.first == 0  # one without iterations, as for b = 0, is no measure
            self._age = dataclasses.replace(
                age,
                solves=age.solves + 1,
                first=result.iterations if first else age.first,
                last=result.iterations,
                first_seconds=spent if first else age.first_seconds,
                last_seconds=spent,
            )
            self._excess += max(spent - self._age.first_seconds, 0.0)
        columns = result.columns
        if not result.converged:
            if recycled and not repeated:
                self._benefit.compare_next()
            return
        if self._solutions.maxlen:
            x = result.x.reshape(-1, len(columns)) if B.shape[0] else result.x.reshape(0, len(columns))
            self._solutions.append(x.clone() if is_torch(x) else np.array(x))
        if self.solver.recycles:
            self._kept = self.spaces.keep(self._kept, result, self.solved)
            if not repeated and any(column.rhs_norm > 0.0 for column in columns):
                k = int(getattr(self.solver, "k", 0) or 0)
                drift = float(result.extra.get("drift", 0.0))
                products = result.counts.products / len(columns)
                self._benefit.observe(products, result.iterations, k, recycled, drift)


def _may_be_mended(result: Result) -> bool:
    """Whether another preconditioner might solve what failed: not where b is spoilt, or a callback stopped."""
    failed = [column for column in result.columns if column.status not in (Status.CONVERGED, Status.LEAST_SQUARES)]
    return any(column.status is not Status.STOPPED and np.isfinite(column.rhs_norm) for column in failed)


def _is_complex(u: Array) -> bool:
    return bool(u.is_complex() if is_torch(u) else u.dtype.kind == "c")


def _pattern(A: LinearOperator) -> Any:
    """Return what must stay the same along a sequence: kind of storage, size, dtype, positions of stored entries."""
    kind = (type(A).__name__, A.shape, A.dtype.str, A.device)
    if isinstance(A, Sparse):
        matrix = A.matrix
        return (*kind, matrix.nnz, fingerprint(matrix.indptr), fingerprint(matrix.indices))
    return kind


def _diagonal(A: LinearOperator) -> np.ndarray:
    diagonal: np.ndarray = A.to_sparse().diagonal() if A._holds_torch() else A.diagonal()
    return diagonal
