"""Selections of rows and columns of an operator."""

from __future__ import annotations

import numpy as np
import pytest

from resolvent.operators import SPD, Kronecker, Masked

from .conformance import definite


def test_masked_is_the_submatrix():
    A = Kronecker(definite(3), definite(4))
    D = A.to_dense()
    mask = np.random.default_rng(0).random((3, 4)) > 0.5
    kept = np.flatnonzero(mask)
    M = Masked(A, mask)
    assert SPD in M.props and np.allclose(M.to_dense(), D[np.ix_(kept, kept)])
    assert np.isclose(M.trace(), np.trace(D[np.ix_(kept, kept)]))
    observe = Masked(A, mask, columns=None)
    assert observe.shape == (len(kept), 12) and np.allclose(observe.to_dense(), D[kept])
    assert type(observe.H) is Masked and np.allclose(observe.H.to_dense(), D[kept].T)
    order = Masked(A, [7, 2, 5], [1, 0])
    assert np.allclose(order @ np.array([1.0, 2.0]), D[np.ix_([7, 2, 5], [1, 0])] @ [1.0, 2.0])
    before = M.version
    M.update(factors=(np.eye(3), None))
    assert M.version > before and np.allclose(M.to_dense(), A.to_dense()[np.ix_(kept, kept)])


def test_masked_on_torch():
    torch = pytest.importorskip("torch")
    M = Masked(Kronecker(definite(3), definite(4)), [0, 5, 7])
    T = M.to_torch()
    assert type(T) is Masked and np.allclose((T @ torch.ones(3, dtype=torch.float64)).numpy(), M @ np.ones(3))


@pytest.mark.parametrize(
    ("build", "error", "fragment"),
    [
        (lambda: Masked(np.eye(3), [True, False]), ValueError, r"shape \(3,\)"),
        (lambda: Masked(np.eye(3), [0, 3]), ValueError, "0 … 2, got 0 … 3"),
        (lambda: Masked(np.eye(3), [0, 0]), ValueError, "distinct"),
        (lambda: Masked(np.eye(3), [0.5]), TypeError, "boolean mask"),
        (lambda: Masked(np.eye(3), [False] * 3), ValueError, "nothing is kept"),
        (lambda: Masked(np.ones((2, 3)), [0]), ValueError, "give columns"),
        (lambda: Masked(np.eye(3), [0], "other"), ValueError, "'same'"),
    ],
)
def test_bad_input_is_refused_in_words(build, error, fragment):
    with pytest.raises(error, match=fragment):
        build()
