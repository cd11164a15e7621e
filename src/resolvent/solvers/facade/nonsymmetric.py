"""scipy's `bicg`, `bicgstab`, `cgs`, `qmr` and `tfqmr`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ...operators import Array, Function, LinearOperator, as_operator
from ..krylov.bicg import BiCG
from ..krylov.bicgstab import BiCGStab
from ..krylov.cgs import CGS
from ..krylov.qmr import QMR
from ..krylov.tfqmr import TFQMR
from ..result import Result
from ..status import Status
from .system import System, iterate_callback, tolerances


def bicg(
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
    """Solve with biconjugate gradients, for an A and M that have adjoints. See `resolvent.solvers.BiCG`."""
    method = BiCG(**tolerances(rtol, atol), maxiter=maxiter)
    return System.of(A, b, x0, M).solve(method, iterate_callback(callback))


def bicgstab(
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
    """Solve with BiCGStab for a nonsymmetric A. See `resolvent.solvers.BiCGStab`."""
    method = BiCGStab(**tolerances(rtol, atol), maxiter=maxiter)
    return System.of(A, b, x0, M).solve(method, iterate_callback(callback))


def cgs(
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
    """Solve with conjugate gradients squared. See `resolvent.solvers.CGS`."""
    method = CGS(**tolerances(rtol, atol), maxiter=maxiter)
    return System.of(A, b, x0, M).solve(method, iterate_callback(callback))


def qmr(
    A: Any,
    b: Array,
    x0: Array | str | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M1: Any = None,
    M2: Any = None,
    callback: Callable[[Array], Any] | None = None,
) -> Result:
    """Solve with the quasi-minimal residual method. See `resolvent.solvers.QMR`.

    `M1` and `M2` are the inverses of a left and a right factor of a preconditioner: M1 A M2 is better conditioned than
    A. Their product M2 M1 is applied on the right. ``x0="Mb"`` is b itself, as in scipy.
    """
    x0 = System.of(A, b, x0).x0 if isinstance(x0, str) else x0
    method = QMR(**tolerances(rtol, atol), maxiter=maxiter)
    return System.of(A, b, x0, _both_sides(A, M1, M2)).solve(method, iterate_callback(callback))


def tfqmr(
    A: Any,
    b: Array,
    x0: Array | str | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Array], Any] | None = None,
    show: bool = False,
) -> Result:
    """Solve with the transpose-free quasi-minimal residual method. See `resolvent.solvers.TFQMR`.

    An iteration is one product with A, and min(10 n, 10000) of them are allowed by default. `show` prints one line.
    """
    system = System.of(A, b, x0, M)
    limit = min(10_000, 10 * system.A.shape[0]) if maxiter is None else maxiter
    result = system.solve(TFQMR(**tolerances(rtol, atol), maxiter=limit), iterate_callback(callback))
    if show and result.rhs_norm:
        if result.converged:
            _print(f"TFQMR: Linear solve converged due to reach TOL iterations {result.iterations}")
        elif result.status is not Status.BREAKDOWN:
            _print(f"TFQMR: Linear solve not converged due to reach MAXIT iterations {result.iterations}")
    return result


def _print(line: str) -> None:
    """Print one of the two lines of scipy, for programs that read them."""
    sys.stdout.write(line + "\n")


def _both_sides(A: Any, M1: Any, M2: Any) -> LinearOperator | None:
    """Return M2 M1, either of which may be None; by default what the attributes psolve and rpsolve of A say."""
    if M1 is None and M2 is None:
        if not hasattr(A, "psolve"):
            return None
        M1, M2 = (_side(A, side) for side in ("left", "right"))
    factors = [as_operator(M) for M in (M2, M1) if M is not None]
    return factors[0] if len(factors) == 1 else factors[0] @ factors[1]


def _side(A: Any, side: str) -> LinearOperator:
    return Function(A.shape, lambda r: A.psolve(r, side), rmatvec=lambda r: A.rpsolve(r, side), dtype=A.dtype)
