"""Singular, wild and changing Kronecker systems."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp

from resolvent import solve
from resolvent.operators import (
    Dense,
    Diagonal,
    Kronecker,
    KroneckerPlusDiagonal,
    KroneckerSum,
    Sparse,
    StructureError,
    Toeplitz,
)
from resolvent.solvers import GMRES, KroneckerSolver, Status
from resolvent.solvers.factorisations import SingularError

from .systems import random, shifted, three_products

# Hard cases -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "A",
    [
        Kronecker(np.diag([1.0, 0.0]), shifted(3)),
        Kronecker(np.ones((2, 2)), shifted(3)),
        Kronecker(Diagonal([1.0, 0.0]), shifted(3)),
        KroneckerSum(np.diag([1.0, -1.0]), np.diag([1.0, 2.0])),
        KroneckerPlusDiagonal(KroneckerSum(np.diag([1.0, 2.0]), np.diag([1.0, 2.0])), -3.0),
        KroneckerSum(Toeplitz([2.0, -1.0, 0.0, -1.0], circulant=True), Toeplitz([2.0, -1.0, -1.0], circulant=True)),
    ],
)
def test_a_singular_system_is_a_breakdown_with_its_reason(A):
    prepared = KroneckerSolver().prepare(A)
    result = prepared.solve(np.arange(1.0, A.shape[0] + 1.0))
    assert result.status is Status.BREAKDOWN and "singular" in result.extra["reason"]
    with pytest.raises(SingularError, match="singular"):
        prepared.logdet()
    consistent = A @ np.arange(1.0, A.shape[0] + 1.0)
    assert solve(A, consistent).converged, "the chosen method goes on iteratively"


@pytest.mark.parametrize("method", ["auto", "schur", "eig"])
def test_nan_in_a_factor_is_a_status(method):
    A = shifted(3)
    A[1, 1] = np.nan
    result = KroneckerSolver(method=method).solve(KroneckerSum(A, shifted(2)), np.ones(6))
    assert not result.converged and np.isfinite(result.x).all()
    assert not KroneckerSolver().solve(Kronecker(A, shifted(2)), np.ones(6)).converged
    for spoilt in (
        KroneckerSum(A, shifted(2)),
        KroneckerSum(shifted(2), shifted(3)) + Diagonal([1, np.nan, 2, 3, 4, 5]),
    ):
        result = solve(spoilt, np.ones(6))
        assert result.status is Status.NONFINITE and np.isfinite(result.x).all()


def test_what_cannot_be_solved_says_what_to_use():
    K = Kronecker(shifted(3), shifted(4))
    for make, fragment in (
        (lambda: KroneckerSolver(method="QR"), "method must be"),
        (lambda: KroneckerSolver().prepare(Sparse(sp.eye_array(4))), "not Sparse"),
        (lambda: KroneckerSolver().prepare(Kronecker(random(2, 3), random(3, 2))), "rectangular factors"),
        (lambda: KroneckerSolver().prepare(K, M=np.eye(12)), "takes no preconditioner"),
        (lambda: KroneckerSolver(method="schur").prepare(K), "Schur factors solve Kronecker sums"),
        (lambda: KroneckerSolver(method="lu").prepare(KroneckerSum(shifted(2), shifted(2))), "method='lu'"),
        (lambda: KroneckerSolver().prepare(K + Diagonal(np.arange(12.0))), "M=KroneckerSolver()"),
        (lambda: KroneckerSolver().prepare(KroneckerSum(shifted(2), shifted(3)) + Diagonal(np.arange(6.0))), "varies"),
        (lambda: KroneckerSolver().prepare(three_products()), "two at most"),
        (lambda: GMRES().prepare(sp.eye_array(4).tocsr(), M=KroneckerSolver()), "KroneckerSolver is for"),
        (lambda: KroneckerSolver().prepare(KroneckerSum(sp.diags_array(np.arange(9000.0)), np.eye(2))), "too long"),
    ):
        with pytest.raises((StructureError, ValueError), match=fragment.replace("(", r"\(").replace(")", r"\)")):
            make()


# Changes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "schur"])
def test_a_new_shift_keeps_the_factors(method, monkeypatch):
    A = KroneckerPlusDiagonal(KroneckerSum(shifted(6), shifted(5)), 1.0)
    prepared = KroneckerSolver(method=method).prepare(A)

    def never(*arguments, **options):
        raise AssertionError("decomposed again")

    for name in ("eig", "eigh", "schur"):
        monkeypatch.setattr(scipy.linalg, name, never)
    A.update(d=2.5)
    b = np.ones(30)
    result = prepared.solve(b)
    assert result.converged
    np.testing.assert_allclose(A.to_dense() @ result.x, b, atol=1e-9)
    A.update(factors=(shifted(6, 2), None))
    with pytest.raises(AssertionError, match="decomposed again"):
        prepared.solve(b)


def test_changed_factors_are_noticed():
    A = Dense(shifted(4))
    prepared = KroneckerSolver().prepare(Kronecker(A, shifted(3)))
    adjoint = prepared.adjoint()
    A.update(A=shifted(4, 7))
    D = np.kron(shifted(4, 7), shifted(3))
    np.testing.assert_allclose(D @ prepared.solve(np.ones(12)).x, np.ones(12), atol=1e-9)
    np.testing.assert_allclose(D.T @ adjoint.solve(np.ones(12)).x, np.ones(12), atol=1e-9)
