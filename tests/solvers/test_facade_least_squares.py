"""`lsqr` and `lsmr`: the tuples of scipy, with norms that are recomputed."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import resolvent

NAMES = {"lsqr": ("iter_lim", 10), "lsmr": ("maxiter", 8)}


def random_matrix(m: int, n: int, kind: str = "d") -> np.ndarray:
    rng = np.random.default_rng(m + n)
    A = rng.standard_normal((m, n)) + (1j * rng.standard_normal((m, n)) if kind in "FD" else 0.0)
    return A.astype(kind)


@pytest.mark.parametrize("kind", ["d", "D", "f", "F"])
@pytest.mark.parametrize("shape", [(20, 20), (30, 12), (12, 30)])
@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_scipy(name: str, shape: tuple[int, int], kind: str) -> None:
    (m, n), (limit, length) = shape, NAMES[name]
    A, rng = random_matrix(m, n, kind), np.random.default_rng(0)
    b = (rng.standard_normal(m) + (1j * rng.standard_normal(m) if kind in "FD" else 0.0)).astype(kind)
    for damp in (0.0, 0.5):
        ours = getattr(resolvent, name)(A, b, damp, atol=1e-9, btol=1e-9, **{limit: 200})
        # Ours computes in double precision whatever A is; scipy's scalars overflow in single.
        wide = (array.astype(np.result_type(array, float)) for array in (A, b))
        theirs = getattr(spla, name)(*wide, damp, atol=1e-9, btol=1e-9, **{limit: 200})
        assert len(ours) == len(theirs) == length and tuple(ours) == ours.unpacked
        x, istop, itn, r_norm = ours[:4]
        assert np.allclose(x, theirs[0], atol=1e-5) and x.dtype == theirs[0].dtype and x.shape == (n,)
        assert istop == theirs[1] and abs(itn - theirs[2]) <= max(2, 0.2 * theirs[2])
        residual = b - A @ x
        gradient = A.conj().T @ residual - damp**2 * x
        assert r_norm == pytest.approx(np.linalg.norm(residual), rel=1e-6, abs=1e-12)
        normal, x_norm = (ours[7], ours[8]) if name == "lsqr" else (ours[4], ours[7])
        assert normal == pytest.approx(np.linalg.norm(gradient), rel=1e-2, abs=1e-11)
        assert x_norm == pytest.approx(np.linalg.norm(x))
        if name == "lsqr":
            assert ours[4] == pytest.approx(np.hypot(r_norm, damp * x_norm))
            assert ours[9].shape == (n,) and not ours[9].any()
        norm_A, condition = (ours[5], ours[6])
        extended = np.linalg.svd(np.vstack((A, damp * np.eye(n))), compute_uv=False)
        assert 0.3 * extended[0] <= norm_A <= 1.001 * extended[0]
        assert condition > 0.0
        assert ours.converged and ours.info == 0


@pytest.mark.parametrize("name", NAMES)
def test_reasons_for_stopping(name: str) -> None:
    function, (limit, _) = getattr(resolvent, name), NAMES[name]
    A, rng = random_matrix(30, 12), np.random.default_rng(0)
    b, x = rng.standard_normal(30), rng.standard_normal(12)
    assert function(A, np.zeros(30))[1:4] == (0, 0, 0.0)
    assert function(A, A @ x, x0=x)[1:3] == (0, 0)
    assert function(A, A @ x)[1] == 1
    assert function(A, b)[1] == 2
    assert function(A, b, conlim=1.01)[1] == 3
    assert function(A, b, **{limit: 2})[1:3] == (7, 2)
    orthogonal = np.linalg.svd(A)[0][:, -1]
    assert function(A, orthogonal, atol=1e-8)[1] in (0, 2)
    spoilt = A.copy()
    spoilt[3, 3] = np.nan
    result = function(spoilt, b)
    assert result[1] == 7 and result.info < 0 and np.isfinite(result.x).all()
    for given in ({"atol": None, "btol": None}, {"conlim": None}, {"conlim": 0.0}):
        assert function(A, b, **given)[1] == 2


@pytest.mark.parametrize("name", NAMES)
def test_guesses_are_kept_in_the_damping_term(name: str) -> None:
    A, rng = random_matrix(15, 10), np.random.default_rng(0)
    b, x0 = rng.standard_normal(15), rng.standard_normal(10)
    given, (limit, _) = x0.copy(), NAMES[name]
    for damp in (0.0, 2.0):
        options = {"damp": damp, "atol": 1e-12, "btol": 1e-12, "x0": x0, limit: 100}
        ours, theirs = getattr(resolvent, name)(A, b, **options), getattr(spla, name)(A, b, **options)
        assert np.allclose(ours[0], theirs[0], atol=1e-9)
        assert ours[3] == pytest.approx(np.linalg.norm(b - A @ ours[0]))
        expected = x0 + np.linalg.solve(A.T @ A + damp**2 * np.eye(10), A.T @ (b - A @ x0))
        assert np.allclose(ours[0], expected)
        if name == "lsqr":
            assert ours[4] == pytest.approx(np.hypot(ours[3], damp * np.linalg.norm(ours[0] - x0)))
    assert (x0 == given).all()
    away = getattr(resolvent, name)(A, np.zeros(15), x0=x0)
    assert away[1] == 1 and np.linalg.norm(away[0]) <= 1e-4 * np.linalg.norm(x0)
    assert getattr(resolvent, name)(A, b, x0=x0.astype(complex))[0].dtype == complex


@pytest.mark.parametrize("damp", [0.0, 0.7])
def test_variances_are_those_of_scipy_and_of_the_inverse(damp: float) -> None:
    A, b = random_matrix(40, 10), np.random.default_rng(0).standard_normal(40)
    options = {"damp": damp, "atol": 1e-13, "btol": 1e-13, "calc_var": True}
    var = resolvent.lsqr(A, b, **options)[9]
    assert np.allclose(var, np.diag(np.linalg.inv(A.T @ A + damp**2 * np.eye(10))), rtol=1e-6)
    assert np.allclose(var, spla.lsqr(A, b, **options)[9], rtol=1e-6)
    assert not resolvent.lsqr(A, np.zeros(40), calc_var=True)[9].any()


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_refusals(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    function = getattr(resolvent, name)
    assert function(np.array([[1.0, 2.0]]), 3.0, show=True)[0].shape == (2,)
    assert "CONVERGED" in capsys.readouterr().out
    assert function(sp.eye_array(5), np.ones((5, 1)))[0].shape == (5,)
    assert function(sp.eye_array(5), [1, 1, 1, 1, 1])[0].dtype == float
    counts = function(random_matrix(9, 4), np.ones(9)).counts
    assert counts.matvec >= 4 and counts.rmatvec >= 4
    for wrong in (np.ones(4), np.ones((5, 2))):
        with pytest.raises(ValueError, match="b must have shape"):
            function(np.eye(5), wrong)
    with pytest.raises(ValueError, match="must be"):
        function(np.eye(5), np.ones(5), atol=np.inf)


@pytest.mark.parametrize("name", ["lsqr", "lsmr"])
def test_norms_that_overflow_are_not_warnings(name: str) -> None:
    A = 1e300 * sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(20, 20)).tocsr()
    for x0 in (None, np.ones(20)):
        assert np.isfinite(getattr(resolvent, name)(A, np.ones(20), x0=x0)[0]).all()
