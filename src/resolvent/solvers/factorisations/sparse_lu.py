"""Sparse LU factorisation by SuperLU, with an ordering that is kept while the pattern stays."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from .analysis import Analysis, Pattern, SingularError, Solve, by_parts

_ORDERING = {True: "MMD_AT_PLUS_A", False: "COLAMD"}


class SparseLU(Analysis):
    """LU with a fill-reducing ordering that is found by the first factorisation and reused by the others.

    Parameters
    ----------
    pattern : Pattern
        Of the matrices to factorise.
    symmetric : bool
        Order A + Aᵀ by minimum degree and keep diagonal pivots (symmetric pattern), or order the columns (COLAMD) and
        pivot by rows.
    """

    def __init__(self, pattern: Pattern, *, symmetric: bool) -> None:
        self._pattern = pattern
        self.symmetric = symmetric
        self._columns: np.ndarray | None = None
        self._order: np.ndarray | None = None

    def fits(self, matrix: sp.csr_array) -> bool:
        """Whether the matrix has the analysed pattern and dtype."""
        return self._pattern.fits(matrix)

    def fallback(self) -> Analysis | None:
        """Return LU with partial pivoting, if this one keeps diagonal pivots."""
        return SparseLU(self._pattern, symmetric=False) if self.symmetric else None

    def factorise(self, matrix: sp.csr_array) -> Solve:
        """Factorise; raises SingularError for a zero pivot."""
        try:
            lu, rows, columns = self._factors(matrix)
        except RuntimeError as error:  # SuperLU: "Factor is exactly singular"
            raise SingularError(str(error)) from error
        dtype = matrix.dtype

        def solve(r: np.ndarray, trans: str) -> np.ndarray:
            into, out_of = (rows, columns) if trans == "N" else (columns, rows)
            x = np.empty(r.shape, dtype=r.dtype)
            x[out_of] = lu.solve(np.ascontiguousarray(r[into], dtype=dtype), trans)
            return x

        return partial(by_parts, solve, complex_factors=dtype.kind == "c")

    def _factors(self, matrix: sp.csr_array) -> tuple[spla.SuperLU, Any, Any]:
        """Return L and U, and the row and column permutations to solve with them."""
        pivoting: dict[str, Any] = {}
        if self.symmetric:
            pivoting = {"diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
        if self._columns is None:  # SuperLU finds the ordering, and permutes by itself
            lu = spla.splu(matrix.tocsc(), permc_spec=_ORDERING[self.symmetric], **pivoting)
            self._columns = np.argsort(lu.perm_c)
            return lu, slice(None), slice(None)
        if self._order is None:
            self._keep_positions()
        permuted = sp.csc_array((matrix.data[self._order], self._indices, self._indptr), shape=matrix.shape)
        lu = spla.splu(permuted, permc_spec="NATURAL", **pivoting)
        return lu, self._columns if self.symmetric else slice(None), self._columns

    def _keep_positions(self) -> None:
        """Find where each entry of the pattern stands in the permuted matrix, so that values are only gathered."""
        numbered = self._pattern.numbered()
        rows = self._columns if self.symmetric else slice(None)
        permuted = numbered[rows][:, self._columns].tocsc()
        permuted.sort_indices()
        self._order = permuted.data.astype(np.intp) - 1
        self._indices, self._indptr = permuted.indices, permuted.indptr
