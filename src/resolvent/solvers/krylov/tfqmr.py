"""The transpose-free quasi-minimal residual method."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator
from ..masks import all_of, any_of
from ..monitor import Monitor
from ..solver import Solver, refuse_variable
from .quasi_minimal import quasi_minimal_memory, quasi_minimal_step
from .shadow import ORTHOGONAL, close_step, new_shadow, no_losses, reject_nonfinite


@dataclasses.dataclass(frozen=True, kw_only=True)
class TFQMR(Solver):
    """Transpose-free QMR with right preconditioning, for nonsymmetric A without its adjoint.

    Splits the steps of CGS into halves and takes the means of their iterates with weights 1/‖w‖², w their residuals:
    quasi-minimal, so that the residual falls almost steadily. An iteration is one half, with one product, as in scipy;
    some other codes count pairs.

    The recurrence bounds ‖b − A x‖ only. The residual vector itself is therefore carried along, for two vectors and
    one vector update, so that every iteration is judged by its own norm without a further product.

    Where r̃ᴴw or r̃ᴴv vanishes, the method goes on from the residual with a new shadow vector; the third time without
    halving the residual is a BREAKDOWN.

    Storage: 9 vectors besides x and b, one of them the best iterate so far, and 10 with a preconditioner. Each
    iteration: one product with A, one with M, three inner products and seven vector updates.

    Do not use it for a self-adjoint A (CG, MINRES), nor where memory allows GMRES or IDR(4), which take fewer products.

    References
    ----------
    Freund 1993, doi:10.1137/0914029.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import TFQMR
    >>> A = sp.diags_array([-2.0, 3.0, -0.5], offsets=[-1, 0, 1], shape=(100, 100))
    >>> TFQMR().solve(A, np.ones(100)).status.name
    'CONVERGED'
    """

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "TFQMR", "FGMRES")

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v, k = monitor.vectors, b.shape[1]
        r, shadow, w, y, u, Au, d, Ad = (v.empty_like(b) for _ in range(8))
        z = y if monitor.M is None else v.empty_like(b)
        monitor.start(x, r, keep_best=True)
        small = ORTHOGONAL * monitor.eps
        fresh, lost, losses, memory = np.ones(k, dtype=bool), np.zeros(k, dtype=bool), no_losses(k), np.zeros((4, k))
        rho, alpha = np.ones((2, k))
        second = False
        trust = np.zeros((2, k))
        while monitor.running:
            x, r, shadow, w, y, z, u, Au, d, Ad, fresh, lost, losses, memory, trust, rho, alpha = monitor.compact(
                x, r, shadow, w, y, z, u, Au, d, Ad, fresh, lost, losses, memory, trust, rho, alpha
            )
            if second:
                v.axpy(-alpha, u, y)
                z = monitor.precondition(y, z)
                monitor.multiply(z, Au)
            else:
                if any_of(fresh):
                    begin = np.flatnonzero(fresh)
                    new_shadow(monitor, fresh, losses, r, Au, shadow)
                    v.copy(r, begin, w)
                    for array in (y, u, Au, d, Ad):
                        v.clear(array, begin)
                    memory = quasi_minimal_memory(v.norm(r), fresh, memory)
                rho_old = rho
                rho, shadow_norm, w_norm = v.dot_norms(shadow, w)
                lost = abs(rho) <= small * shadow_norm * w_norm
                beta = np.where(fresh, 0.0, rho / rho_old)
                v.aypx(beta, w, y)
                v.aypx(beta, Au, u)
                z = monitor.precondition(y, z)
                monitor.multiply(z, Au)
                v.aypx(beta, Au, u)  # u = AM y + β (AM y₋ + β u)
                sigma, _, u_norm = v.dot_norms(shadow, u)
                lost |= abs(sigma) <= small * shadow_norm * u_norm
                alpha = np.where(lost, 0.0, rho / sigma)
                fresh = np.zeros(len(alpha), dtype=bool)
            v.axpy(-alpha, Au, w)
            w_norm = v.norm(w)
            if reject_nonfinite(monitor, alpha + 0.0 * w_norm, "r̃ᴴAMp", x, z, Au):
                return
            alpha = np.where(monitor.unfinished, alpha, 0.0)
            norms, memory, trust, blind = quasi_minimal_step(monitor, memory, trust, alpha, z, Au, w_norm, d, Ad, x, r)
            lost |= blind & ~fresh
            begun, _, losses = close_step(monitor, norms, x, r, lost, losses, "r̃ᴴw or r̃ᴴv", trust=trust)
            fresh |= begun
            lost = np.zeros(len(lost), dtype=bool)
            # Columns that begin again stand still until the others have done their second half.
            alpha = np.where(fresh, 0.0, alpha)
            second = not second and not all_of(fresh)
