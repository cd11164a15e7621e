"""MINRES: optimality in the norm of M, indefinite and singular systems, honest residuals under preconditioning."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Dense, Diagonal, Function, Props, Sparse, StructureError
from resolvent.solvers import AMG, CG, MINRES, SSOR, Jacobi, Status

from .conformance import diffusion, neumann, poisson, relative_residual, spd


def positive(n, rng):
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return (Q * np.geomspace(0.1, 10.0, n)) @ Q.T


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 5, 9])
def test_minimises_the_residual_in_the_norm_of_the_preconditioner(preconditioned, steps, rng):
    n = 20
    A = rng.standard_normal((n, n))
    A = A + A.T
    M = positive(n, rng) if preconditioned else np.eye(n)
    M = (M + M.T) / 2
    b = rng.standard_normal(n)
    x = MINRES(maxiter=steps).solve(A, b, M=Dense(M) if preconditioned else None).x
    K = [M @ b]
    for _ in range(steps - 1):
        K.append(M @ (A @ (K[-1] / np.linalg.norm(K[-1]))))
    Q = np.linalg.qr(np.stack(K, axis=1))[0]
    root = np.linalg.cholesky(M).T
    best = Q @ np.linalg.lstsq(root @ A @ Q, root @ b, rcond=None)[0]
    assert np.linalg.norm(root @ (b - A @ x)) <= np.linalg.norm(root @ (b - A @ best)) * (1 + 1e-8)


def test_recorded_residuals_are_those_of_the_iterates(rng):
    """With a preconditioner the recurrence would give the norm in M; the history holds ‖b − A x‖₂."""
    A = sp.csr_array(diffusion(12) - 2.0 * sp.eye_array(144))
    b, seen = rng.standard_normal(144), []
    result = MINRES().solve(
        A, b, M=SSOR(1.2), callback=lambda p: seen.append((p.residual_norm[0], np.linalg.norm(b - A @ p.x[:, 0])))
    )
    recorded, true = np.array(seen).T
    assert result.converged and np.allclose(recorded, true, rtol=1e-5, atol=1e-12 * true[0])


def test_unpreconditioned_residuals_never_rise(rng):
    A = sp.csr_array(poisson(12) - 2.3 * sp.eye_array(144))
    history = MINRES().solve(A, rng.standard_normal(144)).history
    assert (np.diff(history) <= 1e-12 * history[0]).all()


@pytest.mark.parametrize("shift", [0.5, 1.7, 3.7, 4.0])
@pytest.mark.parametrize("recipe", [None, "diagonal"])
def test_indefinite_systems(shift, recipe, rng):
    A = sp.csr_array(poisson(11) - shift * sp.eye_array(121))
    b = A @ rng.standard_normal(121)
    M = None if recipe is None else Diagonal(rng.uniform(0.5, 2.0, 121))
    result = MINRES(maxiter=5000).solve(Sparse(A, props=Props.SELF_ADJOINT), b, M=M)
    assert result.converged and relative_residual(A, result.x, b) <= 1e-8


@pytest.mark.parametrize("recipe", [None, Jacobi(), SSOR(1.5), AMG()])
def test_definite_systems_take_about_as_long_as_with_cg(recipe, rng):
    A, b = spd(diffusion(20)), rng.standard_normal(400)
    mine, theirs = MINRES().solve(A, b, M=recipe), CG().solve(A, b, M=recipe)
    assert mine.converged and 0.85 * theirs.iterations <= mine.iterations <= theirs.iterations + 2


def test_hermitian_indefinite_systems_in_columns(rng):
    phase = sp.diags_array(np.exp(1j * rng.uniform(0, 6, 100)))
    A = sp.csr_array(phase @ (poisson(10) - 1.9 * sp.eye_array(100)) @ phase.conj())
    B = rng.standard_normal((100, 3)) + 1j * rng.standard_normal((100, 3))
    B[:, 1] *= 1e-5
    result = MINRES().solve(Sparse(A, props=Props.SELF_ADJOINT), B)
    assert result.converged
    assert (np.linalg.norm(B - A @ result.x, axis=0) <= 1e-8 * np.linalg.norm(B, axis=0)).all()
    for c in range(3):
        alone = MINRES().solve(A, B[:, c].copy())
        assert abs(alone.iterations - result.columns[c].iterations) <= 3  # rounding differs


@pytest.mark.parametrize("n", [40, 400])
def test_consistent_singular_systems_converge(n, rng):
    A = neumann(n)
    b = A @ rng.standard_normal(n)
    result = MINRES().solve(A, b)
    assert result.converged and relative_residual(A, result.x, b) <= 1e-8


@pytest.mark.parametrize("n", [40, 400])
@pytest.mark.parametrize("size", [1.0, 1e-4])
def test_inconsistent_systems_stagnate_at_a_least_squares_solution(n, size, rng):
    A = neumann(n)
    b = A @ rng.standard_normal(n)
    b += size * np.linalg.norm(b) / np.sqrt(n)
    result = MINRES().solve(A, b)
    assert result.status is Status.STAGNATED and "inconsistent" in result.extra["reason"]
    assert result.residual_norm == pytest.approx(abs(b.sum()) / np.sqrt(n), rel=1e-6)
    assert result.iterations <= n


def test_inconsistent_indefinite_system():
    """Few distinct eigenvalues: the Krylov space is exhausted after four steps."""
    d = np.r_[np.full(10, -2.0), np.zeros(5), np.full(10, 1.0), np.full(10, 3.0)]
    b = np.ones(35)
    result = MINRES().solve(sp.diags_array(d), b)
    assert result.status is Status.STAGNATED and result.iterations <= 6
    assert result.residual_norm == pytest.approx(np.sqrt(5.0))


def test_matrix_free_operators_need_no_adjoint_to_be_found_inconsistent(rng):
    A = neumann(60)
    result = MINRES().solve(Function(A.shape, lambda x: A @ x), rng.standard_normal(60))
    assert result.status is Status.STAGNATED and result.counts.rmatvec == 0


def test_breakdown_without_inconsistency_is_called_that():
    """A nilpotent matrix is not symmetric; what it does to the recurrence must still end honestly."""
    A = np.zeros((3, 3))
    A[0, 1] = A[1, 2] = 1.0
    result = MINRES().solve(A, np.array([1.0, 0.0, 0.0]))
    assert result.status in (Status.BREAKDOWN, Status.STAGNATED) and not result.converged


def test_refuses_what_it_cannot_use():
    A = poisson(4)
    with pytest.raises(StructureError, match="use FGMRES"):
        MINRES().prepare(A, Function(A.shape, lambda r: r, props=Props.VARIABLE))
    with pytest.raises(StructureError, match="complex symmetric"):
        MINRES().prepare(Sparse(sp.csr_array(A + 1j * sp.eye_array(16)), props=Props.SYMMETRIC))
    with pytest.raises(StructureError, match="M = Mᴴ"):
        MINRES().prepare(A, Diagonal(np.full(16, 1j)))
    for M in (Diagonal(-np.ones(16)), Diagonal(np.where(np.arange(16) < 15, 1.0, -1.0))):
        result = MINRES().solve(A, np.arange(16.0), M=M)
        assert result.status is Status.INDEFINITE and np.isfinite(result.x).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_tolerance_within_reach_is_reached_at_condition_1e9(seed):
    """After 11 iterations Aᴴr is rounding next to ‖A‖²‖x‖, but further steps along small eigenvectors still help."""
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((8, 8)))[0]
    A = (Q * np.logspace(0, -9, 8)) @ Q.T
    result = MINRES(rtol=1e-3).solve((A + A.T) / 2, Q @ np.ones(8))
    assert result.converged and result.iterations <= 30


def test_a_restart_preconditions_only_the_columns_that_restart():
    """Column 0 lives in an invariant subspace and starts afresh; column 1 goes on with the M u it has."""
    A, widths = Diagonal(np.linspace(1.0, 3.0, 30), props=Props.SELF_ADJOINT), []

    def precondition(u):
        widths.append(u.size // 30)
        return 0.5 * u

    M = Function(A.shape, precondition, matmat=precondition, props=SPD)
    B = np.ones((30, 2))
    B[2:, 0] = 0.0
    result = MINRES(rtol=0.0).solve(A, B, M=M)
    assert result.counts.preconditioner == sum(widths)
    together = [i for i, w in enumerate(widths) if w == 2]
    assert 1 in widths[: together[-1]]
