"""The shifted Laplacian: the formula, the sign of the absorption, iteration counts, errors, updates."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.families import Darcy2D, Helmholtz2D
from resolvent.operators import Props, Sparse, Stencil, StructureError, check_operator
from resolvent.solvers import GMRES, ILU, ShiftedLaplacian, Status
from resolvent.solvers.preconditioners.shifted_laplacian import absorption, squared_wavenumber
from resolvent.solvers.separable import Couplings


def problem(absorption="layer", n=32, k=20.0, seed=0, **options):
    family = Helmholtz2D(resolution=n, wavenumber=k, absorption=absorption, **options)
    inputs = family.draw(np.random.default_rng(seed))
    return family, inputs, *family.assemble(inputs)


def conjugated(A):
    return Stencil(A.coefficients.conj(), A.offsets, props=Props.SYMMETRIC, mirrored=True)


@pytest.mark.parametrize("kind", ["layer", "impedance"])
def test_the_absorption_of_an_operator_is_a_property_of_its_entries(kind):
    _, _, A, _ = problem(kind, n=14, k=9.0)
    assert absorption(A) == -1
    assert absorption(conjugated(A)) == 1
    assert absorption(Sparse(A.to_sparse(), grid=A.grid)) == -1
    assert absorption(Sparse(A.to_sparse())) == -1
    # For absorbing walls that sign is a theorem: Im xᴴAx ≤ 0 for every x.
    if kind == "impedance":
        hermitian = (A.to_sparse() - A.to_sparse().conj().T) / 2j
        assert np.linalg.eigvalsh(hermitian.toarray()).max() <= 1e-10
    real, _ = Darcy2D(resolution=8).assemble({"a": np.ones((8, 8))})
    assert absorption(real) == 0
    damped = Sparse(sp.csr_array(real.to_sparse() - (100.0 + 5.0j) * sp.eye_array(64)), grid=(8, 8))
    assert absorption(damped) == -1


def test_the_wavenumber_is_read_off_the_entries():
    family, inputs, A, _ = problem("impedance")
    k2 = squared_wavenumber(Couplings.of(A))
    expected = family.wavenumber**2 * inputs["m"]
    np.testing.assert_allclose(k2[1:-1, 1:-1], expected[1:-1, 1:-1], rtol=1e-10)
    np.testing.assert_allclose(k2[0, 3], expected[1, 3], rtol=1e-10)  # the neighbour's, where the wall hides it
    assert abs(k2 / expected - 1.0).max() < 0.2


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_exact_inverse_of_the_shifted_operator(beta, rng):
    _, _, A, _ = problem(n=16, k=10.0)
    x = rng.standard_normal(256) + 1j * rng.standard_normal(256)
    k2 = squared_wavenumber(Couplings.of(A)).ravel()
    for one, sign in ((A, -1), (conjugated(A), 1)):
        shift = k2 if sign == -1 else k2.conj()
        shifted = one.to_sparse() + sp.diags_array(sign * 1j * beta * shift)
        M = ShiftedLaplacian(beta=beta)(one)
        np.testing.assert_allclose(shifted @ (M @ x), x, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(shifted.conj().T @ (M.H @ x), x, rtol=1e-9, atol=1e-9)
        assert Props.SYMMETRIC in M.props


@pytest.mark.parametrize("kind", ["layer", "impedance"])
def test_the_wrong_sign_takes_many_more_iterations(kind):
    _, _, A, b = problem(kind, n=40, k=25.0)
    method = GMRES(restart=50, maxiter=150)
    right = method.solve(A, b, M=ShiftedLaplacian())
    wrong = method.solve(A, b, M=ShiftedLaplacian(sign=1))
    assert right.converged and right.iterations <= 45
    assert wrong.status is Status.MAXITER
    mirrored = method.solve(conjugated(A), b.conj(), M=ShiftedLaplacian())
    assert mirrored.converged and abs(mirrored.iterations - right.iterations) <= 1
    np.testing.assert_allclose(mirrored.x, right.x.conj(), rtol=1e-4, atol=1e-7 * abs(right.x).max())


def test_iterations_do_not_grow_with_the_grid():
    counts = []
    for n in (32, 64):
        _, _, A, b = problem("impedance", n=n, k=20.0)
        counts.append(GMRES(restart=100).solve(A, b, M=ShiftedLaplacian()).iterations)
    assert counts[1] <= counts[0] + 4


@pytest.mark.parametrize("inner", ["fft", ILU(drop_tol=1e-2)])
def test_approximate_inverses(inner):
    _, _, A, b = problem("impedance", n=28, k=17.0)
    plain = GMRES(restart=300, maxiter=300).solve(A, b)
    result = GMRES(restart=300, maxiter=300).solve(A, b, M=ShiftedLaplacian(inner=inner))
    assert result.converged and result.iterations < 0.6 * plain.iterations


def test_fast_transforms_are_exact_for_constant_coefficients():
    """A closed box with constant k: M is the inverse of A + iβk², of which the sign has to be given."""
    laplacian, _ = Darcy2D(resolution=20).assemble({"a": np.ones((20, 20))})
    A = Sparse(sp.csr_array(laplacian.to_sparse() - 300.0 * sp.eye_array(400)), props=Props.SYMMETRIC, grid=(20, 20))
    with pytest.raises(StructureError, match=r"nothing in .* absorbs.*give sign=-1"):
        ShiftedLaplacian(inner="fft")(A)
    for sign in (-1, 1):
        M = ShiftedLaplacian(inner="fft", sign=sign)(A)
        check_operator(M).check()
        shifted = A.to_sparse() + sign * 150.0j * sp.eye_array(400)
        np.testing.assert_allclose(shifted @ (M @ np.ones(400)), np.ones(400), atol=1e-11)
        np.testing.assert_allclose(shifted @ (ShiftedLaplacian(sign=sign)(A) @ np.ones(400)), np.ones(400), atol=1e-9)


@pytest.mark.parametrize("inner", ["direct", "fft", ILU()])
def test_claims_updates_and_values(inner):
    recipe = ShiftedLaplacian(inner=inner, beta=0.7)
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    _, _, A, b = problem(n=16, k=10.0)
    _, _, B, _ = problem(n=16, k=10.0, seed=1)
    M = recipe(A)
    check_operator(M).check()
    assert recipe.claims(A) == M.props
    before = M @ b
    updated = recipe.update(M, B)
    np.testing.assert_allclose(updated @ b, recipe(B) @ b, rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(M @ b, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0.0}, "beta must be positive"),
        ({"beta": np.nan}, "beta must be positive"),
        ({"inner": "lu"}, "inner must be 'direct', 'fft' or a recipe"),
        ({"sign": 2}, "sign must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        ShiftedLaplacian(**options)


def test_not_a_number_is_named():
    _, _, A, _ = problem(n=8, k=4.0)
    spoilt = A.coefficients.copy()
    spoilt[0, 2, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ShiftedLaplacian()(Stencil(spoilt, A.offsets, props=Props.SYMMETRIC, mirrored=True))
