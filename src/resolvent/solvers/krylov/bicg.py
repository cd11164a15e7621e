"""Biconjugate gradients."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator
from ..masks import any_of
from ..monitor import Monitor
from ..solver import Solver, refuse_variable
from .shadow import ORTHOGONAL, close_step, judge_step, new_shadow, no_losses, reject_nonfinite


@dataclasses.dataclass(frozen=True, kw_only=True)
class BiCG(Solver):
    """Biconjugate gradients for nonsymmetric A whose adjoint can be applied.

    Conjugate gradients for A and, beside it, for Aᴴ with a shadow residual r̃: r_iᴴMᴴr̃_j = 0 for i ≠ j. Nothing is
    minimised and the residual may jump. QMR takes the same products and is smooth; BiCGStab and IDR need no adjoint.

    Where r̃ᴴMr or p̃ᴴAp vanishes, the method goes on from the residual with a new shadow vector; the third time without
    halving the residual is a BREAKDOWN.

    Storage: 7 vectors besides x and b, one of them the best iterate so far, with or without a preconditioner. Each
    iteration: one product with A, one with Aᴴ, one with M, one with Mᴴ, three inner products and five vector updates.

    Do not use it for a self-adjoint A, where CG and MINRES take half the products, nor for a complex symmetric one
    (COCG). An A or M without an adjoint raises StructureError.

    References
    ----------
    Fletcher 1976, doi:10.1007/BFb0080116.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import BiCG
    >>> A = sp.diags_array([-2.0, 3.0, -0.5], offsets=[-1, 0, 1], shape=(100, 100))
    >>> BiCG().solve(A, np.ones(100)).status.name
    'CONVERGED'
    """

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "BiCG", "FGMRES")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v, k = monitor.vectors, b.shape[1]
        r, shadow, p, p_shadow, q, q_shadow = (v.empty_like(b) for _ in range(6))
        norms = monitor.start(x, r, keep_best=True)
        small = ORTHOGONAL * monitor.eps
        fresh, losses, rho_old, trust = np.ones(k, dtype=bool), no_losses(k), np.ones(k), np.zeros((2, k))
        while monitor.running:
            x, r, shadow, p, p_shadow, q, q_shadow, fresh, losses, rho_old, trust, norms = monitor.compact(
                x, r, shadow, p, p_shadow, q, q_shadow, fresh, losses, rho_old, trust, norms
            )
            if any_of(fresh):
                norms = v.norm(r)
                new_shadow(monitor, fresh, losses, r, q, shadow)
                v.clear(p, np.flatnonzero(fresh))
                v.clear(p_shadow, np.flatnonzero(fresh))
            z, z_shadow = monitor.precondition(r, q), monitor.precondition(shadow, q_shadow, adjoint=True)
            rho, shadow_norm, z_norm = v.dot_norms(shadow, z)
            lost = abs(rho) <= small * shadow_norm * z_norm
            beta = np.where(fresh, 0.0, rho / rho_old)
            v.aypx(beta, z, p)
            v.aypx(beta.conj(), z_shadow, p_shadow)
            monitor.multiply(p, q)
            monitor.multiply_adjoint(p_shadow, q_shadow)
            sigma, p_shadow_norm, q_norm = v.dot_norms(p_shadow, q)
            lost |= abs(sigma) <= small * p_shadow_norm * q_norm
            alpha = np.where(lost, 0.0, rho / sigma)
            blind, trust = judge_step(monitor, trust, alpha, v.norm(p), q_norm, norms)
            if any_of(blind):
                lost, alpha = lost | blind, np.where(blind, 0.0, alpha)
            if reject_nonfinite(monitor, alpha, "p̃ᴴAp", x, p, q):
                return
            v.axpy(-alpha.conj(), q_shadow, shadow)
            norms = v.step(alpha, p, q, x, r)
            fresh, _, losses = close_step(monitor, norms, x, r, lost, losses, "r̃ᴴMr or p̃ᴴAp", trust=trust)
            rho_old = rho
