"""GMRES and FGMRES: optimality, restarts, singular projected systems, breakdown, right preconditioning."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import Dense, Diagonal, Function, Props, StructureError
from resolvent.solvers import FGMRES, GMRES, ILU, SSOR, Jacobi, Status
from resolvent.solvers.krylov.arnoldi import LeastSquares

from .conformance import convection, neumann, poisson, relative_residual

METHODS = pytest.mark.parametrize("method", [GMRES, FGMRES])


@METHODS
@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("steps", [1, 3, 8])
def test_minimises_the_residual_over_the_preconditioned_krylov_space(method, dtype, steps, rng):
    n = 15
    A, M, b = rng.standard_normal((n, n)), rng.standard_normal((n, n)), rng.standard_normal(n)
    if dtype is complex:
        A, b = A + 1j * rng.standard_normal((n, n)), b + 1j * rng.standard_normal(n)
    x = method(maxiter=steps).solve(A, b, M=Dense(M)).x
    K = [b]
    for _ in range(steps - 1):
        K.append(A @ M @ K[-1])
    best = np.linalg.lstsq(A @ M @ np.linalg.qr(np.stack(K, axis=1))[0], b, rcond=None)
    Q = np.linalg.qr(np.stack(K, axis=1))[0]
    assert np.linalg.norm(b - A @ x) == pytest.approx(np.linalg.norm(b - A @ M @ Q @ best[0]), rel=1e-8)


@METHODS
def test_full_gmres_ends_after_n_steps(method, rng):
    A, b = rng.standard_normal((25, 25)), rng.standard_normal(25)
    result = method(restart=25, rtol=1e-10).solve(A, b)
    assert result.converged and result.iterations <= 25


@METHODS
@pytest.mark.parametrize("recipe", [None, Jacobi(), SSOR(1.2), ILU()])
def test_nonsymmetric_systems(method, recipe, rng):
    A, b = convection(20), rng.standard_normal(400)
    result = method().solve(A, b, M=recipe)
    assert result.converged and relative_residual(A, result.x, b) <= 1e-8


@METHODS
def test_residual_of_the_iteration_is_that_of_the_system_not_of_the_preconditioned_one(method, rng):
    """PETSc's default, preconditioning on the left, stops on ‖M r‖: far from ‖r‖ for a badly scaled M."""
    A, b = convection(12), rng.standard_normal(144)
    M = Diagonal(np.geomspace(1e-6, 1e6, 144))
    result = method(restart=144).solve(A, b, M=M)
    assert result.history[-1] == pytest.approx(np.linalg.norm(b - A @ result.x), rel=1e-6, abs=1e-12)
    assert result.converged == (relative_residual(A, result.x, b) <= 1e-8)


def test_equal_to_fgmres_for_a_fixed_preconditioner_with_half_the_applications(rng):
    A, b = convection(16), rng.standard_normal(256)
    plain, flexible = GMRES(restart=10).solve(A, b, M=SSOR()), FGMRES(restart=10).solve(A, b, M=SSOR())
    assert plain.iterations == flexible.iterations
    assert np.allclose(plain.history, flexible.history, rtol=1e-6)
    cycles = -(-plain.iterations // 10)
    assert plain.counts.preconditioner == plain.iterations + cycles
    assert flexible.counts.preconditioner == flexible.iterations


@METHODS
def test_happy_breakdown_is_convergence(method):
    A = np.diag([1.0, 2.0, 3.0, 4.0])
    b = np.array([1.0, 0.0, 1.0, 0.0])
    result = method().solve(A, b)
    assert result.converged and result.iterations == 2
    assert method().solve(3.0 * np.eye(5), np.ones(5)).iterations == 1


@METHODS
def test_unhappy_breakdown_restarts_once(method):
    """Singular, consistent, and the Krylov space {b} does not hold the solution: no cycle can help."""
    A = np.array([[0.0, 1.0], [0.0, 0.0]])
    result = method().solve(A, np.array([1.0, 0.0]))
    assert result.status is Status.BREAKDOWN and result.iterations == 2
    assert not result.x.any()


@METHODS
@pytest.mark.parametrize("n", [40, 400])
def test_inconsistent_systems_stagnate_and_do_not_increase_the_residual(method, n, rng):
    A, b = neumann(n), rng.standard_normal(n)
    result = method(restart=n).solve(A, b)
    assert result.status is Status.STAGNATED
    assert "inconsistent" in result.extra["reason"]
    assert result.residual_norm == pytest.approx(abs(b.sum()) / np.sqrt(n), rel=1e-6)
    assert result.residual_norm <= np.linalg.norm(b)


@METHODS
@pytest.mark.parametrize("n", [40, 400])
def test_consistent_singular_systems_converge(method, n, rng):
    A = neumann(n)
    b = A @ rng.standard_normal(n)
    result = method(restart=n).solve(A, b)
    assert result.converged and relative_residual(A, result.x, b) <= 1e-8


@METHODS
def test_residual_never_rises_from_cycle_to_cycle_on_singular_systems(method, rng):
    for trial in range(20):
        B = rng.standard_normal((12, 12))
        B[:, -1 - trial % 4 :] = 0.0
        A = B @ rng.standard_normal((12, 12))
        b = rng.standard_normal(12)
        result = method(restart=12).solve(A, b)
        assert not result.converged and result.residual_norm <= np.linalg.norm(b) * (1 + 1e-12)


def test_skew_and_rotation_matrices(rng):
    """Field of values around zero: GMRES(1) stands still, the full method converges."""
    K = sp.diags_array([-np.ones(19), np.ones(19)], offsets=[-1, 1])
    b = rng.standard_normal(20)
    stuck = GMRES(restart=1).solve(K, b)
    assert stuck.status is Status.STAGNATED and "without progress" in stuck.extra["reason"]
    assert GMRES(restart=20).solve(K, b).converged
    shift = np.roll(np.eye(10), 1, axis=0)
    late = GMRES(restart=10).solve(shift, np.eye(10)[0])
    assert late.converged and late.iterations == 10


def test_no_restart_takes_fewest_iterations(rng):
    A, b = convection(24), rng.standard_normal(576)
    counts = [GMRES(restart=m).solve(A, b).iterations for m in (5, 10, 20, 500)]
    assert counts[-1] < min(counts[:-1])


def test_options_and_refusals():
    A = poisson(4)
    varying = Function(A.shape, lambda r: r, props=Props.VARIABLE)
    with pytest.raises(StructureError, match="use FGMRES"):
        GMRES().prepare(A, varying)
    with pytest.raises(StructureError, match="needs a fixed operator"):
        FGMRES().prepare(varying)
    for method in (GMRES, FGMRES):
        with pytest.raises(ValueError, match="restart must be a whole number ≥ 1"):
            method(restart=0)
    assert FGMRES().solve(A, np.ones(16), M=varying).converged
    assert GMRES(restart=1000).solve(A, np.ones(16)).converged  # longer than the system


def test_projected_problem_is_cut_off_where_it_is_singular():
    problem = LeastSquares(1.0, 3, np.dtype(float))
    assert problem.append(np.array([1.0]), 0.0) == 0.0
    problem.append(np.array([1.0, 1e-16]), 0.0)
    y = problem.solve()
    assert np.abs(y).max() <= 1.0 and y.sum() == pytest.approx(1.0)


def test_projected_problem_keeps_ill_conditioned_directions_that_matter():
    problem = LeastSquares(1.0, 2, np.dtype(float))
    problem.append(np.array([1.0]), 1e-9)
    assert problem.append(np.array([0.0, 1e-9]), 0.0) <= 1e-9
    assert problem.solve()[1] == pytest.approx(-1.0, rel=1e-6)
