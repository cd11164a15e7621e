"""Toeplitz operators against scipy's matrices."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from resolvent.operators import SPD, Props, Toeplitz

from .conformance import random_array

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(DTYPES), st.booleans(), st.integers(0, 10**6))
def test_toeplitz_equals_scipy_s_matrix(m, n, dtype, circulant, seed):
    c, r = random_array(m, dtype, seed), random_array(n, dtype, seed + 1)
    T = Toeplitz(c, circulant=True) if circulant else Toeplitz(c, r)
    D = scipy.linalg.circulant(c) if circulant else scipy.linalg.toeplitz(c, r)
    X, Y = random_array((D.shape[1], 3), complex, seed), random_array((D.shape[0], 3), complex, seed)
    tolerance = 1e-4 if np.dtype(dtype).itemsize // (2 if np.dtype(dtype).kind == "c" else 1) == 4 else 1e-12
    assert np.abs(T @ X - D @ X).max() <= 10 * tolerance
    assert np.abs(T.rmatmat(Y) - D.conj().T @ Y).max() <= 10 * tolerance
    assert np.array_equal(T.to_dense(), D) and np.array_equal(T.to_sparse().toarray(), D)
    assert np.array_equal(T.diagonal(), np.diagonal(D))
    assert (T @ X.real.astype(np.float32)).dtype == np.result_type(dtype, np.float32)


def test_what_toeplitz_entries_prove():
    assert Props.SYMMETRIC in Toeplitz([2.0, -1.0]).props and Toeplitz([2.0, -1.0], [2.0, 1.0]).props == Props.NONE
    assert Toeplitz([1.0, 1j]).props == Props.SELF_ADJOINT
    assert Toeplitz([1j, 1.0], [1j, 1.0]).props == Props.SYMMETRIC
    assert Props.POSITIVE_DEFINITE in Toeplitz([3.0, 1.0, 1.0], circulant=True).props
    neumann = Toeplitz([2.0, -1.0, 0.0, -1.0], circulant=True)
    assert Props.POSITIVE_DEFINITE not in neumann.props, "its smallest eigenvalue is zero"
    assert np.allclose(np.sort(neumann.eigenvalues().real), [0.0, 2.0, 2.0, 4.0])
    T = Toeplitz([2.0, -1.0, 0.0], props=SPD)
    T.update(c=[3.0, -1.0, 0.0])
    assert T.version == 1 and np.allclose(T @ np.ones(3), [2.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="not symmetric"):
        T.update(c=[3.0, -1.0, 0.0], r=[3.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("build", "error", "fragment"),
    [
        (lambda: Toeplitz([]), ValueError, "at least one number"),
        (lambda: Toeplitz(np.eye(2)), ValueError, "must be a vector"),
        (lambda: Toeplitz(["a"]), TypeError, "needs numbers"),
        (lambda: Toeplitz([1.0, 2.0], [1.0], circulant=True), ValueError, "leave r out"),
        (lambda: Toeplitz([1.0, 2.0]).eigenvalues(), ValueError, "only the eigenvalues of a circulant"),
        (lambda: Toeplitz([1.0, 2.0]).update(c=[1.0]), ValueError, "same lengths"),
        (lambda: Toeplitz([1.0, 2.0]).update(r=[1.0]), ValueError, "update takes c=array"),
    ],
)
def test_bad_input_is_refused_in_words(build, error, fragment):
    with pytest.raises(error, match=fragment):
        build()
