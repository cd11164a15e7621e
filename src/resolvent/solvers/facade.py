"""Functions with scipy's names, arguments, defaults and stopping rule, and `solve`, which chooses by itself.

Each returns a `Result` that unpacks as ``x, info``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..operators import Array, Diagonal, LinearOperator, as_operator
from ..operators.arrays import is_torch
from .choose import Choice, choose, choose_for_singular, with_claims
from .direct import Direct
from .krylov.bicgstab import BiCGStab
from .krylov.cg import CG
from .krylov.gmres import GMRES
from .krylov.minres import MINRES
from .preconditioners.recipe import build
from .progress import Callback, Progress
from .result import Result, Timing
from .solver import Solver
from .status import Status


def solve(
    A: Any,
    b: Array,
    x0: Array | None = None,
    *,
    M: Any = None,
    solver: Solver | None = None,
    rtol: float = 1e-8,
    atol: float = 0.0,
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
        Method; its own tolerances then hold.
    rtol, atol : float
        Converged when ‖b − A x‖₂ ≤ max(rtol ‖b‖₂, atol).
    maxiter : int, optional
        Largest number of iterations.
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
    if solver is not None:
        choice = Choice(solver, M, ("as asked",))
    else:
        choice = choose(operator, M, rtol=rtol, atol=atol, maxiter=maxiter)
        operator = with_claims(operator, choice.props)
    if is_torch(A) or is_torch(b):
        from ._torch import solve as solve_tensors

        return solve_tensors(
            A if is_torch(A) else operator, b, x0, choice.M, lambda _: (choice.solver, choice.M), callback
        )
    result = choice.solver.solve(operator, b, x0, choice.M, callback=callback)
    if solver is None and isinstance(choice.solver, Direct) and _broke_down(result):
        return _go_on(result, operator, choose_for_singular(operator, choice), b, x0, callback)
    return result


def _broke_down(result: Result) -> bool:
    return any(column.status is Status.BREAKDOWN for column in result.columns)


def _go_on(
    failed: Result, A: LinearOperator, choice: Choice, b: Array, x0: Array | None, callback: Callback | None
) -> Result:
    """Solve again with another method; the result tells of the first attempt and bears its cost."""
    result = choice.solver.solve(A, b, x0, choice.M, callback=callback)
    counts = dataclasses.replace(failed.counts)
    counts.add(result.counts)
    reasons = (f"{failed.extra.get('reason', 'no factorisation')}, solved iteratively", result.extra.get("reason"))
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


def cg(
    A: Any,
    b: Array,
    x0: Array | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Array], Any] | None = None,
) -> Result:
    """Solve with conjugate gradients: `scipy.sparse.linalg.cg` with a `Result`. See `resolvent.solvers.CG`.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent import cg
    >>> x, info = cg(np.diag([1.0, 4.0]), np.array([1.0, 4.0]))
    >>> x.round(12), info
    (array([1., 1.]), 0)
    """
    return _solve_as_scipy(CG(rtol=rtol, atol=atol, maxiter=maxiter), A, b, x0, M, _vector_callback(callback))


def minres(
    A: Any,
    b: Array,
    x0: Array | None = None,
    *,
    rtol: float = 1e-5,
    shift: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Array], Any] | None = None,
    show: bool = False,
    check: bool = False,
    atol: float = 0.0,
) -> Result:
    """Solve with MINRES for a self-adjoint, possibly indefinite A. See `resolvent.solvers.MINRES`.

    As in scipy, the system is (A − shift I) x = b, and `check` verifies by a product with a random vector that A and
    M are self-adjoint, else raises ValueError. `show` changes nothing: print the `Result`.
    """
    A = as_operator(A)
    if check:
        M = build(M, A)
        _verify_self_adjoint(A, b, "A")
        if M is not None:
            _verify_self_adjoint(M, b, "M")
    if shift:
        multiple: LinearOperator = Diagonal(np.full(A.shape[0], -shift, dtype=A.dtype))
        A = A + (multiple.to_torch(A.device) if A._holds_torch() else multiple)
    return _solve_as_scipy(MINRES(rtol=rtol, atol=atol, maxiter=maxiter), A, b, x0, M, _vector_callback(callback))


def bicgstab(
    A: Any,
    b: Array,
    x0: Array | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Array], Any] | None = None,
) -> Result:
    """Solve with BiCGStab for a nonsymmetric A. See `resolvent.solvers.BiCGStab`."""
    return _solve_as_scipy(BiCGStab(rtol=rtol, atol=atol, maxiter=maxiter), A, b, x0, M, _vector_callback(callback))


def gmres(
    A: Any,
    b: Array,
    x0: Array | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int | None = None,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[float], Any] | None = None,
    callback_type: str | None = None,
) -> Result:
    """Solve with restarted GMRES, preconditioned on the right. See `resolvent.solvers.GMRES`.

    As in scipy, a cycle has 20 iterations by default, and `maxiter` counts cycles, 10 n by default. `callback` receives
    the relative residual norm of each inner iteration, for every `callback_type` ("pr_norm", "legacy" or None) but "x",
    which raises ValueError.
    """
    if callback_type not in (None, "pr_norm", "legacy", "x"):
        raise ValueError(f"callback_type must be 'pr_norm' or 'legacy', got {callback_type!r}")
    if callback is not None and callback_type == "x":
        raise ValueError("callback_type 'x' is not offered, since iterates are formed only at restarts: use 'pr_norm'")
    A = as_operator(A)
    n, length = A.shape[0], 20 if restart is None else restart
    method = GMRES(rtol=rtol, atol=atol, maxiter=maxiter, restart=length)
    cycles = 10 * n if maxiter is None else maxiter
    method = dataclasses.replace(method, maxiter=cycles * min(length, n))
    report: Callback | None = None
    if callback is not None:
        receive = callback
        rhs_norm = float(b.detach().norm() if is_torch(b) else np.linalg.norm(b)) or 1.0

        def report(progress: Progress) -> None:
            receive(float(progress.residual_norm[0]) / rhs_norm)

    return _solve_as_scipy(method, A, b, x0, M, report)


def _solve_as_scipy(method: Solver, A: Any, b: Array, x0: Any, M: Any, callback: Callback | None) -> Result:
    """Solve, taking ``x0="Mb"`` for the preconditioner applied to b."""
    if isinstance(x0, str):
        if x0 != "Mb":
            raise ValueError(f"x0 must be an array, None or 'Mb', got {x0!r}")
        A = as_operator(A)
        M, b = build(M, A), b if is_torch(b) else np.asarray(b)
        x0 = b if M is None else (M @ b.reshape(A.shape[0], -1)).reshape(b.shape)
    return method.solve(A, b, x0, M, callback=callback)


def _verify_self_adjoint(A: LinearOperator, b: Array, name: str) -> None:
    """Raise ValueError unless ‖A y‖² = yᴴ A A y for a random y, up to the cube root of rounding, as scipy tests it."""
    y: Array = np.random.default_rng(0).standard_normal(A.shape[0])
    if is_torch(b) and A._holds_torch():
        y = b.new_tensor(y)
    w = A @ y
    square, form = complex((w.conj() * w).sum()), complex((A @ w * y).sum())
    if abs(square - form) > abs(square) * float(np.finfo(A.dtype).eps) ** (1 / 3):
        raise ValueError(f"{name} is not self-adjoint: ‖{name} y‖² = {square:.6g} but yᴴ{name}{name}y = {form:.6g}")


def _vector_callback(callback: Callable[[Array], Any] | None) -> Callback | None:
    """Return a callback that is given the iterate alone; its return value is ignored, as in scipy."""
    if callback is None:
        return None

    def report(progress: Progress) -> None:
        x = progress.x
        assert x is not None
        callback(x[:, 0] if x.shape[1] == 1 else x)

    return report
