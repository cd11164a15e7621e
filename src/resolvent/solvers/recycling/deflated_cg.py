"""Conjugate gradients with a subspace deflated, and renewed for the next system."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...operators import SPD, Array, LinearOperator, Props
from ..krylov.curvature import judge_curvature
from ..krylov.gmres import check_restart
from ..monitor import Monitor
from ..solver import Solver, refuse_not_self_adjoint, refuse_variable
from ..status import Status
from .adoption import adopt
from .deflation import Deflation, Renewal
from .space import RecycleSpace


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeflatedCG(Solver):
    """Deflated conjugate gradients, def-CG(k), for sequences of self-adjoint positive definite systems.

    The part of the solution in the span of the recycle space U is found at the start, x + U E⁻¹Uᴴr with E = UᴴAU, and
    each direction z + β p is made A-orthogonal to U, so that CG sees the spectrum of MA without the part that U holds.
    From all its directions, ℓ at a time, the method chooses k vectors that belong to the smallest eigenvalues of MA,
    and hands them on as ``result.space``: the first solve of a sequence is plain CG and already finds most of what the
    second can use. Any U serves: a basis of earlier solutions, or of piecewise constants.

    Storage: 4k + 2ℓ + 6 vectors, 8 with a preconditioner; 2k + ℓ fewer with ``discard_C``, 2k + 6 with
    ``update=False``. Each iteration: one product with A, one with M, three inner products and three vector updates, 4 k
    n multiplications and additions for the deflation, 4 k n (1 + k/ℓ) in products of matrices for the renewal, half of
    that with ``discard_C``. A space made for another A costs a product for each vector, counted as set-up; the renewal
    with a preconditioner as many with M.

    Do not use it with a strong preconditioner such as multigrid, where CG takes no more than a few times k iterations:
    an iteration costs several times one of CG in vector operations, and pays only if products and preconditioner
    dominate or the iterations saved are many. For an indefinite A use `RMINRES`.

    Parameters
    ----------
    k : int
        Vectors to hand on. A space that is given is used whole.
    ell : int, optional
        Directions collected before they are merged into these; 2k by default. More choose better and cost memory.
    update : bool
        Whether to renew the space; otherwise the given one is handed on, with its images.
    discard_C : bool
        Hand on U without A U: less work and memory where A changes between systems anyway, k products where not.

    References
    ----------
    Saad, Yeung, Erhel & Guyomarc'h 2000, doi:10.1137/S1064829598339761, which renews from the first ℓ directions
    alone; merging again and again is as in Stathopoulos & Orginos 2010, doi:10.1137/080725532, with harmonic vectors.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import DeflatedCG
    >>> A = sp.diags_array(np.r_[np.logspace(-6, -2, 8), np.linspace(0.1, 1.0, 192)])
    >>> method = DeflatedCG(k=8)
    >>> first = method.solve(A, np.ones(200))
    >>> second = method.solve(1.01 * A, np.linspace(1.0, 2.0, 200), space=first.space)
    >>> second.status.name, second.iterations < 0.6 * first.iterations, second.counts.setup
    ('CONVERGED', True, 8)
    """

    k: int = 16
    ell: int | None = None
    update: bool = True
    discard_C: bool = False
    lockstep: ClassVar[bool] = False
    recycles: ClassVar[bool] = True
    needs: ClassVar[Props] = SPD

    def __post_init__(self) -> None:
        super().__post_init__()
        check_restart(self.k, "k")
        if self.ell is not None and (int(self.ell) != self.ell or self.ell < 2):
            raise ValueError(f"ell must be a whole number ≥ 2, or None for 2k, got {self.ell!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "DeflatedCG", "FlexibleCG")
        refuse_not_self_adjoint(A, "DeflatedCG", M)

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        v, k = monitor.vectors, min(int(self.k), b.shape[0])
        r, q, p, z = v.empty_like(b), v.empty_like(b), v.empty_like(b), b if monitor.M is None else v.empty_like(b)
        monitor.start(x, r, keep_best=True)
        if monitor.finished():
            return  # and the space that was given goes on as it is
        deflation = self._deflate(x, r, monitor)
        if monitor.finished():
            return
        renewal = None
        if self.update:
            ell = max(2, min(2 * k if self.ell is None else int(self.ell), b.shape[0]))
            renewal = Renewal(k, ell, not self.discard_C, deflation, b, monitor)
        p[...] = 0.0
        rho_old, stiffness, restart, none = np.ones(1), np.zeros(1), True, np.zeros(0)
        while monitor.running:
            z = monitor.precondition(r, z)
            rho = v.dot(r, z).real
            if monitor.reject_nonpositive(rho, "rᴴMr", x):
                break
            v.aypx(np.zeros(1) if restart else rho / rho_old, z, p)
            c = none if deflation is None else v.project(deflation.C, z)
            if deflation is not None:
                v.combine(-c, deflation.U, p)
            monitor.multiply(p, q)
            curvature = v.dot(p, q).real
            finished, stiffness = judge_curvature(monitor, curvature, v.norm(p) ** 2, stiffness, p, q, x, r)
            if finished:
                break
            alpha = rho / curvature
            if renewal is not None:
                renewal.before(float(rho[0]), c)
                renewal.after(p, q, float(alpha[0]), float(curvature[0]))
            norms = v.step(alpha, p, q, x, r)
            restart = bool(monitor.step(norms, x, r)[0])
            rho_old = rho
            if restart and monitor.running:  # r is the true residual now, which rounding has moved out of place
                if renewal is not None:
                    renewal.close()
                if deflation is not None:
                    deflation.correct(x, r)
        if renewal is not None:
            renewal.hand_on()

    def _deflate(self, x: Array, r: Array, monitor: Monitor) -> Deflation | None:
        """Take the space that was given, and the solution's part in it; leave it with the monitor for the next."""
        limit = max(int(self.k), 0 if monitor.space is None else monitor.space.k)
        basis = adopt(monitor, r, limit=limit, preimages=False)
        monitor.space = None
        monitor.extra["recycled"] = 0 if basis is None else basis.k
        if basis is None:
            return None
        stamp_A, stamp_M = monitor.stamps
        monitor.space = RecycleSpace(basis.U.T, None if self.discard_C else basis.C.T, None, stamp_A, stamp_M)
        deflation = Deflation(basis, monitor.vectors)
        if deflation.lowest < 0.0:
            monitor.retire(np.ones(1, dtype=bool), Status.INDEFINITE, x, "uᴴAu < 0 for a vector of the recycle space")
            return None
        if deflation.k == 0:
            return None
        deflation.correct(x, r)
        if float(monitor.vectors.norm(r)[0]) <= max(monitor.tolerance[0], monitor.eps * monitor.rhs_norm[0]):
            monitor.start(x, r)
        return deflation
