"""Factors and systems of Kronecker structure."""

import numpy as np

from resolvent.operators import SPD, Dense, Kronecker, SumOfKroneckers, Toeplitz


def random(m, n=None, dtype=float, seed=0):
    rng = np.random.default_rng(1000 * m + seed)
    A = rng.standard_normal((m, m if n is None else n))
    return (A + 1j * rng.standard_normal(A.shape) if np.dtype(dtype).kind == "c" else A).astype(dtype)


def definite(n, seed=0, dtype=float):
    A = random(n, dtype=dtype, seed=seed)
    return Dense((A @ A.conj().T + n * np.eye(n)).astype(dtype), props=SPD)


def shifted(n, seed=0, dtype=float):
    """A general matrix whose eigenvalues have positive real parts."""
    return (random(n, dtype=dtype, seed=seed) + 4.0 * n**0.5 * np.eye(n)).astype(dtype)


def second(n):
    return Toeplitz([2.0, -1.0] + [0.0] * (n - 2), props=SPD)


def chebyshev(n):
    """Second derivative on n + 1 Chebyshev points, without the rows and columns of the ends: highly non-normal."""
    x = np.cos(np.pi * np.arange(n + 1) / n)
    c = np.ones(n + 1) * (-1.0) ** np.arange(n + 1)
    c[[0, -1]] *= 2.0
    D = np.outer(c, 1.0 / c) / (x[:, None] - x[None, :] + np.eye(n + 1))
    D -= np.diag(D.sum(axis=1))
    return (D @ D)[1:-1, 1:-1]


def finite_elements(n):
    K, M = definite(n), definite(n, 1)
    return SumOfKroneckers(Kronecker(K, M, M), Kronecker(M, K, M), Kronecker(M, M, K))


def three_products():
    return SumOfKroneckers(*(Kronecker(definite(3, s), definite(4, s)) for s in range(3)))
