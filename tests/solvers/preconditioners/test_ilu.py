"""Incomplete factorisations by SuperLU."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from resolvent.operators import Sparse
from resolvent.solvers import GMRES, ILU

from ..conformance import convection


def test_ilu_without_dropping_is_the_inverse(rng):
    A, b = convection(8), rng.standard_normal(64)
    M = ILU(drop_tol=0.0, fill_factor=100.0)(Sparse(A))
    assert np.allclose(A @ (M @ b), b)
    assert np.allclose(A.T @ (M.H @ b), b)
    complex_system = sp.csr_array(A + 0.3j * sp.eye_array(64))
    M = ILU(drop_tol=0.0, fill_factor=100.0)(Sparse(complex_system))
    assert np.allclose(complex_system.conj().T @ (M.H @ b), b)


def test_ilu_says_when_a_pivot_vanishes():
    with pytest.raises(ValueError, match=r"met a zero pivot .*: try drop_tol below 0\.0001"):
        ILU()(Sparse(sp.csr_array(np.array([[1.0, 1.0], [1.0, 1.0]]))))


def test_ilu_counts_as_many_iterations_as_scipy_with_the_same_factors(rng):
    A, b = convection(20), rng.standard_normal(400)
    factors = spla.spilu(sp.csc_array(A), drop_tol=1e-2, fill_factor=3.0)
    theirs = spla.LinearOperator(A.shape, factors.solve)
    mine = GMRES().solve(A, b, M=ILU(drop_tol=1e-2, fill_factor=3.0))
    assert mine.converged and mine.iterations == GMRES().solve(A, b, M=theirs).iterations
