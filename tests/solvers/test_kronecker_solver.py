"""Kronecker-structured systems: every way to solve them against dense algebra, SciPy, and the contract of solvers."""

import dataclasses
import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp

import resolvent.solvers.check as contract
from resolvent import choose, solve
from resolvent.operators import (
    SPD,
    Dense,
    Diagonal,
    KernelDiff,
    Kronecker,
    KroneckerPlusDiagonal,
    KroneckerSum,
    Masked,
    Props,
    Sparse,
    SpectralMixture,
    StructureError,
    SumOfKroneckers,
    Toeplitz,
    check_operator,
)
from resolvent.solvers import CG, FGMRES, GMRES, MINRES, FastPoisson, KroneckerSolver, Status, ToeplitzSolver
from resolvent.solvers.check_problems import Problem
from resolvent.solvers.factorisations import SingularError
from resolvent.solvers.kronecker.nearest import nearest_product
from resolvent.solvers.kronecker.sylvester import triangular_sylvester


def random(m, n=None, dtype=float, seed=0):
    rng = np.random.default_rng(1000 * m + seed)
    A = rng.standard_normal((m, m if n is None else n))
    return (A + 1j * rng.standard_normal(A.shape) if np.dtype(dtype).kind == "c" else A).astype(dtype)


def definite(n, seed=0, dtype=float):
    A = random(n, dtype=dtype, seed=seed)
    return Dense((A @ A.conj().T + n * np.eye(n)).astype(dtype), props=SPD)


def shifted(n, seed=0, dtype=float):
    """A general matrix whose eigenvalues have positive real parts."""
    return (random(n, dtype=dtype, seed=seed) + 4.0 * n**0.5 * np.eye(n)).astype(dtype)


def second(n):
    return Toeplitz([2.0, -1.0] + [0.0] * (n - 2), props=SPD)


def chebyshev(n):
    """Second derivative on n + 1 Chebyshev points, without the rows and columns of the ends: highly non-normal."""
    x = np.cos(np.pi * np.arange(n + 1) / n)
    c = np.ones(n + 1) * (-1.0) ** np.arange(n + 1)
    c[[0, -1]] *= 2.0
    D = np.outer(c, 1.0 / c) / (x[:, None] - x[None, :] + np.eye(n + 1))
    D -= np.diag(D.sum(axis=1))
    return (D @ D)[1:-1, 1:-1]


SYSTEMS = {
    "product": lambda: Kronecker(shifted(3), shifted(5), shifted(4)),
    "product complex, diagonal": lambda: Kronecker(shifted(3), shifted(5, dtype=complex), Diagonal([1.0, 2.0, 3.0])),
    "product of one": lambda: Kronecker(shifted(6)),
    "product of four": lambda: Kronecker(shifted(3), shifted(2), shifted(17), shifted(2)),
    "product order F": lambda: Kronecker(shifted(3), shifted(5), order="F"),
    "product with a long sparse factor": lambda: Kronecker(
        shifted(2), Sparse(sp.diags_array([-1.0, 3.0, -0.5], offsets=[-1, 0, 1], shape=(600, 600)))
    ),
    "product definite": lambda: Kronecker(definite(4), definite(3)),
    "sum general": lambda: KroneckerSum(shifted(3), random(5)),
    "sum definite": lambda: KroneckerSum(definite(3), definite(6), definite(2)),
    "sum of three": lambda: KroneckerSum(shifted(3), random(5), random(4)),
    "sum of four": lambda: KroneckerSum(9.0 * np.eye(3) + random(3), random(5), random(2), random(3)),
    "sum of one": lambda: KroneckerSum(shifted(7)),
    "sum order F": lambda: KroneckerSum(shifted(3), random(5), order="F"),
    "sum complex": lambda: KroneckerSum(shifted(4, dtype=complex), random(5)),
    "sum self-adjoint complex": lambda: KroneckerSum(definite(4, dtype=complex), definite(3)),
    "sum indefinite": lambda: KroneckerSum(np.diag([1.0, -5.0, 2.0]) + 0.1, np.diag([0.3, 3.1])),
    "sum larger than a leaf": lambda: KroneckerSum(shifted(90), shifted(70, 1)),
    "sum shifted": lambda: KroneckerPlusDiagonal(KroneckerSum(random(3), random(5)), 9.0),
    "sum shifted off the real line": lambda: KroneckerPlusDiagonal(KroneckerSum(random(3), random(5)), 7.0 + 2.0j),
    "product shifted": lambda: KroneckerPlusDiagonal(Kronecker(definite(3), definite(5)), 0.1),
    "product shifted, general": lambda: KroneckerPlusDiagonal(Kronecker(random(3), random(5)), 30.0),
    "product and separable noise": lambda: KroneckerPlusDiagonal(
        Kronecker(definite(3), definite(5)), np.kron([0.1, 1.0, 3.0], np.linspace(0.2, 2.0, 5))
    ),
    "two products": lambda: Kronecker(shifted(3), shifted(5)) + Kronecker(random(3), random(5)),
    "two definite products": lambda: Kronecker(definite(3), definite(5)) + Kronecker(definite(3, 1), definite(5, 1)),
    "finite elements": lambda: finite_elements(4),
    "transforms": lambda: KroneckerSum(second(6), second(7), second(4)),
    "transforms, periodic": lambda: KroneckerSum(second(6), Toeplitz([3.0, -1.0, 0, 0, 0, -1.0], circulant=True)),
    "transforms, shifted": lambda: KroneckerSum(second(6), second(7)) + Diagonal(np.full(42, -0.3)),
}


def finite_elements(n):
    K, M = definite(n), definite(n, 1)
    return SumOfKroneckers(Kronecker(K, M, M), Kronecker(M, K, M), Kronecker(M, M, K))


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("method", ["auto", "eig", "schur", "lu", "transforms"])
def test_every_way_solves_the_system_its_adjoint_and_its_transpose(name, method):
    A = SYSTEMS[name]()
    try:
        prepared = KroneckerSolver(method=method, rtol=1e-11).prepare(A)
    except StructureError:
        assert method != "auto"
        return
    if method == "eig" and getattr(prepared._state, "condition", 1.0) > 1e8:
        return  # eigenvectors that are used only because they were asked for
    D, n = A.to_dense(), A.shape[0]
    rng = np.random.default_rng(0)
    for dtype in (float, complex):
        B = rng.standard_normal((n, 3)).astype(dtype) * (1.0 + (1j if dtype is complex else 0.0))
        for result, matrix in (
            (prepared.solve(B), D),
            (prepared.adjoint().solve(B), D.conj().T),
            (prepared.solve_T(B), D.T),
        ):
            assert result.converged and result.iterations <= 2
            assert np.abs(matrix @ result.x - B).max() <= 1e-10 * np.abs(B).max()
            assert result.x.dtype == np.result_type(A.dtype, dtype)
        np.testing.assert_allclose(prepared.solve(B[:, 0]).x, prepared.solve(B).x[:, 0], rtol=1e-9, atol=1e-12)
    if name != "product with a long sparse factor":
        sign, log = prepared.logdet()
        expected = np.linalg.slogdet(D)
        assert abs(sign - expected[0]) < 1e-9 and abs(log - expected[1]) < 1e-9 * max(abs(expected[1]), 1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_stays_single(dtype):
    for A in (
        Kronecker(shifted(3, dtype=dtype), shifted(4, dtype=dtype)),
        KroneckerSum(shifted(3, dtype=dtype), shifted(4, dtype=dtype)),
    ):
        for method in ("auto", "schur"):
            if method == "schur" and isinstance(A, Kronecker):
                continue
            b = random(12, 1, dtype)[:, 0]
            result = KroneckerSolver(method=method, rtol=1e-5).solve(A, b)
            assert result.converged and result.x.dtype == dtype


def structured_problems(needs, rng, dtype=np.float64):
    dtype = np.dtype(dtype)
    T = Toeplitz(np.array([2.0, -1.0] + [0.0] * 6, dtype), props=SPD)
    made = [
        ("product", Kronecker(shifted(8, dtype=dtype), shifted(8, 1, dtype)), True),
        ("sum", KroneckerSum(shifted(8, dtype=dtype), shifted(8, 1, dtype)), True),
        ("definite sum", KroneckerSum(definite(8, dtype=dtype), definite(8, 1, dtype)), True),
        ("shifted sum", KroneckerPlusDiagonal(KroneckerSum(definite(8, dtype=dtype), T), 2.0), True),
        ("Laplacian", KroneckerSum(T, T), True),
    ]
    found = []
    for name, A, easy in made:
        x = rng.standard_normal(64)
        x = (x + 1j * rng.standard_normal(64) if dtype.kind == "c" else x).astype(np.result_type(A.dtype, dtype))
        found.append(Problem(name, A, x, A @ x, easy))
    return found


def neumann_problem(rng, *, consistent):
    T = second(8).to_dense()
    T[0, 0] = T[-1, -1] = 1.0
    A = KroneckerSum(Dense(T, props=SPD | Props.SINGULAR), Dense(T, props=SPD | Props.SINGULAR))
    x = rng.standard_normal(64)
    b = A @ x
    return Problem("Neumann", A, x, b if consistent else b + 1.0, False)


@pytest.mark.parametrize("method", ["auto", "eig"])
@pytest.mark.parametrize("name", [name for name, _ in contract.CHECKS])
def test_the_contract_of_solvers(name, method, monkeypatch):
    monkeypatch.setattr(contract, "problems", structured_problems)
    monkeypatch.setattr(contract, "singular_problem", neumann_problem)
    check = dict(contract.CHECKS)[name]
    solver = KroneckerSolver(method=method)
    try:
        assert check(solver, np.random.default_rng(3)) is not None
    except (contract.Skipped, StructureError) as reason:
        # Instrumented and assembled operators hide their structure, and there is no preconditioner to examine.
        if not any(word in str(reason) for word in ("Counted", "not Sparse(", "precondition")):
            raise


# Known answers ---------------------------------------------------------------------------------------------------


def test_the_log_determinant_is_not_clamped():
    rng = np.random.default_rng(0)
    factors, exact = [], 0.0
    spectrum = np.logspace(0.0, -12.0, 30)
    for n in (30, 30):
        Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
        A = (Q * spectrum) @ Q.T
        factors.append(Dense((A + A.T) / 2.0, props=SPD))
        exact += 30 * np.log(spectrum).sum()
    sign, log = KroneckerSolver().prepare(Kronecker(*factors)).logdet()
    assert sign == 1.0 and abs(log - exact) <= 1e-6 * abs(exact)


@pytest.mark.parametrize("kind", ["Chebyshev", "kernel"])
def test_non_normal_sums_are_solved_backward_stably_by_schur_factors(kind):
    if kind == "Chebyshev":
        A, B = chebyshev(101), chebyshev(101)
    else:
        kernel = SpectralMixture(np.log(np.full(5, 0.2)), np.full(5, -6.0), np.linspace(0.0, 1.0, 5), "gaussian")
        A = B = KernelDiff(kernel, np.linspace(0.0, 2.0 * np.pi, 102), 2, eps=1e-10).to_dense()[1:-1, 1:-1]
    F = random(100)

    def backward_error(X):
        size = np.linalg.norm(A, 2) + np.linalg.norm(B, 2)
        return np.linalg.norm(A @ X + X @ B.T - F) / (size * np.linalg.norm(X) + np.linalg.norm(F))

    for method, bound in (("schur", 1e-12), ("eig", 1e-10)):
        out = np.empty((10_000, 1))
        KroneckerSolver(method=method).prepare(KroneckerSum(A, B))._state.solve_into(
            F.reshape(-1, 1), out, adjoint=False
        )
        assert backward_error(out.reshape(100, 100)) <= bound
    assert backward_error(scipy.linalg.solve_sylvester(A, B.T, F)) <= 1e-12
    refined = KroneckerSolver(rtol=1e-8).solve(KroneckerSum(A, B), F.ravel())
    assert backward_error(refined.x.reshape(100, 100)) <= 1e-12
    assert refined.status in (Status.CONVERGED, Status.STAGNATED)


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (5, 130), (150, 3), (131, 140)])
def test_triangular_sylvester_equals_scipy(m, n, dtype):
    output = "real" if dtype is float else "complex"
    T, R = (scipy.linalg.schur(shifted(k, dtype=dtype), output=output)[0] for k in (m, n))
    F = random(m, n, dtype)
    Y, Z = F.copy(), F.copy()
    triangular_sylvester(T, R, Y)
    triangular_sylvester(T, R, Z, adjoint=True)
    size = np.abs(F).max()
    assert np.abs(T @ Y + Y @ R - F).max() <= 1e-11 * size
    assert np.abs(T.conj().T @ Z + Z @ R.conj().T - F).max() <= 1e-11 * size
    np.testing.assert_allclose(Y, scipy.linalg.solve_sylvester(T, R, F), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("adjoint", [False, True])
def test_the_scale_of_trsyl_is_divided_by(adjoint):
    """Quotients beyond 1e291 make LAPACK return a scaled solution."""
    T, R = 1e-100 * np.array([[1.0, 0.5], [0.0, 1.0]]), 1e-100 * np.array([[1.0, 0.25], [0.0, 2.0]])
    F = np.full((2, 2), 1e195)
    assert scipy.linalg.get_lapack_funcs(("trsyl",), (T, R, F))[0](T, R, F)[1] < 1.0
    Y = F.copy()
    triangular_sylvester(T, R, Y, adjoint=adjoint)
    Y, S, Q = Y / 1e295, T * 1e100, R * 1e100
    np.testing.assert_allclose((S.T @ Y + Y @ Q.T) if adjoint else (S @ Y + Y @ Q), np.ones((2, 2)), rtol=1e-12)


def test_eigenvectors_that_are_too_badly_conditioned_give_way_to_schur_factors():
    n = 30
    jordan = np.eye(n) + np.eye(n, k=1)

    def way(*factors):
        prepared = KroneckerSolver().prepare(KroneckerSum(*factors))
        assert prepared.solve(np.ones(prepared.A.shape[0])).converged
        return prepared._state.describe()

    assert way(jordan, 3.0 * np.eye(4), np.eye(2)) == way(jordan, np.eye(4)) == "Schur factors"
    assert way(shifted(5), shifted(4), shifted(3)) == way(definite(5), definite(4)) == "fast diagonalisation"
    assert way(shifted(5), definite(4)) == "Schur factors", "two axes need no eigenvectors"


def test_eigenvalues_and_eigenvectors():
    for A in (
        KroneckerSum(definite(3), definite(4)),
        Kronecker(definite(3), definite(4), definite(2)),
        KroneckerPlusDiagonal(Kronecker(definite(3, dtype=complex), definite(4)), 0.5),
    ):
        prepared = KroneckerSolver().prepare(A)
        values, V = prepared.eigh()
        D, W = A.to_dense(), V.to_dense()
        assert type(V) is Kronecker and np.allclose(W.conj().T @ W, np.eye(len(D)))
        assert np.allclose((W * values) @ W.conj().T, D)
    with pytest.raises(StructureError, match="self-adjoint"):
        KroneckerSolver().prepare(KroneckerSum(shifted(3), shifted(4))).eigh()
    with pytest.raises(StructureError, match="gives no eigenvectors"):
        CG().prepare(np.eye(3)).eigh()
    with pytest.raises(StructureError, match="gives no log-determinant"):
        CG().prepare(np.eye(3)).logdet()


def test_symmetry_up_to_rounding_is_symmetry():
    Q = np.linalg.qr(random(40))[0]
    K = (Q * np.logspace(0.0, -14.0, 40)) @ Q.T
    assert not np.array_equal(K, K.T)
    A = KroneckerPlusDiagonal(Kronecker(K, K), 1e-6)
    prepared = KroneckerSolver().prepare(A)
    assert prepared._state.condition == 1.0 and prepared.solve(A @ np.ones(1600)).converged
    expected = np.log(np.outer(np.logspace(0.0, -14.0, 40), np.logspace(0.0, -14.0, 40)) + 1e-6).sum()
    assert prepared.logdet()[1] == pytest.approx(expected, rel=1e-9)


def test_fast_transforms_are_those_of_fast_poisson():
    A = KroneckerSum(second(30), second(20))
    b = random(600, 1)[:, 0]
    ours, theirs = KroneckerSolver().prepare(A), FastPoisson().prepare(A)
    assert ours._state.describe() == "fast transforms"
    np.testing.assert_array_equal(ours.solve(b).x, theirs.solve(b).x)
    np.testing.assert_allclose(ours.solve(b).x, KroneckerSolver(method="eig").solve(A, b).x, rtol=1e-10)
    assembled = FastPoisson(grid=(30, 20)).solve(A.to_sparse(), b)
    np.testing.assert_array_equal(assembled.x, theirs.solve(b).x)
    with pytest.raises(StructureError, match="constant coefficients"):
        KroneckerSolver(method="transforms").prepare(KroneckerSum(shifted(3), second(4)))
    long = KroneckerSum(second(20_000), second(3))
    assert solve(long, np.ones(60_000)).converged, "no dense factor of an axis is formed"


# Hard cases -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "A",
    [
        Kronecker(np.diag([1.0, 0.0]), shifted(3)),
        Kronecker(np.ones((2, 2)), shifted(3)),
        Kronecker(Diagonal([1.0, 0.0]), shifted(3)),
        KroneckerSum(np.diag([1.0, -1.0]), np.diag([1.0, 2.0])),
        KroneckerPlusDiagonal(KroneckerSum(np.diag([1.0, 2.0]), np.diag([1.0, 2.0])), -3.0),
        KroneckerSum(Toeplitz([2.0, -1.0, 0.0, -1.0], circulant=True), Toeplitz([2.0, -1.0, -1.0], circulant=True)),
    ],
)
def test_a_singular_system_is_a_breakdown_with_its_reason(A):
    prepared = KroneckerSolver().prepare(A)
    result = prepared.solve(np.arange(1.0, A.shape[0] + 1.0))
    assert result.status is Status.BREAKDOWN and "singular" in result.extra["reason"]
    with pytest.raises(SingularError, match="singular"):
        prepared.logdet()
    consistent = A @ np.arange(1.0, A.shape[0] + 1.0)
    assert solve(A, consistent).converged, "the chosen method goes on iteratively"


@pytest.mark.parametrize("method", ["auto", "schur", "eig"])
def test_nan_in_a_factor_is_a_status(method):
    A = shifted(3)
    A[1, 1] = np.nan
    result = KroneckerSolver(method=method).solve(KroneckerSum(A, shifted(2)), np.ones(6))
    assert not result.converged and np.isfinite(result.x).all()
    assert not KroneckerSolver().solve(Kronecker(A, shifted(2)), np.ones(6)).converged
    for spoilt in (
        KroneckerSum(A, shifted(2)),
        KroneckerSum(shifted(2), shifted(3)) + Diagonal([1, np.nan, 2, 3, 4, 5]),
    ):
        result = solve(spoilt, np.ones(6))
        assert result.status is Status.NONFINITE and np.isfinite(result.x).all()


def test_what_cannot_be_solved_says_what_to_use():
    K = Kronecker(shifted(3), shifted(4))
    for make, fragment in (
        (lambda: KroneckerSolver(method="QR"), "method must be"),
        (lambda: KroneckerSolver().prepare(Sparse(sp.eye_array(4))), "not Sparse"),
        (lambda: KroneckerSolver().prepare(Kronecker(random(2, 3), random(3, 2))), "rectangular factors"),
        (lambda: KroneckerSolver().prepare(K, M=np.eye(12)), "takes no preconditioner"),
        (lambda: KroneckerSolver(method="schur").prepare(K), "Schur factors solve Kronecker sums"),
        (lambda: KroneckerSolver(method="lu").prepare(KroneckerSum(shifted(2), shifted(2))), "method='lu'"),
        (lambda: KroneckerSolver().prepare(K + Diagonal(np.arange(12.0))), "M=KroneckerSolver()"),
        (lambda: KroneckerSolver().prepare(KroneckerSum(shifted(2), shifted(3)) + Diagonal(np.arange(6.0))), "varies"),
        (lambda: KroneckerSolver().prepare(_three()), "two at most"),
        (lambda: GMRES().prepare(sp.eye_array(4).tocsr(), M=KroneckerSolver()), "KroneckerSolver is for"),
        (lambda: KroneckerSolver().prepare(KroneckerSum(sp.diags_array(np.arange(9000.0)), np.eye(2))), "too long"),
    ):
        with pytest.raises((StructureError, ValueError), match=fragment.replace("(", r"\(").replace(")", r"\)")):
            make()


def _three():
    return SumOfKroneckers(*(Kronecker(definite(3, s), definite(4, s)) for s in range(3)))


# Changes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "schur"])
def test_a_new_shift_keeps_the_factors(method, monkeypatch):
    A = KroneckerPlusDiagonal(KroneckerSum(shifted(6), shifted(5)), 1.0)
    prepared = KroneckerSolver(method=method).prepare(A)

    def never(*arguments, **options):
        raise AssertionError("decomposed again")

    for name in ("eig", "eigh", "schur"):
        monkeypatch.setattr(scipy.linalg, name, never)
    A.update(d=2.5)
    b = np.ones(30)
    result = prepared.solve(b)
    assert result.converged
    np.testing.assert_allclose(A.to_dense() @ result.x, b, atol=1e-9)
    A.update(factors=(shifted(6, 2), None))
    with pytest.raises(AssertionError, match="decomposed again"):
        prepared.solve(b)


def test_changed_factors_are_noticed():
    A = Dense(shifted(4))
    prepared = KroneckerSolver().prepare(Kronecker(A, shifted(3)))
    adjoint = prepared.adjoint()
    A.update(A=shifted(4, 7))
    D = np.kron(shifted(4, 7), shifted(3))
    np.testing.assert_allclose(D @ prepared.solve(np.ones(12)).x, np.ones(12), atol=1e-9)
    np.testing.assert_allclose(D.T @ adjoint.solve(np.ones(12)).x, np.ones(12), atol=1e-9)


# Preconditioners ----------------------------------------------------------------------------------------------------


def test_a_varying_diagonal_takes_few_iterations_whatever_the_grid():
    counts = []
    for n in (16, 32, 64):
        T, d = (n + 1.0) ** 2 * second(n), 20.0 * (1.0 + np.sin(7.0 * np.arange(n * n) / n))
        A = KroneckerPlusDiagonal(KroneckerSum(T, T), d)
        result = CG().solve(A, np.ones(n * n), M=KroneckerSolver())
        assert result.converged
        counts.append(result.iterations)
    assert max(counts) <= 10 and counts[2] <= counts[0]
    plain = CG().solve(A, np.ones(n * n))
    assert counts[-1] < plain.iterations / 5


@pytest.mark.parametrize("solver", [GMRES(), FGMRES()])
def test_gmres_with_a_non_normal_sum_and_a_newton_diagonal(solver):
    D = chebyshev(25)
    x = np.cos(np.pi * np.arange(1, 25) / 25)
    u = np.outer(np.sin(3 * x), np.cos(x)).ravel()
    A = KroneckerPlusDiagonal(KroneckerSum(D, D), 3.0 * u**2 - 1.0)
    prepared = solver.prepare(A, M=KroneckerSolver())
    result = prepared.solve(np.ones(576))
    assert result.converged and result.iterations <= 8
    factors = prepared.M.factors
    A.update(d=3.0 * u**2 - 0.5)
    assert prepared.solve(np.ones(576)).converged
    assert prepared.M.factors is not factors and prepared.M.factors._T is factors._T, "a new mean keeps the factors"


@pytest.mark.parametrize(
    "A",
    [
        KroneckerPlusDiagonal(KroneckerSum(definite(4), definite(3)), np.linspace(1.0, 3.0, 12)),
        KroneckerPlusDiagonal(KroneckerSum(shifted(4), shifted(3)), np.linspace(1.0, 3.0, 12)),
        KroneckerPlusDiagonal(Kronecker(definite(4), definite(3)), np.linspace(1.0, 3.0, 12)),
        Kronecker(shifted(4, dtype=complex), shifted(3)),
        Masked(Kronecker(definite(4), definite(3)), np.arange(12) % 5 > 0),
        Masked(KroneckerSum(second(4), second(3)), np.arange(12) % 5 > 0),
        SumOfKroneckers(*(Kronecker(definite(4, s), definite(3, s)) for s in range(3))),
    ],
)
def test_preconditioners_are_operators_with_true_claims(A):
    M = KroneckerSolver()(A)
    check_operator(M).check()
    assert M.props == M.props | KroneckerSolver().claims(A)
    result = GMRES().solve(A, np.ones(A.shape[0]), M=KroneckerSolver())
    assert result.converged and result.iterations <= 10


def test_a_singular_structured_part_is_still_a_preconditioner():
    T = second(8).to_dense()
    T[0, 0] = T[-1, -1] = 1.0
    N = Dense(T, props=SPD | Props.SINGULAR)
    for method in ("auto", "eig"):
        A = KroneckerSum(N, N)
        M = KroneckerSolver(method=method)(A)
        check_operator(M).check()
        b = A @ random(64, 1)[:, 0]
        assert MINRES().solve(A, b, M=Dense(M.to_dense(), props=SPD)).converged


def test_masked_observations_of_a_covariance():
    n = 24
    x = np.linspace(0.0, 1.0, n)
    K = Dense(np.exp(-((x[:, None] - x[None, :]) ** 2) / 0.02) + 1e-3 * np.eye(n), props=SPD)
    A = Masked(KroneckerPlusDiagonal(Kronecker(K, K), 1e-2), np.random.default_rng(0).random((n, n)) > 0.1)
    b = random(A.shape[0], 1)[:, 0]
    with_, without = CG().solve(A, b, M=KroneckerSolver()), CG(maxiter=2000).solve(A, b)
    assert with_.converged and with_.iterations < without.iterations / 2
    choice = choose(A)
    assert isinstance(choice.solver, CG) and isinstance(choice.M, KroneckerSolver)


def test_the_nearest_product_is_nearest():
    A = SumOfKroneckers(*(Kronecker(definite(4, s), definite(3, s)) for s in range(3)))
    nearest = nearest_product(A)
    D = A.to_dense()
    rearranged = D.reshape(4, 3, 4, 3).transpose(0, 2, 1, 3).reshape(16, 9)
    best = np.sqrt((np.linalg.svd(rearranged, compute_uv=False)[1:] ** 2).sum())
    assert np.linalg.norm(D - nearest.to_dense()) == pytest.approx(best, rel=1e-6)
    assert Props.POSITIVE_DEFINITE in nearest.props


# The choice -------------------------------------------------------------------------------------------------------


def test_the_choice_follows_the_structure():
    expected = [
        (Kronecker(shifted(3), shifted(4)), KroneckerSolver, None),
        (KroneckerSum(shifted(3), shifted(4)), KroneckerSolver, None),
        (KroneckerSum(second(3), second(4)), KroneckerSolver, None),
        (KroneckerPlusDiagonal(KroneckerSum(definite(3), definite(4)), np.arange(12.0)), CG, KroneckerSolver),
        (KroneckerPlusDiagonal(KroneckerSum(shifted(3), shifted(4)), np.arange(12.0)), GMRES, KroneckerSolver),
        (KroneckerPlusDiagonal(KroneckerSum(definite(3), definite(4)), -np.arange(12.0)), None, KroneckerSolver),
        (_three(), CG, KroneckerSolver),
        (finite_elements(3), KroneckerSolver, None),
        (Toeplitz([3.0, 1.0, 0.5]), ToeplitzSolver, None),
    ]
    for A, solver, M in expected:
        choice = choose(A)
        assert solver is None or type(choice.solver) is solver, A
        assert (choice.M is None) == (M is None) and (M is None or type(choice.M) is M)
        b = A @ np.linspace(1.0, 2.0, A.shape[0])
        result = solve(A, b)
        assert result.converged
        np.testing.assert_allclose(A @ result.x, b, atol=1e-6 * np.abs(b).max())
    singular = KroneckerSum(*[Dense(np.ones((2, 2)), props=Props.SYMMETRIC | Props.SINGULAR)] * 2)
    assert not isinstance(choose(singular).solver, KroneckerSolver)
    huge = Kronecker(random(300), random(300))
    assert isinstance(choose(huge, M=Diagonal(np.ones(90_000))).solver, GMRES), "its 8e9 entries are not looked at"


# Storage, and other back-ends ----------------------------------------------------------------------------------------


def test_memory_is_linear_in_the_grid_and_quadratic_in_the_axes():
    def peak(n):
        A = KroneckerSum(definite(n), definite(n, 1), definite(n, 2))
        b = np.ones((n**3, 1))
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            prepared = KroneckerSolver().prepare(A)
            out = np.empty_like(b)
            prepared._state.solve_into(b, out, adjoint=False)
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()

    KroneckerSolver().solve(KroneckerSum(definite(3), definite(3)), np.ones(9))
    for n in (20, 40):
        # Eigenvalues, their reciprocal test, `out`, the modes and two scratch fields; eigenvectors and work of LAPACK.
        assert peak(n) <= 8 * (9 * n**3 + 12 * n**2) + 100_000


def test_torch_storage_solves_on_its_device():
    torch = pytest.importorskip("torch")
    for make in (
        lambda: Kronecker(shifted(3), shifted(4)),
        lambda: KroneckerSum(shifted(3), shifted(4), shifted(2)),
        lambda: KroneckerSum(definite(3), definite(4)),
        lambda: KroneckerPlusDiagonal(Kronecker(definite(3), definite(4)), 0.5),
    ):
        A = make()
        T = A.to_torch()
        b = random(A.shape[0], 2)
        prepared = KroneckerSolver().prepare(T)
        x = prepared.solve(torch.tensor(b))
        assert x.converged and np.abs(A.to_dense() @ x.x.numpy() - b).max() <= 1e-9
        y = prepared.adjoint().solve(torch.tensor(b))
        assert y.converged and np.abs(A.to_dense().T @ y.x.numpy() - b).max() <= 1e-9
        assert np.allclose(prepared.logdet(), KroneckerSolver().prepare(A).logdet())
        right = torch.tensor(b[:, 0], requires_grad=True)
        solve(T, right).x.sum().backward()
        assert np.abs(A.to_dense().T @ right.grad.numpy() - 1.0).max() <= 1e-8
    M = KroneckerSolver()(T)
    assert M._holds_torch()
    with pytest.raises(StructureError, match="use method='eig'"):
        KroneckerSolver(method="schur").prepare(KroneckerSum(shifted(3), shifted(4)).to_torch())


def test_options_print_and_compare():
    solver = KroneckerSolver(method="schur", rtol=1e-6)
    assert str(solver) == "KroneckerSolver(rtol=1e-06, method='schur')"
    assert dataclasses.replace(solver, method="auto", rtol=1e-8) == KroneckerSolver()


def test_orders_agree():
    for make, order in itertools.product((Kronecker, KroneckerSum), "CF"):
        A = make(shifted(3), shifted(5), order=order)
        F = random(3, 5)
        X = KroneckerSolver().solve(A, F.ravel(order=order)).x.reshape(3, 5, order=order)
        one, two = shifted(3), shifted(5)
        assert np.allclose(one @ X @ two.T if make is Kronecker else one @ X + X @ two.T, F)
