"""Least squares by bidiagonalisation: LSQR."""

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
class LSQR(Solver):
    """LSQR for min ‖b − A x‖² + damp²‖x‖², with A (m, n) of any shape and rank.

    In exact arithmetic the same as conjugate gradients on AᴴA x = Aᴴb, but κ(A)² enters only the number of iterations
    and not the accuracy. ‖b − A x‖ never rises. Started from zero and without M it tends to the solution of minimum
    norm where there are many.

    CONVERGED when the recomputed ‖b − A x‖ ≤ max(rtol ‖b‖, atol), as everywhere. LEAST_SQUARES when the recomputed
    gradient meets

        ‖Aᴴ(b − A x) − damp² x‖ ≤ normal_tol ‖Ā‖‖r̄‖,   Ā = [A; damp I],   r̄ = [b − A x; −damp x],

    where ‖Ā‖ is taken as the largest ‖Ā z‖/‖z‖ the iteration met, a lower bound. With `damp` only the gradient ends the
    solve, unless ‖r̄‖ itself meets the tolerance. ``result.converged`` is true for both.

    A preconditioner acts on the right, x = M y, and is (n, n): one over the column norms is the classical choice.
    Recipes are built for A as it is, so that those of square matrices serve square systems only.

    Storage: 2 vectors of length m and 3 of length n besides x and b; another n with `damp`, another n with M. Each
    iteration: one product with A, one with Aᴴ, one with M and one with Mᴴ, three norms and four vector updates.

    Do not use it for a square, nonsingular and well-conditioned A, where GMRES or MINRES need κ instead of κ², nor with
    loose tolerances, where LSMR may stop earlier with a smaller gradient.

    Parameters
    ----------
    damp : float
        Weight of the Tikhonov term. It pulls x towards zero, also where x0 is given.
    normal_tol : float, optional
        Of the gradient; `rtol` by default. In single precision below about 1e-6 it is out of reach.
    conlim : float
        STAGNATED when the estimated condition number of A exceeds this; no limit by default.

    Notes
    -----
    ``result.extra`` holds arrays with one entry a column: ``normal_residual``, the norm of the gradient, recomputed
    unless the status is CONVERGED or STOPPED; ``norm_A``, the lower bound of ‖Ā‖₂; ``condition``, an estimate of the
    condition number from below, ‖Ā‖‖D‖ with D the directions of the iteration. ``normal_history`` lists the norm of the
    gradient, Mᴴ times it with a preconditioner, at the start and after each iteration.

    References
    ----------
    Paige & Saunders 1982, doi:10.1145/355984.355989.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers import LSQR
    >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> result = LSQR().solve(A, np.array([1.0, 2.0, 2.0]))
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
        refuse_one_way(A, M, "LSQR")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v = monitor.vectors
        normal_tol = self.rtol if self.normal_tol is None else self.normal_tol
        process = Bidiagonalisation(monitor, b, x, damp=self.damp, normal_tol=normal_tol, conlim=self.conlim)
        d = v.empty_like(x)
        d[...] = 0.0
        # ‖r̄‖, the diagonal of the bidiagonal matrix to be rotated, the weight of the last direction in the next, and
        # the square sum of the directions.
        phi_bar, rho_bar = process.beta.copy(), process.alpha.copy()
        weight, extent = np.zeros(b.shape[1]), np.zeros(b.shape[1])
        while monitor.running:
            x, d, phi_bar, rho_bar, weight, extent = process.compact(x, d, phi_bar, rho_bar, weight, extent)
            v.aypx(-weight, process.z, d)
            process.advance(x)
            if monitor.finished():
                return
            alpha, beta = process.alpha, process.beta
            rho = np.hypot(rho_bar, beta)
            c, s = ratio(rho_bar, rho), ratio(beta, rho)
            step = np.where(monitor.unfinished, ratio(c * phi_bar, rho), 0.0)
            v.axpy(step, d, x)
            weight, rho_bar, phi_bar = ratio(s * alpha, rho), -c * alpha, s * phi_bar
            extent = extent + ratio(v.norm(d), rho) ** 2
            restart = process.judge(x, phi_bar, phi_bar * alpha * abs(c), process.norm_A * np.sqrt(extent))
            if any_of(restart):
                weight = np.where(restart, 0.0, weight)
                phi_bar, rho_bar = (
                    np.where(restart, new, old) for new, old in ((process.beta, phi_bar), (process.alpha, rho_bar))
                )
