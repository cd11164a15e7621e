"""The quasi-minimal residual method."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator
from ..masks import any_of
from ..monitor import Monitor
from ..solver import Solver, refuse_variable
from .quasi_minimal import quasi_minimal_memory, quasi_minimal_step
from .shadow import ORTHOGONAL, close_step, new_shadow, no_losses, reject_nonfinite


@dataclasses.dataclass(frozen=True, kw_only=True)
class QMR(Solver):
    """QMR with coupled two-term recurrences and right preconditioning, for nonsymmetric A whose adjoint can be applied.

    Minimises the coefficients of the residual in the normalised Lanczos vectors, which are not orthogonal: the residual
    is at most √(k+1) times what that minimum says, and falls almost steadily where that of BiCG jumps. Here it is
    formed from the residuals w of BiCG, which are those vectors up to length; x and r are their means with weights
    1/‖w‖².

    A preconditioner in two factors, M₁⁻¹ on the left and M₂⁻¹ on the right, is passed as the product
    ``M = M2_inverse @ M1_inverse``: the Krylov spaces are the same, and the norm that is quasi-minimised is then that
    of b − A x instead of M₁⁻¹(b − A x).

    Where r̃ᴴMw or p̃ᴴAp vanishes, the method goes on from the residual with a new shadow vector; the third time without
    halving the residual is a BREAKDOWN. There is no look-ahead.

    Storage: 10 vectors besides x and b, one of them the best iterate so far, with or without a preconditioner. Each
    iteration: one product with A, one with Aᴴ, one with M, one with Mᴴ, four inner products and eight vector updates.

    Do not use it for a self-adjoint A (CG, MINRES), a complex symmetric one (COCR), nor where memory allows GMRES. An A
    or M without an adjoint raises StructureError; TFQMR needs none.

    References
    ----------
    Freund & Nachtigal 1994, doi:10.1137/0915022.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import QMR
    >>> A = sp.diags_array([-2.0, 3.0, -0.5], offsets=[-1, 0, 1], shape=(100, 100))
    >>> QMR().solve(A, np.ones(100)).status.name
    'CONVERGED'
    """

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "QMR", "FGMRES")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v, k = monitor.vectors, b.shape[1]
        r, w, shadow, p, p_shadow, q, q_shadow, d, Ad = (v.empty_like(b) for _ in range(9))
        monitor.start(x, r, keep_best=True)
        small = ORTHOGONAL * monitor.eps
        fresh, losses, rho_old, memory = np.ones(k, dtype=bool), no_losses(k), np.ones(k), np.zeros((4, k))
        trust = np.zeros((2, k))
        while monitor.running:
            x, r, w, shadow, p, p_shadow, q, q_shadow, d, Ad, fresh, losses, rho_old, memory, trust = monitor.compact(
                x, r, w, shadow, p, p_shadow, q, q_shadow, d, Ad, fresh, losses, rho_old, memory, trust
            )
            if any_of(fresh):
                begin = np.flatnonzero(fresh)
                new_shadow(monitor, fresh, losses, r, q, shadow)
                v.copy(r, begin, w)
                for array in (p, p_shadow, d, Ad):
                    v.clear(array, begin)
                memory = quasi_minimal_memory(v.norm(r), fresh, memory)
            z, z_shadow = monitor.precondition(w, q), monitor.precondition(shadow, q_shadow, adjoint=True)
            rho, shadow_norm, z_norm = v.dot_norms(shadow, z)
            lost = abs(rho) <= small * shadow_norm * z_norm
            beta = np.where(fresh, 0.0, rho / rho_old)
            v.aypx(beta, z, p)
            v.aypx(beta.conj(), z_shadow, p_shadow)
            monitor.multiply(p, q)
            monitor.multiply_adjoint(p_shadow, q_shadow)
            sigma, p_norm, q_norm = v.dot_norms(p_shadow, q)
            lost |= abs(sigma) <= small * p_norm * q_norm
            alpha = np.where(lost, 0.0, rho / sigma)
            v.axpy(-alpha.conj(), q_shadow, shadow)
            v.axpy(-alpha, q, w)
            w_norm = v.norm(w)
            if reject_nonfinite(monitor, alpha + 0.0 * w_norm, "p̃ᴴAp", x, p, q):
                return
            alpha = np.where(monitor.unfinished, alpha, 0.0)
            norms, memory, trust, blind = quasi_minimal_step(monitor, memory, trust, alpha, p, q, w_norm, d, Ad, x, r)
            lost |= blind
            fresh, _, losses = close_step(monitor, norms, x, r, lost, losses, "r̃ᴴMw or p̃ᴴAp", trust=trust)
            rho_old = rho
