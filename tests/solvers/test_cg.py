"""Conjugate gradients: known iteration counts, optimality, refusals, singular and indefinite systems."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Diagonal, Function, Props, Sparse, StructureError
from resolvent.solvers import AMG, CG, SSOR, Jacobi, Status

from .conformance import diffusion, neumann, poisson, relative_residual, second_difference, spd


@pytest.mark.parametrize("distinct", [1, 2, 5])
def test_takes_as_many_iterations_as_there_are_distinct_eigenvalues(distinct, rng):
    d = np.resize(np.arange(1.0, distinct + 1.0), 60)
    result = CG(rtol=1e-12).solve(Diagonal(d), rng.standard_normal(60))
    assert result.converged and result.iterations == distinct


def test_minimises_the_energy_norm_over_the_krylov_space(rng):
    A, b = diffusion(6), rng.standard_normal(36)
    x_star = np.linalg.solve(A.toarray(), b)
    K = np.stack([np.linalg.matrix_power(A.toarray(), j) @ b for j in range(4)], axis=1)
    Q = np.linalg.qr(K)[0]
    best = Q @ np.linalg.solve(Q.T @ A @ Q, Q.T @ b)
    x = CG(maxiter=4).solve(A, b).x
    assert np.allclose(x, best, rtol=1e-9, atol=1e-12)
    assert (x - x_star) @ A @ (x - x_star) < x_star @ A @ x_star


def test_error_in_the_energy_norm_falls_in_every_iteration(rng):
    A, b = diffusion(16, 1e4), rng.standard_normal(256)
    x_star, errors = np.linalg.solve(A.toarray(), b), []
    CG(rtol=1e-10).solve(
        A, b, M=Jacobi(), callback=lambda p: errors.append((p.x[:, 0] - x_star) @ A @ (p.x[:, 0] - x_star))
    )
    assert (np.diff(errors) <= 1e-14 * errors[0]).all()


@pytest.mark.parametrize("recipe", [None, Jacobi(), SSOR(1.5), AMG()])
@pytest.mark.parametrize("contrast", [1.0, 1e2, 1e5])
def test_solves_diffusion_problems(recipe, contrast, rng):
    A, b = diffusion(20, contrast), rng.standard_normal(400)
    result = CG().solve(spd(A), b, M=recipe)
    assert result.converged and relative_residual(A, result.x, b) <= 1e-8


def test_iterations_grow_with_the_square_root_of_the_condition_number():
    counts = []
    for n in (32, 64, 128):
        b = np.random.default_rng(0).standard_normal(n * n)
        counts.append([CG().solve(spd(poisson(n)), b, M=M).iterations for M in (None, AMG())])
    plain, multigrid = np.array(counts).T
    assert 1.7 < plain[1] / plain[0] < 2.3 and 1.7 < plain[2] / plain[1] < 2.3
    assert multigrid.max() <= 8


def test_hermitian_systems(rng):
    phase = sp.diags_array(np.exp(1j * rng.uniform(0, 6, 100)))
    A = sp.csr_array(phase @ poisson(10) @ phase.conj())
    b = rng.standard_normal(100) + 1j * rng.standard_normal(100)
    for M in (None, Jacobi(), SSOR(1.3), AMG("smoothed_aggregation")):
        result = CG().solve(spd(A), b, M=M)
        assert result.converged and relative_residual(A, result.x, b) <= 1e-8


def test_refuses_what_it_cannot_use():
    A = poisson(4)
    varying = Function(A.shape, lambda r: r, props=Props.VARIABLE)
    with pytest.raises(StructureError, match="use FlexibleCG"):
        CG().prepare(A, varying)
    with pytest.raises(StructureError, match="needs a fixed operator"):
        CG().prepare(varying)
    helmholtz = Sparse(sp.csr_array(A + 1j * sp.eye_array(16)), props=Props.SYMMETRIC)
    with pytest.raises(StructureError, match="complex symmetric"):
        CG().prepare(helmholtz)
    with pytest.raises(ValueError, match="rtol must be a number ≥ 0"):
        CG(rtol=-1.0)
    with pytest.raises(ValueError, match="maxiter must be a whole number"):
        CG(maxiter=2.5)


@pytest.mark.parametrize("b", [np.ones(64), np.random.default_rng(3).standard_normal(64)])
def test_indefinite_matrices_are_noticed(b):
    A = poisson(8) - 3.7 * sp.eye_array(64)
    result = CG().solve(A, b)
    assert result.status is Status.INDEFINITE and "pᴴAp" in result.extra["reason"]
    assert result.residual_norm <= np.linalg.norm(b)
    negative = CG().solve(poisson(8), b, M=Diagonal(-np.ones(64)))
    assert negative.status is Status.INDEFINITE and "rᴴMr" in negative.extra["reason"]
    swap = CG().solve(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1.0, 0.0]))
    assert swap.status is Status.INDEFINITE and swap.iterations == 0


@pytest.mark.parametrize("recipe", [None, Jacobi(), SSOR(1.5)])
def test_consistent_singular_systems_converge(recipe, rng):
    A = sp.csr_array(sp.kron(neumann(20), sp.eye_array(20)) + sp.kron(sp.eye_array(20), neumann(20)))
    b = A @ rng.standard_normal(400)
    for rtol in (1e-4, 1e-8, 1e-12):
        result = CG(rtol=rtol).solve(spd(A), b, M=recipe)
        assert result.converged and relative_residual(A, result.x, b) <= rtol


@pytest.mark.parametrize("recipe", [None, Jacobi(), SSOR(1.5)])
@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6])
def test_inconsistent_systems_stagnate_with_the_best_iterate(recipe, size, rng):
    """A pure Neumann problem whose data are incompatible by a fraction `size`: the usual case in practice."""
    A = sp.csr_array(sp.kron(neumann(20), sp.eye_array(20)) + sp.kron(sp.eye_array(20), neumann(20)))
    b = A @ rng.standard_normal(400)
    wrong = size * np.linalg.norm(b) / 20.0
    result = CG().solve(A, b + wrong, M=recipe)
    assert result.status is Status.STAGNATED and "null space" in result.extra["reason"]
    unavoidable = 20.0 * wrong  # the norm of the constant part
    assert unavoidable * (1 - 1e-9) <= result.residual_norm <= min(10.0 * unavoidable, np.linalg.norm(b + wrong))


def test_right_hand_side_inside_the_null_space():
    result = CG().solve(neumann(30), np.ones(30))
    assert result.status is Status.STAGNATED and not result.x.any()


@pytest.mark.parametrize("condition", [1e6, 1e10, 1e14])
def test_ill_conditioned_systems_are_not_taken_for_singular(condition, rng):
    d = np.geomspace(1.0 / condition, 1.0, 12)
    Q = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    A = (Q * d) @ Q.T
    b = A @ rng.standard_normal(12)
    result = CG(maxiter=5000).solve((A + A.T) / 2, b)
    assert result.converged


def test_counts_products_and_preconditioner():
    result = CG().solve(spd(poisson(16)), np.ones(256), M=Jacobi())
    k = result.iterations
    assert (result.counts.matvec, result.counts.preconditioner) == (k + 2, k)  # first residual and confirmation


def test_prepared_follows_new_values_of_the_operator(rng):
    A = Sparse(second_difference(50) + sp.eye_array(50), props=SPD)
    b = rng.standard_normal(50)
    prepared = CG(rtol=1e-10).prepare(A, SSOR(1.2))
    first = prepared.solve(b)
    A.update(data=3.0 * A.matrix.data)
    second = prepared.solve(b)
    assert second.converged and np.allclose(second.x, first.x / 3.0, rtol=1e-8)
    assert second.iterations == first.iterations


@pytest.mark.parametrize("weight", [1e16, 1e20])
def test_boundary_values_set_by_a_penalty_do_not_look_singular(weight):
    """The quotients of all directions inside are below roundoff times that of the penalty, and yet sound."""
    A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50)).tolil()
    A[0, 0] = A[49, 49] = weight
    b = np.ones(50)
    b[[0, 49]] = 0.0
    result = CG().solve(sp.csr_array(A), b)
    assert result.converged and result.iterations < 80
    assert result.counts.matvec < 1.3 * result.iterations  # a sound quotient is not questioned again and again


def test_a_small_eigenvalue_is_not_a_null_vector():
    result = CG().solve(np.diag([1.0, 1e-15]), np.ones(2))
    assert result.converged and np.allclose(result.x, [1.0, 1e15])


def test_directions_that_are_rounding_outside_of_the_null_space_are_given_up():
    d = np.resize(np.arange(5.0), 100)
    result = CG().solve(sp.diags_array(d), np.random.default_rng(1).standard_normal(100))
    assert result.status is Status.STAGNATED and "too ill-conditioned" in result.extra["reason"]
    assert result.iterations < 12
