"""Kronecker solves against scipy, dense matrices and each other."""

import numpy as np
import pytest
import scipy.linalg

from resolvent import solve
from resolvent.operators import (
    SPD,
    Dense,
    KernelDiff,
    Kronecker,
    KroneckerPlusDiagonal,
    KroneckerSum,
    SpectralMixture,
    StructureError,
)
from resolvent.solvers import CG, FastPoisson, KroneckerSolver, Status
from resolvent.solvers.kronecker.sylvester import triangular_sylvester

from .systems import chebyshev, definite, random, second, shifted


def test_the_log_determinant_is_not_clamped():
    rng = np.random.default_rng(0)
    factors, exact = [], 0.0
    spectrum = np.logspace(0.0, -12.0, 30)
    for n in (30, 30):
        Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
        A = (Q * spectrum) @ Q.T
        factors.append(Dense((A + A.T) / 2.0, props=SPD))
        exact += 30 * np.log(spectrum).sum()
    sign, log = KroneckerSolver().prepare(Kronecker(*factors)).logdet()
    assert sign == 1.0 and abs(log - exact) <= 1e-6 * abs(exact)


@pytest.mark.parametrize("kind", ["Chebyshev", "kernel"])
def test_non_normal_sums_are_solved_backward_stably_by_schur_factors(kind):
    if kind == "Chebyshev":
        A, B = chebyshev(101), chebyshev(101)
    else:
        kernel = SpectralMixture(np.log(np.full(5, 0.2)), np.full(5, -6.0), np.linspace(0.0, 1.0, 5), "gaussian")
        A = B = KernelDiff(kernel, np.linspace(0.0, 2.0 * np.pi, 102), 2, eps=1e-10).to_dense()[1:-1, 1:-1]
    F = random(100)

    def backward_error(X):
        size = np.linalg.norm(A, 2) + np.linalg.norm(B, 2)
        return np.linalg.norm(A @ X + X @ B.T - F) / (size * np.linalg.norm(X) + np.linalg.norm(F))

    for method, bound in (("schur", 1e-12), ("eig", 1e-10)):
        out = np.empty((10_000, 1))
        KroneckerSolver(method=method).prepare(KroneckerSum(A, B))._state.solve_into(
            F.reshape(-1, 1), out, adjoint=False
        )
        assert backward_error(out.reshape(100, 100)) <= bound
    assert backward_error(scipy.linalg.solve_sylvester(A, B.T, F)) <= 1e-12
    refined = KroneckerSolver(rtol=1e-8).solve(KroneckerSum(A, B), F.ravel())
    assert backward_error(refined.x.reshape(100, 100)) <= 1e-12
    assert refined.status in (Status.CONVERGED, Status.STAGNATED)


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (5, 130), (150, 3), (131, 140)])
def test_triangular_sylvester_equals_scipy(m, n, dtype):
    output = "real" if dtype is float else "complex"
    T, R = (scipy.linalg.schur(shifted(k, dtype=dtype), output=output)[0] for k in (m, n))
    F = random(m, n, dtype)
    Y, Z = F.copy(), F.copy()
    triangular_sylvester(T, R, Y)
    triangular_sylvester(T, R, Z, adjoint=True)
    size = np.abs(F).max()
    assert np.abs(T @ Y + Y @ R - F).max() <= 1e-11 * size
    assert np.abs(T.conj().T @ Z + Z @ R.conj().T - F).max() <= 1e-11 * size
    np.testing.assert_allclose(Y, scipy.linalg.solve_sylvester(T, R, F), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("adjoint", [False, True])
def test_the_scale_of_trsyl_is_divided_by(adjoint):
    """Quotients beyond 1e291 make LAPACK return a scaled solution."""
    T, R = 1e-100 * np.array([[1.0, 0.5], [0.0, 1.0]]), 1e-100 * np.array([[1.0, 0.25], [0.0, 2.0]])
    F = np.full((2, 2), 1e195)
    assert scipy.linalg.get_lapack_funcs(("trsyl",), (T, R, F))[0](T, R, F)[1] < 1.0
    Y = F.copy()
    triangular_sylvester(T, R, Y, adjoint=adjoint)
    Y, S, Q = Y / 1e295, T * 1e100, R * 1e100
    np.testing.assert_allclose((S.T @ Y + Y @ Q.T) if adjoint else (S @ Y + Y @ Q), np.ones((2, 2)), rtol=1e-12)


def test_eigenvectors_that_are_too_badly_conditioned_give_way_to_schur_factors():
    n = 30
    jordan = np.eye(n) + np.eye(n, k=1)

    def way(*factors):
        prepared = KroneckerSolver().prepare(KroneckerSum(*factors))
        assert prepared.solve(np.ones(prepared.A.shape[0])).converged
        return prepared._state.describe()

    assert way(jordan, 3.0 * np.eye(4), np.eye(2)) == way(jordan, np.eye(4)) == "Schur factors"
    assert way(shifted(5), shifted(4), shifted(3)) == way(definite(5), definite(4)) == "fast diagonalisation"
    assert way(shifted(5), definite(4)) == "Schur factors", "two axes need no eigenvectors"


def test_eigenvalues_and_eigenvectors():
    for A in (
        KroneckerSum(definite(3), definite(4)),
        Kronecker(definite(3), definite(4), definite(2)),
        KroneckerPlusDiagonal(Kronecker(definite(3, dtype=complex), definite(4)), 0.5),
    ):
        prepared = KroneckerSolver().prepare(A)
        values, V = prepared.eigh()
        D, W = A.to_dense(), V.to_dense()
        assert type(V) is Kronecker and np.allclose(W.conj().T @ W, np.eye(len(D)))
        assert np.allclose((W * values) @ W.conj().T, D)
    with pytest.raises(StructureError, match="self-adjoint"):
        KroneckerSolver().prepare(KroneckerSum(shifted(3), shifted(4))).eigh()
    with pytest.raises(StructureError, match="gives no eigenvectors"):
        CG().prepare(np.eye(3)).eigh()
    with pytest.raises(StructureError, match="gives no log-determinant"):
        CG().prepare(np.eye(3)).logdet()


def test_symmetry_up_to_rounding_is_symmetry():
    Q = np.linalg.qr(random(40))[0]
    K = (Q * np.logspace(0.0, -14.0, 40)) @ Q.T
    assert not np.array_equal(K, K.T)
    A = KroneckerPlusDiagonal(Kronecker(K, K), 1e-6)
    prepared = KroneckerSolver().prepare(A)
    assert prepared._state.condition == 1.0 and prepared.solve(A @ np.ones(1600)).converged
    expected = np.log(np.outer(np.logspace(0.0, -14.0, 40), np.logspace(0.0, -14.0, 40)) + 1e-6).sum()
    assert prepared.logdet()[1] == pytest.approx(expected, rel=1e-9)


def test_fast_transforms_are_those_of_fast_poisson():
    A = KroneckerSum(second(30), second(20))
    b = random(600, 1)[:, 0]
    ours, theirs = KroneckerSolver().prepare(A), FastPoisson().prepare(A)
    assert ours._state.describe() == "fast transforms"
    np.testing.assert_array_equal(ours.solve(b).x, theirs.solve(b).x)
    np.testing.assert_allclose(ours.solve(b).x, KroneckerSolver(method="eig").solve(A, b).x, rtol=1e-10)
    assembled = FastPoisson(grid=(30, 20)).solve(A.to_sparse(), b)
    np.testing.assert_array_equal(assembled.x, theirs.solve(b).x)
    with pytest.raises(StructureError, match="constant coefficients"):
        KroneckerSolver(method="transforms").prepare(KroneckerSum(shifted(3), second(4)))
    long = KroneckerSum(second(20_000), second(3))
    assert solve(long, np.ones(60_000)).converged, "no dense factor of an axis is formed"
