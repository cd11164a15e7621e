"""MINRES-QLP: minimal residual and minimal length for singular self-adjoint systems."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...operators import Array, LinearOperator, Props
from ..masks import any_of, spread
from ..monitor import Monitor
from ..solver import Solver, refuse_not_self_adjoint, refuse_variable
from ..status import Status
from .bidiagonalisation import ratio
from .minres import MINRES
from .qlp import QLP

LONG = 1e8
"""After a step of this ‖A‖‖step‖/‖r‖ the recurrence's residual is compared with the true one."""

RUNAWAY = 1e6
"""A step of this ‖A‖‖step‖/‖r‖ that leaves the residual as it is runs along a null vector."""

POLISH = 1e-6
"""Relative tolerance of the two systems that improve a least-squares solution."""

OUT_OF_REACH = "Aᴴr = 0 up to rounding, but not to normal_tol: the system is inconsistent or too ill-conditioned"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MINRESQLP(Solver):
    """MINRES-QLP for self-adjoint A, singular or nearly so, and self-adjoint positive definite M.

    Minimises ‖b − A x‖_M, where ‖r‖_M² = rᴴMr, over x₀ + span{z₀, MA z₀, …} as MINRES does, and among the minimisers
    of a singular system it takes the one with the least ‖x − x₀‖ (with M: in the norm of M⁻¹). The tridiagonal matrix
    is factorised as Q L P with a lower triangular L rather than as Q R, which also spares an ill-conditioned system the
    loss of digits that MINRES suffers in its directions.

    - Consistent: CONVERGED, with the solution of minimum length when x0 is zero.
    - Inconsistent: LEAST_SQUARES, after the recomputed ‖A(b − A x)‖ ≤ normal_tol ‖A‖‖b − A x‖, with the least-squares
      solution of minimum length, A⁺b. ‖A‖ is taken as the largest ‖A z‖/‖z‖ met, a lower bound. Never CONVERGED.

    While the estimated condition number is below `trancond` the cheaper directions of MINRES are used; the transfer to
    those of QLP happens once, for all columns, and at the latest in the last step of an inconsistent system.

    With a preconditioner an inconsistent system has another minimiser, of the M-norm, for which A M r is zero and not
    A r: leave M out there, or the solve ends STAGNATED.

    Where rounding keeps ‖A r‖ of an inconsistent system above the tolerance, the solution is improved by two consistent
    systems, A s = A r and A y = s, solved with MINRES to 1e-6: their products are counted, their iterations are not.

    Storage: 6 vectors besides x and b, 7 after the transfer; one more with a preconditioner. Each iteration: one
    product with A, one with M, three inner products (five with M) and eight vector updates, 16 after the transfer.

    Do not use it where A is known to be nonsingular and well-conditioned: MINRES takes the same number of iterations.

    Parameters
    ----------
    normal_tol : float, optional
        Of ‖A r‖, as above; `rtol` by default.
    trancond : float
        Estimate of the condition number from which on the directions of QLP are used; 1 for always.

    Notes
    -----
    ``result.extra`` holds, one entry a column, ``normal_residual`` (‖A r‖, recomputed, for LEAST_SQUARES; else the
    recurrence's last figure, in the norm of M), ``norm_A`` and ``condition``, estimates from below, and in
    ``transferred`` the iteration of the transfer or None.

    References
    ----------
    Choi, Paige & Saunders 2011, doi:10.1137/100787921; Choi & Saunders 2014, doi:10.1145/2527267.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers import MINRESQLP
    >>> result = MINRESQLP().solve(np.diag([0.0, 1.0, 2.0, -1.0]), np.array([1.0, 1.0, 2.0, 3.0]))
    >>> result.status.name, (result.x + 0.0).round(6)
    ('LEAST_SQUARES', array([ 0.,  1.,  1., -3.]))
    """

    normal_tol: float | None = None
    trancond: float = 1e7

    needs: ClassVar[Props] = Props.SELF_ADJOINT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.normal_tol is not None and not 0.0 <= self.normal_tol < np.inf:
            raise ValueError(f"normal_tol must be a number ≥ 0, got {self.normal_tol!r}")
        if not self.trancond >= 1.0:
            raise ValueError(f"trancond must be at least 1, got {self.trancond!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "MINRESQLP", "FGMRES")
        refuse_not_self_adjoint(A, "MINRESQLP", M)

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v, k = monitor.vectors, b.shape[1]
        normal_tol = self.rtol if self.normal_tol is None else self.normal_tol
        r, u, u_old, q = (v.empty_like(b) for _ in range(4))
        z = u if monitor.M is None else v.empty_like(b)
        r_norm = monitor.start(x, r)
        qlp = QLP(monitor, x)
        found = {name: np.full(k, np.nan) for name in ("normal_residual", "norm_A", "condition")}
        monitor.extra.update(found, transferred=None)
        lanczos, restart = np.zeros((6, k)), np.ones(k, dtype=bool)
        # What survives a restart: lower bounds of the norm of A in that of M and of ‖A‖₂, the level at which to
        # suspect a least-squares solution, the residual at the last breakdown, and the condition number.
        level = max(normal_tol, 10.0 * monitor.eps)
        memory = np.array((np.zeros(k), np.zeros(k), np.full(k, level), np.full(k, np.inf), np.ones(k)))
        memory = np.concatenate((memory, np.full((1, k), np.inf), np.zeros((1, k))))
        while monitor.running:
            x, r, r_norm, u, u_old, z, q, lanczos, restart, memory = qlp.compact(
                x, r, r_norm, u, u_old, z, q, lanczos, restart, memory
            )
            norm_A, spectral, limit, failed_norm, condition, least_gradient, runaway = memory
            runaway = runaway > 0.0
            if any_of(restart):
                begin = np.flatnonzero(restart)
                v.copy(r, begin, u)
                v.clear(u_old, begin)
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
                lanczos[:, begin] = beta, beta, -one, zero, zero, zero
                qlp.begin(begin, x)
            if not qlp.transferred and any_of(condition >= self.trancond):
                self._transfer(qlp, x, monitor)
            beta, phi, c, s, delta_bar, epsilon = lanczos
            # Lanczos: β₊u₊ = A z − α u − β u₋ with z = M u and uᴴz = 1.
            v.assign(1.0 / beta, u, u)
            if monitor.M is None:
                z = u
            else:
                v.assign(1.0 / beta, z, z)
            monitor.multiply(z, q)
            if monitor.M is not None:
                spectral = np.fmax(spectral, v.norm(q) / v.norm(z))
            alpha = v.dot(z, q).real
            v.aypx(-beta, q, u_old)
            v.axpy(-alpha, u, u_old)
            delta, gamma_bar = c * delta_bar + s * alpha, s * delta_bar - c * alpha
            qlp.enter(z, delta, epsilon, q)
            u, u_old = u_old, u
            z = monitor.precondition(u, z)
            square = v.dot(u, z).real
            monitor.retire(~np.isfinite(square), Status.NONFINITE, x, "rᴴMr is not finite")
            monitor.retire(square < -((10.0 * monitor.eps * norm_A) ** 2), Status.INDEFINITE, x, "rᴴMr ≤ 0")
            beta = np.sqrt(np.fmax(square, 0.0))
            norm_A = np.fmax(norm_A, np.hypot(alpha, beta))
            if monitor.M is None:
                spectral = norm_A
            # ‖A r‖/‖r‖ in the M-norm, for the residual before this step.
            delta_bar, epsilon_next = -c * beta, s * beta
            slope = np.hypot(gamma_bar, delta_bar)
            invariant = beta <= 10.0 * monitor.eps * norm_A
            exhausted = slope <= 10.0 * monitor.eps * norm_A
            suspect = slope <= limit * norm_A
            last = exhausted
            if any_of(suspect & monitor.unfinished):
                last = exhausted | self._least_squares(suspect & monitor.unfinished, r, spectral, normal_tol, monitor)
                limit = np.where(suspect, 0.1 * ratio(slope, norm_A), limit)
            last |= runaway  # the step before ran along a null vector of A up to rounding
            last &= monitor.unfinished
            if any_of(last) and not qlp.transferred:
                self._transfer(qlp, x, monitor)
                # The next M u has taken the place of z.
                z_old = u_old if monitor.M is None else monitor.precondition(u_old, v.empty_like(u_old))
                qlp.enter(z_old, delta, epsilon, q)
            gamma = np.hypot(gamma_bar, beta)
            c, s = np.where(last, 0.0, ratio(gamma_bar, gamma)), np.where(last, 1.0, ratio(beta, gamma))
            tau, phi = c * phi, s * phi
            q, mu, condition = qlp.advance(
                x, q, delta=delta, epsilon_next=epsilon_next, left=gamma, tau=tau, norm_A=norm_A, singular=last
            )
            for name, values in (("normal_residual", slope * r_norm), ("norm_A", spectral), ("condition", condition)):
                found[name][monitor.active] = values * (monitor.scale[monitor.active] if "res" in name else 1.0)
            again = np.zeros(len(last), dtype=bool)
            if any_of(last):
                # The last step changes x along null vectors alone and is no iteration.
                again = self._finish(last, x, r, r_norm, spectral, normal_tol, least_gradient, monitor)
                if monitor.finished():
                    return
            step = np.where(monitor.unfinished, ratio(tau, gamma), 0.0)
            # r₊ = s² r − s c φ u₊/β is r₊ = s² r − step u₊ in terms of the vector before division by β.
            v.assign(s**2, r, r)
            reach = norm_A * abs(mu) / r_norm
            runaway = (reach > RUNAWAY) & (abs(c) <= 0.1) & (slope <= 1e-5 * norm_A) & ~again
            r_norm = qlp.step(step, u, x, r)
            fresh = invariant | again
            restart = fresh | monitor.step(r_norm, x, r, recompute=fresh | (reach > LONG))
            if any_of(invariant):  # a second time without gain is a failure
                r_norm = v.norm(r)
                failed = invariant & ~(r_norm < 0.5 * failed_norm)
                failed_norm = np.where(invariant, r_norm, failed_norm)
                monitor.retire_inconsistent(failed, x, r)
                monitor.retire(failed, Status.BREAKDOWN, x, "the Krylov space holds no solution")
            lanczos = np.array((beta, phi, c, s, delta_bar, epsilon_next))
            memory = np.array((norm_A, spectral, limit, failed_norm, condition, least_gradient, runaway))

    def _transfer(self, qlp: QLP, x: Array, monitor: Monitor) -> None:
        monitor.extra["transferred"] = monitor.iteration
        qlp.transfer(x)

    def _least_squares(
        self, asked: np.ndarray, r: Array, norm_A: np.ndarray, normal_tol: float, monitor: Monitor
    ) -> np.ndarray:
        """Return whether ‖A r‖ ≤ normal_tol ‖A‖‖r‖, recomputed for the columns asked about."""
        v, at = monitor.vectors, np.flatnonzero(asked)
        part = r if len(at) == len(asked) else v.take(r, at)
        product = v.empty_like(part)
        monitor.multiply(part, product)
        gradient = v.norm(product)
        scale = monitor.scale[monitor.active[at]]
        monitor.extra["normal_residual"][monitor.active[at]] = gradient * scale
        return spread(gradient <= normal_tol * norm_A[at] * v.norm(part), asked)

    def _finish(
        self,
        last: np.ndarray,
        x: Array,
        r: Array,
        r_norm: np.ndarray,
        norm_A: np.ndarray,
        normal_tol: float,
        least_gradient: np.ndarray,
        monitor: Monitor,
    ) -> np.ndarray:
        """Judge columns after their last step by the true residual; set r and its norm. Return who begins afresh."""
        at = np.flatnonzero(last)
        norms = monitor.recompute(at, x, r)
        r_norm[at] = norms
        monitor.retire(spread(~np.isfinite(norms), last), Status.NONFINITE, x)
        monitor.retire(spread(norms <= monitor.tolerance[monitor.active[at]], last), Status.CONVERGED, x)
        left = last & monitor.unfinished
        if any_of(left):
            solved = self._least_squares(left, r, norm_A, normal_tol, monitor)
            monitor.retire(solved, Status.LEAST_SQUARES, x)
            gradient = monitor.extra["normal_residual"][monitor.active] / monitor.scale[monitor.active]
            left &= monitor.unfinished
            monitor.retire(left & ~(gradient < 0.5 * least_gradient), Status.STAGNATED, x, OUT_OF_REACH)
            least_gradient[left] = gradient[left]
            left &= monitor.unfinished
            if any_of(left) and monitor.M is None:
                self._polish(left, x, r, monitor)
                r_norm[left] = monitor.recompute(np.flatnonzero(left), x, r)
                solved = self._least_squares(left, r, norm_A, normal_tol, monitor)
                monitor.retire(solved, Status.LEAST_SQUARES, x)
        return last & monitor.unfinished

    def _polish(self, which: np.ndarray, x: Array, r: Array, monitor: Monitor) -> None:
        """Add to x the y of least norm with A² y = A r, from two consistent systems.

        Rounding in the part of r that A maps to zero keeps the iteration itself from ‖A r‖ below about √ε ‖A‖‖r‖; A r
        is free of that part.
        """
        v, at = monitor.vectors, np.flatnonzero(which)
        y, rhs = v.take(r, at), v.take(r, at)
        monitor.multiply(y, rhs)
        for _ in range(2):
            y[...] = 0.0
            limit = monitor.maxiter
            inner = Monitor(monitor.A, None, rhs, y, v, rtol=POLISH, atol=0.0, maxiter=limit, self_adjoint=True)
            MINRES(rtol=POLISH)._run(None, rhs, y, inner)
            inner.columns()
            monitor.counts.add(inner.counts)
            y, rhs = rhs, y
        part = v.take(x, at)
        v.axpy(np.ones(len(at)), rhs, part)
        v.put(x, at, part)
