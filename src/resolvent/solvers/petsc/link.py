"""The callbacks through which PETSc reaches our operators, preconditioners and monitor."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...operators import LinearOperator
from ...operators.petsc import entries
from ..monitor import Monitor
from .reasons import CONVERGED_ATOL, DIVERGED_ITS, ITERATING


class Link:
    """What PETSc calls: products, the preconditioner, the convergence test.

    PETSc keeps its callbacks alive, and Python cannot see through PETSc. This object therefore knows the monitor of a
    solve only while the solve runs, and never the `System` that owns the PETSc objects.

    Parameters
    ----------
    A : LinearOperator
    dtype : dtype or None
        complex128 where pairs of real entries stand for one complex number.
    """

    def __init__(self, A: LinearOperator, dtype: Any) -> None:
        self.A, self.dtype = A, dtype
        self.monitor: Monitor | None = None
        self.setup = 0
        """Products that PETSc asked for outside of a solve."""
        self.exact = True
        """Whether PETSc's norm is ‖b − A x‖."""
        self.norm = self.target = 1.0
        self.ratio = 1.0
        self.its = 0
        self.tested = False

    # As the context of a shell matrix --------------------------------------------------------------------------------

    def mult(self, mat: Any, x: Any, y: Any) -> None:
        """Set y to A x."""
        X, out = entries(x, self.dtype, locked=True), entries(y, self.dtype)
        if self.monitor is None:
            self.setup += 1
            self.A._matmat_into(X, out)
        else:
            self.monitor.multiply(X, out)

    def multTranspose(self, mat: Any, x: Any, y: Any) -> None:  # noqa: N802 - PETSc's name
        """Set y to Aᵀ x; in real-equivalent form that is Aᴴ x."""
        X, out = entries(x, self.dtype, locked=True), entries(y, self.dtype)
        assert self.monitor is not None
        if X.dtype.kind == "c" and self.dtype is None:  # a complex PETSc: Aᵀ x = (Aᴴ x̄)‾
            self.monitor.multiply_adjoint(X.conj(), out)
            np.conj(out, out=out)
        else:
            self.monitor.multiply_adjoint(X, out)

    # As the context of a preconditioner ------------------------------------------------------------------------------

    def apply(self, pc: Any, x: Any, y: Any) -> None:
        """Set y to M x, or to x without an M."""
        X, out = entries(x, self.dtype, locked=True), entries(y, self.dtype)
        found = X if self.monitor is None else self.monitor.precondition(X, out)
        if found is not out:
            out[...] = found

    def applyTranspose(self, pc: Any, x: Any, y: Any) -> None:  # noqa: N802 - PETSc's name
        """Set y to Mᵀ x; in real-equivalent form that is Mᴴ x."""
        X, out = entries(x, self.dtype, locked=True), entries(y, self.dtype)
        M = None if self.monitor is None else self.monitor.M
        if M is None or self.monitor is None:
            out[...] = X
            return
        self.monitor.counts.preconditioner += 1
        if X.dtype.kind == "c" and self.dtype is None:
            out[...] = M._rmatmat(X.conj()).conj()
        else:
            M._rmatmat_into(X, out)

    # As the convergence test -----------------------------------------------------------------------------------------

    def test(self, ksp: Any, its: int, norm: float) -> int:
        """Record an iteration and say whether PETSc shall go on.

        Where PETSc's norm is not that of b − A x, it is scaled to agree with it at the start of this call of PETSc.
        """
        monitor = self.monitor
        assert monitor is not None
        if its == 0:
            self.ratio = 1.0 if self.exact or not norm > 0.0 else self.norm / norm
            return ITERATING if np.isfinite(norm) else DIVERGED_ITS
        estimate = norm * self.ratio
        # Some methods test only every few iterations, and GMRES tests one twice when it restarts.
        while self.its < its and monitor.running and monitor.iteration < monitor.maxiter:
            self.its += 1
            self.tested = True
            monitor.advance(np.array([estimate]))
        if monitor.finished():
            return DIVERGED_ITS
        if estimate <= self.target:
            return CONVERGED_ATOL
        return DIVERGED_ITS if monitor.iteration >= monitor.maxiter else ITERATING
