"""Newton's method with Krylov solves, preconditioned by the Kronecker-sum part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg

from ...operators import Function, KroneckerSum, LinearOperator
from ..kronecker import KroneckerSolver
from ..krylov.gmres import GMRES
from ..recycling.gcrodr import GCRODR
from ..recycling.space import RecycleSpace
from .collocation import Collocation, LinearSolve, Matrices
from .pde import PDE

STEPS = 20
"""Largest number of Newton steps."""
LOOSE = 1e-3
"""Relative residual of the linear solve in a Newton step: tighter ones take more products than they save steps."""
TIGHT = 1e-10
"""Relative residual of a linear problem, and the relative size of a Newton step that ends the iteration."""
RESTART = 80
"""Krylov vectors kept."""
RECYCLED = 12
"""Vectors of the space that is handed on."""


def gmres_inside(system: Collocation, b: np.ndarray, rtol: float = TIGHT) -> tuple[np.ndarray, LinearSolve]:
    """Solve at the unknown nodes by GMRES, preconditioned by the Kronecker-sum part; raises where that fails."""
    A, M = _operators(system)
    result = GMRES(rtol=rtol, restart=RESTART, maxiter=4 * RESTART).solve(A, b.ravel(), M=M)
    if not result.converged and result.residual_norm > 1e3 * rtol * result.rhs_norm:
        raise np.linalg.LinAlgError(f"the collocation system was not solved: {result.status.message}")
    relative = result.residual_norm / result.rhs_norm if result.rhs_norm else 0.0
    return np.asarray(result.x).reshape(b.shape), LinearSolve(result.counts.products, relative)


def solve_newton(
    pde: PDE,
    nodes: Sequence[np.ndarray],
    matrices: Matrices,
    start: np.ndarray | None = None,
    recycle: bool = False,
) -> tuple[np.ndarray, LinearSolve, tuple[float, ...]]:
    """Return the solution of L u + N(u) = f on a tensor grid, what it took, and the relative sizes of the steps.

    Starts from the solution of L u = f. In several dimensions each step is solved to a relative residual of 1e-3 by
    GMRES on L + diag(N'(u)), preconditioned by the Kronecker-sum part of L plus the mean of the first N'(u), or by
    GCRO-DR with the space of the step before; on a line, by factorisation.

    Parameters
    ----------
    pde : PDE
        With a nonlinearity.
    nodes, matrices
        As for `Collocation`.
    start : array, optional
        Values at the nodes to start from.
    recycle : bool
        Whether a subspace is handed from step to step: fewer products, more memory. Only a diagonal changes between
        the steps, so that no product is needed to take it over.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the steps do not become small.

    References
    ----------
    Knoll & Keyes 2004, doi:10.1016/j.jcp.2003.08.010; Parks et al. 2006, doi:10.1137/040607277.
    """
    assert pde.nonlinear is not None  # the caller looked
    value, derivative = pde.nonlinear
    linear = Collocation(pde, nodes, matrices)
    f = pde.source_at(nodes)
    U, record = linear.solve() if start is None else (start, LinearSolve())
    matvecs, residual, steps = record.matvecs, record.residual, []
    krylov = _Sequence(recycle)
    zero = np.zeros(linear.shape)
    for _ in range(STEPS):
        with np.errstate(over="ignore", invalid="ignore"):  # a step too far shows as a size that is not finite
            defect = f - linear.apply(U) - value(U)
            slope = np.broadcast_to(np.asarray(derivative(U), float), U.shape)
        if not (np.isfinite(defect).all() and np.isfinite(slope).all()):
            break
        step = Collocation(pde, nodes, matrices, slope)
        if len(nodes) == 1:
            change, _ = step.solve(defect, boundary=zero)
        else:
            inside, record = krylov.solve(step, np.asarray(defect[step.unknown]))
            matvecs, residual = matvecs + record.matvecs, record.residual
            change = zero.copy()
            change[step.unknown] = inside
        U = U + change
        size = float(np.linalg.norm(change) / max(float(np.linalg.norm(U)), np.finfo(float).tiny))
        steps.append(size)
        if not np.isfinite(size) or (len(steps) >= 4 and size > max(0.5 * steps[-3], 1e-5)):  # no contraction
            break
        # Rounding in the matrices ends the decrease above `TIGHT` where the kernel is badly conditioned.
        if size <= TIGHT or (len(steps) > 2 and size < 1e-5 and size > 0.3 * steps[-2]):
            return U, LinearSolve(matvecs, residual), tuple(steps)
    raise np.linalg.LinAlgError(
        f"Newton's method did not converge: relative sizes of its steps {', '.join(f'{s:.1e}' for s in steps[-6:])}; "
        "start from values nearer to the solution (start=), or take the nonlinearity up in several solves"
    )


class _Sequence:
    """The linear systems of Newton's steps: one preconditioner for all, and perhaps a space that is handed on."""

    def __init__(self, recycle: bool) -> None:
        self.recycle = recycle
        self.space: RecycleSpace | None = None
        self.M: LinearOperator | None = None
        self.slope: np.ndarray | None = None

    def solve(self, system: Collocation, b: np.ndarray) -> tuple[np.ndarray, LinearSolve]:
        A, M = _operators(system, self.M)
        slope = np.asarray(system.diagonal)[system.unknown].ravel()
        self.M = M
        if self.recycle:
            method = GCRODR(rtol=LOOSE, restart=RESTART, k=RECYCLED, maxiter=2 * RESTART)
            result = method.solve(A, b.ravel(), M=M, space=self._moved(A, slope))
            self.space, self.slope = result.space, slope
        else:
            result = GMRES(rtol=LOOSE, restart=RESTART, maxiter=2 * RESTART).solve(A, b.ravel(), M=M)
        relative = result.residual_norm / result.rhs_norm if result.rhs_norm else 0.0
        return np.asarray(result.x).reshape(b.shape), LinearSolve(result.counts.products, relative)

    def _moved(self, A: Function, slope: np.ndarray) -> RecycleSpace | None:
        """Return the space for the operator of this step, which differs in its diagonal: A' U = C + (s' − s) U."""
        space = self.space
        if space is None or space.C is None or self.slope is None:
            return space
        C, R = np.linalg.qr(space.C + (slope - self.slope)[:, None] * space.U)
        if np.linalg.cond(R) > 1e8:
            return space
        U = scipy.linalg.solve_triangular(R, space.U.T, trans="T").T
        T = None if space.T is None else scipy.linalg.solve_triangular(R, space.T.T, trans="T").T
        return RecycleSpace(U, C, T, A_version=A.stamp(), M_version=space.M_version)


def _operators(system: Collocation, M: LinearOperator | None = None) -> tuple[Function, LinearOperator]:
    shape = tuple(len(range(n)[part]) for n, part in zip(system.shape, system.unknown, strict=True))
    size = int(np.prod(shape))
    A = Function((size, size), lambda v: system.apply_inside(v.reshape(shape)).ravel(), dtype=float)
    if M is None:
        M = KroneckerSolver()(KroneckerSum(*system.factors()))
    return A, M
