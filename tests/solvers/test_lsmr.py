"""LSMR takes the steps of scipy's, and those of MINRES on the normal equations."""

import numpy as np
import pytest
import scipy.sparse.linalg as spla

from resolvent.solvers import LSMR, LSQR, MINRES

STEPS = 10


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("damp", [0.0, 0.5])
@pytest.mark.parametrize("shape", [(60, 30), (30, 60), (40, 40)])
def test_every_iteration_is_that_of_scipy(dtype, damp, shape, rng):
    A, b = rng.standard_normal(shape), rng.standard_normal(shape[0])
    if dtype is complex:
        A, b = A + 1j * rng.standard_normal(shape), b + 1j * rng.standard_normal(shape[0])
    seen = []
    result = LSMR(rtol=0.0, damp=damp, maxiter=STEPS).solve(A, b, callback=lambda p: seen.append(p.x[:, 0].copy()))
    for k in range(1, STEPS + 1):
        x, _, _, full_norm, gradient, *_ = spla.lsmr(A, b, damp=damp, atol=0, btol=0, conlim=0, maxiter=k)
        assert np.linalg.norm(seen[k - 1] - x) <= 1e-10 * np.linalg.norm(x)
        assert result.extra["normal_history"][k][0] == pytest.approx(gradient, rel=1e-10)
        assert result.history[k] == pytest.approx(np.linalg.norm(b - A @ x), rel=1e-10)
        assert full_norm == pytest.approx(np.hypot(result.history[k], damp * np.linalg.norm(x)), rel=1e-10)


def test_the_iterates_are_those_of_minres_on_the_normal_equations(rng):
    A, b = rng.standard_normal((50, 20)), rng.standard_normal(50)
    for k in (1, 3, 7):
        ours, theirs = LSMR(maxiter=k).solve(A, b).x, MINRES(maxiter=k).solve(A.T @ A, A.T @ b).x
        assert np.linalg.norm(ours - theirs) <= 1e-9 * np.linalg.norm(theirs)


def test_gradients_never_rise_and_stop_no_later_than_with_lsqr(rng):
    A, b = rng.standard_normal((80, 40)), rng.standard_normal(80)
    result = LSMR(rtol=1e-10).solve(A, b)
    gradients = np.array(result.extra["normal_history"])[:, 0]
    assert (np.diff(gradients) <= 1e-13 * gradients[0]).all()
    assert result.iterations <= LSQR(rtol=1e-10).solve(A, b).iterations


def test_the_accuracy_is_not_that_of_the_normal_equations(rng):
    """κ = 1e6: AᴴA would have 1e12 and lose 12 digits."""
    U, V = (np.linalg.qr(rng.standard_normal((n, 12)))[0] for n in (40, 12))
    A = U * np.geomspace(1.0, 1e-6, 12) @ V.T
    x = rng.standard_normal(12)
    result = LSMR(rtol=1e-14, maxiter=2000).solve(A, A @ x)
    assert np.linalg.norm(result.x - x) <= 1e-7 * np.linalg.norm(x)
