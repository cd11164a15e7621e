"""Kronecker products and sums against numpy.kron, the algebra that keeps them, and what they cost in memory."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from resolvent.operators import (
    SPD,
    Dense,
    Diagonal,
    Kronecker,
    KroneckerPlusDiagonal,
    KroneckerSum,
    LinearOperator,
    Props,
    Sparse,
    Sum,
    SumOfKroneckers,
    Toeplitz,
)

from .conformance import definite, diffusion, random_array, random_dense


def kron_sum(*matrices: np.ndarray) -> np.ndarray:
    """Σ I ⊗ … ⊗ A_k ⊗ … ⊗ I by numpy.kron."""
    total = 0.0
    for k in range(len(matrices)):
        term = np.eye(1)
        for j, A in enumerate(matrices):
            term = np.kron(term, A if j == k else np.eye(len(A)))
        total = total + term
    return total


@st.composite
def factors(draw: st.DrawFn, square: bool = False) -> tuple[LinearOperator, np.ndarray]:
    """A factor of random kind, storage and dtype, with its entries."""
    m = draw(st.integers(1, 4))
    n = m if square else draw(st.integers(1, 4))
    dtype = draw(st.sampled_from([np.float32, np.float64, np.complex64, np.complex128]))
    A = random_array((m, n), dtype, draw(st.integers(0, 10**6)))
    kind = draw(st.sampled_from(["dense", "sparse", "diagonal", "toeplitz", "multiple", "adjoint"]))
    if kind == "diagonal" and m == n:
        return Diagonal(np.diagonal(A)), np.diag(np.diagonal(A))
    if kind == "toeplitz":
        T = Toeplitz(A[:, 0], A[0])
        return T, T.to_dense()
    if kind == "sparse":
        return Sparse(A), A
    if kind == "multiple":
        return 2j * Dense(A), 2j * A
    if kind == "adjoint":
        return Dense(A.conj().T.copy()).H, A
    return Dense(A), A


@settings(deadline=None, max_examples=60)
@given(st.lists(factors(), min_size=1, max_size=4), st.sampled_from("CF"), st.integers(1, 3))
def test_products_equal_numpy_kron(parts, order, columns):
    K = Kronecker(*(operator for operator, _ in parts), order=order)
    D = np.eye(1)
    for _, A in parts if order == "C" else reversed(parts):
        D = np.kron(D, A)
    X, Y = random_array((K.shape[1], columns), complex), random_array((K.shape[0], columns), complex)
    tolerance = 1e-4 * max(np.abs(D).max(), 1.0) * max(D.shape)
    assert np.abs(K @ X - D @ X).max() <= tolerance
    assert np.abs(K.rmatmat(Y) - D.conj().T @ Y).max() <= tolerance
    assert np.abs(K.T @ Y - D.T @ Y).max() <= tolerance
    assert np.abs(K.to_dense() - D).max() <= tolerance
    assert np.abs(K.to_sparse().toarray() - D).max() <= tolerance
    assert np.abs(K.diagonal() - np.diagonal(D)).max() <= tolerance
    if D.shape[0] == D.shape[1]:
        assert abs(K.trace() - np.trace(D)) <= tolerance * len(D)


@settings(deadline=None, max_examples=60)
@given(st.lists(factors(square=True), min_size=1, max_size=4), st.sampled_from("CF"), st.integers(1, 3))
def test_sums_equal_numpy_kron(parts, order, columns):
    S = KroneckerSum(*(operator for operator, _ in parts), order=order)
    D = kron_sum(*(A for _, A in (parts if order == "C" else parts[::-1])))
    X = random_array((len(D), columns), complex)
    tolerance = 1e-4 * max(np.abs(D).max(), 1.0) * len(D)
    assert np.abs(S @ X - D @ X).max() <= tolerance
    assert np.abs(S.rmatmat(X) - D.conj().T @ X).max() <= tolerance
    assert np.abs(S.T @ X - D.T @ X).max() <= tolerance
    assert np.abs(S.to_dense() - D).max() <= tolerance
    assert np.abs(S.to_sparse().toarray() - D).max() <= tolerance
    assert np.abs(S.diagonal() - np.diagonal(D)).max() <= tolerance
    assert abs(S.trace() - np.trace(D)) <= tolerance * len(D)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_algebra_of_structured_operators_equals_dense_algebra(data):
    shapes = data.draw(st.sampled_from([(2, 3), (3, 2, 2), (4,)]))
    n = int(np.prod(shapes))

    def leaf():
        seeds = [data.draw(st.integers(0, 10**6)) for _ in shapes]
        dtype = data.draw(st.sampled_from([float, complex]))
        matrices = [random_array((m, m), dtype, seed) for m, seed in zip(shapes, seeds, strict=True)]
        kind = data.draw(st.sampled_from(["product", "sum", "diagonal", "constant"]))
        if kind == "product":
            K = Kronecker(*matrices)
            return K, K.to_dense()
        if kind == "sum":
            return KroneckerSum(*matrices), kron_sum(*matrices)
        d = random_array(n, dtype, seeds[0]) if kind == "diagonal" else np.full(n, 1.5)
        return Diagonal(d), np.diag(d)

    A, D = leaf()
    for _ in range(data.draw(st.integers(0, 5))):
        operation = data.draw(st.sampled_from(["add", "subtract", "compose", "scale", "H", "T"]))
        if operation in ("H", "T"):
            A, D = (A.H, D.conj().T) if operation == "H" else (A.T, D.T)
        elif operation == "scale":
            scalar = data.draw(st.sampled_from([2.0, -0.5j, 1.0 + 1.0j]))
            A, D = scalar * A, scalar * D
        else:
            B, E = leaf()
            if operation == "compose":
                A, D = A @ B, D @ E
            else:
                A, D = (A + B, D + E) if operation == "add" else (A - B, D - E)
    X = random_array((n, 2), complex)
    tolerance = 1e-11 * max(np.abs(D).max(), 1.0) * n
    assert np.abs(A @ X - D @ X).max() <= tolerance
    assert np.abs(A.rmatmat(X) - D.conj().T @ X).max() <= tolerance


def test_structure_is_kept():
    A, B = random_dense(3, 2), random_dense(4)
    K, L = Kronecker(A, B), Kronecker(random_dense(2, 3), B)
    S, Q = KroneckerSum(random_dense(3), B), Kronecker(random_dense(3), B)
    D = Diagonal(np.arange(12.0))
    assert type(K @ L) is type(K.H) is type(K.T) is type(2.0 * K) is type(-K) is type(K / 2.0) is Kronecker
    assert type(S + S) is type(S - S) is type(3.0 * S) is type(S.H) is KroneckerSum
    assert type(Q + D) is type(D + S) is type(Q - D) is type((Q + D) + D) is type((Q + D).H) is KroneckerPlusDiagonal
    assert type(K + K) is type(K - K) is type((K + K) + K) is type((K + K).H) is type(2j * (K + K)) is SumOfKroneckers
    assert type(S + Q) is Sum, "a sum and a product have no common form"
    assert type(Q + Kronecker(random_dense(4), random_dense(3))) is Sum, "axes differ"


def test_axis_k_belongs_to_factor_k_in_both_orders():
    A, B, X = random_dense(3), random_dense(4), random_array((3, 4))
    expected = A @ X @ B.T
    assert np.allclose(Kronecker(A, B) @ X, expected)
    assert np.allclose(Kronecker(A, B) @ X.ravel(), expected.ravel())
    assert np.allclose(Kronecker(A, B, order="F") @ X.ravel(order="F"), expected.ravel(order="F"))
    assert np.allclose(KroneckerSum(A, B, order="F") @ X.ravel(order="F"), (A @ X + X @ B.T).ravel(order="F"))
    with pytest.raises(ValueError, match="shape"):  # which order it is in is not guessed
        Kronecker(A, B, order="F").matvec(X)
    mixed = Kronecker(A, B) + Kronecker(B, A, order="F")
    assert np.allclose(mixed.to_dense(), 2.0 * np.kron(A, B))


def test_claims_are_theorems():
    P, N = definite(3), diffusion(4, dirichlet=False)
    assert Props.POSITIVE_DEFINITE in Kronecker(P, P).props and Props.SINGULAR in Kronecker(P, N).props
    assert Props.M_MATRIX not in Kronecker(diffusion(3), diffusion(3)).props
    assert Props.M_MATRIX in KroneckerSum(diffusion(3), diffusion(3)).props
    assert Props.SINGULAR not in KroneckerSum(N, P).props and SPD in KroneckerSum(N, P).props
    assert Props.SINGULAR in KroneckerSum(N, N).props
    assert Kronecker(random_dense(3), P).props == Props.NONE
    assert Props.POSITIVE_DEFINITE in KroneckerPlusDiagonal(Kronecker(P, N), 1.0).props
    assert Props.SINGULAR not in KroneckerPlusDiagonal(Kronecker(P, N), 1.0).props
    assert Props.POSITIVE_DEFINITE not in KroneckerPlusDiagonal(Kronecker(P, P), -1.0).props
    K = Kronecker(random_dense(3, 2), random_dense(4))
    assert Props.SELF_ADJOINT in (K.H @ K).props and type(K.H @ K) is Kronecker


@pytest.mark.parametrize(
    ("build", "error", "fragment"),
    [
        (lambda: Kronecker(), ValueError, "at least one factor"),
        (lambda: Kronecker(np.empty((0, 3)), np.eye(2)), ValueError, "at least one row"),
        (lambda: KroneckerSum(np.ones((2, 3)), np.eye(2)), ValueError, "square factors, but number 0 is 2 x 3"),
        (lambda: Kronecker(np.eye(2), order="A"), ValueError, "order must be 'C'"),
        (lambda: Kronecker(np.eye(2), "B"), TypeError, "expected a matrix"),
        (lambda: KroneckerPlusDiagonal(Dense(np.eye(2)), 1.0), TypeError, "expected a Kronecker"),
        (lambda: KroneckerPlusDiagonal(Kronecker(np.ones((2, 3))), 1.0), ValueError, "square operator"),
        (lambda: KroneckerPlusDiagonal(Kronecker(np.eye(2)), np.ones(3)), ValueError, r"shape \(2,\)"),
        (lambda: KroneckerPlusDiagonal(Kronecker(np.eye(2)), "x"), TypeError, "needs numbers"),
        (lambda: KroneckerPlusDiagonal(Kronecker(np.eye(2)), Diagonal(np.ones(3))), ValueError, "2 entries"),
        (lambda: SumOfKroneckers(), ValueError, "at least one term"),
        (lambda: SumOfKroneckers(Dense(np.eye(2))), TypeError, "wrap factors"),
        (
            lambda: SumOfKroneckers(Kronecker(np.eye(2), np.eye(3)), Kronecker(np.eye(3), np.eye(2))),
            ValueError,
            "same factor shapes",
        ),
        (lambda: Kronecker(np.ones((2, 3))).trace(), ValueError, "square operator"),
        (lambda: Kronecker(np.eye(2), np.eye(2)) @ np.ones(3), ValueError, "needs an array of shape"),
    ],
)
def test_bad_input_is_refused_in_words(build, error, fragment):
    with pytest.raises(error, match=fragment):
        build()


def test_updates_of_factors_and_diagonals_are_noticed():
    A, D = Dense(random_dense(3)), Diagonal(np.arange(1.0, 13.0))
    K = Kronecker(A, random_dense(4))
    made = [K, K + D, K + K, 2.0 * K, K.H, K @ K, KroneckerSum(A, A)]
    before = [M.version for M in made]
    A.update(A=2.0 * np.eye(3))
    assert all(M.version > old for M, old in zip(made, before, strict=True))
    assert np.allclose(K.to_dense(), np.kron(2.0 * np.eye(3), random_dense(4)))
    shifted = K + D
    old = shifted.version
    D.update(d=np.ones(12))
    assert shifted.version > old and shifted.constant == 1.0
    shifted.update(d=np.arange(12.0))
    assert shifted.constant is None and np.allclose(shifted.diagonal(), K.diagonal() + np.arange(12.0))
    K.update(factors=(None, np.eye(4)))
    assert np.allclose(K.to_dense(), np.kron(2.0 * np.eye(3), np.eye(4)))
    with pytest.raises(ValueError, match="factors="):
        K.update(factors=(np.eye(3),))
    claimed = KroneckerPlusDiagonal(Kronecker(definite(2), definite(2)), 1.0)
    with pytest.raises(ValueError, match="not positive definite"):
        claimed.update(d=-1.0)
    with pytest.raises(ValueError, match="fit into float64"):
        claimed.update(d=1j)


def peak(action) -> int:
    """Bytes that an action allocates at most beyond what there was."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        action()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dims", [(256, 192), (40, 30, 36), (12, 14, 16, 18)])
def test_memory_is_that_of_factors_and_two_vectors(dims):
    matrices = [random_dense(n) for n in dims]
    n = int(np.prod(dims))
    x, out = random_array((n, 1)), np.empty((n, 1))
    for A, vectors in ((Kronecker(*matrices), 2), (KroneckerSum(*matrices), 0)):
        small = 8 * sum(m * m for m in dims) + 200_000
        assert peak(lambda A=A: A._matmat_into(x, out)) <= 8 * vectors * n + small
        again = peak(lambda A=A: A._matmat_into(x, out))
        assert again < 8 * n / 4 + 20_000, "scratch is kept: a product in a loop allocates nothing of the size of x"


def test_products_of_many_columns_and_layouts_agree():
    for dims, k in itertools.product([(5, 4), (3, 20, 2)], [1, 2, 17]):
        K = Kronecker(*(random_dense(n) for n in dims))
        X = random_array((K.shape[1], k))
        expected = K.to_dense() @ X
        assert np.allclose(K @ X, expected) and np.allclose(K @ np.asfortranarray(X), expected)
        assert np.allclose(K @ X.astype(complex), expected)
        assert np.allclose(K.H @ X, K.to_dense().T @ X)


def test_foreign_libraries_can_use_them():
    K = KroneckerSum(definite(4), definite(5))
    assert np.allclose(K.to_scipy() @ np.ones(20), K @ np.ones(20))
    assert isinstance(K.to_sparse(), sp.csr_array)
    petsc = pytest.importorskip("petsc4py.PETSc")
    shell = K.to_petsc(form="shell")
    x, y = shell.createVecs()
    x.setArray(np.ones(20))
    shell.mult(x, y)
    assert np.allclose(y.getArray(), K @ np.ones(20))
    for thing in (x, y, shell):
        thing.destroy()
    assert petsc


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_torch_storage_gives_the_same_numbers(dtype):
    torch = pytest.importorskip("torch")
    made = [
        Kronecker(random_dense(3, 4), sp.eye_array(3).tocsr(), random_dense(2)),
        KroneckerSum(random_dense(3), Toeplitz([2.0, 1.0, 0.0]), random_dense(2)),
        KroneckerPlusDiagonal(KroneckerSum(random_dense(3), random_dense(4)), np.arange(12.0)),
        Kronecker(random_dense(3), random_dense(4)) + Kronecker(random_dense(3), random_dense(4)),
    ]
    for A in made:
        T = A.to_torch(dtype=getattr(torch, dtype))
        assert type(T) is type(A) and T._holds_torch()
        X, Y = random_array((A.shape[1], 2)), random_array((A.shape[0], 2))
        for product, expected in (
            (T @ torch.tensor(X, dtype=getattr(torch, dtype)), A @ X),
            (T.rmatmat(torch.tensor(Y, dtype=getattr(torch, dtype))), A.rmatmat(Y)),
        ):
            assert np.allclose(product.numpy(), expected, atol=1e-4 if dtype == "float32" else 1e-12)
        assert np.allclose(T.to_dense().numpy(), A.to_dense(), atol=1e-5)
        assert np.allclose(T.diagonal().numpy(), A.diagonal(), atol=1e-5)


def test_torch_products_can_be_differentiated_with_respect_to_factors():
    torch = pytest.importorskip("torch")
    A = torch.tensor(random_dense(3), requires_grad=True)
    x = torch.tensor(random_array(12))
    K = Kronecker(A, torch.tensor(random_dense(4)))
    ((K @ x) ** 2).sum().backward()
    y = random_dense(3) @ x.numpy().reshape(3, 4) @ random_dense(4).T
    assert np.allclose(A.grad.numpy(), 2.0 * y @ (x.numpy().reshape(3, 4) @ random_dense(4).T).T)
    with pytest.raises(ValueError, match="all on numpy or all on torch"):
        Kronecker(A, np.eye(2))
