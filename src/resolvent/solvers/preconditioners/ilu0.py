"""Incomplete LU factorisation without fill."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.sparse as sp

from ...operators import SPD, Array, LinearOperator, Props
from ...operators.sparse import same_pattern
from .entries import host_entries
from .recipe import Recipe

ZERO_PIVOT = 100.0
"""A pivot of at most this many units of roundoff, relative to the largest entry of its row, counts as zero."""


@dataclasses.dataclass(frozen=True)
class ILU0(Recipe):
    """Incomplete LU factorisation without fill or pivoting, ILU(0): M = (L U)⁻¹, where L U equals A on its pattern.

    What PETSc's ``-pc_type ilu`` is by default, for nonsymmetric systems with a strong diagonal: diffusion with
    convection, implicit time steps. Of a self-adjoint A the factors are those of IC(0), and M is self-adjoint, though
    definite only where A is an M-matrix. `ILU` is the form with a threshold and pivoting (scipy's ``spilu``): more
    robust, with fewer iterations, larger factors and a much longer set-up.

    Storage: the entries of A, whose index arrays are shared, and one vector. An application costs about one product
    with A, the set-up a few. `update` keeps what depends on the pattern.

    The sweeps use one core. Do not use it for an indefinite matrix such as Helmholtz, whose factors may be unstable,
    nor for a self-adjoint definite one, where IC needs half the storage and cannot break down.

    Raises
    ------
    ValueError
        When built for a matrix with NaN or infinity, if a diagonal entry is not stored, or if a pivot vanishes.

    References
    ----------
    Meijerink & van der Vorst 1977, doi:10.1090/S0025-5718-1977-0438681-4; Saad 2003, doi:10.1137/1.9780898718003,
    section 10.3.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import GMRES, ILU0
    >>> wind = sp.diags_array([-1.5, 2.0, -0.5], offsets=[-1, 0, 1], shape=(30, 30))
    >>> A = sp.csr_array(sp.kron(wind, sp.eye_array(30)) + sp.kron(sp.eye_array(30), wind))
    >>> [GMRES(restart=100).solve(A, np.ones(900), M=M).iterations for M in (None, ILU0())]
    [69, 17]
    """

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return FactorsWithoutFill(A, self)

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Build M for a changed A, keeping the positions of the diagonal if the pattern is the same."""
        reusable = isinstance(M, FactorsWithoutFill)
        return FactorsWithoutFill(A, self, previous=M if reusable else None)  # type: ignore[arg-type]

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: to be self-adjoint where A is, and definite where A is an M-matrix besides."""
        # The pivots of an M-matrix are positive, and only larger where entries are dropped.
        if A.props & Props.M_MATRIX and SPD in A.props:
            return SPD | (A.props & Props.SYMMETRIC)
        return A.props & (Props.SELF_ADJOINT | Props.SYMMETRIC)


class FactorsWithoutFill(LinearOperator):
    """The ILU(0) preconditioner of one matrix, applied by compiled triangular sweeps without any allocation."""

    def __init__(self, A: LinearOperator, recipe: ILU0, previous: FactorsWithoutFill | None = None) -> None:
        if A.shape[0] != A.shape[1]:
            raise ValueError(f"ILU0 needs a square matrix, got {A.shape[0]} x {A.shape[1]}")
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        self.recipe = recipe
        matrix = host_entries(A, "ILU0")
        self._diagonal: np.ndarray
        self._matrix: sp.csr_array
        if previous is not None and same_pattern(matrix, previous._matrix):
            self._diagonal = previous._diagonal
        else:
            self._diagonal = diagonal_positions(matrix, "ILU0")
        self._matrix = matrix
        self._data, self._inverse_pivots = factorise(matrix, self._diagonal, "ILU0")

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        from .triangular_kernels import lu_solve

        lu_solve(self._matrix.indptr, self._diagonal, self._matrix.indices, self._data, self._inverse_pivots, X, out)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        from .triangular_kernels import lu_adjoint_solve

        if Props.SELF_ADJOINT in self.props:
            self._matmat_into(X, out)
            return
        lu_adjoint_solve(
            self._matrix.indptr, self._diagonal, self._matrix.indices, self._data, self._inverse_pivots, X, out
        )

    def _summary(self) -> str:
        return f"ILU(0), {self._data.size} entries"


def diagonal_positions(matrix: sp.csr_array, method: str) -> np.ndarray:
    """Return where in the data of a CSR matrix its diagonal stands.

    Raises
    ------
    ValueError
        If a diagonal entry is not stored.
    """
    from .ilu0_kernels import find_diagonal

    positions = np.empty(matrix.shape[0], dtype=matrix.indptr.dtype)
    missing = int(find_diagonal(matrix.indptr, matrix.indices, positions))
    if missing >= 0:
        raise ValueError(
            f"{method} needs every diagonal entry, but that of row {missing} is not stored: "
            "renumber the equations, or use ILU, which pivots"
        )
    return positions


def factorise(matrix: sp.csr_array, diagonal: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries of L and U on the pattern of the matrix, and the reciprocal diagonal of U.

    Raises
    ------
    ValueError
        Naming the row whose pivot vanishes.
    """
    from .ilu0_kernels import factorise_lu_in_pattern

    data, inverse_pivots = matrix.data.copy(), np.empty(matrix.shape[0], dtype=matrix.dtype)
    relative = ZERO_PIVOT * float(np.finfo(matrix.dtype).eps)
    failure = factorise_lu_in_pattern(matrix.indptr, diagonal, matrix.indices, data, inverse_pivots, relative)
    if failure >= 0:
        raise ValueError(
            f"{method} met a zero pivot in row {failure}: use ILU, which pivots, or another preconditioner if the "
            "matrix is singular"
        )
    return data, inverse_pivots
