"""What preconditioners need of a matrix: its entries or its diagonal, on the host and checked."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ...operators import LinearOperator, Props, Sparse


def host_diagonal(A: LinearOperator, method: str, *, zeros: bool = False) -> np.ndarray:
    """Return the diagonal of A as a numpy array, none of it zero, infinite or not-a-number, real where A = Aᴴ.

    With `zeros`, zeros are let pass.

    Raises
    ------
    ValueError
        Naming the first entry by which one cannot divide.
    """
    diagonal: np.ndarray = A.to_sparse().diagonal() if A._holds_torch() else A.diagonal()
    if Props.SELF_ADJOINT in A.props and diagonal.dtype.kind == "c":
        diagonal = diagonal.real.astype(diagonal.dtype)  # assembly may leave rounding in the imaginary part
    bad = np.flatnonzero(~np.isfinite(diagonal) | ((diagonal == 0) & (not zeros)))
    if len(bad):
        raise ValueError(
            f"{method} divides by the diagonal, but entry {bad[0]} of {A!r} is {diagonal[bad[0]]}"
            f"{f' and {len(bad) - 1} more are like it' if len(bad) > 1 else ''}: use ILU or no preconditioner"
        )
    return diagonal


def host_entries(A: LinearOperator, method: str) -> sp.csr_array:
    """Return the entries of A as CSR with sorted indices, all finite; perhaps shared with A, so not to be changed.

    Raises
    ------
    ValueError
        If an entry is infinite or not-a-number.
    """
    matrix = A.to_sparse()
    if not np.isfinite(matrix.data).all():
        raise ValueError(f"{method} needs finite entries, but {A!r} holds NaN or infinity: check how it was assembled")
    if not matrix.has_sorted_indices:
        matrix = matrix.sorted_indices()
    return matrix


def on_host(A: LinearOperator) -> LinearOperator:
    """Return A itself, or a copy on the host of what lives on torch storage."""
    return Sparse(A.to_sparse(), props=A.props, grid=A.grid) if A._holds_torch() else A
