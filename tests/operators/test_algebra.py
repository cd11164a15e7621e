"""Sums, products, multiples and adjoints of operators against dense arithmetic, and the travel of claims."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse.linalg as spla
from hypothesis import given, settings
from hypothesis import strategies as st

from resolvent.operators import (
    SPD,
    Adjoint,
    Dense,
    Diagonal,
    Function,
    LinearOperator,
    Product,
    Props,
    Scaled,
    Sparse,
    StructureError,
    Sum,
    as_operator,
)

DTYPES = (np.float32, np.float64, np.complex64, np.complex128)


def random_matrix(rng: np.random.Generator, shape: tuple[int, int], dtype: type) -> np.ndarray:
    matrix = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        matrix = matrix + 1j * rng.standard_normal(shape)
    return matrix.astype(dtype)


@st.composite
def expressions(draw: st.DrawFn) -> tuple[LinearOperator, np.ndarray]:
    """Return a random square operator expression and the dense matrix it must equal."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 6))

    def leaf() -> tuple[LinearOperator, np.ndarray]:
        dtype = DTYPES[draw(st.integers(0, 3))]
        matrix = random_matrix(rng, (n, n), dtype)
        kind = draw(st.sampled_from(("dense", "sparse", "diagonal", "function")))
        if kind == "diagonal":
            return Diagonal(np.diagonal(matrix)), np.diag(np.diagonal(matrix))
        if kind == "sparse":
            return Sparse(matrix), matrix
        if kind == "function":
            A = Function((n, n), lambda x: matrix @ x, rmatvec=lambda x: matrix.conj().T @ x, dtype=dtype)
            return A, matrix
        return Dense(matrix), matrix

    A, D = leaf()
    for _ in range(draw(st.integers(0, 5))):
        operation = draw(st.sampled_from(("add", "subtract", "compose", "scale", "H", "T", "negate")))
        if operation in ("add", "subtract", "compose"):
            B, E = leaf()
            A, D = {
                "add": lambda A=A, B=B, D=D, E=E: (A + B, D + E),
                "subtract": lambda A=A, B=B, D=D, E=E: (A - B, D - E),
                "compose": lambda A=A, B=B, D=D, E=E: (A @ B, D @ E),
            }[operation]()
        elif operation == "scale":
            scalar = draw(st.sampled_from((2.0, -0.5, 1j, 2 - 1j, 3)))
            A, D = scalar * A, scalar * D
        elif operation == "negate":
            A, D = -A, -D
        else:
            A, D = (A.H, D.conj().T) if operation == "H" else (A.T, D.T)
    return A, D


@settings(deadline=None, max_examples=150)
@given(expressions())
def test_expressions_equal_dense_arithmetic(case: tuple[LinearOperator, np.ndarray]) -> None:
    A, D = case
    rng = np.random.default_rng(0)
    x = rng.standard_normal(A.shape[1])
    X = rng.standard_normal((A.shape[1], 3)) + 1j
    tolerance = 1e-4 * (1.0 + np.abs(D).max()) * A.shape[0]  # some leaves are single precision
    assert np.abs(A @ x - D @ x).max() <= tolerance
    assert np.abs(A @ X - D @ X).max() <= 3 * tolerance
    assert np.abs(A.rmatvec(x) - D.conj().T @ x).max() <= tolerance
    assert np.abs(A.rmatmat(X) - D.conj().T @ X).max() <= 3 * tolerance
    assert np.abs(A.to_dense() - D).max() <= tolerance
    assert np.abs(x @ A - x @ D).max() <= tolerance
    out = np.empty_like(A.matmat(X))
    assert np.abs(A.matmat(X, out=out) - D @ X).max() <= 3 * tolerance
    out = np.empty_like(A.rmatmat(X))
    assert np.abs(A.rmatmat(X, out=out) - D.conj().T @ X).max() <= 3 * tolerance
    assert (A @ x).dtype == np.result_type(A.dtype, x.dtype)


def test_structure_is_kept_where_it_can_be() -> None:
    D, E = Diagonal([1.0, 2.0]), Diagonal([3.0, 4.0])
    B = Dense(np.arange(4.0).reshape(2, 2))
    assert isinstance(D + E, Diagonal)
    assert isinstance(D @ E, Diagonal)
    assert isinstance(2 * D, Diagonal)
    assert isinstance(D.H, Diagonal)
    assert isinstance(B.H, Adjoint) and B.H.H is B
    assert isinstance(2 * (3 * B), Scaled) and (2 * (3 * B)).scalar == 6.0
    assert 1.0 * B is B
    assert isinstance(B + D + E, Sum) and len((B + B + B).terms) == 3
    assert isinstance(B @ B @ B, Product) and len((B @ B @ B).factors) == 3
    assert isinstance((B @ B).H, Product)
    assert B.T is not B and as_operator(np.eye(2), props=Props.SYMMETRIC).T.props & Props.SYMMETRIC


def test_claims_travel_only_where_they_are_theorems() -> None:
    A = Dense(np.array([[2.0, -1.0], [-1.0, 2.0]]), props=SPD | Props.M_MATRIX)
    B = Dense(np.array([[1.0, 5.0], [0.0, 1.0]]))
    semi = Dense(np.array([[1.0, -1.0], [-1.0, 1.0]]), props=SPD | Props.SINGULAR)
    assert (A + A).props == A.props
    assert Props.POSITIVE_DEFINITE in (A + semi).props and Props.SINGULAR not in (A + semi).props
    assert Props.POSITIVE_DEFINITE not in (semi + semi).props
    assert (A + B).props == Props.NONE
    assert (A @ A).props & Props.SELF_ADJOINT, "a square of a self-adjoint operator is a palindrome"
    assert (A @ B).props == Props.NONE
    assert Props.SELF_ADJOINT in (B.H @ B).props and Props.SELF_ADJOINT in (B.H @ A @ B).props
    assert Props.SELF_ADJOINT not in (B @ B).props
    assert Props.POSITIVE_DEFINITE not in (-A).props and Props.SELF_ADJOINT in (-A).props
    assert Props.SELF_ADJOINT not in (1j * A).props and Props.SYMMETRIC in (1j * A).props
    assert Props.SINGULAR in (semi @ A).props
    learned = Function((2, 2), lambda x: x, props=Props.VARIABLE)
    assert Props.VARIABLE in (A + learned).props & (A @ learned).props & (2 * learned).props & learned.H.props


@pytest.mark.parametrize(
    ("build", "fragment"),
    [
        (lambda A: A + Dense(np.eye(3)), "operators of one shape"),
        (lambda A: A @ Dense(np.eye(3)), "inner sizes differ"),
        (lambda A: A @ np.ones(3), r"needs an array of shape \(2,\)"),
        (lambda A: A.matmat(np.ones(2)), r"\(2, k\)"),
        (lambda A: A.matvec(np.ones(2), out=np.empty(2, dtype=np.float32)), "out must be"),
        (lambda A: Dense(np.ones((2, 3)), props=Props.SYMMETRIC), "square operator"),
        (lambda A: Dense(np.ones(3)), "two dimensions"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(build: object, fragment: str) -> None:
    with pytest.raises(ValueError, match=fragment):
        build(Dense(np.eye(2)))  # type: ignore[operator]


def test_out_must_not_overlap_with_the_argument() -> None:
    x = np.ones(2)
    with pytest.raises(ValueError, match="overlap"):
        Dense(np.eye(2)).matvec(x, out=x)


def test_versions_of_parts_show_in_what_is_made_of_them() -> None:
    S = Sparse(np.array([[2.0, 1.0], [0.0, 2.0]]))
    made = [S + Diagonal([1.0, 1.0]), S @ S, 2.0 * S, S.H, (S + S).H @ S]
    before = [A.version for A in made]
    S.update(data=[3.0, 1.0, 3.0])
    assert all(A.version > old for A, old in zip(made, before, strict=True))


def test_functions_that_return_their_argument_do_not_let_it_be_overwritten() -> None:
    identity = Function((3, 3), lambda x: x, matmat=lambda X: X)
    X = np.ones((3, 2))
    assert np.array_equal((2 * identity + identity) @ X, 3 * np.ones((3, 2)))
    assert np.array_equal(X, np.ones((3, 2)))


def test_imaginary_parts_are_never_dropped() -> None:
    with pytest.raises(StructureError, match="dtype=complex"):
        Function((2, 2), lambda x: 1j * x) @ np.ones(2)
    A = Function((2, 2), lambda x: 1j * x, dtype=complex)
    assert (A @ np.ones(2))[0] == 1j


def test_zero_multiples_and_mirrored_products() -> None:
    B = Dense(np.arange(6.0).reshape(2, 3))
    assert np.array_equal((0.0 * B) @ np.ones(3), np.zeros(2))
    assert Props.SELF_ADJOINT in (B @ B.H).props & (B.H @ B).props


@pytest.mark.parametrize("dtype", [np.longdouble, np.clongdouble, object])
def test_formats_that_kernels_do_not_have_are_refused(dtype: type) -> None:
    with pytest.raises(TypeError, match=r"precision|numeric|expected a matrix"):
        as_operator(np.eye(2).astype(dtype))
    with pytest.raises(TypeError, match=r"precision|numeric"):
        Dense(np.eye(2)) @ np.ones(2, dtype=dtype)


def test_half_precision_and_foreign_byte_order_are_converted() -> None:
    for dtype in (np.float16, ">f8", ">f4"):
        for A in (Dense(np.eye(2).astype(dtype)), Sparse(np.eye(2).astype(dtype))):
            assert np.array_equal(A @ np.ones(2), np.ones(2))


def test_scipy_s_operators_without_an_adjoint_are_refused_like_ours() -> None:
    A = as_operator(spla.LinearOperator((3, 3), matvec=lambda x: 2.0 * x, dtype=float))
    with pytest.raises(StructureError, match="has no adjoint"):
        A.H @ np.ones(3)
