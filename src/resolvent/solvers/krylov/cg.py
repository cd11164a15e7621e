"""Conjugate gradients."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...operators import SPD, Array, LinearOperator, Props
from ..monitor import Monitor
from ..solver import Solver, refuse_not_self_adjoint, refuse_variable
from .curvature import judge_curvature


@dataclasses.dataclass(frozen=True, kw_only=True)
class CG(Solver):
    """Preconditioned conjugate gradients for self-adjoint positive definite A and M.

    Minimises ‖x − x*‖_A over x₀ + span{z₀, MA z₀, …}; the error falls at least as fast as ((√κ − 1)/(√κ + 1))ᵏ with
    κ the condition number of MA. Consistent semi-definite systems converge too; inconsistent ones run into the null
    space of A and end STAGNATED.

    Storage: 4 vectors besides x and b, one of them the best iterate so far, and 5 with a preconditioner. Each
    iteration: one product with A, one with M, two inner products and three vector updates.

    Do not use it for an indefinite or nonsymmetric A; pᴴAp ≤ 0 or rᴴMr ≤ 0 ends it with INDEFINITE.

    References
    ----------
    Hestenes & Stiefel 1952, doi:10.6028/jres.049.044.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50))
    >>> result = CG(rtol=1e-10).solve(A, np.ones(50))
    >>> result.status.name, result.iterations
    ('CONVERGED', 25)
    """

    needs: ClassVar[Props] = SPD
    distributed: ClassVar[bool] = True

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "CG", "FlexibleCG")
        refuse_not_self_adjoint(A, "CG", M)

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v = monitor.vectors
        r, q, z = v.empty_like(b), v.empty_like(b), b if monitor.M is None else v.empty_like(b)
        monitor.start(x, r, keep_best=True)
        p = v.empty_like(b)
        p[...] = 0.0
        rho_old, length, stiffness = np.ones(b.shape[1]), np.zeros(b.shape[1]), np.zeros(b.shape[1])
        restart = np.ones(b.shape[1], dtype=bool)
        while monitor.running:
            x, r, z, p, q, rho_old, restart, length, stiffness = monitor.compact(
                x, r, z, p, q, rho_old, restart, length, stiffness
            )
            z = monitor.precondition(r, z)
            rho = v.dot(r, z).real
            if monitor.reject_nonpositive(rho, "rᴴMr", x):
                continue
            beta = np.where(restart, 0.0, rho / rho_old)
            v.aypx(beta, z, p)
            monitor.multiply(p, q)
            curvature = v.dot(p, q).real
            # pᴴM⁻¹p without a product, since r is orthogonal to the old p.
            length = rho + beta**2 * length
            finished, stiffness = judge_curvature(monitor, curvature, length, stiffness, p, q, x, r)
            if finished:
                if monitor.finished():
                    return
                x, r, z, p, q, rho, curvature, length, stiffness = monitor.compact(
                    x, r, z, p, q, rho, curvature, length, stiffness
                )
            norms = v.step(rho / curvature, p, q, x, r)
            restart = monitor.step(norms, x, r)
            rho_old = rho
