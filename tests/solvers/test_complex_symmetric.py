"""COCG and COCR: dense references, real systems, Helmholtz with absorption, isotropic vectors, refusals, adjoints."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from resolvent.operators import SPD, Dense, Diagonal, Function, Props, Sparse, StructureError
from resolvent.solvers import CG, COCG, COCR, GMRES, MINRES, SSOR, BiCG, Jacobi, Status

from .conformance import diffusion, poisson, relative_residual

METHODS = [COCG, COCR]
pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")


def helmholtz(n, k2, absorption):
    """−Δ − (1 − i absorption) k² with h = 1 on n × n unknowns: complex symmetric, damped for absorption > 0."""
    return sp.csr_array(poisson(n) - (1.0 - 1j * absorption) * k2 * sp.eye_array(n * n))


def complex_vector(n, rng):
    return rng.standard_normal(n) + 1j * rng.standard_normal(n)


def symmetric(n, rng):
    S = rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))
    return S + S.T + 12.0 * np.eye(n)


def test_cocg_is_its_textbook_recurrence(rng):
    n = 14
    A, M = symmetric(n, rng), np.diag(rng.uniform(0.5, 2.0, n) + 0.3j)
    b, iterates = complex_vector(n, rng), []
    COCG(maxiter=8).solve(A, b, M=Dense(M), callback=lambda p: iterates.append(p.x[:, 0].copy()))
    x, r, p, rho_old = np.zeros(n, complex), b.copy(), np.zeros(n, complex), np.inf
    for mine in iterates:
        z = M @ r
        rho = r @ z
        p = z + rho / rho_old * p
        alpha = rho / (p @ A @ p)
        x, r, rho_old = x + alpha * p, r - alpha * (A @ p), rho
        assert np.allclose(mine, x, rtol=1e-8, atol=1e-10)


def test_cocr_makes_products_of_residuals_conjugate(rng):
    """z_jᵀAz_k = 0 for j ≠ k defines the method: r is in x₀'s Krylov space with rᵀMAp = 0 for all directions so far."""
    n = 14
    A, M = symmetric(n, rng), np.diag(rng.uniform(0.5, 2.0, n) + 0.3j)
    b, iterates = complex_vector(n, rng), [np.zeros(n)]
    COCR(maxiter=6).solve(A, b, M=Dense(M), callback=lambda p: iterates.append(p.x[:, 0].copy()))
    Z = np.stack([M @ (b - A @ x) for x in iterates], axis=1)
    Z /= np.linalg.norm(Z, axis=0)
    gram = Z.T @ A @ Z
    assert abs(gram - np.diag(np.diag(gram))).max() < 1e-9 * abs(gram).max()
    K = np.stack([np.linalg.matrix_power(M @ A, j) @ M @ b for j in range(6)], axis=1)
    assert np.linalg.lstsq(K, iterates[-1], rcond=None)[1] < 1e-16


@pytest.mark.parametrize("recipe", [None, Jacobi(), SSOR(1.5)])
def test_real_systems_are_those_of_cg_and_cr(recipe, rng):
    A, b = diffusion(16), rng.standard_normal(256)
    cg, cocg = CG(maxiter=25).solve(A, b, M=recipe), COCG(maxiter=25).solve(A, b, M=recipe)
    assert np.allclose(cocg.history[:-1], cg.history[:-1], rtol=1e-6)
    minres, cocr = MINRES(maxiter=25).solve(A, b, M=recipe), COCR(maxiter=25).solve(A, b, M=recipe)
    assert np.allclose(cocr.history[:-1], minres.history[:-1], rtol=1e-6)


def test_cocg_is_bicg_with_the_conjugate_shadow(rng):
    """BiCG on a complex symmetric A with b real begins with the shadow conj(r) = r, and takes the same steps."""
    A, b = helmholtz(10, 0.3, 0.5), rng.standard_normal(100)
    mine, bicg = COCG().solve(A, b), BiCG().solve(A, b)
    k = min(len(mine.history), len(bicg.history)) - 1
    assert np.allclose(mine.history[:k], bicg.history[:k], rtol=1e-6)
    assert 2 * mine.counts.matvec <= bicg.counts.products + 4


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("recipe", [None, Jacobi()])
@pytest.mark.parametrize("absorption", [0.3, -0.3])
def test_helmholtz_with_absorption(method, recipe, absorption, rng):
    """Either sign is solved alike: the method does not care, the physics does."""
    A, b = helmholtz(20, 0.6, absorption), complex_vector(400, rng)
    result = method().solve(Sparse(A, props=Props.SYMMETRIC), b, M=recipe)
    assert result.converged and relative_residual(A, result.x, b) <= 1e-8
    assert np.allclose(result.x, spla.spsolve(A.tocsc(), b), atol=1e-6)
    full = GMRES(restart=400).solve(A, b, M=recipe).iterations
    assert full <= result.iterations <= 1.5 * full


@pytest.mark.parametrize("method", METHODS)
def test_the_wrong_sign_of_absorption_in_the_preconditioner_costs_iterations(method, rng):
    """A shifted Laplacian must be damped as the operator is; with the conjugate shift it is far from A."""
    A, b = helmholtz(20, 0.8, 0.3), complex_vector(400, rng)
    counts = []
    for shift in (0.5, -0.5):
        inverse = np.linalg.inv(helmholtz(20, 0.8, shift).toarray())
        result = method().solve(A, b, M=Dense((inverse + inverse.T) / 2, props=Props.SYMMETRIC))
        counts.append(result.iterations)
    assert counts[0] < 0.5 * counts[1]


@pytest.mark.parametrize("method", METHODS)
def test_a_form_that_vanishes_at_once_breaks_down(method):
    result = method().solve(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1.0, 0.0]))
    assert result.status is Status.BREAKDOWN and not result.x.any()


@pytest.mark.parametrize("method", METHODS)
def test_a_breakdown_leaves_the_other_columns_alone(method, rng):
    A = sp.block_diag([helmholtz(6, 0.3, 0.5), sp.csr_array([[0.0, 1.0], [1.0, 0.0]])], format="csr")
    B = np.zeros((38, 3), complex)
    B[:36, 0], B[36, 1], B[:36, 2] = complex_vector(36, rng), 1.0, complex_vector(36, rng)
    result = method().solve(A, B)
    assert [c.status for c in result.columns] == [Status.CONVERGED, Status.BREAKDOWN, Status.CONVERGED]
    for c in (0, 2):
        alone = method().solve(A, B[:, c].copy())
        assert abs(alone.iterations - result.columns[c].iterations) <= 2


@pytest.mark.parametrize("method", METHODS)
def test_refuses_what_it_cannot_use(method):
    A = helmholtz(4, 0.3, 0.5)
    hermitian = Sparse(sp.csr_array(poisson(4), dtype=complex), props=SPD)
    with pytest.raises(StructureError, match="is Hermitian"):
        method().prepare(hermitian)
    with pytest.raises(StructureError, match="needs M = Mᵀ"):
        method().prepare(A, hermitian)
    varying = Function(A.shape, lambda r: r, props=Props.VARIABLE)
    with pytest.raises(StructureError, match="needs a fixed preconditioner"):
        method().prepare(A, varying)
    with pytest.raises(StructureError, match="needs a fixed operator"):
        method().prepare(varying)
    method().prepare(Sparse(poisson(4), props=SPD))  # real: Hermitian is symmetric
    both = Sparse(sp.csr_array(poisson(4), dtype=complex), props=SPD | Props.SYMMETRIC)
    assert method().solve(both, np.ones(16)).converged


@pytest.mark.parametrize("method", METHODS)
def test_one_product_an_iteration(method, rng):
    A, b = helmholtz(12, 0.3, 0.5), complex_vector(144, rng)
    result = method().solve(A, b, M=Jacobi())
    assert result.counts.matvec == result.iterations + 2 and result.counts.rmatvec == 0
    # One more for COCR, whose preconditioned residual follows by recurrence.
    assert result.counts.preconditioner == result.iterations + (method is COCR)


@pytest.mark.parametrize("method", METHODS)
def test_the_adjoint_system_is_that_of_the_conjugate(method, rng):
    A, b = helmholtz(8, 0.3, 0.5), complex_vector(64, rng)
    prepared = method().prepare(Sparse(A, props=Props.SYMMETRIC), Jacobi())
    x = prepared.adjoint().solve(b).check().x
    assert relative_residual(A.conj().T, x, b) <= 1e-8
    real = method().prepare(Function((64, 64), lambda x: poisson(8) @ x))  # no adjoint, and none needed
    assert real.adjoint() is real


@pytest.mark.parametrize("method", METHODS)
def test_gradients_of_complex_symmetric_systems(method, rng):
    torch = pytest.importorskip("torch")
    from resolvent import solve

    A = torch.as_tensor(helmholtz(3, 0.3, 0.5).toarray()).requires_grad_()
    b = torch.as_tensor(complex_vector(9, rng)).requires_grad_()
    weight = torch.as_tensor(complex_vector(9, rng))
    (solve(A, b, solver=method(rtol=1e-12)).x * weight).real.sum().backward()
    ours = A.grad.clone(), b.grad.clone()
    A.grad = b.grad = None
    (torch.linalg.solve(A, b) * weight).real.sum().backward()
    assert torch.allclose(ours[0], A.grad, atol=1e-9) and torch.allclose(ours[1], b.grad, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_singular_systems(method, rng):
    d = np.r_[np.zeros(3), np.linspace(1.0, 2.0, 40) + 0.5j]
    b = complex_vector(43, rng)
    consistent = np.where(d == 0.0, 0.0, b)
    assert method().solve(Diagonal(d), consistent).converged
    result = method().solve(Diagonal(d), b)
    assert not result.converged and result.residual_norm <= np.linalg.norm(b)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_torch_storage(method, dtype, rng):
    torch = pytest.importorskip("torch")
    A = Sparse(helmholtz(8, 0.3, 0.5).astype(dtype), props=Props.SYMMETRIC)
    B = np.stack((complex_vector(64, rng), complex_vector(64, rng)), axis=1).astype(dtype)
    rtol = 1e-4 if dtype is np.complex64 else 1e-8
    result = method(rtol=rtol).solve(A.to_torch(), torch.as_tensor(B))
    assert result.converged and relative_residual(A, result.x.numpy(), B) <= 2 * rtol


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("shape", [(0, 1), (7, 1), (7, 3)])
@pytest.mark.parametrize("conjugate", [True, False])
def test_products_with_norms(dtype, shape, conjugate, rng):
    from resolvent.solvers.vectors import NumpyVectors

    x, y = ((rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) for _ in range(2))
    x, y = (a.astype(dtype) if np.dtype(dtype).kind == "c" else a.real.astype(dtype) for a in (x, y))
    dot, x_norm, y_norm = NumpyVectors().dot_norms(x, y, conjugate=conjugate)
    assert dot.dtype == dtype and x_norm.dtype == x.real.dtype
    assert np.allclose(dot, ((x.conj() if conjugate else x) * y).sum(axis=0), rtol=1e-4, atol=1e-5)
    assert np.allclose(x_norm, np.linalg.norm(x, axis=0), rtol=1e-5)
    assert np.allclose(y_norm, np.linalg.norm(y, axis=0), rtol=1e-5)
