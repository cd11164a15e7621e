"""Two-level preconditioners against their formulas."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Function, Props, Sparse, StructureError
from resolvent.solvers import CG, GMRES, SSOR, Deflation, Jacobi, piecewise_constants

from ..conformance import convection, diffusion, neumann, poisson, spd

VARIANTS = ("additive", "balancing", "adef1", "adef2")


def formula(A, U, S, variant):
    Q, identity = U @ np.linalg.inv(U.conj().T @ A @ U) @ U.conj().T, np.eye(len(A))
    right = identity - A @ Q if variant in ("balancing", "adef1") else identity
    left = identity - Q @ A if variant in ("balancing", "adef2") else identity
    return left @ S @ right + Q


def matrix(kind, rng):
    if kind == "definite":
        return diffusion(5), SPD
    if kind == "hermitian":
        phase = sp.diags_array(np.exp(1j * np.linspace(0.0, 5.0, 25)))
        return sp.csr_array(phase @ diffusion(5) @ phase.conj()), SPD
    if kind == "complex":
        return sp.csr_array(convection(5) + 0.4j * sp.diags_array(rng.random(25))), Props.NONE
    return convection(5), Props.NONE


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ["definite", "hermitian", "nonsymmetric", "complex"])
@pytest.mark.parametrize("smoother", [Jacobi(), SSOR(1.3), None])
def test_formulas(variant, kind, smoother, rng):
    A, props = matrix(kind, rng)
    U = rng.standard_normal((25, 3))
    if A.dtype.kind == "c":
        U = U + 1j * rng.standard_normal((25, 3))
    A = Sparse(A, props=props)
    M = Deflation(U, smoother, variant)(A)
    S = np.eye(25) if smoother is None else smoother(A).to_dense()
    expected = formula(A.to_dense(), U, S, variant)
    X = rng.standard_normal((25, 4))
    for x in (X, X[:, 0]):
        assert np.allclose(M @ x, expected @ x)
        assert np.allclose(M.H @ x, expected.conj().T @ x)
    assert M.rank == 3
    one_sided = props == Props.NONE and variant in ("balancing", "adef2")
    assert M.setup_products == (6 if one_sided else 3)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ["definite", "nonsymmetric"])
def test_dependent_columns_change_nothing(variant, kind, rng):
    A, props = matrix(kind, rng)
    U = rng.standard_normal((25, 3))
    redundant = np.hstack((U, U @ rng.standard_normal((3, 2)), np.zeros((25, 1)), 1e6 * U[:, :1]))
    plain, more = (Deflation(basis, variant=variant)(Sparse(A, props=props)) for basis in (U, redundant))
    assert plain.rank == more.rank == 3
    assert np.allclose(plain.to_dense(), more.to_dense(), rtol=1e-8, atol=1e-8 * abs(plain.to_dense()).max())


def test_additive_is_definite_for_any_basis(rng):
    A = spd(diffusion(8, 1e4))
    for scale in (1e-6, 1.0, 1e6):
        U = scale * rng.standard_normal((64, 5))
        M = Deflation(U)(A)
        assert SPD in M.props and np.linalg.eigvalsh(M.to_dense())[0] > 0.0


def test_exact_vectors_take_the_small_eigenvalues_away(rng):
    A, b = diffusion(24, 1e4), rng.standard_normal(576)
    d = np.sqrt(A.diagonal())
    _, V = np.linalg.eigh(A.toarray() / np.outer(d, d))
    U = V[:, :10] / d[:, None]
    plain = CG().solve(spd(A), b, M=Jacobi()).iterations
    for variant in ("additive", "balancing"):
        deflated = CG().solve(spd(A), b, M=Deflation(U, variant=variant))
        assert deflated.converged and deflated.iterations < 0.65 * plain
    for variant in ("adef1", "adef2"):
        result = GMRES(restart=100).solve(spd(A), b, M=Deflation(U, variant=variant))
        assert result.converged and result.iterations <= 1.1 * deflated.iterations


def test_piecewise_constants_on_a_grid_and_without():
    U = piecewise_constants((4, 6), (2, 3))
    assert U.shape == (24, 6) and np.array_equal(U.sum(axis=1), np.ones(24))
    assert np.array_equal(U.sum(axis=0), np.full(6, 4.0))
    assert np.array_equal(U[:, 4].reshape(4, 6)[2:, 2:4], np.ones((2, 2)))
    assert piecewise_constants((8, 8), 4).sum() == 64 and piecewise_constants(7, 3).sum(axis=0).tolist() == [3, 2, 2]
    assert np.array_equal(piecewise_constants(3, np.array([1, 0, 1])), [[0, 1], [1, 0], [0, 1]])
    assert piecewise_constants((5, 30), 6).reshape(5, 30, 6)[:, :5, 0].all()  # boxes of about equal sides
    for parts in (0, 2.5, (), (2, 0), "2"):
        with pytest.raises(ValueError, match="whole number"):
            piecewise_constants((4, 4), parts)
    with pytest.raises(ValueError, match="do not fit"):
        piecewise_constants((4, 4), (5, 1))
    with pytest.raises(ValueError, match="need an operator on a grid of 2 axes"):
        piecewise_constants(16, (2, 2))
    with pytest.raises(ValueError, match="without gaps"):
        piecewise_constants(3, np.array([0, 2, 2]))


def test_update_makes_the_products_again_and_updates_the_smoother(rng):
    recipe = Deflation(rng.standard_normal((64, 4)), SSOR(1.2), "balancing")
    A = Sparse(poisson(8), props=SPD)
    M = recipe(A)
    A.update(A=sp.csr_array(diffusion(8)))
    again = recipe.update(M, A)
    assert again.setup_products == 4 and np.allclose(again.to_dense(), recipe(A).to_dense())


def test_singular_consistent_systems(rng):
    A = sp.csr_array(sp.kron(neumann(12), sp.eye_array(12)) + sp.kron(sp.eye_array(12), neumann(12)))
    singular = Sparse(A, props=SPD | Props.SINGULAR, grid=(12, 12))
    M = Deflation((3, 3))(singular)
    assert M.rank == 8  # the constants are in the span
    assert CG().solve(singular, A @ rng.standard_normal(144), M=M).converged


def test_recipes_with_arrays_are_values(rng):
    U = rng.standard_normal((25, 2))
    recipe = Deflation(U)
    assert recipe == Deflation(U.copy()) != Deflation(2.0 * U)
    assert recipe != Deflation(U, variant="adef1") and hash(recipe) == hash(Deflation(U.copy()))
    assert repr(recipe) == "Deflation(basis=<25 x 2 array>, smoother=Jacobi())"


def test_what_is_refused(rng):
    with pytest.raises(ValueError, match="variant must be one of"):
        Deflation(3, variant="deflated")
    with pytest.raises(TypeError, match="smoother must be a recipe"):
        Deflation(3, np.eye(3))
    with pytest.raises(ValueError, match="finite numbers"):
        Deflation(np.array([[np.nan], [1.0]]))
    with pytest.raises(ValueError, match="belongs to another system"):
        Deflation(np.ones((24, 1)))(spd(poisson(5)))
    with pytest.raises(ValueError, match="UᴴAU vanishes"):
        Deflation(np.zeros((25, 2)))(spd(poisson(5)))
    spoilt = poisson(5)
    spoilt.data[1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        Deflation(np.ones((25, 1)))(spd(spoilt))
    forward = Function((25, 25), lambda x: convection(5) @ x)
    with pytest.raises(StructureError, match="needs Aᴴ: use 'adef1'"):
        Deflation(np.ones((25, 1)), None, "balancing")(forward)
    assert Deflation(np.ones((25, 1)), None, "adef1")(forward).rank == 1
