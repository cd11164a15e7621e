"""The minimal residual method."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...operators import Array, LinearOperator, Props
from ..masks import all_of, any_of
from ..monitor import Monitor
from ..solver import Solver, refuse_not_self_adjoint, refuse_variable
from ..status import Status

LONG = 1e8
"""After a step of this ‖A‖‖step‖/‖r‖ the recurrence's residual is compared with the true one."""

NULL_VECTOR = "the next step is along a null vector: A is singular up to rounding"
OUT_OF_REACH = (
    "the system is inconsistent, or A so small on what is left of the residual that rounding would hide the tolerance"
)

NEAR_SOLUTION = 1e-7
"""‖A r‖ ≤ this ‖A‖‖r‖ by the recurrence raises the suspicion that r is the residual of a least-squares solution."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MINRES(Solver):
    """Preconditioned MINRES for self-adjoint A, definite or not, and self-adjoint positive definite M.

    Minimises ‖b − A x‖_M, where ‖r‖_M² = rᴴMr, over x₀ + span{z₀, MA z₀, …}, by short recurrences. Without a
    preconditioner the residual never rises, and the error falls at least as fast as
    ((κ − 1)/(κ + 1))^⌊k/2⌋. A consistent singular system converges; of an inconsistent one x becomes a least-squares
    solution, and the solve ends STAGNATED.

    The recurrence knows the residual only in the M-norm. The residual vector itself is therefore carried along, for
    one vector and two vector operations, so that every iteration is judged by ‖b − A x‖₂ without a further product.

    Storage: 6 vectors besides x and b, 7 with a preconditioner. Each iteration: one product with A, one with M, four
    inner products and eight vector updates.

    Do not use it for a positive definite A, where CG takes about as many iterations at half the storage, nor for a
    nonsymmetric one.

    References
    ----------
    Paige & Saunders 1975, doi:10.1137/0712047; Choi, Paige & Saunders 2011, doi:10.1137/100787921, for the estimate of
    ‖A r‖.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import MINRES
    >>> A = sp.diags_array(np.r_[-np.arange(1.0, 11.0), np.arange(1.0, 11.0)])
    >>> result = MINRES().solve(A, np.ones(20))
    >>> result.status.name, result.iterations
    ('CONVERGED', 20)
    """

    needs: ClassVar[Props] = Props.SELF_ADJOINT
    distributed: ClassVar[bool] = True

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "MINRES", "FGMRES")
        refuse_not_self_adjoint(A, "MINRES", M)

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v, k = monitor.vectors, b.shape[1]
        r, u, u_old, d, d_old, q = (v.empty_like(b) for _ in range(6))
        z = u if monitor.M is None else v.empty_like(b)
        r_norm = monitor.start(x, r)
        recurrence, restart = np.zeros((8, k)), np.ones(k, dtype=bool)
        # What survives a restart: lower bounds of the norm of A in that of M and of ‖A‖₂, the level at which to
        # suspect a least-squares solution, and the residual at the last breakdown.
        memory = np.stack((np.zeros(k), np.zeros(k), np.full(k, NEAR_SOLUTION), np.full(k, np.inf)))
        while monitor.running:
            x, r, r_norm, u, u_old, z, d, d_old, q, recurrence, restart, memory = monitor.compact(
                x, r, r_norm, u, u_old, z, d, d_old, q, recurrence, restart, memory
            )
            norm_A, spread, limit, failed_norm = memory
            if any_of(restart):
                begin = np.flatnonzero(restart)
                v.copy(r, begin, u)
                for vector in (u_old, d, d_old):
                    v.clear(vector, begin)
                if monitor.M is None or len(begin) == len(restart):
                    z = monitor.precondition(u, z)
                else:  # the other columns have their M u already
                    part = v.take(u, begin)
                    v.put(z, begin, monitor.precondition(part, v.empty_like(part)))
                square = v.dot(u, z).real
                if monitor.reject_nonpositive(square, "rᴴMr", x):
                    continue
                beta = np.sqrt(square[begin])
                one, zero = np.ones(len(begin)), np.zeros(len(begin))
                recurrence[:, begin] = beta, beta, -one, zero, zero, zero, one, one
            beta, phi, c, s, delta_bar, epsilon, gamma, gamma_old = recurrence
            # Lanczos: β₊u₊ = A z − α u − β u₋ with z = M u and uᴴz = 1.
            v.assign(1.0 / beta, u, u)
            if monitor.M is None:
                z = u
            else:
                v.assign(1.0 / beta, z, z)
            monitor.multiply(z, q)
            if any_of(restart):
                spread = np.fmax(spread, v.norm(q) / v.norm(z))
            alpha = v.dot(z, q).real
            v.aypx(-beta, q, u_old)
            v.axpy(-alpha, u, u_old)
            # The old reflection acts on the new column of the tridiagonal matrix; d becomes γ times the direction.
            delta, gamma_bar = c * delta_bar + s * alpha, s * delta_bar - c * alpha
            v.aypx(-epsilon / gamma_old, z, d_old)
            v.axpy(-delta / gamma, d, d_old)
            u, u_old, d, d_old = u_old, u, d_old, d
            z = monitor.precondition(u, z)
            square = v.dot(u, z).real
            monitor.retire(~np.isfinite(square), Status.NONFINITE, x, "rᴴMr is not finite")
            monitor.retire(square < -((10.0 * monitor.eps * norm_A) ** 2), Status.INDEFINITE, x, "rᴴMr ≤ 0")
            beta = np.sqrt(np.fmax(square, 0.0))
            # The new reflection; and ‖A r‖/‖r‖ in the M-norm, for the residual before this step.
            epsilon, delta_bar, near = s * beta, -c * beta, np.hypot(gamma_bar, c * beta)
            gamma, gamma_old = np.hypot(gamma_bar, beta), gamma
            norm_A = np.fmax(norm_A, np.hypot(alpha, beta))
            invariant = beta <= 10.0 * monitor.eps * norm_A
            flat = gamma <= 10.0 * monitor.eps * norm_A  # A maps the new direction to zero: no step along it
            c, s = np.where(flat, 0.0, gamma_bar / gamma), np.where(flat, 1.0, beta / gamma)
            step = np.where(flat, 0.0, c * phi / gamma)
            # ‖A‖‖step‖/‖r‖, at most the condition number: rounding makes the residual wrong by ε times that.
            reach = (norm_A if monitor.M is None else spread) * abs(step) * v.norm(d) / r_norm
            monitor.retire(monitor.eps * reach > 1.0, Status.STAGNATED, x, NULL_VECTOR)
            # What is left of r lies where A is so small that x would have to grow until rounding hides the tolerance.
            hopeless = near * monitor.tolerance[monitor.active] <= 0.01 * monitor.eps * norm_A * r_norm
            hopeless &= near <= 0.1 * NEAR_SOLUTION * norm_A
            near_solution = near <= limit * norm_A
            monitor.retire_inconsistent(near_solution, x, r)
            monitor.retire(hopeless, Status.STAGNATED, x, OUT_OF_REACH)
            limit = np.where(near_solution, 0.1 * near / norm_A, limit)
            if not all_of(monitor.unfinished):
                done = ~monitor.unfinished
                v.clear(d, np.flatnonzero(done))
                step[done] = 0.0
            # r₊ = s² r − s c φ u₊/β is r₊ = s² r − step u₊ in terms of the vector before division by β.
            v.assign(s**2, r, r)
            r_norm = v.step(step, d, u, x, r)
            restart = invariant | monitor.step(r_norm, x, r, recompute=invariant | (reach > LONG))
            if any_of(invariant):  # a second time without gain is a failure
                r_norm = v.norm(r)
                failed = invariant & ~(r_norm < 0.5 * failed_norm)
                failed_norm = np.where(invariant, r_norm, failed_norm)
                monitor.retire_inconsistent(failed, x, r)
                monitor.retire(failed, Status.BREAKDOWN, x, "the Krylov space holds no solution")
            recurrence = np.array((beta, s * phi, c, s, delta_bar, epsilon, gamma, gamma_old))
            memory = np.array((norm_A, spread, limit, failed_norm))
