"""Stabilised biconjugate gradients."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...operators import Array, LinearOperator
from ..masks import all_of, any_of
from ..monitor import Monitor
from ..solver import Solver, refuse_variable
from ..status import Status
from .shadow import ORTHOGONAL, reject_nonfinite


@dataclasses.dataclass(frozen=True, kw_only=True)
class BiCGStab(Solver):
    """BiCGStab with right preconditioning, for nonsymmetric A, in short recurrences.

    Two-sided Lanczos steps against a shadow vector alternate with steps p(A) = 1 − ωA that minimise ‖r‖₂ in one
    direction. Nothing is minimised over the whole space: the residual may jump, and the best iterate is kept.

    Where rᴴr̃, r̃ᴴAMp or ω vanishes, the method goes on from the residual with a new shadow vector; the third time
    without halving the residual is a BREAKDOWN.

    Storage: 6 vectors besides x and b, one of them the best iterate so far, and 7 with a preconditioner. Each
    iteration: two products with A, two with M, seven inner products and six vector updates.

    Do not use it for a self-adjoint A (CG, MINRES), for a nearly skew one, whose ω is near zero, nor where a residual
    that decreases steadily is needed (GMRES).

    References
    ----------
    van der Vorst 1992, doi:10.1137/0913035.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import BiCGStab
    >>> A = sp.diags_array([-2.0, 3.0, -0.5], offsets=[-1, 0, 1], shape=(100, 100))
    >>> BiCGStab().solve(A, np.ones(100)).status.name
    'CONVERGED'
    """

    distributed: ClassVar[bool] = True

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "BiCGStab", "FGMRES")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v, k = monitor.vectors, b.shape[1]
        r, shadow, p, q, t = (v.empty_like(b) for _ in range(5))
        y = b if monitor.M is None else v.empty_like(b)
        norms = monitor.start(x, r, keep_best=True)
        small = ORTHOGONAL * monitor.eps
        fresh, failures, failed_norm = np.ones(k, dtype=bool), np.zeros(k, dtype=int), np.full(k, np.inf)
        rho_old, alpha, omega, shadow_norm = np.ones((4, k))
        while monitor.running:
            x, r, shadow, p, q, t, y, fresh, failures, failed_norm, rho_old, alpha, omega, shadow_norm, norms = (
                monitor.compact(
                    x, r, shadow, p, q, t, y, fresh, failures, failed_norm, rho_old, alpha, omega, shadow_norm, norms
                )
            )
            if any_of(fresh):
                begin = np.flatnonzero(fresh)
                v.copy(r, begin, shadow)
                if (fresh & (failures > 0)).any():  # r itself may just have failed as shadow
                    weight = np.where(fresh & (failures > 0), v.norm(r) / v.norm(t), 0.0)
                    v.axpy(np.where(np.isfinite(weight), weight, 0.0), t, shadow)
                v.clear(p, begin)
                v.clear(q, begin)
                shadow_norm = v.norm(shadow)
            rho = v.dot(shadow, r)
            v.axpy(-omega, q, p)
            v.aypx(np.where(fresh, 0.0, (rho / rho_old) * (alpha / omega)), r, p)
            y = monitor.precondition(p, y)
            monitor.multiply(y, q)
            sigma, q_norm = v.dot(shadow, q), v.norm(q)
            lost = abs(rho) <= small * shadow_norm * norms
            lost |= abs(sigma) <= small * shadow_norm * q_norm
            alpha = np.where(lost, 0.0, rho / sigma)
            if reject_nonfinite(monitor, alpha, "r̃ᴴAMp", x, y, q):
                return
            half_norms = v.step(alpha, y, q, x, r)
            if all_of(half_norms <= monitor.tolerance[monitor.active]):  # saves the second half of the last iteration
                norms, fresh = half_norms, np.ones(len(half_norms), dtype=bool)
                monitor.step(norms, x, r)
                continue
            y = monitor.precondition(r, y)
            monitor.multiply(y, t)
            t_norm, along = v.norm(t), v.dot(t, r)
            flat = abs(along) <= small * t_norm * half_norms
            omega = np.where(flat, 0.0, along / t_norm**2)
            if reject_nonfinite(monitor, omega, "tᴴs", x, y, t):
                return
            norms = v.step(omega, y, t, x, r)
            rho_old = rho
            fresh = monitor.step(norms, x, r, recompute=lost | flat)
            # After the monitor's verdict: ω = 0 is no loss where it confirms convergence, and elsewhere the next
            # iteration would divide by it.
            lost |= flat & monitor.unfinished
            if any_of(lost):
                norms, fresh = np.where(lost, v.norm(r), norms), fresh | lost
                failures = np.where(lost, np.where(norms < 0.5 * failed_norm, 1, failures + 1), failures)
                failed_norm = np.where(lost, norms, failed_norm)
                monitor.retire_inconsistent(failures > 2, x, r)
                monitor.retire(failures > 2, Status.BREAKDOWN, x, "ρ or ω vanished again after two new shadow vectors")
