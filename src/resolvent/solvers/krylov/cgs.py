"""Conjugate gradients squared."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator
from ..masks import any_of
from ..monitor import Monitor
from ..solver import Solver, refuse_variable
from .shadow import ORTHOGONAL, close_step, new_shadow, no_losses, reject_nonfinite


@dataclasses.dataclass(frozen=True, kw_only=True)
class CGS(Solver):
    """Conjugate gradients squared, right preconditioning, for nonsymmetric A without its adjoint.

    The residual polynomial is the square of that of BiCG: about twice as fast where BiCG converges, and twice as wild
    where it does not. Rounding in a large residual on the way is lost accuracy at the end; the true residual is
    recomputed there and the method goes on from it.

    Where r̃ᴴr or r̃ᴴAMp vanishes, the method goes on from the residual with a new shadow vector; the third time without
    halving the residual is a BREAKDOWN.

    Storage: 7 vectors besides x and b, one of them the best iterate so far, with or without a preconditioner. Each
    iteration: two products with A, two with M, two inner products and eight vector updates.

    Do not use it where the residual should fall steadily: BiCGStab, TFQMR and IDR take about as many products. Not for
    a self-adjoint A (CG, MINRES).

    References
    ----------
    Sonneveld 1989, doi:10.1137/0910004.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CGS
    >>> A = sp.diags_array([-2.0, 3.0, -0.5], offsets=[-1, 0, 1], shape=(100, 100))
    >>> CGS().solve(A, np.ones(100)).status.name
    'CONVERGED'
    """

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "CGS", "FGMRES")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v, k = monitor.vectors, b.shape[1]
        r, shadow, p, q, t, y = (v.empty_like(b) for _ in range(6))
        monitor.start(x, r, keep_best=True)
        small = ORTHOGONAL * monitor.eps
        fresh, losses, rho_old = np.ones(k, dtype=bool), no_losses(k), np.ones(k)
        while monitor.running:
            x, r, shadow, p, q, t, y, fresh, losses, rho_old = monitor.compact(
                x, r, shadow, p, q, t, y, fresh, losses, rho_old
            )
            if any_of(fresh):
                new_shadow(monitor, fresh, losses, r, t, shadow)
                v.clear(p, np.flatnonzero(fresh))
                v.clear(q, np.flatnonzero(fresh))
            rho, shadow_norm, r_norm = v.dot_norms(shadow, r)
            lost = abs(rho) <= small * shadow_norm * r_norm
            beta = np.where(fresh, 0.0, rho / rho_old)
            v.aypx(beta, q, p)
            v.aypx(beta, r, q)  # u = r + β q
            v.aypx(beta, q, p)  # p = u + β (q + β p)
            monitor.multiply(monitor.precondition(p, y), t)
            sigma, _, t_norm = v.dot_norms(shadow, t)
            lost |= abs(sigma) <= small * shadow_norm * t_norm
            alpha = np.where(lost, 0.0, rho / sigma)
            if reject_nonfinite(monitor, alpha, "r̃ᴴAMp", x, q, t):
                return
            v.axpy(-alpha, t, q)  # q = u − α AMp
            v.aypx(alpha, q, t)
            v.axpy(np.ones(len(alpha)), q, t)  # u + q
            direction = monitor.precondition(t, y)
            image = t if direction is y else y
            monitor.multiply(direction, image)
            norms = v.step(alpha, direction, image, x, r)
            fresh, _, losses = close_step(monitor, norms, x, r, lost, losses, "r̃ᴴr or r̃ᴴAMp")
            rho_old = rho
