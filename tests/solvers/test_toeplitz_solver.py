"""Toeplitz systems against dense algebra and scipy, circulant preconditioners, and the contract of solvers."""

import numpy as np
import pytest
import scipy.linalg

import resolvent.solvers.check as contract
from resolvent import choose, solve
from resolvent.operators import SPD, Diagonal, StructureError, Toeplitz, check_operator
from resolvent.solvers import CG, GMRES, Status, ToeplitzSolver
from resolvent.solvers.check_problems import Problem
from resolvent.solvers.factorisations import SingularError


def toeplitz(n, kind, dtype=float):
    rng = np.random.default_rng(n)
    decay = 0.5 ** np.arange(n)
    c, r = rng.standard_normal(n) * decay, rng.standard_normal(n) * decay
    if np.dtype(dtype).kind == "c":
        c, r = c + 1j * rng.standard_normal(n) * decay, r - 1j * rng.standard_normal(n) * decay
    c[0] = 3.0
    c, r = c.astype(dtype), r.astype(dtype)
    if kind == "circulant":
        return Toeplitz(c, circulant=True)
    return Toeplitz(c, r) if kind == "general" else Toeplitz(c)


@pytest.mark.parametrize("n", [1, 2, 5, 64, 301])
@pytest.mark.parametrize("kind", ["general", "self-adjoint", "circulant"])
@pytest.mark.parametrize("dtype", [float, complex, np.float32, np.complex64])
def test_systems_adjoints_transposes_and_determinants(n, kind, dtype):
    T = toeplitz(n, kind, dtype)
    D = T.to_dense()
    single = np.dtype(dtype).itemsize * (1 if np.dtype(dtype).kind == "c" else 2) == 8
    prepared = ToeplitzSolver(rtol=1e-5 if single else 1e-11).prepare(T)
    tolerance = 1e-4 if single else 1e-9
    for right in (np.float32, float, complex):
        B = np.random.default_rng(0).standard_normal((n, 3)).astype(right)
        for result, matrix in (
            (prepared.solve(B), D),
            (prepared.adjoint().solve(B), D.conj().T),
            (prepared.solve_T(B), D.T),
        ):
            assert result.converged and result.iterations <= 2
            assert result.x.dtype == np.result_type(dtype, right)
            assert np.abs(matrix @ result.x - B).max() <= tolerance
    sign, log = prepared.logdet()
    expected = np.linalg.slogdet(D.astype(np.result_type(D, np.float64)))
    assert abs(sign - expected[0]) < 1e-5 and abs(log - expected[1]) <= 1e-5 * max(abs(expected[1]), 1.0)


def test_it_agrees_with_scipy_s_recursion():
    T = toeplitz(200, "general")
    b = np.random.default_rng(1).standard_normal(200)
    x = ToeplitzSolver(rtol=1e-12).solve(T, b).x
    np.testing.assert_allclose(x, scipy.linalg.solve_toeplitz((T.c, T.r), b), rtol=1e-9, atol=1e-11)


def structured_problems(needs, rng, dtype=np.float64):
    found = []
    for kind in ("self-adjoint", "general", "circulant"):
        A = toeplitz(64, kind, dtype)
        x = rng.standard_normal(64)
        x = (x + 1j * rng.standard_normal(64) if np.dtype(dtype).kind == "c" else x).astype(dtype)
        found.append(Problem(kind, A, x, A @ x, True))
    return found


def periodic_problem(rng, *, consistent):
    A = Toeplitz([2.0, -1.0, *[0.0] * 29, -1.0], circulant=True)
    x = rng.standard_normal(32)
    return Problem("periodic", A, x, A @ x + (0.0 if consistent else 1.0), False)


@pytest.mark.parametrize("name", [name for name, check in contract.CHECKS if check is not contract.fields])
def test_the_contract_of_solvers(name, monkeypatch):
    monkeypatch.setattr(contract, "problems", structured_problems)
    monkeypatch.setattr(contract, "singular_problem", periodic_problem)
    try:
        assert dict(contract.CHECKS)[name](ToeplitzSolver(), np.random.default_rng(3)) is not None
    except (contract.Skipped, StructureError) as reason:
        # Instrumented and assembled operators hide their structure, and there is no preconditioner to examine.
        if not any(word in str(reason) for word in ("Counted", "not Sparse(", "precondition")):
            raise


@pytest.mark.parametrize("kind", ["general", "self-adjoint", "circulant"])
@pytest.mark.parametrize("dtype", [np.float32, float, complex])
def test_circulant_preconditioners_are_operators_with_true_claims(kind, dtype):
    T = toeplitz(24, kind, dtype)
    if kind == "self-adjoint":
        T = Toeplitz(T.c + 2.0 * (np.arange(24) == 0), props=SPD)
    check_operator(ToeplitzSolver()(T)).check()
    check_operator(ToeplitzSolver()(T.H)).check()
    assert GMRES(rtol=1e-5).solve(T, np.ones(24), M=ToeplitzSolver()).iterations <= 12


def test_the_circulant_is_the_nearest_one():
    T = toeplitz(9, "general")
    D = T.to_dense()
    C = np.linalg.inv(ToeplitzSolver()(T).to_dense())
    shifts = np.array([[D[(i + k) % 9, i] for i in range(9)] for k in range(9)]).mean(axis=1)
    np.testing.assert_allclose(C, scipy.linalg.circulant(shifts), atol=1e-12)


def test_iterations_with_a_circulant_do_not_grow_with_the_length():
    counts = []
    for n in (200, 800, 3200):
        d = np.arange(n)
        T = Toeplitz(np.exp(-np.abs(d) / 8.0) + 1e-2 * (d == 0), props=SPD)
        result = CG().solve(T, np.random.default_rng(0).standard_normal(n), M=ToeplitzSolver())
        assert result.converged
        counts.append(result.iterations)
    assert max(counts) <= 15 and counts[2] <= counts[0] + 2


def test_singular_and_degenerate_systems():
    result = ToeplitzSolver().solve(Toeplitz([0.0, 1.0, 1.0]), np.ones(3))
    assert result.status is Status.BREAKDOWN and "leading block of order 1" in result.extra["reason"]
    periodic = Toeplitz([2.0, -1.0, 0.0, -1.0], circulant=True)
    prepared = ToeplitzSolver().prepare(periodic)
    assert prepared.solve(np.arange(4.0)).status is Status.BREAKDOWN
    with pytest.raises(SingularError, match="singular"):
        prepared.logdet()
    assert solve(Toeplitz([0.0, 1.0, 1.0]), np.ones(3)).converged, "the chosen method goes on without the recursion"
    spoilt = ToeplitzSolver().solve(Toeplitz([1.0, np.nan]), np.ones(2))
    assert spoilt.status is Status.NONFINITE and np.isfinite(spoilt.x).all()
    with pytest.raises(StructureError, match="nearest"):
        ToeplitzSolver()(Toeplitz([0.0, 0.0]))
    with pytest.raises(StructureError, match="square Toeplitz"):
        ToeplitzSolver().prepare(Diagonal([1.0, 2.0]))
    with pytest.raises(StructureError, match="takes no preconditioner"):
        ToeplitzSolver().prepare(periodic, M=ToeplitzSolver())


def test_changes_and_the_choice():
    T = toeplitz(20, "general")
    prepared = ToeplitzSolver().prepare(T)
    adjoint = prepared.adjoint()
    T.update(c=2.0 * T.c, r=2.0 * T.r)
    D = T.to_dense()
    np.testing.assert_allclose(D @ prepared.solve(np.ones(20)).x, np.ones(20), atol=1e-9)
    np.testing.assert_allclose(D.T @ adjoint.solve(np.ones(20)).x, np.ones(20), atol=1e-9)
    long = Toeplitz(0.5 ** np.arange(30_000.0) + 1.0 * (np.arange(30_000) == 0), props=SPD)
    choice = choose(long)
    assert isinstance(choice.solver, CG) and isinstance(choice.M, ToeplitzSolver)
    assert solve(long, np.ones(30_000)).converged
    assert str(ToeplitzSolver()) == "ToeplitzSolver(rtol=1e-08)"
