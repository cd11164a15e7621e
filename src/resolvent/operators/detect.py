"""What an assembled matrix proves about itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse import csgraph

from .convert import as_operator
from .props import Props


def detect_props(A: Any, *, rtol: float = 1e-14) -> Props:
    """Return the claims that the entries of A prove: symmetry, and definiteness by diagonal dominance.

    A real symmetric (complex self-adjoint) matrix with positive diagonal and weak diagonal dominance is positive
    semi-definite (Gershgorin); it is definite if every connected block has a strictly dominant row (irreducible
    dominance, Taussky 1949). With off-diagonal entries ≤ 0 it is then an M-matrix. A definite matrix without
    dominance is not recognised: pass ``props=SPD`` where you know it.

    Parameters
    ----------
    A : matrix or operator with entries
        Square or rectangular; a rectangular one proves nothing.
    rtol : float
        Entries that differ by at most rtol · max|A| count as equal: assembly rounds Aᵢⱼ and Aⱼᵢ differently.

    Returns
    -------
    props : Props

    Notes
    -----
    O(nnz) time and two temporary copies of A.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from resolvent.operators import Props, detect_props
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(5, 5))
    >>> Props.POSITIVE_DEFINITE in detect_props(A)
    True
    """
    matrix = as_operator(A).to_sparse()
    if matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0 or not np.isfinite(matrix.data).all():
        return Props.NONE
    scale = float(abs(matrix.data).max(initial=0.0)) * rtol
    props = Props.NONE
    if abs((matrix - matrix.T).data).max(initial=0.0) <= scale:
        props |= Props.SYMMETRIC
    if matrix.dtype.kind != "c":
        props |= Props.SELF_ADJOINT if props else Props.NONE
    elif abs((matrix - matrix.T.conj()).data).max(initial=0.0) <= scale:
        props |= Props.SELF_ADJOINT
    diagonal = matrix.diagonal()
    if Props.SELF_ADJOINT in props and (diagonal.real > 0).all() and _irreducibly_dominant(matrix, diagonal.real):
        props |= Props.POSITIVE_DEFINITE
        off_diagonal = matrix.data[matrix.indices != np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))]
        if matrix.dtype.kind != "c" and (off_diagonal <= 0).all():
            props |= Props.M_MATRIX
    return props


def _irreducibly_dominant(matrix: sp.csr_array, diagonal: np.ndarray) -> bool:
    """Whether every row is weakly dominant and every connected block has a strictly dominant row."""
    row_sums = np.asarray(abs(matrix).sum(axis=1)).ravel()
    slack = 2.0 * diagonal - row_sums  # diagonal minus the sum of the off-diagonal magnitudes
    rounding = 1e-13 * row_sums
    if (slack < -rounding).any():
        return False
    # Rounding must not pass for strict dominance: a pure Neumann matrix has slack of the order of eps.
    strict = slack > 1e3 * rounding
    count, block = csgraph.connected_components(abs(matrix), directed=False)
    return bool(np.unique(block[strict]).size == count)
