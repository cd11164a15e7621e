"""MINRES with a subspace taken out, and renewed for the next system."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from ...operators import Array, LinearOperator, Props
from ..krylov.gmres import check_restart
from ..krylov.minres import LONG, NEAR_SOLUTION, NULL_VECTOR, OUT_OF_REACH
from ..monitor import Monitor
from ..solver import Solver, refuse_not_self_adjoint, refuse_variable
from ..status import Status
from .adoption import adopt
from .lanczos_window import LanczosWindow
from .space import RecycleSpace


@dataclasses.dataclass(frozen=True, kw_only=True)
class RMINRES(Solver):
    """Recycling MINRES for sequences of self-adjoint systems, definite or not, with self-adjoint positive definite M.

    Minimises ‖b − A x‖_M over the recycle space U together with the Krylov space of (I − C CᴴM) A M, where A U = C and
    CᴴMC = I. That operator is self-adjoint where it acts, so that short recurrences suffice. From all the Lanczos
    vectors, ℓ at a time, the method chooses k that belong to the harmonic Ritz values of MA of smallest modulus, and
    hands them on as ``result.space``; the first solve of a sequence is plain MINRES.

    Storage: 4k + 2ℓ + 7 vectors, 2k + ℓ fewer with ``discard_C``, 2k + 7 with ``update=False``; with a preconditioner
    k + 1 more. Each iteration: one product with A, one with M, four inner products, eight vector updates, 4 k n
    multiplications and additions to project, 4 k n (1 + k/ℓ) in products of matrices for the renewal, half of that with
    ``discard_C``. A space made for another A costs a product for each vector, counted as set-up; with a preconditioner
    any space costs as many with M.

    Do not use it for a positive definite A, where `DeflatedCG` does the same, nor where a solve takes no more than a
    few times k iterations; for a nonsymmetric A use `GCRODR` or `GCROT`.

    Parameters
    ----------
    k : int
        Vectors to hand on. A space that is given is used whole.
    ell : int, optional
        Lanczos vectors collected before they are merged into these; 2k by default.
    update : bool
        Whether to renew the space; otherwise the given one is handed on, with its images.
    discard_C : bool
        Hand on U without A U: less work and memory where A changes between systems anyway, k products where not.

    References
    ----------
    Wang, de Sturler & Paulino 2007, doi:10.1002/nme.1798.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import RMINRES
    >>> A = sp.diags_array(np.r_[-0.01, -0.002, 0.001, 0.005, np.linspace(-1.0, -0.5, 98), np.linspace(0.5, 1.0, 98)])
    >>> method = RMINRES(k=10)
    >>> first = method.solve(A, np.ones(200))
    >>> second = method.solve(1.01 * A, np.linspace(1.0, 2.0, 200), space=first.space)
    >>> second.status.name, second.iterations < 0.75 * first.iterations, second.counts.setup
    ('CONVERGED', True, 10)
    """

    k: int = 16
    ell: int | None = None
    update: bool = True
    discard_C: bool = False
    lockstep: ClassVar[bool] = False
    recycles: ClassVar[bool] = True
    needs: ClassVar[Props] = Props.SELF_ADJOINT

    def __post_init__(self) -> None:
        super().__post_init__()
        check_restart(self.k, "k")
        if self.ell is not None and (int(self.ell) != self.ell or self.ell < 2):
            raise ValueError(f"ell must be a whole number ≥ 2, or None for 2k, got {self.ell!r}")

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        refuse_variable(A, M, "RMINRES", "GCROT")
        refuse_not_self_adjoint(A, "RMINRES", M)

    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        _Run(self, b, x, monitor).run()


class _Run:
    """One solve: the recycle space with CᴴMC = I, and where the iterate lacks its part in U."""

    def __init__(self, options: RMINRES, b: Array, x: Array, monitor: Monitor) -> None:
        self.b, self.x, self.monitor, self.options = b, x, monitor, options
        self.r = monitor.vectors.empty_like(b)
        self.U = self.C = self.MC = monitor.vectors.basis(b, 0)
        self.missing = np.zeros(0)
        """x lacks −U times this until `settle`: short recurrences for k numbers instead of vectors."""

    def run(self) -> None:
        """Iterate until the monitor has finished the column."""
        monitor = self.monitor
        self.r_norm = monitor.start(self.x, self.r)[0]
        if monitor.finished():
            return  # and the space that was given goes on as it is
        self._adopt()
        window = None
        if monitor.running and self.options.update:
            k, n = min(int(self.options.k), self.b.shape[0]), self.b.shape[0]
            ell = max(2, min(2 * k if self.options.ell is None else int(self.options.ell), n))
            window = LanczosWindow(k, ell, not self.options.discard_C, self.U, self.C, self.b, monitor)
        if monitor.running:
            self._iterate(window)
        self.settle()
        if window is not None:
            window.hand_on()

    def _adopt(self) -> None:
        """Take the space that was given, M-orthonormalise C, and find the solution's part in U."""
        monitor, v = self.monitor, self.monitor.vectors
        limit = max(int(self.options.k), 0 if monitor.space is None else monitor.space.k)
        basis = adopt(monitor, self.r, limit=limit, preimages=False)
        monitor.space = None
        monitor.extra["recycled"] = 0 if basis is None else basis.k
        if basis is None:
            return
        stamp_A, stamp_M = monitor.stamps
        C = None if self.options.discard_C else basis.C.T
        monitor.space = RecycleSpace(basis.U.T, C, None, stamp_A, stamp_M)
        self.U, self.C, self.MC = basis.U, basis.C, basis.C
        if monitor.M is not None:
            MC = v.basis(self.b, basis.k)
            for i in range(basis.k):
                monitor.precondition(basis.C[i].reshape(-1, 1), MC[i].reshape(-1, 1))
            gram = v.gram(basis.C, MC)
            if not np.isfinite(gram).all():
                monitor.retire(np.ones(1, dtype=bool), Status.NONFINITE, self.x, "CᴴMC is not finite")
                return
            values, vectors = np.linalg.eigh(0.5 * (gram + gram.conj().T))
            if values[0] <= 0.0:
                monitor.retire(np.ones(1, dtype=bool), Status.INDEFINITE, self.x, "cᴴMc ≤ 0 for an image of the space")
                return
            mixture = vectors / np.sqrt(values)
            self.U, self.C, self.MC = (v.mix(mixture, part) for part in (basis.U, basis.C, MC))
        self.missing = np.zeros(basis.k, dtype=v.project(self.C, self.r).dtype)
        self._correct()
        if self.r_norm <= max(monitor.tolerance[0], monitor.eps * monitor.rhs_norm[0]):
            self.r_norm = monitor.start(self.x, self.r)[0]

    def _correct(self) -> None:
        """Add to x what makes r M-orthogonal to C."""
        v = self.monitor.vectors
        if len(self.C):
            c = v.project(self.MC, self.r)
            v.combine(c, self.U, self.x)
            v.combine(-c, self.C, self.r)
            self.r_norm = v.norm(self.r)[0]

    def settle(self) -> None:
        """Give x its part in U."""
        if len(self.missing) and np.isfinite(self.missing).all():
            self.monitor.vectors.combine(-self.missing, self.U, self.x)
        self.missing[...] = 0.0

    def _iterate(self, window: LanczosWindow | None) -> None:
        monitor, v, x, r = self.monitor, self.monitor.vectors, self.x, self.r
        u, u_old, d, d_old, q = (v.empty_like(self.b) for _ in range(5))
        z = u if monitor.M is None else v.empty_like(self.b)
        every, one, eps = np.ones(1, dtype=bool), np.ones(1), monitor.eps
        # Scalars of numpy, whose divisions by zero become infinities that the tests below understand.
        norm_A = spread = np.float64(0.0)
        limit, failed_norm, restart = NEAR_SOLUTION, np.inf, True
        e, e_old = np.zeros_like(self.missing), np.zeros_like(self.missing)
        while monitor.running:
            if restart:
                u[...] = r
                for vector in (u_old, d, d_old):
                    vector[...] = 0.0
                e, e_old = np.zeros_like(e), np.zeros_like(e)
                z = monitor.precondition(u, z)
                square = v.dot(u, z).real
                if monitor.reject_nonpositive(square, "rᴴMr", x):
                    return
                beta = phi = float(np.sqrt(square[0]))
                c, s, delta_bar, epsilon, gamma, gamma_old = -1.0, 0.0, 0.0, 0.0, 1.0, 1.0
            # Lanczos: β₊u₊ = (I − C CᴴM) A z − α u − β u₋ with z = M u and uᴴz = 1.
            v.assign(one / beta, u, u)
            if monitor.M is None:
                z = u
            else:
                v.assign(one / beta, z, z)
            monitor.multiply(z, q)
            if restart:
                spread = max(spread, v.norm(q)[0] / v.norm(z)[0])
            if window is not None:
                window.add(z, q)
            h = v.project(self.MC, q) if len(self.C) else self.missing
            if len(self.C):
                v.combine(-h, self.C, q)
            alpha = float(v.dot(z, q).real[0])
            v.aypx(-one * beta, q, u_old)
            v.axpy(-one * alpha, u, u_old)
            delta, gamma_bar = c * delta_bar + s * alpha, s * delta_bar - c * alpha
            v.aypx(-one * (epsilon / gamma_old), z, d_old)
            v.axpy(-one * (delta / gamma), d, d_old)
            e, e_old = h - (epsilon / gamma_old) * e_old - (delta / gamma) * e, e
            u, u_old, d, d_old = u_old, u, d_old, d
            z = monitor.precondition(u, z)
            square = v.dot(u, z).real
            monitor.retire(~np.isfinite(square), Status.NONFINITE, x, "rᴴMr is not finite")
            monitor.retire(square < -((10.0 * eps * norm_A) ** 2), Status.INDEFINITE, x, "rᴴMr ≤ 0")
            if monitor.finished():
                return
            beta_old, beta = beta, float(np.sqrt(max(square[0], 0.0)))
            if window is not None:
                window.step(0.0 if restart else beta_old, alpha, beta, h)
            epsilon, delta_bar, near = s * beta, -c * beta, np.hypot(gamma_bar, c * beta)
            gamma, gamma_old = np.hypot(gamma_bar, beta), gamma
            norm_A = max(norm_A, np.hypot(alpha, beta))
            invariant, flat = beta <= 10.0 * eps * norm_A, gamma <= 10.0 * eps * norm_A
            c, s = (0.0, 1.0) if flat else (gamma_bar / gamma, beta / gamma)
            step = 0.0 if flat else c * phi / gamma
            reach = (norm_A if monitor.M is None else spread) * abs(step) * float(v.norm(d)[0]) / self.r_norm
            suspicious = near <= limit * norm_A
            hopeless = near * monitor.tolerance[0] <= 0.01 * eps * norm_A * self.r_norm
            hopeless = hopeless and near <= 0.1 * NEAR_SOLUTION * norm_A
            if suspicious or hopeless or eps * reach > 1.0:
                self.settle()
                monitor.retire(every & (eps * reach > 1.0), Status.STAGNATED, x, NULL_VECTOR)
                monitor.retire_inconsistent(every & suspicious, x, r)
                monitor.retire(every & hopeless, Status.STAGNATED, x, OUT_OF_REACH)
                limit = 0.1 * near / norm_A if suspicious else limit
                if monitor.finished():
                    return
            v.assign(one * s**2, r, r)
            norm = v.step(one * step, d, u, x, r)
            self.missing = self.missing + step * e
            again = invariant or reach > LONG
            goal = max(monitor.tolerance[0], eps * monitor.rhs_norm[0])
            if again or monitor.watched or not norm[0] > goal or monitor.iteration + 1 >= monitor.maxiter:
                self.settle()
            restart = bool(monitor.step(norm, x, r, recompute=every & again)[0]) or invariant
            phi = s * phi
            self.r_norm = norm[0]
            if again or restart:
                self.r_norm = v.norm(r)[0]
            if invariant:  # a second time without gain is a failure
                failed = every & (not self.r_norm < 0.5 * failed_norm)
                failed_norm = self.r_norm
                self.settle()
                monitor.retire_inconsistent(failed, x, r)
                monitor.retire(failed, Status.BREAKDOWN, x, "the Krylov space holds no solution")
            if restart and monitor.running:
                if window is not None:
                    window.close()
                self._correct()
