"""Recycling MINRES: optimal over space and Krylov vectors, a space for the next system, honest ends."""

import numpy as np
import pytest

from resolvent.operators import Dense, Diagonal, Props, Sparse
from resolvent.solvers import MINRES, RMINRES, RecycleSpace, Status

from ..conformance import poisson, relative_residual

SLOW = np.r_[-0.01, -0.002, 0.001, 0.005]
SPECTRUM = np.r_[SLOW, np.linspace(-1.0, -0.5, 48), np.linspace(0.5, 1.0, 48)]


def indefinite(d, seed=0):
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(d), len(d))))[0]
    return (Q * d) @ Q.T, Q


def test_without_a_space_it_is_minres():
    A, b = Diagonal(SPECTRUM), np.ones(100)
    plain, recycling = MINRES().solve(A, b), RMINRES().solve(A, b)
    assert abs(plain.iterations - recycling.iterations) <= 1
    m = min(plain.iterations, 25)
    assert np.allclose(plain.history[:m], recycling.history[:m], rtol=1e-6)


def test_the_residual_is_minimal_over_space_and_krylov_vectors():
    """Against a dense least-squares problem over U and the Krylov space of (I − C Cᴴ) A."""
    A, _ = indefinite(SPECTRUM)
    rng = np.random.default_rng(2)
    U, b, steps = rng.standard_normal((100, 3)), rng.standard_normal(100), 7
    C = np.linalg.qr(A @ U)[0]
    v = b - C @ (C.T @ b)
    K = [v]
    for _ in range(steps - 1):
        w = A @ K[-1]
        w = w - C @ (C.T @ w)
        K.append(w / np.linalg.norm(w))
    Y = np.column_stack([U, *K])
    best = np.linalg.norm(b - A @ Y @ np.linalg.lstsq(A @ Y, b, rcond=None)[0])
    solver = RMINRES(k=3, maxiter=steps, rtol=1e-14)
    result = solver.solve(Dense(A, props=Props.SELF_ADJOINT), b, space=RecycleSpace(U))
    assert result.residual_norm == pytest.approx(best, rel=1e-8)
    assert result.counts.setup == 3


def test_an_exact_eigenspace_is_taken_out():
    A, Q = indefinite(SPECTRUM)
    A = Dense(A, props=Props.SELF_ADJOINT)
    result = RMINRES(k=4).solve(A, np.ones(100), space=RecycleSpace(Q[:, :4])).check()
    assert result.iterations <= 40
    assert MINRES().solve(A, np.ones(100)).iterations > 60


def test_the_space_it_hands_on_helps():
    A = Diagonal(SPECTRUM)
    method = RMINRES(k=10)
    first = method.solve(A, np.ones(100)).check()
    second = method.solve(Diagonal(1.01 * SPECTRUM), np.linspace(1.0, 2.0, 100), space=first.space).check()
    third = method.solve(Diagonal(1.02 * SPECTRUM), np.linspace(2.0, 1.0, 100), space=second.space).check()
    assert second.counts.products < first.counts.products
    assert third.iterations <= 0.75 * first.iterations


@pytest.mark.parametrize("preconditioned", [False, True])
def test_staleness_is_noticed_and_the_same_matrix_costs_nothing(preconditioned):
    shifted = poisson(16)
    shifted.setdiag(shifted.diagonal() - 0.9)
    A, b = Sparse(shifted, props=Props.SELF_ADJOINT), np.ones(256)
    M = Diagonal(np.linspace(0.8, 1.2, 256)) if preconditioned else None
    space = RMINRES(k=6).solve(A, b, M=M).check().space
    again = RMINRES(k=6).solve(A, np.arange(256.0), M=M, space=space).check()
    assert again.counts.setup == 0
    A.update(data=1.5 * A.matrix.data)
    result = RMINRES(k=6).solve(A, b, M=M, space=space).check()
    assert result.counts.setup == space.k
    assert relative_residual(A, result.x, b) <= 1e-8


@pytest.mark.parametrize("dtype", [np.complex128, np.float32])
def test_other_dtypes_and_any_space(dtype, rng):
    A, _ = indefinite(np.r_[np.linspace(-1.0, -0.3, 30), np.linspace(0.2, 1.0, 30)])
    if np.dtype(dtype).kind == "c":
        phase = np.exp(1j * rng.uniform(0.0, 6.0, 60))
        A = phase[:, None] * A * phase.conj()[None, :]
        A = 0.5 * (A + A.conj().T)
    U = rng.standard_normal((60, 5)).astype(dtype)
    U[:, 3] = U[:, 1]
    solver = RMINRES(k=5, rtol=1e-4 if dtype == np.float32 else 1e-8)
    b = rng.standard_normal(60).astype(dtype)
    result = solver.solve(Dense(A.astype(dtype), props=Props.SELF_ADJOINT), b, space=RecycleSpace(U)).check()
    assert result.extra["recycled"] == 4


def test_hard_cases():
    singular = np.diag(np.r_[0.0, np.linspace(-2.0, -1.0, 20), np.linspace(1.0, 3.0, 29)])
    assert RMINRES(k=3).solve(singular, np.r_[0.0, np.ones(49)]).converged
    for A, b in ((singular, np.ones(50)), (np.zeros((4, 4)), np.ones(4))):
        result = RMINRES(k=3).solve(A, b)
        assert result.status in (Status.STAGNATED, Status.BREAKDOWN)
        assert np.isfinite(result.x).all()
    M = Diagonal(np.r_[-1.0, np.ones(49)])
    assert RMINRES(k=3).solve(np.diag(np.linspace(1.0, 2.0, 50)), np.ones(50), M=M).status is Status.INDEFINITE


def test_many_lanczos_vectors_that_become_dependent():
    """More steps than the order of the matrix: what is collected becomes dependent, and collecting ends."""
    A = Diagonal(np.repeat([-1.0, 0.5, 1.0, 2.0], 12))
    for seed in range(5):
        b = np.random.default_rng(seed).standard_normal(48)
        assert RMINRES(rtol=1e-15).solve(A, b).residual_norm <= 1e-12


@pytest.mark.parametrize("options", [{"k": 0}, {"k": 1.5}, {"ell": 1}])
def test_bad_options(options):
    with pytest.raises(ValueError, match="must"):
        RMINRES(**options)
