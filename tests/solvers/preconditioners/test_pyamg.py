"""Recipes of algebraic multigrid: the cycle of pyamg, its options and what it refuses."""

import warnings

import numpy as np
import pyamg
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Props, Sparse, as_operator
from resolvent.solvers import AMG, CG, GMRES

from ..conformance import convection, diffusion, neumann, poisson, spd


@pytest.mark.parametrize("cycle", ["V", "W"])
@pytest.mark.parametrize("method", ["ruge_stuben", "smoothed_aggregation"])
def test_amg_is_the_cycle_of_pyamg(method, cycle, rng):
    A, b = diffusion(24), rng.standard_normal(576)
    M = AMG(method, cycle=cycle)(spd(A))
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002 - as the recipe does, for the estimates of spectral radii
    hierarchy = getattr(pyamg, f"{method}_solver")(A.copy(), **({"presmoother": SMOOTHER, "postsmoother": SMOOTHER}))
    np.random.set_state(state)  # noqa: NPY002
    expected = hierarchy.solve(b, x0=np.zeros(576), maxiter=1, tol=1e-30, cycle=cycle)
    assert np.allclose(M @ b, expected, rtol=1e-10, atol=1e-12 * abs(expected).max())
    residuals = []
    hierarchy.solve(b, tol=1e-8, accel="cg", residuals=residuals, cycle=cycle)
    mine = CG().solve(spd(A), b, M=M)
    assert abs(mine.iterations - (len(residuals) - 1)) <= 1  # pyamg stops on the preconditioned norm


SMOOTHER = ("gauss_seidel", {"sweep": "symmetric"})


def test_amg_recipes_with_other_near_null_spaces_differ():
    B = np.ones((4, 1))
    recipe = AMG("smoothed_aggregation", near_null_space=B)
    assert recipe == AMG("smoothed_aggregation", near_null_space=B.copy())
    assert recipe != AMG("smoothed_aggregation", near_null_space=2 * B) and recipe != AMG("smoothed_aggregation")
    assert "near_null_space=<4 x 1 array>" in repr(recipe)


def test_amg_iterations_hardly_grow_with_the_size():
    for recipe in (AMG(), AMG("smoothed_aggregation")):
        counts = []
        for n in (32, 64, 128):
            b = np.random.default_rng(0).standard_normal(n * n)
            counts.append(CG().solve(spd(diffusion(n)), b, M=recipe).iterations)
        assert max(counts) <= 16 and counts[-1] <= counts[0] + 5


def test_amg_prints_its_hierarchy_and_touches_no_global_state():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        M = AMG("smoothed_aggregation", strength=("symmetric", {"theta": 0.08}))(spd(poisson(16)))
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert f"{M.levels} levels, operator complexity {M.operator_complexity:.2f}" in repr(M)
    assert M.levels >= 2 and 1.0 < M.operator_complexity < 2.0


def test_amg_for_singular_and_nonsymmetric_and_diagonal_matrices(rng):
    A = sp.csr_array(sp.kron(neumann(20), sp.eye_array(20)) + sp.kron(sp.eye_array(20), neumann(20)))
    b = A @ rng.standard_normal(400)
    singular = CG().solve(Sparse(A, props=SPD | Props.SINGULAR), b, M=AMG())
    assert singular.converged and singular.iterations <= 12
    wind = GMRES().solve(convection(20), rng.standard_normal(400), M=AMG())
    assert wind.converged and wind.iterations <= 25
    # Nothing to coarsen: the coarsest level is the matrix, too large for a dense inverse.
    M = AMG()(spd(sp.csr_array(sp.diags_array(np.linspace(1.0, 2.0, 3000)))))
    assert M.levels == 1 and np.allclose((M @ np.ones(3000)) * np.linspace(1.0, 2.0, 3000), 1.0)


def test_amg_near_null_space_for_a_system_of_equations(rng):
    """Two uncoupled Laplacians, interleaved: without their own constants aggregation does worse."""
    A = spd(sp.csr_array(sp.kron(diffusion(16), sp.eye_array(2))))
    B = np.kron(np.ones((256, 1)), np.eye(2))
    b = rng.standard_normal(512)
    result = CG().solve(A, b, M=AMG("smoothed_aggregation", near_null_space=B))
    assert result.converged and result.iterations <= 20
    indefinite = Sparse(sp.csr_array(poisson(8) - 0.1 * sp.eye_array(64)), props=Props.SELF_ADJOINT)
    claims = AMG()(indefinite).props
    assert Props.SELF_ADJOINT in claims and Props.POSITIVE_DEFINITE not in claims


def test_amg_says_when_it_cannot_coarsen():
    zeros, skew = sp.csr_array((5, 5)), sp.csr_array(np.eye(30, k=1) - np.eye(30, k=-1))
    for method in ("ruge_stuben", "smoothed_aggregation"):
        with pytest.raises(ValueError, match="AMG needs a matrix to coarsen, got 5 x 5 zeros"):
            AMG(method)(as_operator(zeros))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pyamg warns as well
            with pytest.raises(ValueError, match="use ILU or a direct solver"):
                AMG(method)(as_operator(skew))
    with pytest.raises(ValueError, match=r"must have shape \(16,\) or \(16, q\) to fit A, got \(4,\)"):
        AMG("smoothed_aggregation", near_null_space=np.ones(4))(spd(poisson(4)))
