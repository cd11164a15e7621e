"""Algebraic multigrid by pyamg: methods and their classes of problem, adjoints, and what an update keeps."""

import pickle

import numpy as np
import pyamg
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Props, Sparse, StructureError, check_operator
from resolvent.solvers import AMG, CG, GMRES, SOR, Refresh, Sequence, Status
from resolvent.solvers.preconditioners import Deflation
from resolvent.solvers.preconditioners.local_blocks import LocalBlocks

from ..conformance import convection, diffusion, neumann, poisson, relative_residual, second_difference, spd

METHODS = ("ruge_stuben", "smoothed_aggregation", "root_node", "air")
SYMMETRIC_METHODS = METHODS[:3]


def advection(n, eps, rng):
    """Upwind differences of eps Δ and a constant wind, numbered at random so that no sweep follows the wind."""
    D, one = sp.diags_array([-1.0, 1.0], offsets=[-1, 0], shape=(n, n)), sp.eye_array(n)
    A = eps * n * n * poisson(n) + n * (sp.kron(one, D) + 0.7 * sp.kron(D, one))
    order = rng.permutation(n * n)
    return sp.csr_array(sp.csr_array(A)[order][:, order])


def slowly_changing(n, steps):
    """Coefficients that turn by a twentieth from system to system: one pattern, values within a factor of two."""
    first, last = diffusion(n, 100.0), diffusion(n, 200.0)
    return [sp.csr_array((1.0 - t) * first + t * last) for t in np.linspace(0.0, 1.0, steps)]


@pytest.mark.parametrize("cycle", ["V", "W"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("matrix", [poisson(9), convection(9)], ids=["symmetric", "nonsymmetric"])
def test_the_adjoint_is_that_of_the_cycle(method, cycle, matrix):
    """Without claims, so that the adjoint is computed and not taken for M."""
    M = AMG(method, cycle=cycle, sweeps=2)(Sparse(matrix))
    check_operator(M).check()
    columns = np.stack([M @ e for e in np.eye(81)], axis=1)
    assert np.allclose(np.stack([M.H @ e for e in np.eye(81)], axis=1), columns.T, atol=1e-12 * abs(columns).max())
    is_symmetric = np.allclose(columns, columns.T, atol=1e-12 * abs(columns).max())
    assert is_symmetric == (method != "air" and matrix[0, 1] == matrix[1, 0])


@pytest.mark.parametrize("method", ["smoothed_aggregation", "root_node"])
def test_complex_aggregation_has_its_adjoint(method):
    matrix = sp.csr_array(convection(8) + 0.5j * sp.eye_array(64))
    check_operator(AMG(method)(Sparse(matrix))).check()


def test_reduction_is_for_advection():
    """Iterations stay where they are while the grid is refined fourfold; classical multigrid's triple."""
    rng = np.random.default_rng(0)
    counts = {}
    for n in (32, 128):
        A, b = advection(n, 1e-6, rng), np.ones(n * n)
        for method in ("air", "ruge_stuben"):
            result = GMRES().solve(A, b, M=AMG(method)).check()
            assert relative_residual(A, result.x, b) <= 1e-8
            counts[method, n] = result.iterations
    assert counts["air", 128] <= counts["air", 32] + 2 <= 9
    assert counts["ruge_stuben", 128] >= 2 * counts["ruge_stuben", 32]


def test_reduction_is_the_solver_of_pyamg():
    A, b = convection(16), np.random.default_rng(1).standard_normal(256)
    hierarchy = pyamg.air_solver(A.copy())
    expected = hierarchy.solve(b, x0=np.zeros(256), maxiter=1, tol=1e-30, cycle="V")
    assert np.allclose(AMG("air")(Sparse(A)) @ b, expected, rtol=1e-10, atol=1e-12 * abs(expected).max())


def test_what_cannot_be_used_is_refused():
    complex_matrix = Sparse(sp.csr_array(poisson(4) + 1j * sp.eye_array(16)))
    for method in ("air", "ruge_stuben"):
        with pytest.raises(StructureError, match=f"{method} interpolation is real, .* use smoothed_aggregation"):
            AMG(method)(complex_matrix)
        with pytest.raises(ValueError, match="used by method='smoothed_aggregation' and 'root_node' only"):
            AMG(method, near_null_space=np.ones(4))
    with pytest.raises(ValueError, match="reuse must be one of 'nothing', 'interpolation', 'hierarchy', got 'all'"):
        AMG(reuse="all")
    with pytest.raises(ValueError, match="strength must be a threshold"):
        AMG(strength=[0.25])
    with pytest.raises(ValueError, match="strength must be a threshold"):
        AMG(strength=float("nan"))


@pytest.mark.parametrize(
    ("method", "written"),
    [
        ("ruge_stuben", ("classical", {"theta": 0.5})),
        ("smoothed_aggregation", ("symmetric", {"theta": 0.1})),
        ("root_node", ("symmetric", {"theta": 0.1})),
        ("air", ("classical", {"theta": 0.4, "norm": "min"})),
    ],
)
def test_a_number_as_strength_is_the_threshold_of_the_method(method, written):
    A, r = spd(diffusion(12)), np.ones(144)
    theta = written[1]["theta"]
    assert np.array_equal(AMG(method, strength=theta)(A) @ r, AMG(method, strength=written)(A) @ r)
    assert not np.array_equal(AMG(method, strength=0.9)(A) @ r, AMG(method)(A) @ r)


def test_root_nodes_keep_near_null_spaces(rng):
    A = spd(sp.csr_array(sp.kron(diffusion(16), sp.eye_array(2))))
    B = np.kron(np.ones((256, 1)), np.eye(2))
    M = AMG("root_node", near_null_space=B)
    check_operator(M(A)).check()
    assert CG().solve(A, rng.standard_normal(512), M=M).check().iterations <= 25


# Reuse ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_kept_interpolation_is_the_same_objects_and_the_old_cycle_stays(method):
    first, *_, last = slowly_changing(16, 3)
    recipe = AMG(method, reuse="interpolation")
    M = recipe(spd(first))
    before = M @ np.ones(256)
    again = recipe.update(M, spd(last))
    assert M.levels > 2
    for old, new in zip(M.hierarchy.levels[:-1], again.hierarchy.levels[:-1], strict=True):
        assert new.P is old.P and new.R is old.R and new.A is not old.A
    for old, new in zip(again.hierarchy.levels, again.hierarchy.levels[1:], strict=False):
        assert abs(new.A - old.R @ old.A @ old.P).max() <= 1e-14 * abs(new.A).max()
    assert abs(again.hierarchy.levels[0].A - last).max() == 0.0
    assert np.array_equal(M @ np.ones(256), before) and not np.array_equal(again @ np.ones(256), before)
    check_operator(again).check()
    assert again.props == M.props
    # For the values that were coarsened it is what building gives.
    assert np.allclose(recipe.update(again, spd(first)) @ np.ones(256), before, rtol=1e-10)


def test_interpolation_is_not_computed_again(monkeypatch):
    calls = []
    original = pyamg.ruge_stuben_solver
    monkeypatch.setattr(pyamg, "ruge_stuben_solver", lambda *a, **k: calls.append(1) or original(*a, **k))
    sequence = Sequence(CG(), M=AMG(reuse="interpolation"))
    for A in slowly_changing(12, 5):
        assert sequence.solve(spd(A), np.ones(144)).converged
    assert len(calls) == 1 and sequence.rebuilt == 5


@pytest.mark.parametrize("method", SYMMETRIC_METHODS)
def test_iterations_with_reuse_stay_near_those_of_rebuilding(method):
    systems = slowly_changing(24, 8)
    b = np.random.default_rng(2).standard_normal(576)
    counts = {}
    for reuse in ("nothing", "interpolation", "hierarchy"):
        sequence = Sequence(CG(), M=AMG(method, reuse=reuse))
        results = [sequence.solve(spd(A), b).check() for A in systems]
        assert all(relative_residual(A, r.x, b) <= 1e-8 for A, r in zip(systems, results, strict=True))
        counts[reuse] = max(r.iterations for r in results)
    assert counts["interpolation"] <= counts["nothing"] + 3
    assert counts["hierarchy"] <= counts["nothing"] + 8


def test_a_kept_hierarchy_is_the_same_operator():
    recipe = AMG(reuse="hierarchy")
    M = recipe(spd(poisson(8)))
    assert recipe.update(M, spd(2.0 * poisson(8))) is M
    single = Sparse(poisson(8).astype(np.float32), props=SPD)
    assert recipe.update(M, single).dtype == np.float32  # another dtype is another operator


@pytest.mark.parametrize("reuse", ["interpolation", "hierarchy"])
def test_another_size_is_refused(reuse):
    recipe = AMG(reuse=reuse)
    M = recipe(spd(poisson(8)))
    with pytest.raises(ValueError, match=r"shape \(64, 64\), but was given one of shape \(36, 36\): build a precond"):
        recipe.update(M, spd(poisson(6)))
    assert AMG().update(M, spd(poisson(6))).shape == (36, 36)
    # A sequence starts anew by itself.
    sequence = Sequence(CG(), M=recipe)
    for n in (8, 6):
        assert sequence.solve(spd(poisson(n)), np.ones(n * n)).converged


def test_another_pattern_keeps_the_interpolation_too(rng):
    recipe, A = AMG(reuse="interpolation"), spd(poisson(16))
    more = spd(sp.csr_array(poisson(16) + 0.01 * poisson(16) @ poisson(16)))
    again = recipe.update(recipe(A), more)
    check_operator(again).check()
    assert CG().solve(more, rng.standard_normal(256), M=again).check().iterations <= 15


def test_another_symmetry_or_method_is_built_anew():
    """Restriction is Pᴴ for symmetric matrices only, and a claim of self-adjointness must stay true."""
    recipe = AMG("smoothed_aggregation", reuse="interpolation")
    M = recipe(Sparse(convection(8)))
    again = recipe.update(M, spd(poisson(8)))
    assert again.hierarchy.levels[0].P is not M.hierarchy.levels[0].P
    check_operator(again).check()
    assert Props.POSITIVE_DEFINITE in again.props
    other = AMG("root_node", reuse="interpolation").update(M, Sparse(convection(8)))
    assert other.recipe.method == "root_node"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_leave_the_old_cycle_whole(bad):
    recipe = AMG(reuse="interpolation")
    M = recipe(spd(poisson(8)))
    before, spoilt = M @ np.ones(64), poisson(8)
    spoilt.data[3] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        recipe.update(M, spd(spoilt))
    assert np.array_equal(M @ np.ones(64), before)


def test_renewed_for_singular_and_zero_right_hand_sides(rng):
    T, one = neumann(12), sp.eye_array(12)
    A = sp.csr_array(sp.kron(T, one) + sp.kron(one, T))
    recipe = AMG(reuse="interpolation")
    M = recipe(Sparse(A, props=SPD | Props.SINGULAR))
    again = recipe.update(M, Sparse(sp.csr_array(3.0 * A), props=SPD | Props.SINGULAR))
    b = A @ rng.standard_normal(144)
    singular = Sparse(sp.csr_array(3.0 * A), props=SPD | Props.SINGULAR)
    assert CG().solve(singular, b, M=again).check().iterations <= 12
    assert CG().solve(singular, np.zeros(144), M=again).check().iterations == 0


def test_an_indefinite_matrix_is_a_status_with_kept_interpolation():
    recipe = AMG(reuse="interpolation")
    prepared = CG().prepare(Sparse(poisson(12)), recipe)
    prepared.update(Sparse(sp.csr_array(poisson(12) - 1.5 * sp.eye_array(144))))
    result = prepared.solve(np.ones(144))
    assert result.status is Status.INDEFINITE and np.isfinite(result.x).all()


def test_an_earlier_adjoint_keeps_its_cycle():
    prepared = GMRES(rtol=1e-10).prepare(Sparse(convection(10)), AMG(reuse="interpolation"))
    adjoint, b = prepared.adjoint(), np.random.default_rng(3).standard_normal(100)
    expected = adjoint.solve(b).check()
    prepared.update(Sparse(sp.csr_array(convection(10) + 2.0 * sp.eye_array(100))))
    again = adjoint.solve(b).check()
    assert np.array_equal(again.x, expected.x) and again.iterations == expected.iterations
    assert relative_residual(convection(10).T, again.x, b) <= 1e-10


def test_a_renewed_cycle_pickles_with_the_interpolation_it_has():
    recipe = AMG(reuse="interpolation")
    M = recipe.update(recipe(spd(diffusion(12))), spd(diffusion(12, 1e4)))
    copy = pickle.loads(pickle.dumps(M))
    assert np.array_equal(copy @ np.ones(144), M @ np.ones(144))
    assert not np.array_equal(copy @ np.ones(144), recipe(spd(diffusion(12, 1e4))) @ np.ones(144))


def test_refresh_policies_decide_when_and_reuse_decides_what(monkeypatch):
    renewed = []
    original = AMG.update
    monkeypatch.setattr(AMG, "update", lambda self, M, A: renewed.append(1) or original(self, M, A))
    systems = slowly_changing(12, 9)
    sequence = Sequence(CG(), M=AMG(reuse="interpolation"), refresh=Refresh.EVERY(4))
    for A in systems:
        assert sequence.solve(spd(A), np.ones(144)).converged
    assert len(renewed) == 2  # at the fourth and eighth change
    first = sequence._prepared.M.hierarchy.levels[0]
    assert abs(first.A - systems[8]).max() == 0.0


@pytest.mark.parametrize("recipe", [AMG(reuse="hierarchy"), LocalBlocks(AMG(reuse="hierarchy"))], ids=str)
def test_a_solve_that_fails_with_kept_parts_is_repeated_with_a_new_preconditioner(recipe):
    """Another matrix of the same pattern: the old hierarchy is useless, and a policy that says it is fresh is not."""
    n = 200
    first = sp.csr_array(second_difference(n) + 10.0 * sp.eye_array(n))
    second = sp.csr_array(second_difference(n) + 1e-6 * sp.eye_array(n))
    sequence = Sequence(CG(maxiter=15), M=recipe)
    assert sequence.solve(spd(first), np.ones(n)).converged
    result = sequence.solve(spd(second), np.ones(n))
    assert result.converged and result.extra["refreshed"]
    assert result.counts.products > result.iterations + 10  # the failed attempt counts


def test_recipes_know_whether_an_update_is_a_new_building():
    assert AMG().renews and Deflation(4).renews and LocalBlocks(AMG()).renews
    for recipe in (AMG(reuse="interpolation"), AMG(reuse="hierarchy")):
        assert not recipe.renews and not LocalBlocks(recipe).renews and not Deflation(4, recipe).renews
        assert recipe != AMG() and hash(recipe) != hash(AMG()) and "reuse=" in repr(recipe)


def test_the_default_smoother_is_that_of_pyamg(rng):
    """One level of smoothing, and the whole cycle, to rounding."""
    from pyamg.relaxation.relaxation import gauss_seidel

    for method in ("ruge_stuben", "smoothed_aggregation"):
        M = AMG(method)(spd(diffusion(24)))
        for level, (before, after) in zip(M.hierarchy.levels[:-1], M._smoothers, strict=True):
            x, b = rng.standard_normal((2, level.A.shape[0]))
            y, z = x.copy(), x.copy()
            gauss_seidel(level.A, x, b, iterations=2, sweep="symmetric")
            before.smooth(y, b, 2)
            after.smooth(z, b, 2)
            assert np.allclose(x, y, rtol=1e-10) and np.array_equal(y, z)


def test_other_smoothers_cost_iterations_or_not(rng):
    A, b = spd(diffusion(40)), rng.standard_normal(1600)
    named = {
        "default": None,
        "symmetric": SOR(sweep="symmetric"),
        "forward": SOR(),
        "backward": SOR(sweep="backward"),
        "coloured": SOR(ordering="multicolour"),
        "blocks": SOR(blocks=4),
    }
    counts = {name: CG().solve(A, b, M=AMG(smoother=smoother)).iterations for name, smoother in named.items()}
    assert counts["default"] == counts["symmetric"] <= counts["forward"] <= 2 * counts["default"]
    assert max(counts.values()) <= 2 * counts["default"]


def test_unknowns_with_a_zero_on_the_diagonal_are_left_alone():
    A = sp.block_diag((poisson(8), sp.csr_array((1, 1))), format="csr")
    b = np.append(np.ones(64), 0.0)
    result = CG().solve(spd(sp.csr_array(A)), b, M=AMG())
    assert result.converged and np.isfinite(result.x).all()


def test_smoothers_that_do_not_fit_are_refused():
    with pytest.raises(TypeError, match=r"smoother must be SOR\(…\) or None, got 'jacobi'"):
        AMG(smoother="jacobi")
    with pytest.raises(ValueError, match="takes a size here"):
        AMG(smoother=SOR(blocks=[[0, 1], [2]]))
    with pytest.raises(ValueError, match="leave smoother out"):
        AMG("air", smoother=SOR())
