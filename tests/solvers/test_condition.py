"""Condition numbers of preconditioned operators."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.families import PoissonObstacles
from resolvent.operators import Dense, StructureError, as_operator
from resolvent.solvers import AMG, CG, IC, ILU, SSOR, Jacobi, condition_number


def poisson(n):
    T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    return sp.csr_array(sp.kronsum(T, T))


@pytest.mark.parametrize("M", [None, Jacobi(), SSOR(1.4), IC(), AMG()], ids=str)
def test_it_is_that_of_the_dense_spectrum(M):
    A = poisson(12)
    B = np.eye(144) if M is None else M(as_operator(A)).to_dense()
    spectrum = np.sort(np.linalg.eigvals(B @ A.toarray()).real)
    found = condition_number(A, M, rtol=1e-4)
    assert found.settled and found.products <= 200
    assert np.isclose(found.smallest, spectrum[0], rtol=1e-4) and np.isclose(found.largest, spectrum[-1], rtol=1e-4)
    assert found.value == found.largest / found.smallest
    assert 0.99 * spectrum[-1] / spectrum[0] <= condition_number(A, M).value <= (1 + 1e-9) * spectrum[-1] / spectrum[0]


def test_a_complex_operator_and_one_of_few_eigenvalues():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((30, 30)) + 1j * rng.standard_normal((30, 30)))[0]
    A = Q @ np.diag(np.repeat([1.0, 2.0, 50.0], 10)) @ Q.conj().T
    found = condition_number(0.5 * (A + A.conj().T))
    assert found.settled and found.products == 3 and np.isclose(found.value, 50.0)
    one = condition_number(np.array([[4.0]]))
    assert one.value == 1.0 and one.settled


def test_it_tells_how_far_it_came():
    A = poisson(60)
    few, whole = condition_number(A, maxsteps=20), condition_number(A)
    assert not few.settled and few.products == 20 and few.value < 0.5 * whole.value
    assert str(few).startswith("at least") and not str(whole).startswith("at least")


def test_from_b_it_sees_what_the_solve_sees():
    family = PoissonObstacles(resolution=24, fraction=(0.2, 0.3))
    A, b = family.assemble(family.draw(np.random.default_rng(0)))
    seen = condition_number(A, Jacobi(), start=b, rtol=1e-3)
    k = CG(rtol=1e-8).solve(A, b, M=Jacobi()).iterations
    root = np.sqrt(seen.value)
    assert k <= np.log(2.0 * root / 1e-8) / np.log((root + 1) / (root - 1)) + 1
    # Solid cells are an eigenvalue of their own, which b has no part in.
    scaled = condition_number(Dense(np.diag([1.0, 2.0, 1e6])), start=np.array([1.0, 1.0, 0.0]))
    assert np.isclose(scaled.value, 2.0)


def test_bad_input_is_refused():
    A = poisson(6)
    with pytest.raises(StructureError, match="not positive definite"):
        condition_number(-A)
    with pytest.raises(StructureError, match="positive definite"):
        condition_number(A, -sp.eye_array(36))
    with pytest.raises(ValueError, match="NaN or infinity"):
        condition_number(np.diag([1.0, np.nan]))
    with pytest.raises(ValueError, match="NaN or infinity"):
        condition_number(A, Dense(np.full((36, 36), np.nan)))
    for start in (np.zeros(36), np.ones(3), np.full(36, np.inf)):
        with pytest.raises(ValueError, match="start must be"):
            condition_number(A, start=start)
    with pytest.raises(ValueError, match="rtol"):
        condition_number(A, rtol=0.0)
    for maxsteps in (0, -1, 2.5):
        with pytest.raises(ValueError, match="maxsteps"):
            condition_number(A, maxsteps=maxsteps)
    with pytest.raises(ValueError, match="square operator, got 3 x 4"):
        condition_number(np.ones((3, 4)))
    with pytest.raises(StructureError, match="maps the start vector to zero"):
        condition_number(A, np.zeros((36, 36)))


def test_imaginary_parts_of_the_preconditioner_and_of_the_start_count():
    rng = np.random.default_rng(2)
    Q = np.linalg.qr(rng.standard_normal((30, 30)) + 1j * rng.standard_normal((30, 30)))[0]
    M = Q @ np.diag(np.linspace(1.0, 3.0, 30)) @ Q.conj().T
    A = np.diag(np.linspace(1.0, 9.0, 30))
    spectrum = np.sort(np.linalg.eigvals(M @ A).real)
    assert np.isclose(condition_number(A, M, rtol=1e-6).value, spectrum[-1] / spectrum[0], rtol=1e-6)
    assert np.isclose(condition_number(A, start=1j * np.ones(30), rtol=1e-6).value, 9.0, rtol=1e-6)


def test_what_is_not_self_adjoint_is_named():
    A = poisson(12)
    skewed = A + sp.diags_array([0.2], offsets=[1], shape=A.shape)
    weakly = A + sp.diags_array([1e-4], offsets=[1], shape=A.shape)
    triangle = sp.eye_array(144) + sp.diags_array([0.3], offsets=[1], shape=A.shape)
    for nonsymmetric in (skewed, weakly, -skewed, np.array([[1.0, 5.0], [-5.0, 1.0]]), A * (1.0 + 0.1j)):
        with pytest.raises(StructureError, match=r"needs A = Aᴴ.*not self-adjoint"):
            condition_number(nonsymmetric)
    for M in (ILU(1e-1), sp.csr_array(triangle)):
        with pytest.raises(StructureError, match=r"needs M = Mᴴ.*not self-adjoint"):
            condition_number(A, M)


def test_a_singular_operator_is_named_and_looked_at_beside_its_null_space():
    T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(20, 20)).tolil()
    T[0, 0] = T[-1, -1] = 1.0
    neumann = sp.csr_array(sp.kronsum(T, T))
    for A, M in ((neumann, None), (neumann, Jacobi()), (np.diag([0.0, 1.0, 2.0]), None)):
        with pytest.raises(StructureError, match=r"singular.*start="):
            condition_number(A, M, rtol=1e-3)
    b = np.random.default_rng(0).standard_normal(400)
    exact = 2.0 * np.sin(19 * np.pi / 40) ** 2 / np.sin(np.pi / 40) ** 2
    assert np.isclose(condition_number(neumann, start=b - b.mean(), rtol=1e-4).value, exact, rtol=1e-4)


@pytest.mark.parametrize("M", [None, Jacobi(), SSOR(1.4), IC()], ids=str)
def test_the_scale_of_the_operator_does_not_matter(M):
    A = poisson(12)
    for scale in (1e-300, 1e200):
        assert np.isclose(condition_number(A * scale, M).value, condition_number(A, M).value, rtol=1e-10)
