"""Ensembles: what they multiply, claim, notice and refuse."""

import pickle

import numpy as np
import pytest

from resolvent.operators import (
    SPD,
    Dense,
    Diagonal,
    Ensemble,
    Function,
    Props,
    Sparse,
    Stencil,
    as_operator,
    check_operator,
)

from .conformance import diffusion, random_array


def members(count=3, grid=(3, 4), dtype=float, seed=0):
    rng = np.random.default_rng(seed)
    n = int(np.prod(grid))
    made = []
    for _ in range(count):
        E = rng.standard_normal((n, n))
        E = E + 1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else E
        made.append(Dense(E.astype(dtype), grid=grid))
    return made


@pytest.mark.parametrize("dtype", [float, np.float32, complex])
@pytest.mark.parametrize("count", [1, 3])
def test_products_are_those_of_the_members(count, dtype):
    parts = members(count, dtype=dtype)
    A = Ensemble(parts)
    x = random_array((3, 4, count), dtype)
    expected = np.stack([M @ x[..., b] for b, M in enumerate(parts)], axis=-1)
    adjoint = np.stack([M.H @ x[..., b] for b, M in enumerate(parts)], axis=-1)
    tolerance = 20 * np.finfo(dtype).eps * 12
    assert A.shape == (12 * count, 12 * count) and A.grid == (3, 4, count) and A.dtype == dtype
    for product, exact in ((A @ x, expected), (A.H @ x, adjoint)):
        assert product.shape == x.shape and product.dtype == dtype
        np.testing.assert_allclose(product, exact, atol=tolerance, rtol=tolerance)
    np.testing.assert_allclose(A @ x.ravel(), expected.ravel(), atol=tolerance, rtol=tolerance)
    X = random_array((12 * count, 2), dtype)
    columns = np.stack([A @ np.ascontiguousarray(X[:, c]) for c in range(2)], axis=1)
    np.testing.assert_allclose(A @ X, columns, atol=tolerance, rtol=tolerance)


def test_entries_are_interleaved():
    parts = members(3)
    A = Ensemble(parts)
    matrix = A.to_sparse().toarray()
    for b, M in enumerate(parts):
        np.testing.assert_array_equal(matrix[b::3, b::3], M.to_dense())
        for other in range(3):
            assert other == b or not matrix[b::3, other::3].any()
    np.testing.assert_array_equal(A.diagonal(), np.diag(matrix))
    np.testing.assert_allclose(A.to_dense(), matrix)


def test_claims_are_those_of_all_members_but_one_is_enough_to_be_singular():
    definite, neumann = diffusion(3, 4), diffusion(3, 4, dirichlet=False)
    assert SPD | Props.M_MATRIX in Ensemble([definite, definite]).props
    assert Props.SINGULAR in neumann.props
    mixed = Ensemble([definite, neumann, definite])
    assert Props.SINGULAR in mixed.props and Props.M_MATRIX not in mixed.props and Props.SELF_ADJOINT in mixed.props
    for A in (mixed, Ensemble([definite]), Ensemble([neumann, neumann])):
        check_operator(A).check()
    one_way = Ensemble([Dense(np.eye(3), props=SPD), Dense(np.eye(3))])
    assert Props.SELF_ADJOINT not in one_way.props
    variable = Function((3, 3), lambda x: 2.0 * x, props=Props.VARIABLE)
    assert Props.VARIABLE in Ensemble([variable, Function((3, 3), lambda x: x)]).props


def test_pickling():
    A = Ensemble([diffusion(3, 4), diffusion(3, 4, dirichlet=False)])
    B = pickle.loads(pickle.dumps(A))
    x = random_array(24)
    np.testing.assert_array_equal(B @ x, A @ x)
    assert (B.props, B.grid, B.shape, len(B.members)) == (A.props, A.grid, A.shape, 2)


def test_a_change_of_a_member_is_noticed():
    parts = [diffusion(3, 4), diffusion(3, 4, shift=1.0)]
    A = Ensemble(parts)
    version, stamp, before = A.version, A.stamp(), A @ np.ones(24)
    assert A.stamp() == stamp
    parts[1].update(coefficients=2.0 * parts[1].coefficients)
    assert A.version > version and A.stamp() != stamp
    after = A @ np.ones(24)
    np.testing.assert_array_equal(after[0::2], before[0::2])
    np.testing.assert_allclose(after[1::2], 2.0 * before[1::2])
    assert Ensemble(parts).stamp() != stamp


@pytest.mark.parametrize(
    ("parts", "error", "match"),
    [
        ([], ValueError, "at least one member"),
        ([np.eye(3)], TypeError, "wrap it with as_operator"),
        ([Dense(np.eye(3)), Dense(np.eye(4))], ValueError, "number 1 is Dense"),
        ([Dense(np.ones((3, 4)))], ValueError, "must be square"),
        ([Dense(np.eye(4), grid=(2, 2)), Dense(np.eye(4), grid=(4,))], ValueError, "one shape, dtype, device and grid"),
        ([Dense(np.eye(4), grid=(2, 2)), Dense(np.eye(4))], ValueError, "one shape, dtype, device and grid"),
        ([Dense(np.eye(3)), Dense(np.eye(3, dtype=np.float32))], ValueError, "one shape, dtype, device and grid"),
        ([Dense(np.eye(3)), Dense(np.eye(3, dtype=complex))], ValueError, "one shape, dtype, device and grid"),
        (Dense(np.eye(3)), TypeError, "members"),
        (None, TypeError, "members"),
    ],
)
def test_members_that_do_not_fit_are_refused(parts, error, match):
    with pytest.raises(error, match=match):
        Ensemble(parts)


def test_vectors_that_do_not_fit_are_refused():
    A = Ensemble(members(3))
    for shape in ((12,), (35,), (3, 4), (4, 3, 3), (3, 3, 4)):
        with pytest.raises(ValueError, match="36"):
            A @ np.ones(shape)


def test_without_a_grid_there_is_none():
    A = Ensemble([Diagonal([1.0, 2.0]), Diagonal([3.0, 4.0])])
    assert A.grid is None or A.grid == (2, 2)
    np.testing.assert_array_equal(A @ np.ones(4), [1.0, 3.0, 2.0, 4.0])
    B = Ensemble([Dense(np.eye(2)), Dense(2 * np.eye(2))])
    assert B.grid is None


def test_any_iterable_of_members_will_do_and_ensembles_nest():
    parts = members(2)
    A = Ensemble(M for M in parts)
    assert A.members == tuple(parts) and "2 members" in repr(A)
    nested = Ensemble([A, Ensemble(members(2, seed=5))])
    x = random_array(48)
    np.testing.assert_allclose(nested @ x, nested.to_dense() @ x, atol=1e-12)


def test_members_without_entries_say_so():
    A = Ensemble([Function((3, 3), lambda x: 2.0 * x), Function((3, 3), lambda x: 3.0 * x)])
    np.testing.assert_array_equal(A @ np.ones(6), [2.0, 3.0] * 3)
    for use in (A.to_sparse, A.diagonal):
        with pytest.raises((TypeError, ValueError, NotImplementedError)):
            use()


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_members_on_torch():
    torch = pytest.importorskip("torch")
    matrices = [random_array((4, 4), seed=s) for s in (1, 2)]
    A = Ensemble([as_operator(torch.as_tensor(E)) for E in matrices])
    expected = Ensemble([Dense(E) for E in matrices])
    x = random_array((4, 2))
    y = A @ torch.as_tensor(x.ravel())
    assert isinstance(y, torch.Tensor)
    np.testing.assert_allclose(y.numpy(), expected @ x.ravel(), atol=1e-13)
    np.testing.assert_allclose((A.H @ torch.as_tensor(x.ravel())).numpy(), expected.H @ x.ravel(), atol=1e-13)
    with pytest.raises(ValueError, match="one shape, dtype, device and grid"):
        Ensemble([as_operator(torch.as_tensor(matrices[0])), Dense(matrices[1])])


def test_stencils_and_matrices_may_be_mixed():
    A = diffusion(3, 4)
    B = Ensemble([A, Sparse(A.to_sparse(), grid=A.grid)])
    assert isinstance(B.members[0], Stencil)
    y = B @ np.ones((3, 4, 2))
    np.testing.assert_allclose(y[..., 0], y[..., 1], atol=1e-13)
