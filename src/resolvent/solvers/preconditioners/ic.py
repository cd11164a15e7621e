"""Incomplete Cholesky factorisation."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.sparse as sp

from ...operators import SPD, Array, LinearOperator, Props, StructureError
from ...operators.props import complete
from ...operators.sparse import same_pattern
from .entries import host_entries
from .recipe import Recipe, is_number, is_whole

FIRST_SHIFT = 1e-3
"""First shift after a breakdown, doubled until all pivots are positive: Lin & Moré 1999 begin with the same."""


@dataclasses.dataclass(frozen=True)
class IC(Recipe):
    """Incomplete Cholesky factorisation, M = (Uᴴ D U)⁻¹ with U unit upper triangular and D > 0.

    ``IC()`` is IC(0): U has the pattern of A, so that Uᴴ D U equals A on it. With `drop_tol` there is fill: entries
    below drop_tol times the norm of their row of A are dropped, and of the rest the largest are kept, at most `fill`
    more than A has in the row. The numbering is that of A.

    Where a pivot is not positive, which for an M-matrix or a diagonally dominant matrix cannot happen, A + σ diag(A)
    is factorised instead, σ growing from 0.001 until it works; ``repr`` of M and ``M.shift`` tell σ. So M is always
    self-adjoint and positive definite, even for an indefinite A, and CG or MINRES may use it.

    Storage: half the entries of A (with `drop_tol` up to n · fill more) and one vector. An application costs about one
    product with A, the set-up a few. The sweeps run from the first unknown to the last and back, so they use one
    core. `update` keeps the index arrays of IC(0) while the pattern stays.

    Iterations still grow with the problem size, at best like those of SSOR with the best ω: do not use it where AMG
    applies and the problem is large, nor where σ comes out large.

    Parameters
    ----------
    drop_tol : float, optional
        Relative threshold, 0 ≤ drop_tol < 1; by default no fill. 0 keeps what `fill` allows.
    fill : int
        With `drop_tol`, how many more entries than A a row of U may have.

    Raises
    ------
    StructureError
        When built for an operator that is not self-adjoint: use ILU0 or ILU.
    ValueError
        For NaN or infinity among the entries, or for a row of zeros.

    References
    ----------
    Meijerink & van der Vorst 1977, doi:10.1090/S0025-5718-1977-0438681-4; Manteuffel 1980,
    doi:10.1090/S0025-5718-1980-0559197-0, for the shift; Lin & Moré 1999, doi:10.1137/S1064827597327334, for the
    choice of the entries.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG, IC
    >>> T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(30, 30))
    >>> A = sp.csr_array(sp.kron(T, sp.eye_array(30)) + sp.kron(sp.eye_array(30), T))
    >>> [CG().solve(A, np.ones(900), M=M).iterations for M in (None, IC(), IC(drop_tol=1e-2))]
    [55, 28, 16]
    """

    drop_tol: float | None = None
    fill: int = 10

    def __post_init__(self) -> None:
        if self.drop_tol is not None and not (is_number(self.drop_tol) and 0.0 <= self.drop_tol < 1.0):
            raise ValueError(f"drop_tol must be None (no fill) or lie between 0 and 1, got {self.drop_tol!r}")
        if not is_whole(self.fill, 0):
            raise ValueError(f"fill must be a whole number ≥ 0, got {self.fill!r}")

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return IncompleteCholesky(A, self)

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Build M for a changed A, with the index arrays of the old one if the pattern is the same."""
        reusable = isinstance(M, IncompleteCholesky)
        return IncompleteCholesky(A, self, previous=M if reusable else None)  # type: ignore[arg-type]

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: to be self-adjoint and positive definite."""
        return complete(SPD, A.dtype, A.shape)


class IncompleteCholesky(LinearOperator):
    """The incomplete Cholesky preconditioner of one matrix, applied by compiled triangular sweeps."""

    def __init__(self, A: LinearOperator, recipe: IC, previous: IncompleteCholesky | None = None) -> None:
        matrix = self_adjoint_entries(A, "IC")
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        self.recipe = recipe
        self._upper: UpperTriangle
        self._pattern: sp.csr_array
        if previous is not None and same_pattern(matrix, previous._pattern):
            self._upper = previous._upper
        else:
            self._upper = UpperTriangle(matrix)
        self._pattern = matrix
        self.shift, factors = factorise(matrix, self._upper, recipe)
        self._indptr, self._indices, self._data, self._inverse_pivots = factors

    @property
    def nnz(self) -> int:
        """Entries of U above the diagonal."""
        return int(self._data.size)

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        from .triangular_kernels import cholesky_solve

        cholesky_solve(self._indptr, self._indices, self._data, self._inverse_pivots, X, out)

    def _summary(self) -> str:
        drop_tol = self.recipe.drop_tol
        name = "IC(0)" if drop_tol is None else f"IC, drop_tol {drop_tol:g}"
        return f"{name}, {self.nnz} entries above the diagonal, shift {self.shift:g}"


class UpperTriangle:
    """Where the entries of a CSR matrix above its diagonal are, and on it."""

    def __init__(self, matrix: sp.csr_array) -> None:
        from .ic_kernels import upper_triangle

        self.indptr, self.indices, self.source = upper_triangle(matrix.indptr, matrix.indices)


def self_adjoint_entries(A: LinearOperator, method: str) -> sp.csr_array:
    """Return the entries of A, which claims to be self-adjoint or is found to be.

    Raises
    ------
    StructureError
        If it is not.
    """
    matrix = host_entries(A, method)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{method} needs a square matrix, got {matrix.shape[0]} x {matrix.shape[1]}")
    if Props.SELF_ADJOINT not in A.props:
        from .ic_kernels import is_self_adjoint

        # Assembly rounds the two triangles differently.
        rtol = 100.0 * float(np.finfo(matrix.dtype).eps)
        if not is_self_adjoint(matrix.indptr, matrix.indices, matrix.data, rtol):
            raise StructureError(f"{method} needs A = Aᴴ, but {A!r} is not self-adjoint: use ILU0 or ILU")
    return matrix


def factorise(matrix: sp.csr_array, upper: UpperTriangle, recipe: IC) -> tuple[float, tuple[np.ndarray, ...]]:
    """Return the shift, and indptr, indices and data of U above the diagonal with the reciprocal of D."""
    from .ic_kernels import factorise_in_pattern, factorise_with_threshold

    diagonal = matrix.diagonal().real.copy()
    size = abs(diagonal)
    if not (diagonal > 0).all():  # a scale for the shift that can make the row dominant
        sums = np.asarray(abs(matrix).sum(axis=1)).ravel()
        size = np.where(diagonal > 0, diagonal, sums)
        if not size.all():
            raise ValueError(f"IC cannot factorise a singular matrix: row {int(np.argmin(size))} is zero")
    if recipe.drop_tol is not None:
        drop = recipe.drop_tol * np.sqrt(np.asarray((abs(matrix) ** 2).sum(axis=1)).ravel())
    smallest = 100.0 * np.finfo(diagonal.dtype).eps * size
    shift = 0.0
    while True:
        pivots = diagonal + diagonal.dtype.type(shift) * size
        if recipe.drop_tol is None:
            indptr, indices, data = upper.indptr, upper.indices, matrix.data[upper.source]
            failure = factorise_in_pattern(indptr, indices, data, pivots, smallest)
        else:
            failure, indptr, indices, data = factorise_with_threshold(
                upper.indptr, upper.indices, matrix.data[upper.source], pivots, smallest, drop, int(recipe.fill)
            )
        if failure < 0:
            return shift, (indptr, indices, data, 1.0 / pivots)
        shift = max(2.0 * shift, FIRST_SHIFT)
        if not shift < 1e30:  # the row sums overflow
            raise ValueError(f"no shift makes the pivots positive (row {failure}): scale the matrix")
