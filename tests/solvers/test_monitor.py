"""The bookkeeping of a solve: tolerance, confirmation, history, statuses, scaling, best iterate."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Diagonal, Function, Props, Sparse
from resolvent.solvers import (
    CG,
    GMRES,
    MINRES,
    BiCGStab,
    ConvergenceError,
    Direct,
    Status,
)
from resolvent.solvers.inconsistency import no_gain
from resolvent.solvers.monitor import Monitor
from resolvent.solvers.scaling import safe_scale
from resolvent.solvers.vectors import NumpyVectors

from .conformance import ITERATIVE, neumann, poisson, relative_residual, second_difference, spd


def monitor_for(A, b, x, **options):
    return Monitor(Sparse(A), None, b, x, NumpyVectors(), **({"rtol": 1e-8, "atol": 0.0, "maxiter": 50} | options))


def test_tolerance_is_the_larger_of_relative_and_absolute():
    A, b = poisson(8), np.ones(64)
    assert CG(rtol=1e-3).solve(A, b).tolerance == pytest.approx(8e-3)
    assert CG(rtol=1e-3, atol=0.5).solve(A, b).tolerance == 0.5
    loose = CG(rtol=0.0, atol=0.5).solve(A, b)
    assert loose.converged and loose.residual_norm <= 0.5


def test_tolerance_is_relative_to_b_for_any_start(rng):
    A, b = poisson(8), rng.standard_normal(64)
    for x0 in (None, 1e6 * rng.standard_normal(64)):
        assert CG(rtol=1e-4).solve(A, b, x0).tolerance == pytest.approx(1e-4 * np.linalg.norm(b))


@pytest.mark.parametrize("name", ITERATIVE)
def test_history_starts_with_the_first_residual_and_ends_with_the_true_one(name, rng):
    A, b, x0 = poisson(10), rng.standard_normal(100), rng.standard_normal(100)
    result = ITERATIVE[name].solve(spd(A), b, x0)
    assert result.history[0] == pytest.approx(np.linalg.norm(b - A @ x0))
    assert result.history[-1] == pytest.approx(result.residual_norm)
    assert len(result.history) == result.iterations + 1
    assert np.isfinite(result.history).all()


@pytest.mark.parametrize("name", ITERATIVE)
def test_what_the_last_allowed_iteration_reaches_counts(name):
    """SciPy's cg tests at the top of its loop, and reports 9 iterations that converged as a failure."""
    A, b = poisson(8), np.ones(64)
    needed = ITERATIVE[name].solve(spd(A), b).iterations
    exactly = type(ITERATIVE[name])(maxiter=needed)
    assert exactly.solve(spd(A), b).converged or name == "GMRES(restart=7)"
    assert type(ITERATIVE[name])(maxiter=needed - 1).solve(spd(A), b).status in (Status.MAXITER, Status.CONVERGED)


@pytest.mark.parametrize("rtol", [1e-14, 3e-15])
def test_as_many_iterations_as_distinct_eigenvalues_solve_the_8_by_8_poisson_problem(rtol):
    """b = 1 has components in ten eigenspaces; SciPy's cg solves it in ten iterations too, and reports a failure."""
    import scipy.sparse.linalg as spla

    A, b = poisson(8), np.ones(64)
    result = CG(rtol=rtol, maxiter=10).solve(A, b)
    assert result.converged and result.iterations == 10
    assert relative_residual(A, result.x, b) <= rtol
    x, info = spla.cg(A, b, rtol=rtol, maxiter=10)
    assert info == 10 and relative_residual(A, x, b) <= rtol


@pytest.mark.parametrize("name", ITERATIVE)
@pytest.mark.parametrize("maxiter", [0, 1, 2, 5])
def test_maxiter_is_honoured(name, maxiter, rng):
    A, b = poisson(10), rng.standard_normal(100)
    result = type(ITERATIVE[name])(maxiter=maxiter).solve(spd(A), b)
    assert result.status is Status.MAXITER and result.iterations == maxiter
    assert result.info == max(maxiter, 1)
    # A start, the iterations, and at most one look at the end: short inner solves must stay cheap.
    assert result.counts.matvec <= (2 if name in ("BiCGStab", "CGS") else 1) * maxiter + 2


@pytest.mark.parametrize("name", ITERATIVE)
def test_a_tolerance_below_rounding_stagnates_soon(name, rng):
    A, b = poisson(10), rng.standard_normal(100)
    result = type(ITERATIVE[name])(rtol=0.0).solve(spd(A), b)
    assert result.status is Status.STAGNATED
    assert result.iterations < 400  # how soon is a matter of the processor's rounding
    assert relative_residual(A, result.x, b) < 1e-14


def test_columns_keep_their_own_verdict(rng):
    A = poisson(8)
    x = rng.standard_normal(64)
    B = np.stack((A @ x, np.zeros(64), np.full(64, np.nan), 1e-9 * x, A @ np.ones(64)), axis=1)
    X0 = np.zeros_like(B)
    X0[:, 0] = x
    result = CG().solve(A, B, X0)
    statuses = [column.status for column in result.columns]
    assert statuses == [Status.CONVERGED, Status.CONVERGED, Status.NONFINITE, Status.CONVERGED, Status.CONVERGED]
    assert [column.iterations for column in result.columns][:3] == [0, 0, 0]
    assert result.status is Status.NONFINITE and np.isfinite(result.x).all()
    assert result.extra["reason"] == "b is not finite"
    assert [column.reason for column in result.columns] == ["", "", "b is not finite", "", ""]
    with pytest.raises(ConvergenceError, match="NaN or infinity"):
        result.check()


def test_a_failing_column_does_not_disturb_the_others(rng):
    """Column 1 meets a negative curvature at once; column 0 lives in the positive part and must go on as alone."""
    d = np.r_[np.linspace(1.0, 5.0, 40), -np.ones(10)]
    A = sp.diags_array(d)
    B = np.zeros((50, 2))
    B[:40, 0] = rng.standard_normal(40)
    B[40:, 1] = 1.0
    together, alone = CG().solve(A, B), CG().solve(A, B[:, 0].copy())
    assert [column.status for column in together.columns] == [Status.CONVERGED, Status.INDEFINITE]
    assert together.columns[0].iterations == alone.iterations
    assert np.allclose(together.columns[0].history, alone.history, rtol=1e-6)


@pytest.mark.parametrize("name", ITERATIVE)
@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-100, 1e100, 1e200, 1e300])
def test_size_of_the_right_hand_side_does_not_matter(name, size, rng):
    A, b, x0 = poisson(8), rng.standard_normal(64), rng.standard_normal(64)
    plain, sized = ITERATIVE[name].solve(spd(A), b, x0), ITERATIVE[name].solve(spd(A), size * b, size * x0)
    assert sized.converged
    assert abs(sized.iterations - plain.iterations) <= 1
    assert sized.rhs_norm == pytest.approx(size * np.linalg.norm(b))
    assert sized.tolerance == pytest.approx(1e-8 * sized.rhs_norm)
    assert sized.residual_norm == pytest.approx(size * np.linalg.norm(b - A @ (sized.x / size)), rel=1e-3)
    assert sized.history[0] == pytest.approx(size * plain.history[0])
    assert np.allclose(sized.x / size, plain.x, atol=1e-6)


def test_extreme_columns_are_scaled_one_by_one_and_absolute_tolerances_with_them(rng):
    A, b = poisson(8), rng.standard_normal(64)
    B = np.stack((1e-250 * b, b, 1e250 * b), axis=1)
    result = CG(rtol=0.0, atol=1e-6).solve(A, B)
    assert result.columns[0].iterations == 0  # zero already meets atol
    assert result.columns[1].status is Status.CONVERGED and result.columns[1].tolerance == 1e-6
    assert result.columns[2].status is Status.STAGNATED
    seen = []
    CG().solve(A, 1e200 * b, callback=lambda p: seen.append((p.residual_norm[0], abs(p.x).max())))
    assert seen[0][0] > 1e199 and seen[-1][1] == pytest.approx(abs(CG().solve(A, b).x).max() * 1e200)


def test_a_solution_outside_of_the_number_format_is_said_to_be():
    for factor, size in ((1e-200, 1e200), (1e200, 1e-200)):
        result = CG().solve(Diagonal(np.full(5, factor)), np.full(5, size))
        assert result.status is Status.NONFINITE and "range of float64" in result.extra["reason"]
        assert np.isfinite(result.x).all()
    single = CG(rtol=1e-4).solve(poisson(4).astype(np.float32), np.full(16, 1e-30, dtype=np.float32))
    assert single.converged and single.x.dtype == np.float32


def test_scales_are_powers_of_two_and_leave_ordinary_sizes_alone():
    largest = np.array([0.0, 1e-308, 1e-200, 1e-3, 1.0, 1e30, 1e200, 1.7e308, np.inf, np.nan])
    scale = safe_scale(largest)
    assert (scale[[0, 3, 4, 5, 8, 9]] == 1.0).all()
    assert np.isfinite(scale).all() and (np.frexp(scale)[0] == 0.5).all()
    assert (np.abs(np.log2(largest[[1, 2, 6, 7]] / scale[[1, 2, 6, 7]])) < 9).all()


@pytest.mark.parametrize("name", ITERATIVE)
@pytest.mark.parametrize("place", ["A", "b", "x0", "M"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number_is_noticed_at_once(name, place, value, rng):
    A, b, x0, M = poisson(8), rng.standard_normal(64), None, None
    spoilt = rng.standard_normal(64)
    spoilt[5] = value
    if place == "A":
        A = A.copy()
        A.data[11] = value
    elif place == "M":
        M = Diagonal(np.abs(spoilt), props=SPD)
    else:
        b, x0 = (spoilt, None) if place == "b" else (b, spoilt)
    result = ITERATIVE[name].solve(Sparse(A, props=SPD), b, x0, M)
    assert np.isfinite(result.x).all()
    if place == "M" and "Flexible" in name:
        assert result.converged and result.extra["fallbacks"] > 0  # falls back on the residual
    else:
        assert result.status is Status.NONFINITE and result.iterations <= 1


def test_a_product_that_breaks_on_the_way_keeps_the_last_finite_iterate(rng):
    A, b, calls = poisson(10), rng.standard_normal(100), []

    def product(x):
        calls.append(1)
        return A @ x * (np.nan if len(calls) == 12 else 1.0)

    for solver in (CG(), MINRES(), BiCGStab(), GMRES()):
        calls.clear()
        result = solver.solve(Function(A.shape, product, props=SPD), b)
        assert result.status is Status.NONFINITE
        assert np.isfinite(result.x).all()
        if solver != GMRES():  # which forms x at the end of a cycle
            assert 0.0 < relative_residual(A, result.x, b) < 1.0


def test_failed_proposals_restart_from_the_true_residual():
    """One recurrence that claims too much: two confirmations fail, the third is the last."""
    A, b = sp.eye_array(4, format="csr"), np.ones((4, 1))
    x = np.zeros_like(b)
    monitor = monitor_for(A, b, x)
    r = np.empty_like(b)
    monitor.start(x, r)
    for attempt in range(1, 5):
        r[:] = 0.0
        restart = monitor.step(np.zeros(1), x, r)
        assert restart.all() and np.array_equal(r, b)
        assert monitor.running == (attempt < 4)
    assert monitor.columns()[0].status is Status.STAGNATED


def test_verdict_follows_the_recomputed_residual_whatever_the_method_says():
    A, b = sp.eye_array(4, format="csr"), np.ones((4, 1))
    x, r = np.zeros_like(b), np.empty_like(b)
    monitor = monitor_for(A, b, x)
    monitor.start(x, r)
    x[:] = 1.0
    monitor.advance(np.array([2.0]), x)
    monitor.retire(np.array([True]), Status.BREAKDOWN, x)
    assert monitor.columns()[0].status is Status.CONVERGED


def test_growth_without_bound_is_divergence():
    A, b = sp.eye_array(4, format="csr"), np.ones((4, 1))
    x, r = np.zeros_like(b), np.empty_like(b)
    monitor = monitor_for(A, b, x)
    monitor.start(x, r, keep_best=True)
    x[:] = 1e13
    monitor.step(np.array([2e13]), x, r)
    column = monitor.columns()[0]
    assert column.status is Status.DIVERGED
    assert not x.any() and column.residual_norm == 2.0  # the best iterate was the first


def test_short_solves_are_not_asked_whether_they_are_inconsistent():
    assert not no_gain(np.ones((15, 1))).any()
    assert no_gain(np.ones((40, 1))).all()
    falling = np.geomspace(1.0, 1e-3, 40)[:, None]
    assert not no_gain(falling).any()


def test_slow_convergence_is_not_taken_for_inconsistency():
    """Condition 1e10: the residual soon consists of the smallest eigenvectors, where ‖A r‖ is tiny next to ‖A‖‖r‖."""
    d = np.r_[np.linspace(0.5, 1.0, 50), np.geomspace(1e-10, 1e-9, 200)]
    result = MINRES(maxiter=40).solve(Diagonal(d, props=Props.SELF_ADJOINT), np.ones(250))
    assert result.status is Status.MAXITER


@pytest.mark.parametrize("name", ITERATIVE)
def test_callback_sees_every_iteration_and_can_stop(name, rng):
    A, b = spd(poisson(10)), rng.standard_normal(100)
    seen = []
    full = ITERATIVE[name].solve(A, b, callback=lambda p: seen.append(p.iteration))
    assert seen == list(range(1, full.iterations + 1))
    stopped = ITERATIVE[name].solve(A, b, callback=lambda p: p.iteration == 5)
    assert stopped.status is Status.STOPPED and stopped.iterations == 5
    assert stopped.residual_norm == pytest.approx(np.linalg.norm(b - A @ stopped.x))
    assert stopped.residual_norm < np.linalg.norm(b)


def test_shapes_of_b_and_x0(rng):
    A = Sparse(poisson(6), props=SPD, grid=(6, 6))
    b = rng.standard_normal(36)
    x = CG().solve(A, b).x
    for shape in ((36,), (36, 1), (6, 6)):
        result = CG().solve(A, b.reshape(shape), np.zeros(shape))
        assert result.x.shape == shape and np.array_equal(result.x.ravel(), x)
    assert np.array_equal(CG().solve(A, list(b), list(np.zeros(36))).x, x)
    with pytest.raises(ValueError, match=r"b must have shape \(36,\)"):
        CG().solve(A, np.ones(35))
    with pytest.raises(ValueError, match="x0 must have the shape of b"):
        CG().solve(A, b, np.ones(35))
    with pytest.raises(TypeError, match="x0 is complex"):
        CG().solve(A, b, 1j * b)
    with pytest.raises(ValueError, match="square operator"):
        CG().solve(np.ones((3, 2)), np.ones(3))


def test_integer_right_hand_sides_follow_the_operator():
    assert CG().solve(poisson(4), np.ones(16, dtype=int)).x.dtype == np.float64
    assert CG(rtol=1e-5).solve(poisson(4).astype(np.float32), np.ones(16, dtype=int)).x.dtype == np.float32


def test_a_singular_system_never_hides_behind_its_status(rng):
    A, b = neumann(40), rng.standard_normal(40)
    for solver in ITERATIVE.values():
        result = solver.solve(A, b)
        honest = (Status.STAGNATED, Status.MAXITER, Status.DIVERGED, Status.BREAKDOWN, Status.LEAST_SQUARES)
        assert result.status in honest
        assert result.residual_norm <= np.linalg.norm(b) * (1 + 1e-12)


def test_an_iterate_that_overflowed_gives_way_to_the_best_one():
    A, b = sp.eye_array(4, format="csr"), np.ones((4, 1))
    x, r = np.full_like(b, 0.25), np.empty_like(b)
    monitor = monitor_for(A, b, x, self_adjoint=True)
    monitor.start(x, r, keep_best=True)
    x[:] = np.inf
    monitor.advance(np.array([2.0]), x)
    monitor.retire(np.array([True]), Status.MAXITER, x)
    (column,) = monitor.columns()
    assert (x == 0.25).all() and column.residual_norm == pytest.approx(1.5)


def test_an_array_given_twice_is_compacted_once():
    A, b = sp.eye_array(4, format="csr"), np.ones((4, 3))
    x, r = np.zeros_like(b), np.empty_like(b)
    monitor = monitor_for(A, b, x)
    monitor.start(x, r)
    monitor.retire(np.array([False, True, False]), Status.BREAKDOWN, x)
    first, again, other = monitor.compact(r, r, x)
    assert again is first and other is not first and first.shape == (4, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("shape", [(0, 1), (0, 3), (5, 1), (5, 3)])
def test_vector_operations_on_any_shape(dtype, shape, rng):
    v = NumpyVectors()
    p, q, x, r = (rng.standard_normal(shape).astype(dtype) for _ in range(4))
    alpha = np.arange(1.0, shape[1] + 1.0)
    assert v.dot(p, q).dtype == dtype and np.allclose(v.dot(p, q), (p.conj() * q).sum(axis=0), rtol=1e-4, atol=1e-5)
    new_x, new_r = x + alpha * p, r - alpha * q
    norms = v.step(alpha, p, q, x, r)
    assert np.allclose(x, new_x, atol=1e-5) and np.allclose(r, new_r, atol=1e-5)
    assert norms.dtype == p.real.dtype and np.allclose(norms, np.linalg.norm(r, axis=0), rtol=1e-4)
    assert np.allclose(v.norm(p), np.linalg.norm(p, axis=0), rtol=1e-4)


@pytest.mark.parametrize("name", ITERATIVE)
def test_empty_systems_are_solved(name):
    result = ITERATIVE[name].solve(Diagonal(np.ones(0), props=SPD), np.ones(0))
    assert result.converged and result.iterations == 0 and result.x.shape == (0,)


@pytest.mark.parametrize("solver", [CG(), Direct()])
def test_a_callback_cannot_change_the_iterate(solver):
    A = np.diag(np.arange(1.0, 6.0))
    with pytest.raises(ValueError, match="read-only"):
        solver.solve(A, np.ones(5), callback=lambda progress: progress.x.fill(7.0))


def test_the_residual_is_that_of_what_the_number_format_can_hold():
    """After scaling back: the residual of the x that is returned, and the status that goes with it."""
    lost = CG().solve(Diagonal(np.full(5, 1e-200)), np.full(5, 1e200))
    assert lost.status is Status.NONFINITE and not lost.x.any()
    assert lost.residual_norm == pytest.approx(lost.rhs_norm)
    # Whole multiples of the smallest number are held exactly.
    b = np.full(20, 5e-324)
    held = CG().solve(second_difference(20), b)
    assert held.converged and np.array_equal(second_difference(20) @ held.x, b)
    # A method that failed says how, not that the system should be scaled.
    failed = CG().solve(second_difference(40) - 3.9 * sp.eye_array(40), 1e150 * np.ones(40))
    assert failed.status is CG().solve(second_difference(40) - 3.9 * sp.eye_array(40), np.ones(40)).status
    inconsistent = CG().solve(neumann(40), 1e140 * np.arange(40.0))
    assert inconsistent.status is Status.STAGNATED
    assert inconsistent.residual_norm == pytest.approx(
        1e140 * np.linalg.norm(np.arange(40.0) - neumann(40) @ (inconsistent.x / 1e140)), rel=1e-6
    )
