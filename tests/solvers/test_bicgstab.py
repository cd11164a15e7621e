"""BiCGStab: polynomial form, breakdown and new shadow vectors, counts, best iterate."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import Dense, Function, Props, StructureError
from resolvent.solvers import ILU, SSOR, BiCGStab, Jacobi, Status

from .conformance import convection, poisson, relative_residual


@pytest.mark.parametrize("recipe", [None, Jacobi(), SSOR(1.2), ILU()])
@pytest.mark.parametrize("dtype", [float, complex])
def test_nonsymmetric_systems(recipe, dtype, rng):
    A = convection(20) + (0.3j * sp.eye_array(400) if dtype is complex else 0.0 * sp.eye_array(400))
    b = rng.standard_normal(400)
    result = BiCGStab().solve(sp.csr_array(A), b, M=recipe)
    assert result.converged and relative_residual(A, result.x, b) <= 1e-8


def test_textbook_recurrence(rng):
    """Against the algorithm written down with dense matrices, iterate by iterate."""
    n = 12
    A, M = rng.standard_normal((n, n)) + 8 * np.eye(n), np.diag(rng.uniform(0.5, 2.0, n))
    b, iterates = rng.standard_normal(n), []
    BiCGStab(maxiter=5).solve(A, b, M=Dense(M), callback=lambda p: iterates.append(p.x[:, 0].copy()))
    x, r = np.zeros(n), b.copy()
    shadow, p, q, rho_old, alpha, omega = r.copy(), np.zeros(n), np.zeros(n), 1.0, 1.0, 1.0
    for mine in iterates:
        rho = shadow @ r
        p = r + (rho / rho_old) * (alpha / omega) * (p - omega * q)
        q = A @ M @ p
        alpha = rho / (shadow @ q)
        s = r - alpha * q
        t = A @ M @ s
        omega = (t @ s) / (t @ t)
        x, r, rho_old = x + alpha * (M @ p) + omega * (M @ s), s - omega * t, rho
        assert np.allclose(mine, x, rtol=1e-9)


def test_two_products_an_iteration(rng):
    A, b = convection(16), rng.standard_normal(256)
    result = BiCGStab().solve(A, b, M=Jacobi())
    k = result.iterations
    # Less a half where the last iteration ended after its first step.
    assert result.counts.matvec in (2 * k + 2, 2 * k + 1)
    assert result.counts.preconditioner == result.counts.matvec - 2


def test_identity_takes_half_an_iteration():
    result = BiCGStab().solve(4.0 * np.eye(6), np.arange(6.0))
    assert result.converged and result.iterations == 1 and result.counts.matvec == 3


def test_first_shadow_vector_fails_and_a_new_one_goes_on():
    """r̃ᴴA r = 0 at once for a rotation: with the residual alone as shadow the method could not begin."""
    A = np.array([[0.0, 1.0], [-1.0, 0.0]]) + 1e-17
    result = BiCGStab().solve(A, np.array([1.0, 0.0]))
    assert result.status in (Status.BREAKDOWN, Status.CONVERGED)
    shift = np.roll(np.eye(6), 1, axis=0)
    other = BiCGStab().solve(shift + 0.5 * np.eye(6), np.eye(6)[0])
    assert other.converged


def test_skew_matrices_break_down(rng):
    K = sp.diags_array([-np.ones(19), np.ones(19)], offsets=[-1, 1])
    b = rng.standard_normal(20)
    result = BiCGStab(maxiter=200).solve(K, b)
    assert result.status in (Status.BREAKDOWN, Status.DIVERGED, Status.MAXITER)
    assert np.isfinite(result.x).all() and result.residual_norm <= (1.0 + 1e-14) * np.linalg.norm(b)


def test_a_failure_returns_the_best_iterate(rng):
    A = sp.csr_array(poisson(12) - 3.9 * sp.eye_array(144))
    b, seen = rng.standard_normal(144), []
    result = BiCGStab(maxiter=25).solve(A, b, callback=lambda p: seen.append(p.residual_norm[0]))
    assert result.status is Status.MAXITER
    assert result.residual_norm <= 2.01 * min([np.linalg.norm(b), *seen])


def test_breakdown_in_one_column_leaves_the_others_alone(rng):
    A = sp.block_diag([convection(8), np.array([[0.0, 1.0], [-1.0, 0.0]])], format="csr")
    B = np.zeros((66, 2))
    B[:64, 0] = rng.standard_normal(64)
    B[64, 1] = 1.0
    result = BiCGStab().solve(A, B)
    assert result.columns[0].status is Status.CONVERGED
    assert result.columns[1].status in (Status.BREAKDOWN, Status.CONVERGED)
    assert np.isfinite(result.x).all()


def test_refuses_varying_preconditioners():
    A = poisson(4)
    with pytest.raises(StructureError, match="use FGMRES"):
        BiCGStab().prepare(A, Function(A.shape, lambda r: r, props=Props.VARIABLE))


def test_a_vanishing_omega_whose_convergence_is_refused_is_not_divided_by():
    """Column 0 proposes after ω = 0; products of one column, as in the confirmation, differ by a little."""
    d = 1e-2
    A = np.zeros((4, 4))
    A[:2, :2] = [[1.0, d], [-d, 0.0]]
    A[2:, 2:] = [[2.0, 1.0], [0.3, 1.0]]
    slightly_off = A.copy()
    slightly_off[1, 0] *= 1.05
    operator = Function(A.shape, lambda x: slightly_off @ x, matmat=lambda X: A @ X)
    B = np.eye(4)[:, [0, 2]]
    result = BiCGStab(rtol=1.01 * d).solve(operator, B)
    assert Status.NONFINITE not in [column.status for column in result.columns]
