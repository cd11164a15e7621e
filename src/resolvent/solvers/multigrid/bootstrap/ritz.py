"""Lowest Ritz vectors: of given vectors, and of what a few preconditioned steps make of random ones."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from .composite import Composite
from .null_space import NullSpace

DEPENDENT = 1e-10
"""Directions below this share of the largest are left out of a basis."""


def lowest_ritz_vectors(matrix: sp.csr_array, W: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k lowest Ritz values and vectors of A y = λ D y in the span of the columns of W.

    Parameters
    ----------
    matrix : (n, n) csr_array
    W : (n, m) array
    k : int

    Returns
    -------
    values : (≤ k,) array
        Fewer where W has fewer independent columns.
    Y : (n, ≤ k) array
        D-orthonormal.
    """
    diagonal = matrix.diagonal()
    root = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))[:, None]
    scaled = root * W
    lengths = np.linalg.norm(scaled, axis=0)
    scaled = scaled[:, lengths > 0.0] / lengths[lengths > 0.0]
    Q, R = np.linalg.qr(scaled)
    left, sizes, _ = np.linalg.svd(R)
    Q = (Q @ left[:, : len(sizes)][:, sizes > DEPENDENT * sizes.max(initial=0.0)]) / root
    E = Q.T @ (matrix @ Q)
    values, G = np.linalg.eigh(0.5 * (E + E.T))
    return values[:k], Q @ G[:, :k]


def descend(
    composite: Composite, k: int, steps: int, kernel: NullSpace, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return k smooth vectors that `steps` steps of LOBPCG from random ones lead to, lowest first, and the work.

    The preconditioner is the composite itself, so that a step costs k applications and k products: the vectors that it
    leaves behind are combined, instead of being waited for as by the power method.

    Parameters
    ----------
    composite : Composite
        Symmetric.
    k, steps : int
    kernel : NullSpace
    rng : Generator

    Returns
    -------
    X : (n, ≤ k) array
        D-orthonormal.
    work : float
        In products with A.

    References
    ----------
    Knyazev 2001, doi:10.1137/S1064827500366124.
    """
    A = composite.matrix
    n, diagonal = A.shape[0], A.diagonal()[:, None]
    X = rng.random((n, k))
    if k > 1:  # the first of one sign, which carries most of the smoothest vector of a scalar equation
        X[:, 1:] -= 0.5
    kernel.remove_from_columns(X)
    theta, X = lowest_ritz_vectors(A, X, k)
    P = np.zeros((n, 0))
    work = 0.0
    for _ in range(steps):
        R = A @ X - diagonal * X * theta
        Y = np.empty_like(X)
        for c in range(X.shape[1]):
            y = np.empty(n)
            composite.improve(np.ascontiguousarray(R[:, c]), y, zero=True)
            Y[:, c] = y
        kernel.remove_from_columns(Y)
        basis = np.concatenate((X, Y, P), axis=1)
        work += X.shape[1] * (composite.cost(zero=True) + 3.0)
        if not np.isfinite(basis).all():
            break
        before = X
        theta, X = lowest_ritz_vectors(A, basis, k)
        # What the step added: the part of the new vectors outside of the old ones.
        P = X - before @ (before.T @ (diagonal * X))
    return X, work
