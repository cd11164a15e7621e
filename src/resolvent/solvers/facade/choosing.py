"""`solve`, which chooses the method by itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator, as_operator
from ...operators.arrays import is_torch
from ..candidates import TRUST
from ..choose import Choice, choose, choose_after, choose_for_singular, with_claims
from ..direct import Direct
from ..fast_poisson import FastPoisson
from ..kronecker import KroneckerSolver
from ..multigrid.multigrid_cg import UNBOUNDED, MultigridCG
from ..progress import Callback
from ..result import Result, Timing
from ..solver import Solver
from ..status import Status
from ..toeplitz_solver import ToeplitzSolver


def solve(
    A: Any,
    b: Array,
    x0: Array | None = None,
    *,
    M: Any = None,
    solver: Solver | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    maxiter: int | None = None,
    callback: Callback | None = None,
) -> Result:
    """Solve A x = b with the method that suits A; `choose` says which one that is, and why.

    Parameters
    ----------
    A : (n, n) operator, sparse or dense matrix, or torch tensor
        System.
    b : (n,), (n, k) or grid-shaped array, or torch tensor
        Right-hand sides. For tensors the solution can be differentiated with respect to b and to the entries of A.
    x0 : array like b, optional
        Initial guess.
    M : operator, recipe or None
        Preconditioner; by default the one that `choose` recommends.
    solver : Solver, optional
        Method to use instead.
    rtol, atol : float, optional
        Converged when ‖b − A x‖₂ ≤ max(rtol ‖b‖₂, atol). By default those of `solver`, or 1e-8 and 0.
    maxiter : int, optional
        Largest number of iterations, by default that of `solver`.
    callback : callable, optional
        Called with a `Progress` after each iteration; returning True stops the solve.

    Returns
    -------
    result : Result

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> import resolvent
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(100, 100), format="csr")
    >>> result = resolvent.solve(A, np.ones(100))
    >>> result.converged, round(float(result.x.max()), 6)
    (True, 1275.0)
    """
    operator = as_operator(A.detach() if is_torch(A) else A)
    asked = {"rtol": rtol, "atol": atol, "maxiter": maxiter}
    options: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if solver is not None:
        choice = Choice(dataclasses.replace(solver, **options), M, ("as asked",))
    else:
        choice = choose(operator, M, **options, rhs=_columns(operator, b), dtype=_dtype(b))
        operator = with_claims(operator, choice.props)
    result = solve_as_chosen(choice, A, operator, b, x0, callback)
    if (
        solver is not None
        or not isinstance(choice.solver, Direct | KroneckerSolver | ToeplitzSolver)
        or not _broke_down(result)
    ):
        return result
    return _go_on(result, _run(choose_for_singular(operator, choice), A, operator, b, x0, callback))


def solve_as_chosen(
    choice: Choice, A: Any, operator: LinearOperator, b: Array, x0: Array | None, callback: Callback | None
) -> Result:
    """Solve by a choice, and go on with what is surer where a method that was chosen by its estimate fails.

    Parameters
    ----------
    choice : Choice
    A : operator, matrix or tensor
        As it was given.
    operator : LinearOperator
        The same as an operator.
    b, x0, callback
        As for `solve`.
    """
    result = _run(_patient(choice), A, operator, b, x0, callback)
    other = choose_after(choice) if _gave_up(result, choice.solver.maxiter) else None
    return result if other is None else _go_on(result, _run(other, A, operator, b, x0, callback))


def _run(
    choice: Choice, A: Any, operator: LinearOperator, b: Array, x0: Array | None, callback: Callback | None
) -> Result:
    if not (is_torch(A) or is_torch(b)):
        return choice.solver.solve(operator, b, x0, choice.M, callback=callback)
    from .._torch import solve as solve_tensors

    system = A if is_torch(A) else operator
    return solve_tensors(system, b, x0, choice.M, lambda _: (choice.solver, choice.M), callback)


def _columns(A: LinearOperator, b: Any) -> int:
    """Return how many right-hand sides an (n, k) array is; what is wrong with others is said later."""
    shape = tuple(getattr(b, "shape", ()))
    return int(shape[1]) if len(shape) == 2 and shape[0] == A.shape[0] and shape != A.grid and shape[1] else 1


def _dtype(b: Any) -> Any:
    """Return the dtype of numpy's that right-hand sides have; what is wrong with others is said later."""
    return (
        np.dtype(np.complex128) if is_torch(b) and b.is_complex() else np.asarray(b).dtype if not is_torch(b) else None
    )


def _patient(choice: Choice) -> Choice:
    """Return the choice with a limit on iterations where something surer can follow."""
    quick = isinstance(choice.solver, MultigridCG) or isinstance(choice.M, FastPoisson)
    if not quick or choice.solver.maxiter is not None or choose_after(choice) is None:
        return choice
    return dataclasses.replace(choice, solver=dataclasses.replace(choice.solver, maxiter=TRUST))


def _gave_up(result: Result, maxiter: int | None) -> bool:
    """Whether a method failed in a way that says nothing against another one."""
    failures = {Status.BREAKDOWN, Status.INDEFINITE, Status.STAGNATED, Status.DIVERGED}
    failures |= set() if maxiter is not None else {Status.MAXITER}
    return any(
        column.status in failures or (column.status is Status.NONFINITE and column.reason == UNBOUNDED)
        for column in result.columns
    )


def _broke_down(result: Result) -> bool:
    return any(column.status is Status.BREAKDOWN for column in result.columns)


def _go_on(failed: Result, result: Result) -> Result:
    """Return the result of a second method such that it tells of the first attempt and bears its cost."""
    counts = dataclasses.replace(failed.counts)
    counts.add(result.counts)
    tail = ", solved iteratively" if _broke_down(failed) else ""
    reasons = (f"{failed.extra.get('reason', failed.status.name)}{tail}", result.extra.get("reason"))
    return dataclasses.replace(
        result,
        counts=counts,
        seconds=Timing(
            failed.seconds.prepare + result.seconds.prepare,
            failed.seconds.solve + result.seconds.solve,
        ),
        solver=f"{result.solver} after {failed.solver}",
        extra={**result.extra, "reason": ": ".join(filter(None, reasons))},
    )
