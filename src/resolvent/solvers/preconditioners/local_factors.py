"""Factors of the block-diagonal matrix of all subdomains: complete by SuperLU, or without fill."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from .ic import IC, UpperTriangle
from .ic import factorise as factorise_ic
from .ilu0 import diagonal_positions
from .ilu0 import factorise as factorise_ilu0

Local = Literal["exact", "incomplete"]


@dataclasses.dataclass(frozen=True)
class LocalFactors:
    """Triangular factors, solved with in place by compiled sweeps.

    Parameters
    ----------
    arrays : tuple of arrays
        What `triangular_kernels` takes: four for Cholesky, five for LU.
    rows, columns : (m,) arrays or None
        Position of each equation and of each unknown of the factors in the matrix that was factorised; None where
        they are in order.
    shift : float
        Of an incomplete Cholesky factorisation.
    """

    arrays: tuple[np.ndarray, ...]
    rows: np.ndarray | None = None
    columns: np.ndarray | None = None
    shift: float = 0.0

    @property
    def is_cholesky(self) -> bool:
        """Whether these are Cholesky factors."""
        return len(self.arrays) == 4

    @property
    def nnz(self) -> int:
        """Stored entries of the factors."""
        return int(self.arrays[-2].size + (self.arrays[-1].size if self.is_cholesky else 0))

    def solve(self, Y: np.ndarray, *, adjoint: bool) -> None:
        """Overwrite Y with the solution of the system, or of the adjoint one."""
        from . import triangular_kernels as kernels

        solve: Any = kernels.lu_adjoint_solve if adjoint else kernels.lu_solve
        if self.is_cholesky:
            solve = kernels.cholesky_solve
        solve(*self.arrays, Y, Y)


def factorise(matrix: sp.csr_array, local: Local, *, definite: bool, ordered: bool) -> LocalFactors:
    """Factorise a matrix; unless it is `ordered` already, by minimum degree on A + Aᵀ.

    Raises
    ------
    ValueError
        If a pivot vanishes.
    """
    if local == "incomplete":
        if definite:
            shift, factors = factorise_ic(matrix, UpperTriangle(matrix), IC())
            return LocalFactors(factors, shift=shift)
        diagonal = diagonal_positions(matrix, "AdditiveSchwarz(local='incomplete')")
        data, inverse_pivots = factorise_ilu0(matrix, diagonal, "AdditiveSchwarz(local='incomplete')")
        return LocalFactors((matrix.indptr, diagonal, matrix.indices, data, inverse_pivots))
    # A tenth of the largest entry of a column is enough for a pivot on the diagonal: rows stay in place mostly.
    options = {"SymmetricMode": definite, "Equil": False}
    arrays: tuple[np.ndarray, ...]
    try:
        lu = spla.splu(
            sp.csc_array(matrix),
            permc_spec="NATURAL" if ordered else "MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0 if definite else 0.1,
            options=options,
        )
    except RuntimeError as error:  # SuperLU: "Factor is exactly singular"
        raise ValueError(
            f"the matrix of a subdomain is singular ({error}): choose other subdomains, or more overlap"
        ) from error
    in_order = np.arange(matrix.shape[0])
    rows, columns = np.argsort(lu.perm_r), np.argsort(lu.perm_c)
    U = sp.csr_array(lu.U)
    if definite and np.array_equal(rows, columns):
        pivots = U.diagonal().real
        if not (pivots > 0).all():
            raise ValueError("the matrix of a subdomain is not positive definite: the claim of A is false")
        U = sp.csr_array(sp.triu(sp.diags_array(1.0 / pivots) @ U, 1), dtype=matrix.dtype)
        U.sort_indices()
        arrays = (U.indptr, U.indices, U.data, (1.0 / pivots).astype(pivots.dtype))
    else:
        both = sp.csr_array(lu.L - sp.eye_array(len(rows)) + U, dtype=matrix.dtype)
        both.sort_indices()
        diagonal = diagonal_positions(both, "AdditiveSchwarz")
        arrays = (both.indptr, diagonal, both.indices, both.data, 1.0 / both.data[diagonal])
    return LocalFactors(
        arrays,
        None if np.array_equal(rows, in_order) else rows,
        None if np.array_equal(columns, in_order) else columns,
    )
