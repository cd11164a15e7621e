"""Weighted matching of the vertices of a matrix, compatible with a smooth vector.

Two matchings of the same quality: `greedy_matching` sorts all edges and is the reference, `suitor_matching` is compiled
and needs no sort. Edges of equal weight are ordered by their vertices, so that both find the same matching always, not
only for distinct weights.

A maximum-product matching is a maximum-weight one for the logarithms of the weights. Both methods look at the order of
weights alone, which logarithms do not change, so that none is taken: the result is at least half the optimum for
log(a/(0.999 min a)), too.

Vertices at which the smooth vector vanishes take part in no edge; published programs let them pair with others, which
leaves a zero in the column of the pair.

References
----------
D'Ambra, Filippone & Vassilevski 2018, doi:10.1145/3190647 (weights, coarsening); Manne & Halappanavar 2014,
doi:10.1109/IPDPS.2014.62 (suitors).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

VANISHES = 1e-150
"""Entries of a smooth vector below this multiple of the largest are zero: their squares would be subnormal."""


def edge_weights(A: Any, w: Any) -> sp.csr_array:
    """Return how strongly each edge of a symmetric matrix is coupled, as the smooth vector w sees it.

        â_ij = |1 − 2 a_ij w_i w_j / (a_ii w_i² + a_jj w_j²)|

    the D-energy of the complement of (w_i, w_j) within the pair, scaled. For a positive definite A it lies between 0
    and 2, and above 1 where the pair (w_i, w_j) is cheaper than its entries apart.

    Parameters
    ----------
    A : (n, n) sparse matrix, symmetric
    w : (n,) array

    Returns
    -------
    weights : (n, n) csr_array
        Symmetric, without diagonal.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers.multigrid.matching import edge_weights
    >>> edge_weights(sp.diags_array([-1.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(3, 3)), np.ones(3)).toarray()
    array([[0.  , 1.25, 0.  ],
           [1.25, 0.  , 1.25],
           [0.  , 1.25, 0.  ]])
    """
    from .matching_kernels import edge_weights as fill

    matrix = symmetric_rows(sp.csr_array(A, dtype=float))
    w = scaled_vector(w, matrix.shape[0])
    weights = np.empty(matrix.nnz)
    fill(matrix.indptr, matrix.indices, matrix.data, matrix.diagonal(), w == 0.0, w, weights)
    found = sp.csr_array((weights, matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
    found.eliminate_zeros()
    return found


def symmetric_rows(matrix: sp.csr_array) -> sp.csr_array:
    """Return (A + Aᵀ)/2, symmetric to the last bit, by sorted rows: what matchings rely on."""
    found = sp.csr_array(0.5 * (matrix + matrix.T))
    found.sum_duplicates()
    index = np.int32 if found.nnz <= np.iinfo(np.int32).max else np.int64
    indptr, indices = found.indptr.astype(index, copy=False), found.indices.astype(index, copy=False)
    return sp.csr_array((found.data, indices, indptr), shape=found.shape)


def scaled_vector(vector: Any, n: int) -> np.ndarray:
    """Return a vector with largest magnitude one and exact zeros where it vanishes.

    Raises
    ------
    ValueError
        If it has another length, is not finite, or vanishes everywhere.
    """
    w: np.ndarray = np.asarray(vector, dtype=float)
    if w.shape != (n,):
        raise ValueError(f"a smooth vector for {n} unknowns must have shape ({n},), got {w.shape}")
    largest = float(abs(w).max(initial=0.0))
    if not 0.0 < largest < np.inf:
        raise ValueError(f"a smooth vector must be finite and not zero, but its largest magnitude is {largest}")
    w = w / largest
    w[abs(w) <= VANISHES] = 0.0
    return w


def suitor_matching(weights: Any) -> np.ndarray:
    """Return a half-approximate maximum-weight matching: the partner of each vertex, −1 where it has none.

    Expected work O(nnz); nothing is sorted. Compiled.

    Parameters
    ----------
    weights : (n, n) sparse matrix, symmetric
        Entries ≤ 0 are no edges.

    Returns
    -------
    mate : (n,) array of int
    """
    from .matching_kernels import suitor

    matrix = sp.csr_array(weights, dtype=float)
    mate = np.empty(matrix.shape[0], dtype=np.int64)
    suitor(matrix.indptr, matrix.indices, matrix.data, mate)
    return mate


def greedy_matching(weights: Any) -> np.ndarray:
    """Return the matching that takes the heaviest edge left, again and again: the reference of `suitor_matching`.

    O(nnz log nnz), in Python: for tests and small graphs.

    Parameters
    ----------
    weights : (n, n) sparse matrix, symmetric
        Entries ≤ 0 are no edges.

    Returns
    -------
    mate : (n,) array of int

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.multigrid.matching import greedy_matching, suitor_matching
    >>> path = np.diag([1.0, 3.0, 2.0], 1)
    >>> greedy_matching(path + path.T), suitor_matching(path + path.T)
    (array([-1,  2,  1, -1]), array([-1,  2,  1, -1]))
    """
    edges = sp.coo_array(sp.triu(sp.csr_array(weights), 1))
    i, j = edges.coords
    mate = np.full(edges.shape[0], -1, dtype=np.int64)
    for e in np.lexsort((j, i, -edges.data)):
        if edges.data[e] > 0.0 and mate[i[e]] < 0 and mate[j[e]] < 0:
            mate[i[e]], mate[j[e]] = j[e], i[e]
    return mate
