"""Functions with scipy's names, arguments, defaults and stopping rule, and `solve`, which chooses by itself.

Each returns a `Result` that unpacks as ``x, info``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..operators import Array, as_operator
from ..operators.arrays import is_torch
from .choose import choose
from .direct import Direct
from .krylov.bicgstab import BiCGStab
from .krylov.cg import CG
from .krylov.gmres import GMRES
from .krylov.minres import MINRES
from .progress import Callback, Progress
from .result import Result
from .solver import Solver


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

    def pick(operator: Any) -> tuple[Solver, Any]:
        if solver is not None:
            return solver, M
        choice = choose(operator, M, rtol=rtol, atol=atol, maxiter=maxiter)
        return choice.solver, choice.M if M is None else M

    if is_torch(A) or is_torch(b):
        from ._torch import solve as solve_tensors

        return solve_tensors(A, b, x0, M, pick, callback)
    operator = as_operator(A)
    method, preconditioner = pick(operator)
    return method.solve(operator, b, x0, preconditioner, callback=callback)


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
    method = CG(rtol=rtol, atol=atol, maxiter=maxiter)
    return method.solve(A, b, _guess(x0, b, M), M, callback=_vector_callback(callback))


def minres(
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
    """Solve with MINRES for a self-adjoint, possibly indefinite A. See `resolvent.solvers.MINRES`."""
    method = MINRES(rtol=rtol, atol=atol, maxiter=maxiter)
    return method.solve(A, b, _guess(x0, b, M), M, callback=_vector_callback(callback))


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
    method = BiCGStab(rtol=rtol, atol=atol, maxiter=maxiter)
    return method.solve(A, b, _guess(x0, b, M), M, callback=_vector_callback(callback))


def gmres(
    A: Any,
    b: Array,
    x0: Array | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int = 20,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[float], Any] | None = None,
) -> Result:
    """Solve with restarted GMRES, preconditioned on the right. See `resolvent.solvers.GMRES`.

    As in scipy, `maxiter` counts restart cycles; `callback` receives the relative residual norm of each inner
    iteration (scipy's ``callback_type="pr_norm"``).
    """
    inner = None if maxiter is None else maxiter * min(restart, len(b))

    def report(progress: Progress) -> None:
        assert callback is not None
        rhs_norm = float(np.linalg.norm(b)) or 1.0
        callback(float(progress.residual_norm[0]) / rhs_norm)

    method = GMRES(rtol=rtol, atol=atol, maxiter=inner, restart=restart)
    return method.solve(A, b, _guess(x0, b, M), M, callback=None if callback is None else report)


def spsolve(A: Any, b: Array) -> Result:
    """Solve by sparse LU factorisation and refinement to rtol 1e-12. See `resolvent.solvers.Direct`."""
    return Direct(rtol=1e-12).solve(A, b)


def _guess(x0: Any, b: Array, M: Any) -> Array | None:
    """Return scipy's ``x0="Mb"`` as a vector, anything else as it is."""
    if not isinstance(x0, str):
        return x0
    if x0 != "Mb":
        raise ValueError(f"x0 must be an array, None or 'Mb', got {x0!r}")
    return b if M is None else as_operator(M) @ b


def _vector_callback(callback: Callable[[Array], Any] | None) -> Callback | None:
    """Return a callback that is given the iterate alone; its return value is ignored, as in scipy."""
    if callback is None:
        return None

    def report(progress: Progress) -> None:
        x = progress.x
        assert x is not None
        callback(x[:, 0] if x.shape[1] == 1 else x)

    return report
