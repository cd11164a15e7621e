"""Block conjugate gradients: one Krylov space for all columns, and no breakdown where they depend on each other."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Diagonal, Function, Props, Sparse, StructureError
from resolvent.solvers import AMG, CG, SSOR, BlockCG, Jacobi, Status
from resolvent.solvers.check_problems import Counted
from resolvent.solvers.krylov.block_cg import independent

from .conformance import diffusion, neumann, poisson, second_difference, spd


def residuals(A, X, B):
    return np.linalg.norm(B - A @ X, axis=0) / np.linalg.norm(B, axis=0)


@pytest.mark.parametrize("recipe", [None, Jacobi(), SSOR(1.5)])
def test_eight_columns_need_fewer_products_than_one_by_one(recipe, rng):
    A, B = diffusion(24), rng.standard_normal((576, 8))
    block, plain = BlockCG().solve(spd(A), B, M=recipe), CG().solve(spd(A), B, M=recipe)
    assert block.converged and (residuals(A, block.x, B) <= 1e-8).all()
    assert block.counts.products < 0.75 * plain.counts.products
    assert block.counts.preconditioner <= plain.counts.preconditioner
    for mine, theirs in zip(block.columns, plain.columns, strict=True):
        assert mine.iterations < theirs.iterations
    error = np.linalg.norm(block.x - plain.x, axis=0) / np.linalg.norm(plain.x, axis=0)
    assert (error <= 1e-5).all()


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_minimises_the_error_over_the_sum_of_the_krylov_spaces(steps, dtype, rng):
    n, k = 40, 3
    A = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if dtype is complex else 0.0)
    A = A @ A.conj().T + np.eye(n)
    B = rng.standard_normal((n, k)).astype(dtype)
    M = rng.uniform(0.5, 2.0, n)
    X = BlockCG(maxiter=steps).solve(A, B, M=Diagonal(M)).x
    K = [M[:, None] * B]
    for _ in range(steps - 1):
        K.append(M[:, None] * (A @ K[-1]))
    Q = np.linalg.qr(np.concatenate(K, axis=1))[0]
    best = Q @ np.linalg.solve(Q.conj().T @ A @ Q, Q.conj().T @ B)
    assert np.linalg.norm(X - best) <= 1e-9 * np.linalg.norm(best)


@pytest.mark.parametrize("recipe", [None, Jacobi(), AMG()])
def test_one_column_is_conjugate_gradients(recipe, rng):
    A, b = spd(diffusion(16)), rng.standard_normal(256)
    block, plain = BlockCG().solve(A, b, M=recipe), CG().solve(A, b, M=recipe)
    assert abs(block.iterations - plain.iterations) <= 1 + plain.iterations // 50  # rounding, after long solves
    early = min(20, plain.iterations)
    assert np.allclose(block.history[:early], plain.history[:early], rtol=1e-8)
    assert block.counts.products == block.iterations + 2


def test_dependent_zero_and_failing_columns(rng):
    A = poisson(12)
    one, two = rng.standard_normal((2, 144))
    nan = np.where(np.arange(144) == 5, np.nan, one)
    B = np.stack((one, one, 0.0 * one, two, one - 2.0 * two, 1e-9 * two, nan, 1j.real * one + 3.0 * one), axis=1)
    counted = Counted(spd(A))
    result = BlockCG().solve(counted, B)
    assert [c.status.name for c in result.columns] == ["CONVERGED"] * 6 + ["NONFINITE", "CONVERGED"]
    assert result.counts.products == counted.matvecs
    good = [0, 1, 3, 4, 5, 7]
    assert (residuals(A, result.x[:, good], B[:, good]) <= 1e-8).all() and not result.x[:, 2].any()
    assert np.isfinite(result.x).all()
    # Only two directions an iteration: as many products as for two columns, but for the checks of the residual.
    pair = BlockCG().solve(spd(A), np.stack((one, two), axis=1))
    assert result.iterations <= pair.iterations + 2
    assert result.counts.products <= 1.2 * pair.counts.products + 3 * B.shape[1]


def test_equal_columns_cost_one_product_an_iteration(rng):
    b = rng.standard_normal(144)
    result = BlockCG().solve(spd(poisson(12)), np.stack((b, b, b, -2.0 * b), axis=1))
    alone = CG().solve(spd(poisson(12)), b)
    assert result.converged and abs(result.iterations - alone.iterations) <= 1
    assert result.counts.products <= alone.iterations + 3 * 4


def test_columns_that_converge_early_leave(rng):
    A = spd(poisson(16))
    smooth = np.outer(np.sin(np.pi * np.arange(1, 17) / 17), np.sin(np.pi * np.arange(1, 17) / 17)).ravel()
    B = np.stack((smooth, rng.standard_normal(256), rng.standard_normal(256)), axis=1)
    result = BlockCG().solve(A, B)
    iterations = [c.iterations for c in result.columns]
    assert result.converged and iterations[0] == 1 and min(iterations[1:]) > 10


def test_almost_equal_columns_are_solved_to_the_last_digit(rng):
    """The difference of two columns is 1e-9 of them, below what the block can tell apart at first."""
    A, b = spd(diffusion(14)), rng.standard_normal(196)
    B = np.stack((b, b + 1e-9 * rng.standard_normal(196)), axis=1)
    result = BlockCG(rtol=1e-12).solve(A, B)
    assert result.converged and (residuals(A.to_sparse(), result.x, B) <= 1e-12).all()


@pytest.mark.parametrize("deflation", [0.0, 1e-3, 0.1])
def test_the_answer_does_not_depend_on_the_deflation(deflation, rng):
    A, B = spd(diffusion(12)), rng.standard_normal((144, 5))
    result = BlockCG(deflation=deflation).solve(A, B)
    assert result.converged and (residuals(A.to_sparse(), result.x, B) <= 1e-8).all()


def test_more_columns_than_unknowns(rng):
    A = second_difference(6)
    B = rng.standard_normal((6, 9))
    result = BlockCG(rtol=1e-12).solve(A, B)
    assert result.converged and result.iterations <= 3 and (residuals(A, result.x, B) <= 1e-12).all()


def test_indefinite_operators_and_preconditioners(rng):
    B = rng.standard_normal((400, 3))
    A = sp.csr_array(poisson(20) - 3.7 * sp.eye_array(400))
    result = BlockCG().solve(A, B)
    assert {c.status for c in result.columns} == {Status.INDEFINITE} and np.isfinite(result.x).all()
    assert BlockCG().solve(spd(poisson(20)), B, M=Diagonal(-np.ones(400))).status is Status.INDEFINITE


@pytest.mark.parametrize("n", [40, 120])
def test_semi_definite_operators_fail_inconsistent_columns_alone(n, rng):
    A = Sparse(neumann(n), props=SPD | Props.SINGULAR)
    B = A.to_sparse() @ rng.standard_normal((n, 3))
    consistent = BlockCG().solve(A, B)
    assert consistent.converged
    B[:, 1] += 1.0
    mixed = BlockCG().solve(A, B)
    kinds = [c.status for c in mixed.columns]
    assert kinds[1] is Status.STAGNATED and kinds[0] is kinds[2] is Status.CONVERGED
    assert (residuals(A.to_sparse(), mixed.x[:, [0, 2]], B[:, [0, 2]]) <= 1e-8).all()
    assert mixed.columns[1].residual_norm <= np.linalg.norm(B[:, 1]) * (1 + 1e-12)


def test_a_right_hand_side_inside_the_null_space():
    A = Sparse(neumann(30), props=SPD | Props.SINGULAR)
    result = BlockCG().solve(A, np.stack((np.ones(30), np.cos(np.arange(30.0))), axis=1))
    assert result.columns[0].status is Status.STAGNATED and np.isfinite(result.x).all()


def test_badly_scaled_operators_are_not_called_singular(rng):
    """Boundary values set by a penalty: Rayleigh quotients span 14 decades."""
    A = poisson(10).tolil()
    for i in range(10):
        A[i, i] = 1e14
    B = rng.standard_normal((100, 3))
    result = BlockCG(rtol=1e-6).solve(Sparse(sp.csr_array(A), props=SPD), B, M=Jacobi())
    assert result.converged


def test_not_a_number_in_a_column_of_the_preconditioner(rng):
    def spoil(R):
        Z = R.copy()
        Z[:, np.abs(R[0]) > 100.0] = np.nan
        return Z

    M = Function((144, 144), lambda r: r, matmat=spoil, props=SPD)
    B = rng.standard_normal((144, 3))
    B[0, 1] = 1e3
    result = BlockCG().solve(spd(poisson(12)), B, M=M)
    assert [c.status.name for c in result.columns] == ["CONVERGED", "NONFINITE", "CONVERGED"]


@pytest.mark.parametrize("maxiter", [0, 1, 4])
def test_iterations_run_out(maxiter, rng):
    A, B = poisson(12), rng.standard_normal((144, 3))
    result = BlockCG(maxiter=maxiter).solve(spd(A), B)
    assert result.status is Status.MAXITER and result.iterations == maxiter
    assert np.allclose([c.residual_norm for c in result.columns], np.linalg.norm(B - A @ result.x, axis=0))


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128])
def test_precisions(dtype, rng):
    phase = np.exp(1j * rng.uniform(0, 6, 144)) if np.dtype(dtype).kind == "c" else np.ones(144)
    A = sp.csr_array(sp.diags_array(phase) @ poisson(12) @ sp.diags_array(phase.conj())).astype(dtype)
    B = (rng.standard_normal((144, 4)) + 0.0 * phase[:, None]).astype(dtype)
    rtol = 1e-8 if dtype is np.complex128 else 1e-5
    result = BlockCG(rtol=rtol).solve(Sparse(A, props=SPD), B)
    assert result.converged and result.x.dtype == dtype
    assert (residuals(A.astype(np.complex128), result.x, B) <= 1.1 * rtol).all()


def test_torch_storage(rng):
    torch = pytest.importorskip("torch")
    from resolvent.operators import as_operator

    B = rng.standard_normal((64, 4))
    B[:, 3] = B[:, 0]
    A = as_operator(torch.from_numpy(poisson(8).toarray()), props=SPD)
    result, plain = BlockCG().solve(A, torch.from_numpy(B)), BlockCG().solve(spd(poisson(8)), B)
    assert result.converged and abs(result.iterations - plain.iterations) <= 1
    assert np.allclose(result.x.numpy(), plain.x, atol=1e-6)


def test_independent_columns_are_found(rng):
    W = rng.standard_normal((50, 6)) * 10.0 ** np.arange(-6.0, 0.0)
    W[:, 2] = W[:, 0] * 1e3 - 2.0 * W[:, 4]
    W[:, 5] = 0.0
    S = independent(W.T @ W, 1e-6)
    assert S.shape == (6, 4)
    P = W @ S
    assert np.allclose(P.T @ P, np.eye(4), atol=1e-8)
    assert np.linalg.norm(W - P @ (P.T @ W)) <= 1e-6 * np.linalg.norm(W)


def test_refuses_what_it_cannot_use():
    A = poisson(4)
    with pytest.raises(StructureError, match="use FlexibleCG"):
        BlockCG().prepare(A, Function(A.shape, lambda r: r, props=Props.VARIABLE))
    with pytest.raises(StructureError, match="complex symmetric"):
        BlockCG().prepare(Sparse(sp.csr_array(A + 1j * sp.eye_array(16)), props=Props.SYMMETRIC))
    with pytest.raises(ValueError, match="deflation"):
        BlockCG(deflation=1.0)
