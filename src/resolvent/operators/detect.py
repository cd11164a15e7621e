"""What an assembled matrix proves about itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse import csgraph

from .convert import as_operator
from .props import Props

_PROBED = 512
"""Rows and columns that are looked at first: most matrices that are not symmetric show it there."""


def detect_props(A: Any, *, rtol: float = 1e-14) -> Props:
    """Return the claims that the entries of A prove up to rounding: symmetry, and definiteness by diagonal dominance.

    A real symmetric (complex self-adjoint) matrix with positive diagonal and weak diagonal dominance is positive
    semi-definite (Gershgorin); it is definite if every connected block has a strictly dominant row (irreducible
    dominance, Taussky 1949). With off-diagonal entries ≤ 0 it is then an M-matrix. A definite matrix without
    dominance is not recognised: pass ``props=SPD`` where you know it.

    Parameters
    ----------
    A : matrix or operator with entries
        Square or rectangular; a rectangular one proves nothing.
    rtol : float
        Aᵢⱼ and Aⱼᵢ count as equal if they differ by at most rtol (|Aᵢⱼ| + |Aⱼᵢ|): assembly rounds them differently.

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
    if not matrix.data.all():  # a stored zero connects nothing
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    if matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0 or not np.isfinite(matrix.data).all():
        return Props.NONE
    if matrix.shape[0] > 4 * _PROBED and _neither(matrix[:_PROBED][:, :_PROBED], rtol):
        return Props.NONE
    props = Props.NONE
    if entries_equal(matrix, matrix.T, rtol):
        props |= Props.SYMMETRIC
    if matrix.dtype.kind != "c":
        props |= Props.SELF_ADJOINT if props else Props.NONE
    elif entries_equal(matrix, matrix.T.conj(), rtol):
        props |= Props.SELF_ADJOINT
    diagonal = matrix.diagonal()
    if Props.SELF_ADJOINT in props and (diagonal.real > 0).all() and _irreducibly_dominant(matrix, diagonal.real):
        props |= Props.POSITIVE_DEFINITE
        off_diagonal = matrix.data[matrix.indices != np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))]
        if matrix.dtype.kind != "c" and (off_diagonal <= 0).all():
            props |= Props.M_MATRIX
    return props


def _neither(matrix: sp.csr_array, rtol: float) -> bool:
    """Whether a matrix is neither symmetric nor self-adjoint."""
    if entries_equal(matrix, matrix.T, rtol):
        return False
    return matrix.dtype.kind != "c" or not entries_equal(matrix, matrix.T.conj(), rtol)


def entries_equal(A: sp.csr_array, B: Any, rtol: float) -> bool:
    """Whether |Aᵢⱼ − Bᵢⱼ| ≤ rtol (|Aᵢⱼ| + |Bᵢⱼ|) for every entry. O(nnz).

    Entry by entry, because one large entry (a penalty) must not hide the asymmetry of the others.
    """
    difference = abs(A - B) - rtol * (abs(A) + abs(B))
    return bool(sp.csr_array(difference).data.max(initial=0.0) <= 0.0)


def _irreducibly_dominant(matrix: sp.csr_array, diagonal: np.ndarray) -> bool:
    """Whether every row is weakly dominant and every connected block has a strictly dominant row.

    Row sums are rounded, so the answer holds up to their rounding: a row may miss dominance by its own, and a block is
    accepted only if its rows together exceed dominance by more than all of theirs, because xᴴAx for a constant |x| is
    about Σ slackᵢ |xᵢ|². That keeps pure Neumann matrices out, whose slack is rounding alone.
    """
    row_sums = np.asarray(abs(matrix).sum(axis=1)).ravel()
    slack = 2.0 * diagonal - row_sums  # diagonal minus the sum of the off-diagonal magnitudes
    rounding = 1e-13 * row_sums
    if (slack < -rounding).any():
        return False
    count, block = csgraph.connected_components(abs(matrix), directed=False)
    total = np.bincount(block, weights=slack, minlength=count)
    uncertain = np.bincount(block, weights=rounding, minlength=count)
    strict = np.bincount(block, weights=slack > 1e3 * rounding, minlength=count)
    return bool(((strict > 0) & (total > uncertain)).all())
