"""Sweeps as an iteration, as a smoother and as a preconditioner: against dense formulas, and how they end."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Diagonal, Ensemble, Function, Sparse, StructureError
from resolvent.solvers import CG, GMRES, SOR, SSOR, Jacobi, Richardson, Status

from ..conformance import convection, diffusion, poisson, relative_residual, second_difference, spd
from .splittings import random_matrix, sweep_matrix, symmetric_matrix

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
BLOCKS = (0, 3, 4, 9, 13, 20)
CASES = {"points": None, "blocks": [np.arange(a, b) for a, b in itertools.pairwise(BLOCKS)]}


def dense(A, omega, sweep, blocks):
    starts = None if blocks is None else np.array(BLOCKS)
    if sweep == "symmetric":
        return symmetric_matrix(A, omega, starts)
    return sweep_matrix(A, omega, starts, backward=sweep == "backward")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sweep", ["forward", "backward", "symmetric"])
def test_a_sweep_is_what_it_is_defined_to_be(sweep, case, dtype, rng):
    """The smoother, the solver and the preconditioner do the same."""
    A, omega = random_matrix(20, dtype, rng), 1.3
    b, x = rng.standard_normal((2, 20)).astype(dtype)
    method = SOR(omega, sweep=sweep, blocks=CASES[case], maxiter=1, rtol=0.0)
    M = dense(A.astype(np.result_type(dtype, np.float64)), omega, sweep, CASES[case])
    wanted = x + M @ (b - A @ x)
    tolerance = 2e-5 if np.finfo(dtype).bits == 32 else 1e-13
    smoothed = x.copy()
    method.smoother(A).smooth(smoothed, b)
    assert np.allclose(smoothed, wanted, rtol=0, atol=tolerance)
    kept = []
    SOR(omega, sweep=sweep, blocks=CASES[case], rtol=0.0).solve(
        A, b, x, callback=lambda progress: kept.append(progress.x[:, 0].copy()) or True
    )
    assert np.allclose(kept[0], wanted, rtol=0, atol=tolerance)
    preconditioner = method(Sparse(A))
    assert np.allclose(preconditioner.to_dense(), M, rtol=0, atol=tolerance)
    assert np.allclose(preconditioner.H.to_dense(), M.conj().T, rtol=0, atol=tolerance)
    assert np.allclose(preconditioner @ b, M @ b, rtol=0, atol=tolerance)


def test_the_history_is_that_of_the_iterates(rng):
    """The residuals that a sweep finds on its way are the true ones, one for each iterate, whoever looks."""
    A, b = poisson(8), rng.standard_normal(64)
    for method in (SOR(1.4), SOR(1.4, sweep="symmetric"), SOR(1.4, sweep="backward", ordering="red_black")):
        result = method.solve(A, b)
        x, norms = np.zeros(64), [np.linalg.norm(b)]
        smoother = method.smoother(A)
        for _ in range(result.iterations):
            smoother.smooth(x, b)
            norms.append(np.linalg.norm(b - A @ x))
        assert np.allclose(result.history, norms, rtol=1e-9, atol=1e-13 * norms[0])
        assert norms[-1] <= 1e-8 * norms[0] < norms[-2]
        watched = method.solve(A, b, callback=lambda progress: False)
        assert watched.iterations == result.iterations and np.array_equal(watched.x, result.x)


def test_products_do_not_grow_with_the_sweeps(rng):
    A, b = spd(poisson(12)), rng.standard_normal(144)
    short, long = SOR(1.6).solve(A, b), SOR(1.0, maxiter=10_000).solve(A, b)
    assert long.converged and long.iterations > 5 * short.iterations
    assert short.counts.products == long.counts.products == 2  # at the start, and to confirm


@pytest.mark.parametrize("omega", [0.3, 1.0, 1.5, 1.95])
def test_definite_systems_converge_for_every_omega(omega, rng):
    """Ostrowski and Reich."""
    A, b = diffusion(10), rng.standard_normal(100)
    for options in ({}, {"sweep": "symmetric"}, {"blocks": 7}, {"ordering": "multicolour", "blocks": 10}):
        result = SOR(omega, maxiter=100_000, **options).solve(spd(A), b)
        assert result.converged and relative_residual(A, result.x, b) <= 1e-8


def test_the_error_never_grows_in_the_energy_norm(rng):
    A, x = diffusion(8), rng.standard_normal(64)
    energies = []

    def energy(progress):
        e = progress.x[:, 0] - x
        energies.append(e @ (A @ e))

    SOR(1.7).solve(A, A @ x, callback=energy)
    assert (np.diff(energies) < 1e-14).all() and len(energies) > 20


def test_divergence_is_a_status_with_the_best_iterate(rng):
    A = poisson(8) - 3.0 * sp.eye_array(64)
    b = rng.standard_normal(64)
    for method in (SOR(1.5, maxiter=100_000), SOR(1.0, blocks=4, maxiter=100_000)):
        result = method.solve(A, b)
        assert result.status is Status.DIVERGED and result.residual_norm <= 1.001 * np.linalg.norm(b)
        assert np.isclose(result.residual_norm, np.linalg.norm(b - A @ result.x))


def test_the_limit_of_rounding_is_stagnation(rng):
    result = SOR(1.5, rtol=0.0).solve(poisson(8), rng.standard_normal(64))
    assert result.status is Status.STAGNATED and result.residual_norm < 1e-13 * result.rhs_norm


def test_an_inconsistent_system_ends_before_maxiter(rng):
    A = sp.csr_array(second_difference(50).tolil())
    A[0, 0] = A[49, 49] = 1.0
    result = SOR(maxiter=100_000).solve(A, rng.standard_normal(50) + 1.0)
    assert result.status is Status.STAGNATED and result.iterations < 10_000


@pytest.mark.parametrize("omega", [0.0, 2.0, -1.0, np.nan, "1", True, None])
def test_omega_outside_of_its_interval_is_refused(omega):
    for recipe in (SOR, SSOR):
        with pytest.raises(ValueError, match="omega must"):
            recipe(omega)


def test_options_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="sweep must be one of 'forward', 'backward', 'symmetric', got 'up'"):
        SOR(sweep="up")
    with pytest.raises(ValueError, match="ordering must be one of 'natural', 'red_black', 'multicolour', got 'random'"):
        SOR(ordering="random")
    for blocks in (0, 2.5, True, [[0, 1], [[2]]], [[0.5]], []):
        with pytest.raises(ValueError, match="blocks must be"):
            SOR(blocks=blocks)
    with pytest.raises(ValueError, match="maxiter must be"):
        SOR(maxiter=-1)


def test_matrices_without_a_diagonal_are_refused():
    A = np.array([[0.0, 1.0], [1.0, 2.0]])
    for method in (SOR(), SOR(ordering="multicolour")):
        with pytest.raises(ValueError, match=r"divides by the diagonal, but entry 0 .* is 0\.0"):
            method.solve(A, np.ones(2))
    assert SOR(blocks=2).solve(A, A @ [1.0, 2.0]).converged  # one block: solved at once
    with pytest.raises(ValueError, match="the block of the unknowns 0 … 1 is singular"):
        SOR(blocks=2).solve(np.ones((2, 2)), np.ones(2))
    with pytest.raises(ValueError, match="exactly once, got 3 numbers"):
        SOR(blocks=[[0], [1, 1]]).solve(np.eye(3), np.ones(3))


def test_operators_that_it_cannot_use_are_refused():
    with pytest.raises(ValueError, match="square"):
        SOR().solve(np.ones((3, 2)), np.ones(3))
    with pytest.raises(StructureError, match="takes no preconditioner"):
        SOR().solve(np.eye(2), np.ones(2), M=Jacobi())
    with pytest.raises(StructureError, match="entries"):
        SOR().solve(Function((3, 3), matvec=lambda x: x), np.ones(3))
    with pytest.raises(StructureError, match="not self-adjoint"):
        CG().solve(poisson(4), np.ones(16), M=SOR())


def test_nan_is_a_status(rng):
    A = poisson(4).copy()
    A.data[3] = np.nan
    for method in (SOR(), SOR(blocks=4), SOR(ordering="red_black")):
        result = method.solve(A, np.ones(16))
        assert result.status is Status.NONFINITE and np.isfinite(result.x).all() and result.iterations == 0


def test_it_follows_a_matrix_that_changes(rng):
    A, b = Sparse(poisson(6), props=SPD), rng.standard_normal(36)
    prepared = SOR(1.2, ordering="red_black").prepare(A)
    first = prepared.solve(b)
    A.update(A=sp.csr_array(poisson(6) + 3.0 * sp.eye_array(36)))
    second = prepared.solve(b)
    assert second.iterations < first.iterations and relative_residual(A.matrix, second.x, b) <= 1e-8


def test_one_solver_serves_members_and_adjoints(rng):
    systems = [Sparse(sp.csr_array(poisson(4) + c * sp.eye_array(16)), props=SPD) for c in (1.0, 4.0)]
    result = SOR().solve(Ensemble(systems), rng.standard_normal((16, 2)))
    assert [column.status for column in result.columns] == [Status.CONVERGED] * 2
    assert result.columns[1].iterations < result.columns[0].iterations
    A = convection(5) + 2.0 * sp.eye_array(25)
    b = rng.standard_normal(25)
    adjoint = SOR(blocks=5).prepare(A).adjoint().solve(b)
    assert adjoint.converged and relative_residual(A.T, adjoint.x, b) <= 1e-8


def test_a_symmetric_sweep_as_a_recipe_is_ssor(rng):
    A, r = spd(diffusion(6)), rng.standard_normal(36)
    for options in ({}, {"ordering": "multicolour"}, {"blocks": 6}):
        symmetric, ssor = SOR(1.4, sweep="symmetric", **options)(A), SSOR(1.4, **options)(A)
        assert np.array_equal(symmetric @ r, ssor @ r) and symmetric.props == ssor.props == A.props


def test_one_sided_sweeps_help_gmres(rng):
    A, b = convection(24), rng.standard_normal(576)
    plain, swept = GMRES().solve(A, b), GMRES().solve(A, b, M=SOR(1.3))
    assert swept.converged and swept.iterations < plain.iterations / 2


def test_richardson_with_ssor_is_the_symmetric_sweep(rng):
    A, b = diffusion(6), rng.standard_normal(36)
    swept = SOR(1.2, sweep="symmetric", maxiter=5000).solve(A, b)
    iterated = Richardson(maxiter=5000).solve(A, b, M=SSOR(1.2))
    assert swept.iterations == iterated.iterations and np.allclose(swept.x, iterated.x, rtol=1e-9)


def test_richardson_with_jacobi_follows_the_dense_iteration(rng):
    A, b, omega = diffusion(5).toarray(), rng.standard_normal(25), 2 / 3
    result = Richardson(omega, maxiter=20).solve(A, b, M=Jacobi())
    x = np.zeros(25)
    for _ in range(20):
        x += omega * (b - A @ x) / np.diag(A)
    assert result.status is Status.MAXITER and np.allclose(result.x, x, rtol=1e-12)
    with pytest.raises(ValueError, match="omega must be a number other than zero"):
        Richardson(0.0)


def test_smoothing_columns_and_strided_arrays(rng):
    A = poisson(5)
    b, start = rng.standard_normal((2, 25, 3))
    for method in (SOR(1.1), SOR(ordering="red_black"), SOR(blocks=5, sweep="symmetric")):
        smoother = method.smoother(A)
        x = start.copy()
        smoother.smooth(x, b, sweeps=3)
        for c in range(3):
            wide = np.zeros((25, 2))
            wide[:, 1] = start[:, c]
            smoother.smooth(wide[:, 1], b[:, c], sweeps=3)
            assert np.array_equal(wide[:, 1], x[:, c]) and not wide[:, 0].any()


def test_smoothing_refuses_what_does_not_fit():
    smoother = SOR().smoother(poisson(3))
    with pytest.raises(ValueError, match=r"must both have shape \(9,\) or \(9, k\)"):
        smoother.smooth(np.zeros(9), np.zeros(8))
    with pytest.raises(TypeError, match="x has dtype int64"):
        smoother.smooth(np.zeros(9, dtype=int), np.zeros(9))
    with pytest.raises(TypeError, match="but the sweeps give complex128"):
        smoother.smooth(np.zeros(9), np.zeros(9, dtype=complex))


def test_smoothing_leaves_what_is_smooth():
    """Gauss–Seidel halves a high frequency in a sweep, and hardly changes a low one."""
    n = 63
    A, t = second_difference(n), np.arange(1, n + 1) * np.pi / (n + 1)
    for frequency, low, high in ((1, 0.9, 1.0), (n - 5, 0.0, 0.6)):
        x = np.sin(frequency * t)
        before = np.linalg.norm(x)
        SOR().smoother(A).smooth(x, np.zeros(n))
        assert low <= np.linalg.norm(x) / before <= high


def test_empty_and_diagonal_systems():
    assert SOR().solve(Diagonal(np.ones(0)), np.ones(0)).converged
    result = SOR().solve(Diagonal(np.array([2.0, 4.0])), np.ones(2))
    assert result.iterations == 1 and np.allclose(result.x, [0.5, 0.25])
