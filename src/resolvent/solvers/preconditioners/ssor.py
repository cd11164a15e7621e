"""Symmetric successive over-relaxation."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...operators import Array, LinearOperator, Props
from .entries import host_diagonal, host_entries
from .recipe import Recipe, is_number


@dataclasses.dataclass(frozen=True)
class SSOR(Recipe):
    """One forward and one backward relaxation sweep, with A = L + D + U:

        M = ω (2 − ω) (D + ωU)⁻¹ D (D + ωL)⁻¹

    Costs about one product with A and stores nothing but the diagonal. For a self-adjoint A with positive diagonal it
    is self-adjoint and positive definite. On the 5-point Laplacian the condition number falls from O(h⁻²) to O(h⁻¹)
    for the best ω, which is near 2/(1 + sin πh); ω = 1 (symmetric Gauss–Seidel) gains a constant factor.

    The sweeps run from the first unknown to the last and back, so they use one core. Do not use it where AMG applies
    and the problem is large.

    Parameters
    ----------
    omega : float
        Relaxation factor, 0 < ω < 2.

    Raises
    ------
    ValueError
        When built for a matrix with a zero or not-a-number on the diagonal.

    References
    ----------
    Axelsson 1972, doi:10.1007/BF01932955.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG, SSOR
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(200, 200))
    >>> [CG().solve(A, np.ones(200), M=M).iterations for M in (None, SSOR(omega=1.9))]
    [100, 13]
    """

    omega: float = 1.0

    def __post_init__(self) -> None:
        if not (is_number(self.omega) and 0.0 < self.omega < 2.0):
            raise ValueError(f"omega must lie between 0 and 2, both excluded, got {self.omega!r}")

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return Sweeps(A, self)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims."""
        # M is congruent to D, so that even a semi-definite A with positive diagonal gives a definite M.
        return A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)


class Sweeps(LinearOperator):
    """The SSOR preconditioner of one matrix, applied by compiled triangular sweeps without any allocation."""

    def __init__(self, A: LinearOperator, recipe: SSOR) -> None:
        if A.shape[0] != A.shape[1]:
            raise ValueError(f"SSOR needs a square matrix, got {A.shape[0]} x {A.shape[1]}")
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        self.omega = float(recipe.omega)
        self._inverse = 1.0 / host_diagonal(A, "SSOR")
        self._matrix = host_entries(A, "SSOR")

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        from .ssor_kernels import sweeps

        matrix = self._matrix
        sweeps(matrix.indptr, matrix.indices, matrix.data, self._inverse, self.omega, X, out)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        from .ssor_kernels import adjoint_sweeps

        if Props.SELF_ADJOINT in self.props:
            self._matmat_into(X, out)
            return
        matrix = self._matrix
        adjoint_sweeps(matrix.indptr, matrix.indices, matrix.data, self._inverse, self.omega, X, out)

    def _summary(self) -> str:
        return f"SSOR, omega {self.omega:g}"
