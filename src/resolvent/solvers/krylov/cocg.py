"""Conjugate orthogonal conjugate gradients."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...operators import Array, LinearOperator, Props
from ..masks import any_of
from ..monitor import Monitor
from ..solver import Solver
from .complex_symmetric import refuse_not_symmetric
from .shadow import ORTHOGONAL, close_step, judge_step, no_losses, reject_nonfinite


@dataclasses.dataclass(frozen=True, kw_only=True)
class COCG(Solver):
    """Preconditioned COCG for complex symmetric A = Aᵀ and M = Mᵀ, neither of them Hermitian.

    The recurrences of conjugate gradients with the bilinear form xᵀy in place of xᴴy: residuals are orthogonal in the
    sense r_iᵀMr_j = 0. It is the biconjugate gradient method with the conjugate of r as shadow, at half its price.
    Nothing is minimised, and the residual may jump; COCR is smoother for one or two vectors more. For a real A and b it
    is CG, without the refusal of indefinite matrices.

    Vectors r ≠ 0 with rᵀMr = 0 exist, as (1, i): then, or where pᵀAp vanishes on the first direction after a start,
    the solve ends with BREAKDOWN. On a later direction it begins again from the true residual.

    Storage: 4 vectors besides x and b, one of them the best iterate so far, and 5 with a preconditioner. Each
    iteration: one product with A, one with M, two inner products and three vector updates.

    Do not use it for a Hermitian A (CG, MINRES), nor for one that is not symmetric (GMRES, IDR).

    References
    ----------
    van der Vorst & Melissen 1990, doi:10.1109/20.106415.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import COCG
    >>> A = sp.diags_array([-1.0, 2.0 + 0.5j, -1.0], offsets=[-1, 0, 1], shape=(50, 50))
    >>> COCG().solve(A, np.ones(50)).status.name
    'CONVERGED'
    """

    needs: ClassVar[Props] = Props.SYMMETRIC

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_not_symmetric(A, M, "COCG")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v, k = monitor.vectors, b.shape[1]
        r, p, q = v.empty_like(b), v.empty_like(b), v.empty_like(b)
        z = r if monitor.M is None else v.empty_like(b)
        monitor.start(x, r, keep_best=True)
        p[...] = 0.0
        small = ORTHOGONAL * monitor.eps
        fresh, losses, rho_old, trust = np.ones(k, dtype=bool), no_losses(k), np.ones(k), np.zeros((2, k))
        while monitor.running:
            x, r, z, p, q, fresh, losses, rho_old, trust = monitor.compact(x, r, z, p, q, fresh, losses, rho_old, trust)
            z = monitor.precondition(r, z)
            rho, r_norm, z_norm = v.dot_norms(r, z, conjugate=False)
            isotropic = abs(rho) <= small * r_norm * z_norm
            v.aypx(np.where(fresh, 0.0, rho / rho_old), z, p)
            monitor.multiply(p, q)
            sigma, p_norm, q_norm = v.dot_norms(p, q, conjugate=False)
            lost = isotropic | (abs(sigma) <= small * p_norm * q_norm)
            alpha = np.where(lost, 0.0, rho / sigma)
            blind, trust = judge_step(monitor, trust, alpha, p_norm, q_norm, r_norm)
            if any_of(blind):
                lost, alpha = lost | blind, np.where(blind, 0.0, alpha)
            if reject_nonfinite(monitor, alpha, "pᵀAp", x, p, q):
                return
            norms = v.step(alpha, p, q, x, r)
            hopeless = fresh | isotropic
            fresh, _, losses = close_step(
                monitor, norms, x, r, lost, losses, "rᵀMr or pᵀAp", trust=trust, hopeless=hopeless
            )
            rho_old = rho
