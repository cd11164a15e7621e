"""The Kronecker solver: every way solves every structure, in every storage, within the contract of solvers."""

import dataclasses
import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

import resolvent.solvers.check as contract
from resolvent import solve
from resolvent.operators import (
    SPD,
    Dense,
    Diagonal,
    Kronecker,
    KroneckerPlusDiagonal,
    KroneckerSum,
    Props,
    Sparse,
    StructureError,
    Toeplitz,
)
from resolvent.solvers import KroneckerSolver
from resolvent.solvers.check_problems import Problem

from .systems import definite, finite_elements, random, second, shifted

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
