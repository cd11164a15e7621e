"""The matrix as bootstrap multigrid takes it: real, symmetric to the last bit, rows sorted, plausible as definite."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ....operators import LinearOperator, Props, StructureError
from ....operators.detect import entries_equal
from ...preconditioners.entries import host_entries
from ..matching import symmetric_rows
from .hierarchy import ROUNDING

ASYMMETRY = 1e-12
"""Relative difference of a_ij and a_ji up to which a matrix that claims nothing is symmetric: assembly rounds."""


def symmetric_entries(A: LinearOperator, method: str) -> sp.csr_array:
    """Return the entries of A in double precision, symmetric to the last bit; a copy.

    Raises
    ------
    StructureError
        For a complex A, one that is not symmetric, and one with a negative diagonal entry.
    ValueError
        For NaN or infinity, zeros, and a rectangular A.
    """
    m, n = A.shape
    if m != n:
        raise ValueError(f"{method} needs a square matrix, got {m} x {n}")
    if A.dtype.kind == "c":
        raise StructureError(f"{method} is for real matrices, but {A!r} is complex: use smoothed_aggregation of AMG")
    matrix = host_entries(A, method)
    rtol = ASYMMETRY if matrix.dtype.itemsize == 8 else 1e-5
    matrix = sp.csr_array(matrix, dtype=np.float64, copy=True)
    if not matrix.count_nonzero():
        raise ValueError(f"{method} needs a matrix to coarsen, got {m} x {n} zeros")
    if Props.SELF_ADJOINT not in A.props and not entries_equal(matrix, matrix.T, rtol):
        raise StructureError(
            f"{method} needs A = Aᴴ, but {A!r} is not self-adjoint: use ILU0 or ILU, or AMG(method='air') for advection"
        )
    diagonal = matrix.diagonal()
    negative = np.flatnonzero(diagonal < 0.0)
    if len(negative):
        raise StructureError(
            f"{method} needs a positive definite matrix, but diagonal entry {negative[0]} of {A!r} is "
            f"{diagonal[negative[0]]:.3g}: use MINRES with another preconditioner, or −A where that is definite"
        )
    return symmetric_rows(matrix)


def rounding_of(A: LinearOperator) -> float:
    """Return the energies, relative to the D-norm, that are rounding in the precision in which A is given."""
    return ROUNDING * float(np.finfo(A.dtype).eps / np.finfo(np.float64).eps)
