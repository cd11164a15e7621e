"""FFT-CG: few iterations on every grid, scalings, updates."""

import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.families import Darcy2D, Darcy3D
from resolvent.operators import SPD, Props, Sparse
from resolvent.solvers import CG, GMRES, FastPoisson

from ..conformance import convection, poisson
from .axes import kron_sum


@pytest.mark.parametrize("resolution", [64, 100, 256])
@pytest.mark.parametrize(("law", "limit"), [("lognormal_unit", 30), ("skr", 15), ("fno_twophase", 25)])
def test_few_iterations_on_every_grid(resolution, law, limit):
    family = Darcy2D(resolution=resolution, coefficient=law)
    for seed in range(2):
        A, b = family.assemble(family.draw(np.random.default_rng(seed)))
        result = CG().solve(A, b, M=FastPoisson())
        assert result.converged and result.iterations <= limit
    M = FastPoisson()(A)
    assert M.scaled == (law != "fno_twophase") and M.setup_products == 0


@pytest.mark.parametrize("grid", ["cell", "vertex"])
def test_three_dimensions_and_vertex_grids(grid):
    family = Darcy3D(resolution=16, grid=grid, coefficient="lognormal_unit")
    A, b = family.assemble(family.draw(np.random.default_rng(1)))
    assert CG().solve(A, b, M=FastPoisson()).iterations <= 25
    wall = 2.0 if grid == "cell" else 1.0
    assert all((axis.left, axis.right) == (wall, wall) for axis in FastPoisson()(A).inverse.axes)


def test_the_choice_is_the_better_of_the_two():
    for law in ("skr", "lognormal_unit", "fno_twophase", "fno_twophase_12_4"):
        family = Darcy2D(resolution=128, coefficient=law)
        A, b = family.assemble(family.draw(np.random.default_rng(5)))
        iterations = {s: CG().solve(A, b, M=FastPoisson(scaling=s)).iterations for s in ("auto", "sqrt", "none")}
        assert iterations["auto"] == min(iterations.values())
        # The estimates foretell the counts: ½ ln(2/rtol) √κ.
        foretold = 9.56 * np.sqrt(FastPoisson()(A).conditions)
        assert foretold[0] == pytest.approx(iterations["none"], rel=0.3)
        if iterations["sqrt"] < 30:
            assert foretold[1] == pytest.approx(iterations["sqrt"], rel=0.3)


def test_the_scaled_form_is_the_formula(rng):
    family = Darcy2D(resolution=6, coefficient="lognormal_unit")
    A, _ = family.assemble(family.draw(rng))
    M = FastPoisson(scaling="sqrt")(A)
    L = kron_sum(M.inverse.axes, M.inverse.scales, M.inverse.shift)
    # diag L is that of the reference, up to the mean of what scaling leaves.
    d = M._d.ravel()
    np.testing.assert_allclose(M.to_dense(), d[:, None] * np.linalg.inv(L) * d, rtol=1e-10, atol=1e-16)
    flat = A.diagonal() * d**2
    np.testing.assert_allclose(flat / flat[14], np.diag(L - M.inverse.shift * np.eye(36)) / np.diag(L)[14], rtol=0.2)


def test_an_update_keeps_eigenvectors_and_follows_the_coefficients():
    family = Darcy2D(resolution=32, coefficient="lognormal_unit")
    (A, _), (B, b) = (family.assemble(family.draw(np.random.default_rng(s))) for s in (0, 1))
    recipe = FastPoisson()
    old = recipe(A)
    before = old @ b
    new = recipe.update(old, B)
    assert all(axis is old.inverse.axes[0] for axis in (*old.inverse.axes, *new.inverse.axes))
    np.testing.assert_array_equal(new @ b, recipe(B) @ b)
    np.testing.assert_array_equal(old @ b, before)
    squares = np.where(np.indices((32, 32)).sum(axis=0) // 8 % 2, 12.0, 3.0)
    C, _ = family.assemble({"a": squares})
    assert old.scaled and not recipe.update(old, C).scaled
    assert pickle.loads(pickle.dumps(new)).matvec(b) == pytest.approx(new @ b, rel=1e-12)


def test_reaction_wind_and_complex_symmetry(rng):
    n = 24
    reaction = sp.diags_array(np.exp(rng.standard_normal(n * n)))
    A = Sparse(sp.csr_array(poisson(n) + 0.1 * reaction), props=SPD, grid=(n, n))
    b = rng.standard_normal(n * n)
    assert CG().solve(A, b, M=FastPoisson()).iterations <= 15
    wind = Sparse(convection(n, 0.1), grid=(n, n))
    assert GMRES().solve(wind, b, M=FastPoisson()).iterations <= 25
    absorbing = Sparse(sp.csr_array(poisson(n) + 0.1j * reaction), props=Props.SYMMETRIC, grid=(n, n))
    assert GMRES().solve(absorbing, b, M=FastPoisson()).iterations <= 25


def test_an_application_allocates_nothing_of_the_size_of_a_vector(rng):
    for n, law in ((96, "lognormal_unit"), (256, "lognormal_unit"), (256, "fno_twophase")):
        family = Darcy2D(resolution=n, coefficient=law)
        A, _ = family.assemble(family.draw(np.random.default_rng(0)))
        M = FastPoisson()(A)
        X, out = rng.standard_normal((n * n, 1)), np.empty((n * n, 1))
        M._matmat_into(X, out)
        tracemalloc.start()
        M._matmat_into(X, out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.6 * 8 * n * n
