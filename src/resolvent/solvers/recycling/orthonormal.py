"""Orthonormal bases of k vectors, with dependent ones left out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.linalg import lapack

from ...operators import Array
from ...operators.arrays import is_torch
from ..krylov.small_matrices import cholesky_factor, pivoted_qr, triangular_inverse
from ..vectors import Vectors

DEPENDENT = 1e-12
"""A vector whose part orthogonal to the others is below this times the largest is left out."""

GRAM_LIMIT = 1e-5
"""Smallest ratio of pivots up to which the Gram matrix, which squares them, tells what is independent."""

ORTHOGONAL = 1e-12
"""Loss of orthogonality above which the basis is orthonormalised once more."""


def orthonormalise(Y: Array, v: Vectors, dependent: float = DEPENDENT) -> tuple[Array, np.ndarray]:
    """Return an orthonormal basis of the span of the rows of Y, and how it is made of them.

    Cholesky QR of the Gram matrix, twice where once is not enough: all work of length n is in products of matrices.
    Where the Gram matrix cannot tell how dependent the rows are, QR with column pivoting is used instead.

    Parameters
    ----------
    Y : (k, n) array
        Rows are the vectors; not-a-number in a row leaves that row out.
    dependent : float
        A vector whose part orthogonal to the others is below this times the largest is left out.

    Returns
    -------
    Q : (j, n) array
        Orthonormal rows, j ≤ k.
    W : (k, j) array
        With Q = Wᵀ Y, on the host.
    """
    k = Y.shape[0]
    gram = v.gram(Y, Y)
    scale = np.sqrt(np.abs(np.diagonal(gram)))
    sound = np.flatnonzero(np.isfinite(scale) & (scale > 0.0))
    if len(sound) < k:
        if not len(sound):
            return Y[:0], np.zeros((k, 0), dtype=gram.dtype)
        # Columns left out here have no part in W.
        Q, part = orthonormalise(v.rows(Y, sound), v, dependent)
        W = np.zeros((k, part.shape[1]), dtype=part.dtype)
        W[sound] = part
        return Q, W
    order, R = _pivoted_cholesky(gram / np.outer(scale, scale))
    eps = float(np.finfo(gram.dtype).eps)
    limit = GRAM_LIMIT * (eps / np.finfo(np.float64).eps) ** 0.5
    if len(order) < k or abs(R[-1, -1]) < limit:
        order, R = _pivoted_qr(Y, scale, max(dependent, 10.0 * eps), v)
    elif abs(R[-1, -1]) <= dependent:
        rank = int((np.abs(np.diagonal(R)) > dependent).sum())
        order, R = order[:rank], R[:rank, :rank]
    j = len(order)
    W = np.zeros((k, j), dtype=gram.dtype)
    W[order] = triangular_inverse(R)
    W /= scale[:, None]
    Q = v.mix(W, Y)
    for _ in range(2):
        gram = v.gram(Q, Q)
        loss = float(np.linalg.norm(gram - np.eye(j)))
        if not loss > max(ORTHOGONAL, 10.0 * j * eps):
            break
        if not loss < 0.5:  # rounding has taken over: what is left of the worst vectors is noise
            return Y[:0], np.zeros((k, 0), dtype=gram.dtype)
        step = triangular_inverse(cholesky_factor(gram))
        Q, W = v.mix(step, Q), W @ step
    return Q, W


def rows_of(columns: Iterable[Array], v: Vectors) -> Array:
    """Return the columns of some (n, k) arrays as the rows of one basis."""
    blocks = list(columns)
    rows = v.basis(blocks[0], sum(block.shape[1] for block in blocks))
    position = 0
    for block in blocks:
        rows[position : position + block.shape[1]] = block.T
        position += block.shape[1]
    return rows


def _pivoted_cholesky(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the independent rows and R, upper triangular, with gram[order][:, order] = RᴴR."""
    (pstrf,) = lapack.get_lapack_funcs(("pstrf",), (gram,))
    R, pivots, rank, _ = pstrf(gram)
    return pivots[:rank] - 1, np.triu(R[:rank, :rank])


def _pivoted_qr(Y: Array, scale: np.ndarray, tolerance: float, v: Vectors) -> tuple[np.ndarray, np.ndarray]:
    """Return the same from QR with column pivoting, on the host."""
    rows = Y.detach().cpu().resolve_conj().numpy() if is_torch(Y) else Y
    _, R, pivots = pivoted_qr((rows / scale[:, None]).T)
    sizes = np.abs(np.diagonal(R))
    rank = int((sizes > tolerance * sizes[0]).sum())
    return pivots[:rank], R[:rank, :rank]
