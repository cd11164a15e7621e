"""scipy's `lsqr` and `lsmr`: results that unpack as their ten and eight values."""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator, as_operator
from ...operators.arrays import is_torch
from ..krylov.bidiagonalisation import ILL_CONDITIONED
from ..krylov.lsmr import LSMR
from ..krylov.lsqr import LSQR
from ..result import Result
from ..status import Status


def lsqr(
    A: Any,
    b: Any,
    damp: float = 0.0,
    atol: float | None = 1e-6,
    btol: float | None = 1e-6,
    conlim: float | None = 1e8,
    iter_lim: int | None = None,
    show: bool = False,
    calc_var: bool = False,
    x0: Array | None = None,
) -> Result:
    """Solve min ‖b − A x‖² + damp²‖x − x0‖² for one b with LSQR. See `resolvent.solvers.LSQR`.

    Parameters
    ----------
    atol, btol : float
        Solved where ‖b − A x‖ ≤ btol ‖b‖ + atol (‖b‖ − ‖b − A x‖), which implies scipy's test with ‖A‖‖x‖ in the place
        of the brackets; a least-squares solution where the gradient is at most atol ‖Ā‖‖r̄‖.
    conlim : float
        Give up where the estimated condition number exceeds this; 0 for no limit.
    iter_lim : int, optional
        Largest number of iterations, 2 n by default.
    calc_var : bool
        Estimate the diagonal of (AᴴA + damp² I)⁻¹, by as many products again as the solve took.

    Returns
    -------
    result : Result
        Unpacks as x, istop, itn, r1norm, r2norm, anorm, acond, arnorm, xnorm, var. The norms are recomputed from x;
        anorm is a lower bound of ‖Ā‖₂ and acond of its condition number. istop: 0 where x0, or zero, is the solution;
        1 solved; 2 least-squares solution; 3 conlim exceeded; 6 no further progress in this precision; 7 iteration
        limit, breakdown or not-a-number.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent import lsqr
    >>> x, istop, itn, r1norm = lsqr(np.array([[1.0], [1.0]]), np.array([1.0, 3.0]))[:4]
    >>> x.round(9), istop, round(r1norm, 6)
    (array([2.]), 2, 1.414214)
    """
    problem = _Problem.of(A, b, x0, damp)
    limit = 2 * problem.A.shape[1] if iter_lim is None else iter_lim
    method = LSQR(**problem.options(atol, btol, conlim), maxiter=limit)
    x, istop, itn, r_norm, normal, norm_A, condition, x_norm, result = problem.solve(method)
    length = float(np.linalg.norm(x if x0 is None else x - np.asarray(x0).reshape(-1)))
    var = problem.variances(itn) if calc_var else np.zeros(problem.A.shape[1])
    values = (x, istop, itn, r_norm, math.hypot(r_norm, damp * length), norm_A, condition, normal, x_norm, var)
    return _told(dataclasses.replace(result, x=x, unpacked=values), show)


def lsmr(
    A: Any,
    b: Any,
    damp: float = 0.0,
    atol: float | None = 1e-6,
    btol: float | None = 1e-6,
    conlim: float | None = 1e8,
    maxiter: int | None = None,
    show: bool = False,
    x0: Array | None = None,
) -> Result:
    """Solve min ‖b − A x‖² + damp²‖x − x0‖² for one b with LSMR. See `resolvent.solvers.LSMR`.

    Parameters are as in `lsqr`; `maxiter` is min(m, n) by default.

    Returns
    -------
    result : Result
        Unpacks as x, istop, itn, normr, normar, norma, conda, normx, as in `lsqr`.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent import lsmr
    >>> x, istop, itn, normr = lsmr(np.array([[1.0], [1.0]]), np.array([1.0, 3.0]))[:4]
    >>> x.round(9), istop, round(normr, 6)
    (array([2.]), 2, 1.414214)
    """
    problem = _Problem.of(A, b, x0, damp)
    limit = min(problem.A.shape) if maxiter is None else maxiter
    *values, result = problem.solve(LSMR(**problem.options(atol, btol, conlim), maxiter=limit))
    return _told(dataclasses.replace(result, x=values[0], unpacked=tuple(values)), show)


@dataclasses.dataclass(frozen=True)
class _Problem:
    """min ‖b − A x‖² + damp²‖x − x0‖², in at least double precision."""

    A: LinearOperator
    b: np.ndarray
    x0: np.ndarray | None
    damp: float

    @classmethod
    def of(cls, A: Any, b: Any, x0: Any, damp: float | None) -> _Problem:
        if is_torch(b) or is_torch(A):
            raise TypeError("lsqr and lsmr take arrays: use resolvent.solvers.LSQR or LSMR for tensors")
        operator = as_operator(A)
        b = np.atleast_1d(b)
        b = b.squeeze() if b.ndim > 1 else b
        b = b.reshape(1) if b.ndim == 0 else b
        if b.shape != (operator.shape[0],):
            raise ValueError(f"b must have shape ({operator.shape[0]},) to fit A, got {b.shape}: LSMR() takes columns")
        dtype = np.result_type(operator.dtype, b.dtype, float)
        if x0 is not None:
            x0 = np.asarray(x0).reshape(-1)
            dtype = np.result_type(dtype, x0.dtype)
        return cls(operator, b.astype(dtype, copy=False), x0, 0.0 if damp is None else float(damp))

    @np.errstate(all="ignore")  # norms that overflow are infinite
    def options(self, atol: float | None, btol: float | None, conlim: float | None) -> dict[str, Any]:
        """Return the options of a solver that stop it where scipy's tests are met."""
        atol, btol = (1e-6 if tolerance is None else max(float(tolerance), 0.0) for tolerance in (atol, btol))
        conlim = 1e8 if conlim is None else float(conlim)
        rtol = (btol + atol) / (1.0 + atol)
        absolute = (
            0.0 if self.x0 is None else rtol * float(np.linalg.norm(self.b) or np.linalg.norm(self.residual(self.x0)))
        )
        return {
            "rtol": 0.0 if self.x0 is not None else rtol,  # what is solved then is a correction, for b − A x0
            "atol": absolute if np.isfinite(absolute) else 0.0,
            "normal_tol": atol,
            "conlim": conlim if conlim > 0.0 else np.inf,
            "damp": self.damp,
        }

    def residual(self, x: np.ndarray | None) -> np.ndarray:
        """Return b − A x."""
        residual: np.ndarray = self.b if x is None else self.b - self.A.matvec(x.astype(self.b.dtype, copy=False))
        return residual

    @np.errstate(all="ignore")  # norms that overflow are infinite
    def solve(self, method: LSQR | LSMR) -> tuple[Any, ...]:
        """Return x, istop, itn, ‖b − A x‖, the norm of the gradient, norm and condition of A, ‖x‖, and the result."""
        result = method.solve(self.A, self.residual(self.x0))
        counts, step = dataclasses.replace(result.counts), result.x
        counts.matvec += self.x0 is not None
        x = step if self.x0 is None else self.x0 + step
        r_norm, normal = result.residual_norm, float(np.max(result.extra.get("normal_residual", np.nan)))
        # Of a solve that converged the class recomputes the residual alone.
        if self.x0 is not None or result.status in (Status.CONVERGED, Status.STOPPED) or not np.isfinite(normal):
            residual = self.residual(x)
            r_norm = float(np.linalg.norm(residual))
            normal = float(np.linalg.norm(self.A.rmatvec(residual) - self.damp**2 * step))
            counts.matvec += 1
            counts.rmatvec += 1
        norm_A, condition = (float(np.max(result.extra.get(name, 0.0))) for name in ("norm_A", "condition"))
        result = dataclasses.replace(
            result, residual_norm=r_norm, rhs_norm=float(np.linalg.norm(self.b)), counts=counts
        )
        istop = _istop(result, normal)
        return x, istop, result.iterations, r_norm, normal, norm_A, condition, float(np.linalg.norm(x)), result

    @np.errstate(all="ignore")  # norms that overflow are infinite
    def variances(self, steps: int) -> np.ndarray:
        """Return the square sums of the directions of so many steps of LSQR."""
        A, u = self.A, self.residual(self.x0)
        sums = np.zeros(A.shape[1])
        beta = float(np.linalg.norm(u))
        v = A.rmatvec(u / beta) if beta else np.zeros(A.shape[1])
        alpha = float(np.linalg.norm(v))
        if not (alpha > 0.0 and np.isfinite(alpha)):
            return sums
        u, v = u / beta, v / alpha
        d, rho_bar = v, alpha
        for _ in range(steps):
            u = A.matvec(v) - alpha * u
            beta = float(np.linalg.norm(u))
            u = u / beta if beta else u
            v = A.rmatvec(u) - beta * v
            alpha = float(np.linalg.norm(v))
            v = v / alpha if alpha else v
            damped = math.hypot(rho_bar, self.damp)
            rho = math.hypot(damped, beta)
            if not (rho > 0.0 and np.isfinite(rho)):
                break
            sums += abs(d / rho) ** 2
            d = v - (beta / rho) * alpha / rho * d
            rho_bar = -damped / rho * alpha
        return sums


def _istop(result: Result, normal: float) -> int:
    """Return scipy's reason for stopping."""
    if result.iterations == 0 and (normal == 0.0 or result.residual_norm == 0.0):
        return 0
    codes = {Status.CONVERGED: 1, Status.LEAST_SQUARES: 2, Status.STAGNATED: 6}
    if result.status is Status.STAGNATED and result.extra.get("reason") == ILL_CONDITIONED:
        return 3
    return codes.get(result.status, 7)


def _told(result: Result, show: bool) -> Result:
    """Return the result, printed if that was asked for."""
    if show:
        sys.stdout.write(f"{result}\n")
    return result
