"""LSQR and LSMR: least-squares solutions of any shape and rank, and statuses that are true."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import Diagonal, Function, StructureError
from resolvent.solvers import LSMR, LSQR, Jacobi, Status
from resolvent.solvers.check_problems import Counted

from .conformance import convection

METHODS = pytest.mark.parametrize("method", [LSQR, LSMR])


def matrix(m, n, rng, *, dtype=float, rank=None, condition=30.0):
    """Singular values from 1 to 1/condition."""
    rank = min(m, n) if rank is None else rank

    def orthonormal(rows):
        Q = rng.standard_normal((rows, rank))
        return np.linalg.qr(Q + 1j * rng.standard_normal(Q.shape) if dtype is complex else Q)[0]

    return orthonormal(m) * np.geomspace(1.0, 1.0 / condition, rank) @ orthonormal(n).conj().T


def vector(n, rng, dtype=float):
    return rng.standard_normal(n) + (1j * rng.standard_normal(n) if dtype is complex else 0.0)


def gradient(A, b, x, damp=0.0):
    return np.linalg.norm(A.conj().T @ (b - A @ x) - damp**2 * x)


def true_least_squares(A, b, result, tol):
    """‖Aᴴr‖ ≤ tol ‖A‖‖r‖, as recomputed here, and as the result says."""
    found = gradient(A, b, result.x)
    assert result.status is Status.LEAST_SQUARES and result.converged and result.info == 0
    assert found <= 1.01 * tol * np.linalg.norm(A, 2) * result.residual_norm
    assert result.extra["normal_residual"][0] == pytest.approx(found, rel=0.1, abs=1e-13)
    assert result.residual_norm == pytest.approx(np.linalg.norm(b - A @ result.x), rel=1e-9)
    assert result.residual_norm > result.tolerance


@METHODS
@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("m, n, rank", [(60, 25, 25), (60, 25, 18), (25, 60, 18), (40, 40, 31), (7, 1, 1)])
def test_inconsistent_systems_reach_the_pseudoinverse_solution(method, dtype, m, n, rank, rng):
    A, b = matrix(m, n, rng, dtype=dtype, rank=rank), vector(m, rng, dtype)
    result = method(rtol=1e-10).solve(A, b)
    true_least_squares(A, b, result, 1e-10)
    expected = np.linalg.lstsq(A, b, rcond=1e-10)[0]
    assert np.linalg.norm(result.x - expected) <= 1e-6 * np.linalg.norm(expected)
    assert result.x.shape == (n,) and result.iterations <= 3 * rank


@METHODS
@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("m, n, rank", [(25, 60, 25), (25, 60, 18), (60, 25, 25), (40, 40, 31)])
def test_consistent_systems_converge_to_the_solution_of_least_norm(method, dtype, m, n, rank, rng):
    A = matrix(m, n, rng, dtype=dtype, rank=rank)
    b = A @ vector(n, rng, dtype)
    result = method(rtol=1e-10).solve(A, b)
    assert result.status is Status.CONVERGED
    assert np.linalg.norm(b - A @ result.x) <= 1e-10 * np.linalg.norm(b)
    expected = np.linalg.lstsq(A, b, rcond=1e-10)[0]
    assert np.linalg.norm(result.x - expected) <= 1e-7 * np.linalg.norm(expected)


@METHODS
@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("m, n", [(50, 20), (20, 50), (30, 30)])
@pytest.mark.parametrize("start", [False, True])
def test_damping_pulls_towards_zero_whatever_the_start(method, dtype, m, n, start, rng):
    A, b = matrix(m, n, rng, dtype=dtype), vector(m, rng, dtype)
    x0 = vector(n, rng, dtype) if start else None
    result = method(rtol=1e-11, damp=0.2).solve(A, b, x0)
    expected = np.linalg.solve(A.conj().T @ A + 0.04 * np.eye(n), A.conj().T @ b)
    assert result.status is Status.LEAST_SQUARES
    assert np.linalg.norm(result.x - expected) <= 1e-8 * np.linalg.norm(expected)
    assert result.extra["normal_residual"][0] == pytest.approx(gradient(A, b, result.x, 0.2), rel=0.1, abs=1e-13)
    assert result.residual_norm == pytest.approx(np.linalg.norm(b - A @ result.x))
    assert result.history[-1] == pytest.approx(result.residual_norm, rel=1e-8)


@METHODS
def test_a_solution_without_damping_is_no_answer_with_it(method, rng):
    A = matrix(20, 20, rng)
    x = rng.standard_normal(20)
    result = method(damp=0.5, rtol=1e-10).solve(A, A @ x, x)
    assert result.iterations > 0 and np.linalg.norm(result.x) < 0.9 * np.linalg.norm(x)
    assert method(damp=0.0).solve(A, A @ x, x).iterations == 0
    negligible = method(damp=1e-12).solve(A, A @ x)
    assert negligible.status is Status.CONVERGED


@METHODS
def test_zero_and_orthogonal_right_hand_sides(method):
    A = np.vstack((np.diag([1.0, 2.0, 3.0]), np.zeros((2, 3))))
    for damp in (0.0, 0.3):
        solver = method(damp=damp)
        result = solver.solve(A, np.zeros(5), np.ones(3))
        assert result.status is Status.CONVERGED and not result.x.any() and result.iterations == 0
        result = solver.solve(A, np.array([0.0, 0.0, 0.0, 1.0, 2.0]))
        assert result.status is Status.LEAST_SQUARES and not result.x.any() and result.iterations == 0
        assert result.residual_norm == pytest.approx(5.0**0.5) and result.extra["normal_residual"][0] == 0.0
    result = method().solve(np.zeros((4, 3)), np.ones(4))
    assert result.status is Status.LEAST_SQUARES and not result.x.any()


@METHODS
def test_a_least_squares_solution_given_as_start_is_kept(method, rng):
    A, b = matrix(40, 15, rng), rng.standard_normal(40)
    x = np.linalg.lstsq(A, b, rcond=None)[0]
    result = method().solve(A, b, x)
    true_least_squares(A, b, result, 1e-8)
    assert result.iterations == 0 and np.array_equal(result.x, x) and len(result.history) == 1


@METHODS
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number(method, value, rng):
    A, b = matrix(20, 8, rng), rng.standard_normal(20)
    spoilt_A, spoilt_b = A.copy(), b.copy()
    spoilt_A[3, 4] = spoilt_b[5] = value
    M = Function((8, 8), lambda x: value * x, rmatvec=lambda x: value * x)
    for damp in (0.0, 0.1):
        for result in (
            method(damp=damp).solve(spoilt_A, b),
            method(damp=damp).solve(A, spoilt_b),
            method(damp=damp).solve(A, b, np.full(8, value)),
            method(damp=damp).solve(A, b, M=M),
        ):
            assert result.status is Status.NONFINITE and np.isfinite(result.x).all() and result.iterations <= 1


@METHODS
def test_iterations_run_out(method, rng):
    A, b = matrix(60, 30, rng), rng.standard_normal(60)
    needed = method().solve(A, b).iterations
    for allowed in (0, 1, 2, needed - 1):
        result = method(maxiter=allowed).solve(A, b)
        assert result.status is Status.MAXITER and result.iterations == allowed == len(result.history) - 1
        assert result.residual_norm == pytest.approx(np.linalg.norm(b - A @ result.x))
    assert method(maxiter=needed).solve(A, b).status is Status.LEAST_SQUARES


@METHODS
@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_right_hand_sides_of_extreme_size(method, scale, rng):
    A, b = matrix(30, 12, rng), rng.standard_normal(30)
    result, plain = method().solve(A, scale * b), method().solve(A, b)
    assert result.status is Status.LEAST_SQUARES and np.allclose(result.x / scale, plain.x, rtol=1e-6)
    assert result.extra["normal_history"][0][0] == pytest.approx(scale * plain.extra["normal_history"][0][0])


@METHODS
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision(method, dtype, rng):
    A = matrix(50, 20, rng, dtype=complex if dtype is np.complex64 else float).astype(dtype)
    b = rng.standard_normal(50).astype(dtype)
    result = method(rtol=1e-4).solve(A, b)
    assert result.status is Status.LEAST_SQUARES and result.x.dtype == dtype
    assert np.linalg.norm(result.x - np.linalg.lstsq(A, b, rcond=None)[0]) <= 5e-3 * np.linalg.norm(result.x)
    hopeless = method(rtol=1e-8, maxiter=2000).solve(A, b)
    assert hopeless.status is Status.STAGNATED and not hopeless.converged
    assert np.linalg.norm(hopeless.x - np.linalg.lstsq(A, b, rcond=None)[0]) <= 1e-4 * np.linalg.norm(result.x)


@METHODS
@pytest.mark.parametrize("seed", range(4))
def test_out_of_reach_is_said(method, seed):
    """A tolerance of zero ends STAGNATED or MAXITER at a residual that rounding explains."""
    rng = np.random.default_rng(seed)
    A = matrix(40, 20, rng, condition=10.0 ** (2 * seed))
    for b in (rng.standard_normal(40), A @ rng.standard_normal(20)):
        result = method(rtol=0.0, maxiter=2000).solve(A, b)
        least = np.linalg.norm(b - A @ np.linalg.lstsq(A, b, rcond=None)[0])
        assert not result.converged and result.residual_norm <= least * (1 + 1e-8) + 1e-12 * np.linalg.norm(b)


@METHODS
@pytest.mark.parametrize("damp", [0.0, 0.1])
def test_column_scaling_on_the_right(method, damp, rng):
    A = matrix(80, 30, rng, condition=3.0) * np.geomspace(1.0, 1e4, 30)
    b = rng.standard_normal(80)
    M = Diagonal(1.0 / np.hypot(np.linalg.norm(A, axis=0), damp))
    plain, scaled = method(rtol=1e-12, damp=damp).solve(A, b), method(rtol=1e-12, damp=damp).solve(A, b, M=M)
    expected = np.linalg.solve(A.T @ A + damp**2 * np.eye(30), A.T @ b)
    assert scaled.status is Status.LEAST_SQUARES and 3 * scaled.iterations < plain.iterations
    assert np.linalg.norm((scaled.x - expected) / M.diagonal()) <= 1e-7 * np.linalg.norm(expected / M.diagonal())
    bound = 1e-12 * np.linalg.norm(np.vstack((A, damp * np.eye(30))), 2)
    size = np.hypot(scaled.residual_norm, damp * np.linalg.norm(scaled.x))
    assert gradient(A, b, scaled.x, damp) <= 2.0 * bound * size


@METHODS
def test_shapes_of_preconditioners_and_starts(method, rng):
    A, b = matrix(20, 8, rng), rng.standard_normal(20)
    with pytest.raises(ValueError, match=r"shape \(8, 8\), to act on x"):
        method().solve(A, b, M=np.eye(20))
    with pytest.raises(ValueError, match="x0 must have the shape of x"):
        method().solve(A, b, np.ones(20))
    with pytest.raises(ValueError, match="b must have shape"):
        method().solve(A, np.ones(8))
    assert method().solve(A, np.ones((20, 3)), np.zeros((8, 3))).x.shape == (8, 3)


@METHODS
def test_recipes_serve_square_systems(method, rng):
    A = convection(8)
    A = sp.csr_array(sp.diags_array(np.geomspace(1.0, 1e3, 64)) @ A)
    b = rng.standard_normal(64)
    result = method(rtol=1e-6).solve(A, b, M=Jacobi())
    assert result.status is Status.CONVERGED and np.linalg.norm(b - A @ result.x) <= 1e-6 * np.linalg.norm(b)


@METHODS
@pytest.mark.parametrize("damp", [0.0, 0.2])
@pytest.mark.parametrize("maxiter", [None, 4])
def test_counts_are_those_of_an_instrumented_operator(method, damp, maxiter, rng):
    for recipe in (False, True):
        A, M = Counted(sparse(matrix(30, 12, rng))), Counted(Diagonal(rng.uniform(0.5, 2.0, 12))) if recipe else None
        B = rng.standard_normal((30, 3))
        B[:, 1] = A.to_sparse() @ np.ones(12)
        counts = method(damp=damp, maxiter=maxiter).solve(A, B, M=M).counts
        assert (counts.matvec, counts.rmatvec) == (A.matvecs, A.rmatvecs)
        assert counts.preconditioner == (M.matvecs + M.rmatvecs if recipe else 0)


def sparse(A):
    from resolvent.operators import Sparse

    return Sparse(sp.csr_array(A))


@METHODS
def test_columns_are_judged_one_by_one(method, rng):
    A = matrix(40, 15, rng)
    B = rng.standard_normal((40, 6))
    B[:, 1] = A @ rng.standard_normal(15)
    B[:, 2] = 0.0
    B[:, 3] = np.nan
    B[:, 4] -= A @ np.linalg.lstsq(A, B[:, 4], rcond=None)[0]
    B[:, 5] *= 1e-7
    together = method().solve(A, B)
    kinds = [c.status.name for c in together.columns]
    assert kinds == ["LEAST_SQUARES", "CONVERGED", "CONVERGED", "NONFINITE", "LEAST_SQUARES", "LEAST_SQUARES"]
    assert together.status is Status.NONFINITE and together.extra["normal_residual"].shape == (6,)
    for c in (0, 1, 2, 4, 5):
        alone = method().solve(A, np.ascontiguousarray(B[:, c]))
        assert abs(alone.iterations - together.columns[c].iterations) <= 2
        assert np.linalg.norm(alone.x - together.x[:, c]) <= 1e-6 * np.linalg.norm(alone.x) + 1e-7 * abs(B[:, c]).max()
        assert together.extra["normal_residual"][c] <= 1.01e-8 * np.linalg.norm(B[:, c]) or kinds[c] == "CONVERGED"


@METHODS
def test_an_operator_without_adjoint_is_refused(method, rng):
    with pytest.raises(StructureError, match="adjoint"):
        method().solve(Function((5, 4), lambda x: np.append(x, 0.0)), np.ones(5))


@METHODS
def test_conlim_gives_up_ill_conditioned_systems(method, rng):
    A, b = matrix(40, 20, rng, condition=1e6), rng.standard_normal(40)
    result = method(conlim=100.0).solve(A, b)
    assert result.status is Status.STAGNATED and "conlim" in result.extra["reason"]
    assert result.extra["condition"][0] > 100.0
    full = method(rtol=1e-10, maxiter=3000).solve(A, b)
    assert full.extra["norm_A"][0] <= 1.0 + 1e-12 and full.extra["norm_A"][0] > 0.3


@METHODS
def test_options_are_checked(method):
    for options in ({"damp": -1.0}, {"damp": np.nan}, {"normal_tol": -1.0}, {"conlim": 0.0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            method(**options)


@METHODS
def test_callbacks_see_x_and_stop(method, rng):
    A, b, seen = matrix(30, 12, rng), rng.standard_normal(30), []

    def watch(progress):
        seen.append((progress.residual_norm[0], np.linalg.norm(b - A @ progress.x[:, 0])))
        return progress.iteration == 5

    result = method().solve(A, b, callback=watch)
    assert result.status is Status.STOPPED and result.iterations == 5 and len(seen) == 5
    recorded, true = np.array(seen).T
    assert np.allclose(recorded, true, rtol=1e-9)


@METHODS
def test_torch_storage(method, rng):
    torch = pytest.importorskip("torch")
    from resolvent.operators import as_operator

    A, b = matrix(30, 12, rng), rng.standard_normal((30, 2))
    operator = as_operator(torch.from_numpy(A))
    result = method(damp=0.1).solve(operator, torch.from_numpy(b), torch.ones(12, 2, dtype=torch.float64))
    plain = method(damp=0.1).solve(A, b, np.ones((12, 2)))
    assert result.status is plain.status is Status.LEAST_SQUARES
    assert np.allclose(result.x.numpy(), plain.x, rtol=1e-7, atol=1e-9)
    assert method().solve(operator, torch.from_numpy(b[:, 0].copy())).x.shape == (12,)
