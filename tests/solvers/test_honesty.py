"""Whatever the system, and however it ends, the result says what its x is worth."""

import dataclasses

import numpy as np
import pytest

from resolvent.operators import Dense
from resolvent.solvers import Status

from .conformance import ITERATIVE, SOLVERS, STATIONARY

KINDS = ("general", "symmetric", "definite", "semi-definite", "indefinite", "skew", "sparse", "nilpotent")


def matrix(kind, n, dtype, rng):
    A = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if dtype is complex else 0.0)
    eigenvalues = np.geomspace(1.0, 10.0 ** rng.uniform(0.0, 14.0), n)
    if kind == "semi-definite":
        eigenvalues[: max(1, n // 4)] = 0.0
    if kind == "indefinite":
        eigenvalues *= rng.choice([-1.0, 1.0], n)
    if kind in ("definite", "semi-definite", "indefinite"):
        Q = np.linalg.qr(A)[0]
        A = (Q * eigenvalues) @ Q.conj().T
    if kind in ("symmetric", "definite", "semi-definite", "indefinite"):
        A = (A + A.conj().T) / 2
    if kind == "skew":
        A = A - A.conj().T
    if kind == "sparse":
        A = np.round(A) * (rng.random((n, n)) < 0.3)
    if kind == "nilpotent":
        A = np.triu(A, 1)
    return A * 10.0 ** rng.integers(-3, 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_random_systems(kind, seed):
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    dtype = complex if seed % 3 == 2 else float
    n, k = int(rng.integers(1, 25)), int(rng.integers(1, 4))
    A = matrix(kind, n, dtype, rng)
    B = rng.standard_normal((n, k)).astype(dtype)
    if seed % 2:
        B = A @ B  # consistent
    X0 = None if seed < 3 else rng.standard_normal((n, k)) * 10.0 ** rng.integers(-3, 3)
    M = None
    if seed in (1, 4):
        Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
        M = Dense((Q * np.geomspace(0.1, 10.0, n)) @ Q.T)
    rtol = 10.0 ** rng.integers(-14, -2)
    for name, solver in (SOLVERS if M is None else ITERATIVE).items():
        # Zeros on the diagonal, or graphs of more than two colours, are refused.
        if name in STATIONARY and (kind in ("skew", "sparse", "nilpotent") or "red_black" in name):
            continue
        for maxiter in (None, 5):
            result = dataclasses.replace(solver, rtol=rtol, maxiter=maxiter).solve(A, B, X0, M)
            check(name, A, B, result)


def check(name, A, B, result):
    X = np.asarray(result.x)
    assert np.isfinite(X).all(), name
    with np.errstate(over="ignore"):
        residual = np.linalg.norm(B - A @ X, axis=0)
        rounding = 1e-13 * (np.linalg.norm(A) * np.linalg.norm(X, axis=0) + np.linalg.norm(B, axis=0))
    for c, column in enumerate(result.columns):
        assert abs(column.residual_norm - residual[c]) <= 1e-6 * residual[c] + rounding[c], (name, column.status)
        if column.status is Status.CONVERGED:
            assert residual[c] <= column.tolerance + rounding[c], name
        else:
            assert column.residual_norm > column.tolerance, (name, column.status)
        assert len(column.history) == column.iterations + 1, name
