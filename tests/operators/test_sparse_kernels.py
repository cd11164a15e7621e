import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from resolvent.operators import sparse_kernels
from resolvent.operators.sparse_kernels import csr_adjoint_matmat, csr_matmat

from .conformance import random_array

SINGLE = "fF"


def matrix(m, n, dtype, density=0.4, index=np.int32):
    """A random CSR matrix, some of whose rows and columns are empty."""
    rng = np.random.default_rng(m + 31 * n)
    A = sp.random_array(
        (m, n), density=density, rng=rng, dtype=dtype, data_sampler=lambda size: random_array(size, dtype)
    )
    A = sp.csr_array(A.astype(dtype))
    A.indices, A.indptr = A.indices.astype(index), A.indptr.astype(index)
    return A


def products(A, X, Y):
    """A X and Aᴴ Y, written over NaN."""
    out = np.full((A.shape[0], X.shape[1]), np.nan, X.dtype)
    csr_matmat(A.indptr, A.indices, A.data, X, out)
    adjoint_out = np.full((A.shape[1], Y.shape[1]), np.nan, Y.dtype)
    csr_adjoint_matmat(A.indptr, A.indices, A.data, Y, adjoint_out)
    return out, adjoint_out


def assert_products(A, k, dtype):
    X, Y = random_array((A.shape[1], k), dtype, seed=1), random_array((A.shape[0], k), dtype, seed=2)
    out, adjoint_out = products(A, X, Y)
    rtol = 1e-4 if np.dtype(dtype).char in SINGLE else 1e-12
    np.testing.assert_allclose(out, A.toarray() @ X, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(adjoint_out, A.toarray().conj().T @ Y, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(
    ("entries", "vectors"), [(a, x) for a in "fdFD" for x in "fdFD" if np.result_type(a, x) == np.dtype(x)]
)
@pytest.mark.parametrize("k", [1, 3])
def test_real_and_complex_entries_times_the_same_or_wider_vectors(entries, vectors, k):
    assert_products(matrix(17, 23, entries), k, vectors)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("k", [1, 2, 4, 9])
def test_both_index_types_and_every_remainder_of_columns(index, k):
    assert_products(matrix(20, 15, float, index=index), k, float)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 6), st.floats(0.0, 1.0))
def test_any_shape_also_empty_ones(m, n, k, density):
    assert_products(matrix(m, n, float, density), k, float)


@pytest.mark.parametrize("k", [1, 5])
def test_several_parts_give_the_same_bits_as_one(monkeypatch, k):
    A = matrix(200, 150, float)
    X, Y = random_array((150, k)), random_array((200, k))
    one, _ = products(A, X, Y)
    monkeypatch.setattr(sparse_kernels, "PART", 1)
    several, _ = products(A, X, Y)
    np.testing.assert_array_equal(several, one)


def test_duplicate_and_unsorted_entries_are_summed():
    indptr, indices, data = np.array([0, 3, 3]), np.array([1, 0, 1]), np.array([1.0, 2.0, 4.0])
    out = np.empty((2, 1))
    csr_matmat(indptr, indices, data, np.array([[1.0], [10.0]]), out)
    assert out.ravel().tolist() == [52.0, 0.0]


def test_read_only_arrays_are_accepted():
    A = matrix(9, 9, float)
    for array in (A.data, A.indices, A.indptr):
        array.flags.writeable = False
    assert_products(A, 1, float)
