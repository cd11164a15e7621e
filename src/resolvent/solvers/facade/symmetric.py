"""scipy's `cg` and `minres`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ...operators import Array, Diagonal, LinearOperator
from ...operators.arrays import is_torch
from ..krylov.cg import CG
from ..krylov.minres import MINRES
from ..result import Result
from ..status import Status
from .system import System, iterate_callback, tolerances


def cg(
    A: Any,
    b: Array,
    x0: Array | str | None = None,
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
    method = CG(**tolerances(rtol, atol), maxiter=maxiter)
    return System.of(A, b, x0, M).solve(method, iterate_callback(callback))


def minres(
    A: Any,
    b: Array,
    x0: Array | str | None = None,
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

    The system is (A − shift I) x = b; 5 n iterations by default. `check` verifies by a product with a random vector
    that A and M are self-adjoint; `show` prints the result.

    Raises
    ------
    ValueError
        If a check fails, or M proves indefinite.
    """
    system = System.of(A, b, x0, M)
    A = system.A
    if check:
        _verify_self_adjoint(A, b, "A")
        if system.M is not None:
            _verify_self_adjoint(system.M, b, "M")
    if shift:
        multiple: LinearOperator = Diagonal(np.full(A.shape[0], -shift, dtype=A.dtype))
        A = A + (multiple.to_torch(A.device) if A._holds_torch() else multiple)
    method = MINRES(**tolerances(rtol, atol), maxiter=5 * A.shape[0] if maxiter is None else maxiter)
    shifted = System(A, system.M, system.b, system.x0)
    result = shifted.solve(method, iterate_callback(callback, copy=True))
    if any(column.status is Status.INDEFINITE for column in result.columns):
        raise ValueError("minres needs a positive definite preconditioner, and M is not: leave it out, or use gmres")
    if show:
        sys.stdout.write(f"{result}\n")
    return result


def _verify_self_adjoint(A: LinearOperator, b: Array, name: str) -> None:
    """Raise ValueError unless ‖A y‖² = yᴴ A A y for a random y, up to the cube root of rounding, as scipy tests it."""
    y: Array = np.random.default_rng(0).standard_normal(A.shape[0])
    if is_torch(b) and A._holds_torch():
        y = b.new_tensor(y)
    w = A @ y
    square, form = complex((w.conj() * w).sum()), complex((A @ w * y).sum())
    if abs(square - form) > abs(square) * float(np.finfo(A.dtype).eps) ** (1 / 3):
        raise ValueError(f"{name} is not self-adjoint: ‖{name} y‖² = {square:.6g} but yᴴ{name}{name}y = {form:.6g}")
