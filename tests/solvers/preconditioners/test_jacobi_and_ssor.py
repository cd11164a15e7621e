"""Jacobi and SSOR against dense formulas."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Function, Sparse, StructureError
from resolvent.solvers import CG, SSOR, Jacobi

from ..conformance import diffusion, poisson, spd


def test_jacobi_is_the_inverse_diagonal():
    A = diffusion(5)
    assert np.allclose(Jacobi()(spd(A)).diagonal() * A.diagonal(), 1.0)
    with pytest.raises(ValueError, match=r"entry 2 of .* is 0"):
        Jacobi()(Sparse(sp.diags_array([1.0, 2.0, 0.0, 4.0])))
    with pytest.raises(ValueError, match=r"entry 1 of .* is nan and 1 more"):
        Jacobi()(Sparse(sp.diags_array([1.0, np.nan, 3.0, np.nan])))
    with pytest.raises(StructureError, match="does not know its diagonal"):
        Jacobi()(Function((3, 3), lambda x: x))


@pytest.mark.parametrize("omega", [0.4, 1.0, 1.7])
@pytest.mark.parametrize("dtype", [float, complex])
def test_ssor_against_the_dense_formula(omega, dtype, rng):
    A = rng.standard_normal((12, 12)) + 6.0 * np.eye(12)
    if dtype is complex:
        A = A + 1j * rng.standard_normal((12, 12))
    A[np.abs(A) < 0.6] = 0.0
    D, L, U = np.diag(np.diag(A)), np.tril(A, -1), np.triu(A, 1)
    dense = omega * (2 - omega) * np.linalg.inv(D + omega * U) @ D @ np.linalg.inv(D + omega * L)
    M = SSOR(omega)(Sparse(A))
    X = rng.standard_normal((12, 3))
    for x in (X[:, 0], X):
        assert np.allclose(M @ x, dense @ x)
        assert np.allclose(M.H @ x, dense.conj().T @ x)


def test_ssor_with_unsorted_indices_and_64_bit_indices():
    A = sp.csr_array(diffusion(5))
    shuffled = A.copy()
    for i in range(25):
        row = slice(A.indptr[i], A.indptr[i + 1])
        shuffled.indices[row], shuffled.data[row] = A.indices[row][::-1], A.data[row][::-1]
    shuffled.has_sorted_indices = False
    wide = sp.csr_array((A.data, A.indices.astype(np.int64), A.indptr.astype(np.int64)), shape=A.shape)
    expected = SSOR(1.3)(spd(A)) @ np.arange(25.0)
    for matrix in (shuffled, wide):
        assert np.allclose(SSOR(1.3)(Sparse(matrix, props=SPD)) @ np.arange(25.0), expected)


def test_best_relaxation_on_the_model_problem(rng):
    """Condition O(1/h) near ω = 2/(1 + sin πh): iterations grow with √n instead of n."""
    counts = []
    for n in (20, 80):
        b = rng.standard_normal(n * n)
        counts.append(
            [CG().solve(spd(poisson(n)), b, M=SSOR(w)).iterations for w in (1.0, 2 / (1 + np.sin(np.pi / n)))]
        )
    (plain, best), (plain_fine, best_fine) = counts
    assert best < plain and best_fine < 0.5 * plain_fine
    assert plain_fine / plain > 3.0 and best_fine / best < 2.5
