"""Cholesky factorisation of a matrix with a narrow band by LAPACK."""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from .analysis import Analysis, Pattern, SingularError, Solve, by_parts
from .sparse_lu import SparseLU

WIDEST = 160
"""Half bandwidth up to which LAPACK's blocked band Cholesky beats a sparse factorisation of a grid: 1.4 times as many
certified samples at 64² and 128² (`benchmarks/generation.py`). Beyond, its n (w + 1) numbers are the larger concern."""


class BandedCholesky(Analysis):
    """A = L Lᴴ within the band: n w² operations and n (w + 1) numbers for half bandwidth w.

    A grid numbered row by row has w = number of points in a row. All work is in dense blocks of BLAS, no index is
    read, so that for narrow bands more operations take less time than a sparse factorisation.

    Parameters
    ----------
    pattern : Pattern
        Of a self-adjoint matrix; only the lower triangle is used.
    """

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern
        self.width = pattern.half_bandwidth()
        rows = pattern.rows()
        lower = pattern.indices <= rows
        columns = pattern.indices[lower].astype(np.intp)
        self._source = np.flatnonzero(lower)
        # LAPACK's lower band storage, column by column: entry (i, j) stands at [j, i − j].
        self._target = columns * (self.width + 1) + (rows[lower] - columns)

    def fits(self, matrix: sp.csr_array) -> bool:
        """Whether the matrix has the analysed pattern and dtype."""
        return self._pattern.fits(matrix)

    def factorise(self, matrix: sp.csr_array) -> Solve:
        """Factorise; raises SingularError where a pivot is not positive."""
        band = np.zeros((matrix.shape[0], self.width + 1), dtype=matrix.dtype)
        band.reshape(-1)[self._target] = matrix.data[self._source]
        pbtrf = scipy.linalg.get_lapack_funcs("pbtrf", (band,))
        # The transpose of a C-ordered array is what Fortran wants: factorised in place, without a copy.
        factor, info = pbtrf(band.T, lower=1, overwrite_ab=1)
        if info != 0:
            raise SingularError(f"the matrix is not positive definite (pivot {info})")

        return partial(by_parts, partial(_solve, factor), complex_factors=factor.dtype.kind == "c")

    def fallback(self) -> Analysis:
        """Return the sparse LU factorisation, which needs no definiteness."""
        return SparseLU(self._pattern, symmetric=True)


def _solve(factor: np.ndarray, r: np.ndarray, trans: str) -> np.ndarray:
    """Solve with L Lᴴ, which is its own adjoint whatever `trans` says."""
    pbtrs = scipy.linalg.get_lapack_funcs("pbtrs", (factor, r))
    return np.ascontiguousarray(pbtrs(factor, r, lower=1)[0])
