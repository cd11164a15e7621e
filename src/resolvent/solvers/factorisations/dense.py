"""LU factorisation of a dense array by LAPACK."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from .analysis import Analysis, SingularError, Solve


class DenseLU(Analysis):
    """PA = LU with partial pivoting: 2n³/3 operations, n² numbers. A dense array has no pattern to analyse."""

    def fits(self, matrix: np.ndarray) -> bool:
        """Every dense array fits."""
        return isinstance(matrix, np.ndarray)

    def factorise(self, matrix: np.ndarray) -> Solve:
        """Factorise; raises SingularError for a zero pivot."""
        factors, pivots, info = scipy.linalg.get_lapack_funcs("getrf", (matrix,))(matrix)
        if info != 0:
            raise SingularError(f"zero pivot in row {info}")
        codes = {"N": 0, "H": 2}
        return lambda r, trans: scipy.linalg.lu_solve((factors, pivots), r, codes[trans], check_finite=False)
