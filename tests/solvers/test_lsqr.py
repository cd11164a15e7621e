"""LSQR takes the steps of scipy's, and those of conjugate gradients on the normal equations."""

import numpy as np
import pytest
import scipy.sparse.linalg as spla

from resolvent.solvers import CG, LSQR

STEPS = 10


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("damp", [0.0, 0.5])
@pytest.mark.parametrize("shape", [(60, 30), (30, 60), (40, 40)])
def test_every_iteration_is_that_of_scipy(dtype, damp, shape, rng):
    A, b = rng.standard_normal(shape), rng.standard_normal(shape[0])
    if dtype is complex:
        A, b = A + 1j * rng.standard_normal(shape), b + 1j * rng.standard_normal(shape[0])
    seen = []
    result = LSQR(rtol=0.0, damp=damp, maxiter=STEPS).solve(A, b, callback=lambda p: seen.append(p.x[:, 0].copy()))
    for k in range(1, STEPS + 1):
        found = spla.lsqr(A, b, damp=damp, atol=0, btol=0, conlim=0, iter_lim=k)
        x, r_norm, full_norm, gradient = found[0], found[3], found[4], found[7]
        assert np.linalg.norm(seen[k - 1] - x) <= 1e-10 * np.linalg.norm(x)
        assert result.extra["normal_history"][k][0] == pytest.approx(gradient, rel=1e-10)
        assert full_norm == pytest.approx(np.hypot(result.history[k], damp * np.linalg.norm(x)), rel=1e-10)
        # With damping scipy's r1norm is computed with the norm of an earlier x.
        true = np.linalg.norm(b - A @ x)
        assert result.history[k] == pytest.approx(true if damp else r_norm, rel=1e-10)


def test_the_iterates_are_those_of_conjugate_gradients_on_the_normal_equations(rng):
    A, b = rng.standard_normal((50, 20)), rng.standard_normal(50)
    for k in (1, 3, 7):
        ours, theirs = LSQR(maxiter=k).solve(A, b).x, CG(maxiter=k).solve(A.T @ A, A.T @ b).x
        assert np.linalg.norm(ours - theirs) <= 1e-10 * np.linalg.norm(theirs)


def test_residuals_never_rise(rng):
    history = LSQR(rtol=1e-12).solve(rng.standard_normal((80, 40)), rng.standard_normal(80)).history
    assert (np.diff(history) <= 1e-13 * history[0]).all()


def test_the_accuracy_is_not_that_of_the_normal_equations(rng):
    """κ = 1e6: AᴴA would have 1e12 and lose 12 digits."""
    U, V = (np.linalg.qr(rng.standard_normal((n, 12)))[0] for n in (40, 12))
    A = U * np.geomspace(1.0, 1e-6, 12) @ V.T
    x = rng.standard_normal(12)
    result = LSQR(rtol=1e-14, maxiter=2000).solve(A, A @ x)
    assert np.linalg.norm(result.x - x) <= 1e-7 * np.linalg.norm(x)
