"""Initial guesses from earlier solutions."""

from collections import deque

import numpy as np
import pytest

from resolvent.operators import SPD, Sparse
from resolvent.solvers import Previous, Projected, Scaled

from ..conformance import convection, poisson


@pytest.fixture
def definite():
    return Sparse(poisson(12), props=SPD)


def test_previous_is_the_last_solution(definite, rng):
    u = [rng.standard_normal((144, 1)) for _ in range(2)]
    x0, products = Previous().start(definite, np.ones((144, 1)), deque(u))
    assert x0 is u[1]
    assert products == 0


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_scaled_never_starts_worse_than_zero(definite, rng, size):
    B, U = rng.standard_normal((144, 3)), size * rng.standard_normal((144, 3))
    U[:, 2] = 0.0
    x0, products = Scaled().start(definite, B, deque([U]))
    residual = np.linalg.norm(B - definite @ x0, axis=0)
    assert (residual <= np.linalg.norm(B, axis=0) * (1.0 + 1e-14)).all()
    assert products == 3
    assert not x0[:, 2].any()


def test_scaled_does_not_let_not_a_number_through(definite, rng):
    x0, _ = Scaled().start(definite, rng.standard_normal((144, 1)), deque([np.full((144, 1), np.nan)]))
    assert not np.isfinite(x0).any() or not x0.any()


@pytest.mark.parametrize("operator", ["definite", "nonsymmetric", "complex"])
def test_projected_is_the_best_combination(operator, rng):
    matrix = poisson(12) if operator == "definite" else convection(12)
    if operator == "complex":
        matrix = matrix.astype(complex)
        matrix.data = matrix.data * np.exp(0.1j * rng.standard_normal(matrix.nnz))
    A = Sparse(matrix, props=SPD if operator == "definite" else SPD & ~SPD)
    U = [rng.standard_normal((144, 1)).astype(A.dtype) for _ in range(4)]
    U.append(U[0] + U[1])  # dependent
    b = rng.standard_normal((144, 1)).astype(A.dtype)
    x0, products = Projected().start(A, b, deque(U))
    basis = np.linalg.qr(np.hstack(U[:4]))[0]
    if operator == "definite":
        best = basis @ np.linalg.solve(basis.T @ (A @ basis), basis.T @ b)
        image = A @ best
        best = best * (image.T @ b) / (image.T @ image)
        assert products == 5
    else:
        best = basis @ np.linalg.lstsq(A @ basis, b, rcond=None)[0]
        assert products == 4
    assert np.linalg.norm(x0 - best) <= 1e-10 * np.linalg.norm(best)


def test_projected_contains_what_it_has_seen(definite, rng):
    U = [rng.standard_normal((144, 1)) for _ in range(3)]
    b = definite @ (2.0 * U[0] - U[2])
    x0, _ = Projected().start(definite, b, deque(U))
    assert np.linalg.norm(b - definite @ x0) <= 1e-10 * np.linalg.norm(b)


def test_projected_on_zero_solutions(definite):
    x0, products = Projected().start(definite, np.ones((144, 1)), deque([np.zeros((144, 1))]))
    assert not x0.any()
    assert products == 0


def test_bad_count():
    with pytest.raises(ValueError, match="count"):
        Projected(0)
