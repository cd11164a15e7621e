"""Kronecker solves as preconditioners, and when they are chosen."""

import numpy as np
import pytest

from resolvent import choose, solve
from resolvent.operators import (
    SPD,
    Dense,
    Diagonal,
    Kronecker,
    KroneckerPlusDiagonal,
    KroneckerSum,
    Masked,
    Props,
    SumOfKroneckers,
    Toeplitz,
    check_operator,
)
from resolvent.solvers import CG, FGMRES, GMRES, MINRES, KroneckerSolver, ToeplitzSolver
from resolvent.solvers.kronecker.nearest import nearest_product

from .systems import chebyshev, definite, finite_elements, random, second, shifted, three_products

# Preconditioners ----------------------------------------------------------------------------------------------------


def test_a_varying_diagonal_takes_few_iterations_whatever_the_grid():
    counts = []
    for n in (16, 32, 64):
        T, d = (n + 1.0) ** 2 * second(n), 20.0 * (1.0 + np.sin(7.0 * np.arange(n * n) / n))
        A = KroneckerPlusDiagonal(KroneckerSum(T, T), d)
        result = CG().solve(A, np.ones(n * n), M=KroneckerSolver())
        assert result.converged
        counts.append(result.iterations)
    assert max(counts) <= 10 and counts[2] <= counts[0]
    plain = CG().solve(A, np.ones(n * n))
    assert counts[-1] < plain.iterations / 5


@pytest.mark.parametrize("solver", [GMRES(), FGMRES()])
def test_gmres_with_a_non_normal_sum_and_a_newton_diagonal(solver):
    D = chebyshev(25)
    x = np.cos(np.pi * np.arange(1, 25) / 25)
    u = np.outer(np.sin(3 * x), np.cos(x)).ravel()
    A = KroneckerPlusDiagonal(KroneckerSum(D, D), 3.0 * u**2 - 1.0)
    prepared = solver.prepare(A, M=KroneckerSolver())
    result = prepared.solve(np.ones(576))
    assert result.converged and result.iterations <= 8
    factors = prepared.M.factors
    A.update(d=3.0 * u**2 - 0.5)
    assert prepared.solve(np.ones(576)).converged
    assert prepared.M.factors is not factors and prepared.M.factors._T is factors._T, "a new mean keeps the factors"


@pytest.mark.parametrize(
    "A",
    [
        KroneckerPlusDiagonal(KroneckerSum(definite(4), definite(3)), np.linspace(1.0, 3.0, 12)),
        KroneckerPlusDiagonal(KroneckerSum(shifted(4), shifted(3)), np.linspace(1.0, 3.0, 12)),
        KroneckerPlusDiagonal(Kronecker(definite(4), definite(3)), np.linspace(1.0, 3.0, 12)),
        Kronecker(shifted(4, dtype=complex), shifted(3)),
        Masked(Kronecker(definite(4), definite(3)), np.arange(12) % 5 > 0),
        Masked(KroneckerSum(second(4), second(3)), np.arange(12) % 5 > 0),
        SumOfKroneckers(*(Kronecker(definite(4, s), definite(3, s)) for s in range(3))),
    ],
)
def test_preconditioners_are_operators_with_true_claims(A):
    M = KroneckerSolver()(A)
    check_operator(M).check()
    assert M.props == M.props | KroneckerSolver().claims(A)
    result = GMRES().solve(A, np.ones(A.shape[0]), M=KroneckerSolver())
    assert result.converged and result.iterations <= 10


def test_a_singular_structured_part_is_still_a_preconditioner():
    T = second(8).to_dense()
    T[0, 0] = T[-1, -1] = 1.0
    N = Dense(T, props=SPD | Props.SINGULAR)
    for method in ("auto", "eig"):
        A = KroneckerSum(N, N)
        M = KroneckerSolver(method=method)(A)
        check_operator(M).check()
        b = A @ random(64, 1)[:, 0]
        assert MINRES().solve(A, b, M=Dense(M.to_dense(), props=SPD)).converged


def test_masked_observations_of_a_covariance():
    n = 24
    x = np.linspace(0.0, 1.0, n)
    K = Dense(np.exp(-((x[:, None] - x[None, :]) ** 2) / 0.02) + 1e-3 * np.eye(n), props=SPD)
    A = Masked(KroneckerPlusDiagonal(Kronecker(K, K), 1e-2), np.random.default_rng(0).random((n, n)) > 0.1)
    b = random(A.shape[0], 1)[:, 0]
    with_, without = CG().solve(A, b, M=KroneckerSolver()), CG(maxiter=2000).solve(A, b)
    assert with_.converged and with_.iterations < without.iterations / 2
    choice = choose(A)
    assert isinstance(choice.solver, CG) and isinstance(choice.M, KroneckerSolver)


def test_the_nearest_product_is_nearest():
    A = SumOfKroneckers(*(Kronecker(definite(4, s), definite(3, s)) for s in range(3)))
    nearest = nearest_product(A)
    D = A.to_dense()
    rearranged = D.reshape(4, 3, 4, 3).transpose(0, 2, 1, 3).reshape(16, 9)
    best = np.sqrt((np.linalg.svd(rearranged, compute_uv=False)[1:] ** 2).sum())
    assert np.linalg.norm(D - nearest.to_dense()) == pytest.approx(best, rel=1e-6)
    assert Props.POSITIVE_DEFINITE in nearest.props


# The choice -------------------------------------------------------------------------------------------------------


def test_the_choice_follows_the_structure():
    expected = [
        (Kronecker(shifted(3), shifted(4)), KroneckerSolver, None),
        (KroneckerSum(shifted(3), shifted(4)), KroneckerSolver, None),
        (KroneckerSum(second(3), second(4)), KroneckerSolver, None),
        (KroneckerPlusDiagonal(KroneckerSum(definite(3), definite(4)), np.arange(12.0)), CG, KroneckerSolver),
        (KroneckerPlusDiagonal(KroneckerSum(shifted(3), shifted(4)), np.arange(12.0)), GMRES, KroneckerSolver),
        (KroneckerPlusDiagonal(KroneckerSum(definite(3), definite(4)), -np.arange(12.0)), None, KroneckerSolver),
        (three_products(), CG, KroneckerSolver),
        (finite_elements(3), KroneckerSolver, None),
        (Toeplitz([3.0, 1.0, 0.5]), ToeplitzSolver, None),
    ]
    for A, solver, M in expected:
        choice = choose(A)
        assert solver is None or type(choice.solver) is solver, A
        assert (choice.M is None) == (M is None) and (M is None or type(choice.M) is M)
        b = A @ np.linspace(1.0, 2.0, A.shape[0])
        result = solve(A, b)
        assert result.converged
        np.testing.assert_allclose(A @ result.x, b, atol=1e-6 * np.abs(b).max())
    singular = KroneckerSum(*[Dense(np.ones((2, 2)), props=Props.SYMMETRIC | Props.SINGULAR)] * 2)
    assert not isinstance(choose(singular).solver, KroneckerSolver)
    huge = Kronecker(random(300), random(300))
    assert isinstance(choose(huge, M=Diagonal(np.ones(90_000))).solver, GMRES), "its 8e9 entries are not looked at"
