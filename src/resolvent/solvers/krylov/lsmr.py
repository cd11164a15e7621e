"""Least squares by bidiagonalisation: LSMR."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...operators import Array, LinearOperator
from ..masks import any_of
from ..monitor import Monitor
from ..solver import Solver
from .bidiagonalisation import Bidiagonalisation, check_options, ratio, refuse_one_way


@dataclasses.dataclass(frozen=True, kw_only=True)
class LSMR(Solver):
    """LSMR for min ‖b − A x‖² + damp²‖x‖², with A (m, n) of any shape and rank.

    In exact arithmetic the same as MINRES on AᴴA x = Aᴴb: the norm of the gradient Aᴴ(b − A x) − damp² x never rises,
    so that a least-squares solution is recognised as early as can be; ‖b − A x‖ does not rise either. κ(A)² enters the
    number of iterations, not the accuracy. Started from zero and without M it tends to the solution of minimum norm
    where there are many.

    Status, tolerances, preconditioner and ``result.extra`` are as with LSQR; ``condition`` is the ratio of the largest
    to the least diagonal entry of the second bidiagonal factor, an estimate of the condition number of ĀM from below.

    Storage: 2 vectors of length m and 4 of length n besides x and b; another n with `damp`, another n with M. Each
    iteration: one product with A, one with Aᴴ, one with M and one with Mᴴ, two norms and five vector updates.

    Do not use it for a square, nonsingular and well-conditioned A, where GMRES or MINRES need κ instead of κ².

    Parameters
    ----------
    damp : float
        Weight of the Tikhonov term. It pulls x towards zero, also where x0 is given.
    normal_tol : float, optional
        Of the gradient; `rtol` by default. In single precision below about 1e-6 it is out of reach.
    conlim : float
        STAGNATED when the estimated condition number of A exceeds this; no limit by default.

    References
    ----------
    Fong & Saunders 2011, doi:10.1137/10079687X.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers import LSMR
    >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> result = LSMR().solve(A, np.array([1.0, 2.0, 2.0]))
    >>> result.status.name, result.x.round(6)
    ('LEAST_SQUARES', array([1.166667, 0.5     ]))
    """

    damp: float = 0.0
    normal_tol: float | None = None
    conlim: float = np.inf

    least_squares: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self.normal_tol, self.damp, self.conlim)

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_one_way(A, M, "LSMR")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v = monitor.vectors
        normal_tol = self.rtol if self.normal_tol is None else self.normal_tol
        process = Bidiagonalisation(monitor, b, x, damp=self.damp, normal_tol=normal_tol, conlim=self.conlim)
        h, h_bar = v.empty_like(x), v.empty_like(x)
        h[...], h_bar[...] = 0.0, 0.0
        recurrence = _begin(process.alpha, process.beta)
        while monitor.running:
            x, h, h_bar, recurrence = process.compact(x, h, h_bar, recurrence)
            alpha_bar, rho, rho_bar, c_bar, s_bar, zeta, zeta_bar, weight = recurrence[:8]
            rotated, tail, rho_tilde, theta_tilde, tau, started, largest, least = recurrence[8:]
            v.aypx(-weight, process.z, h)
            process.advance(x)
            if monitor.finished():
                return
            alpha, beta = process.alpha, process.beta
            # Two chains of rotations: B = Q R with R bidiagonal, then Rᴴ = Q̄ R̄.
            rho_old, rho = rho, np.hypot(alpha_bar, beta)
            c, s = ratio(alpha_bar, rho), ratio(beta, rho)
            theta, alpha_bar = s * alpha, c * alpha
            theta_bar, rho_bar_old = s_bar * rho, rho_bar
            rho_bar = np.hypot(c_bar * rho, theta)
            diagonal = c_bar * rho
            c_bar, s_bar = ratio(diagonal, rho_bar), ratio(theta, rho_bar)
            zeta_old, zeta, zeta_bar = zeta, c_bar * zeta_bar, -s_bar * zeta_bar
            v.aypx(-ratio(theta_bar * rho, rho_old * rho_bar_old), h, h_bar)
            v.axpy(np.where(monitor.unfinished, ratio(zeta, rho * rho_bar), 0.0), h_bar, x)
            weight = ratio(theta, rho)
            # ‖r̄‖ from a third chain, which makes R̄ᴴ upper bidiagonal.
            turned, tail = c * tail, -s * tail
            theta_tilde_old = theta_tilde
            pivot = np.hypot(rho_tilde, theta_bar)
            c_tilde, s_tilde = ratio(rho_tilde, pivot), ratio(theta_bar, pivot)
            theta_tilde, rho_tilde = s_tilde * rho_bar, c_tilde * rho_bar
            rotated = -s_tilde * rotated + c_tilde * turned
            tau = ratio(zeta_old - theta_tilde_old * tau, pivot)
            head = ratio(zeta - theta_tilde * tau, rho_tilde)
            norms = np.hypot(rotated - head, tail)
            # The last diagonal entry of R̄ is not final until the next rotation.
            largest = np.where(started > 0.0, np.fmax(largest, rho_bar_old), largest)
            least = np.where((started > 0.0) & (rho_bar_old > 0.0), np.fmin(least, rho_bar_old), least)
            condition = ratio(np.fmax(largest, diagonal), np.fmin(least, abs(diagonal)))
            restart = process.judge(x, norms, abs(zeta_bar), condition)
            recurrence = np.array(
                (
                    *(alpha_bar, rho, rho_bar, c_bar, s_bar, zeta, zeta_bar, weight),
                    *(rotated, tail, rho_tilde, theta_tilde, tau, np.ones_like(tau), largest, least),
                )
            )
            if any_of(restart):
                v.clear(h_bar, np.flatnonzero(restart))
                recurrence = np.where(restart, _begin(process.alpha, process.beta), recurrence)


def _begin(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Return the recurrences of columns that begin."""
    one, zero = np.ones(len(alpha)), np.zeros(len(alpha))
    return np.array(
        (
            *(alpha, one, one, one, zero, zero, alpha * beta, zero),
            *(zero, beta, one, zero, zero, zero, zero, np.full(len(alpha), np.inf)),
        )
    )
