"""Conjugate orthogonal conjugate residuals."""

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
class COCR(Solver):
    """Preconditioned COCR for complex symmetric A = Aᵀ and M = Mᵀ, neither of them Hermitian.

    The recurrences of conjugate residuals with the bilinear form xᵀy in place of xᴴy, so that z_iᵀAz_j = 0 for z = Mr.
    Nothing is minimised, but the residual is much smoother than that of COCG, at the same number of products. For a
    real A, b and a definite M it is CR, which minimises ‖r‖_M.

    Where zᵀAz or (Ap)ᵀMAp vanishes on the first direction after a start, the solve ends with BREAKDOWN; on a later one
    it begins again from the true residual.

    Storage: 5 vectors besides x and b, one of them the best iterate so far, and 7 with a preconditioner. Each
    iteration: one product with A, one with M, three inner products and four vector updates, five with a preconditioner.

    Do not use it for a Hermitian A (CG, MINRES), nor for one that is not symmetric (GMRES, IDR).

    References
    ----------
    Sogabe & Zhang 2007, doi:10.1016/j.cam.2005.07.032.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import COCR
    >>> A = sp.diags_array([-1.0, 2.0 + 0.5j, -1.0], offsets=[-1, 0, 1], shape=(50, 50))
    >>> COCR().solve(A, np.ones(50)).status.name
    'CONVERGED'
    """

    needs: ClassVar[Props] = Props.SYMMETRIC

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_not_symmetric(A, M, "COCR")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v, k = monitor.vectors, b.shape[1]
        r, p, q, w = (v.empty_like(b) for _ in range(4))
        plain = monitor.M is None
        z, s = (r, q) if plain else (v.empty_like(b), v.empty_like(b))
        norms = monitor.start(x, r, keep_best=True)
        p[...] = 0.0
        q[...] = 0.0
        small = ORTHOGONAL * monitor.eps
        fresh, losses, mu_old, trust = np.ones(k, dtype=bool), no_losses(k), np.ones(k), np.zeros((2, k))
        while monitor.running:
            x, r, z, p, q, w, s, fresh, losses, mu_old, trust, norms = monitor.compact(
                x, r, z, p, q, w, s, fresh, losses, mu_old, trust, norms
            )
            if any_of(fresh):
                norms = v.norm(r)
                begin = np.flatnonzero(fresh)
                if len(begin) == len(fresh):
                    z = monitor.precondition(r, z)
                elif not plain:  # the other columns have their z by recurrence, so that M is free for A p
                    part = v.take(r, begin)
                    v.put(z, begin, monitor.precondition(part, v.empty_like(part)))
            monitor.multiply(z, w)
            mu, z_norm, w_norm = v.dot_norms(z, w, conjugate=False)
            stuck = abs(mu) <= small * z_norm * w_norm
            beta = np.where(fresh, 0.0, mu / mu_old)
            v.aypx(beta, z, p)
            v.aypx(beta, w, q)
            s = monitor.precondition(q, s)
            nu, q_norm, s_norm = v.dot_norms(q, s, conjugate=False)
            lost = stuck | (abs(nu) <= small * q_norm * s_norm)
            alpha = np.where(lost, 0.0, mu / nu)
            blind, trust = judge_step(monitor, trust, alpha, v.norm(p), q_norm, norms)
            if any_of(blind):
                lost, alpha = lost | blind, np.where(blind, 0.0, alpha)
            if reject_nonfinite(monitor, alpha, "(Ap)ᵀMAp", x, p, q):
                return
            norms = v.step(alpha, p, q, x, r)
            hopeless = fresh | stuck
            fresh, replaced, losses = close_step(
                monitor, norms, x, r, lost, losses, "zᵀAz or (Ap)ᵀMAp", trust=trust, hopeless=hopeless
            )
            mu_old = mu
            if not plain:
                fresh = fresh | replaced  # z is not M r any more
                v.axpy(-alpha, s, z)
