"""ILU(0) against a dense loop, IC(0) and PETSc; what is refused."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Sparse
from resolvent.solvers import CG, GMRES, IC, ILU0, BiCGStab

from ..conformance import convection, diffusion, poisson, spd
from .petsc_reference import petsc_iterations


def textbook_ilu0(A):
    """L and U by the IKJ form of Gaussian elimination within the pattern (Saad 2003, algorithm 10.4)."""
    F, n = A.copy(), len(A)
    for i in range(n):
        for k in range(i):
            if A[i, k] != 0:
                F[i, k] /= F[k, k]
                for j in range(k + 1, n):
                    if A[i, j] != 0:
                        F[i, j] -= F[i, k] * F[k, j]
    return np.tril(F, -1) + np.eye(n), np.triu(F)


def nonsymmetric(n, kind, rng):
    A = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if kind == "c" else 0.0)
    A[rng.random((n, n)) < 0.6] = 0.0
    return A + (np.abs(A).sum() / n + 1.0) * np.eye(n)


@pytest.mark.parametrize("kind", ["f", "c"])
@pytest.mark.parametrize("wide", [False, True])
def test_against_the_textbook(kind, wide, rng):
    A = nonsymmetric(12, kind, rng)
    L, U = textbook_ilu0(A)
    matrix = sp.csr_array(A)
    if wide:
        matrix = sp.csr_array((matrix.data, matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)), (12, 12))
    M, dense = ILU0()(Sparse(matrix)), np.linalg.inv(L @ U)
    X = rng.standard_normal((12, 3))
    for x in (X, X[:, 0], X + 1j * X[::-1]):
        assert np.allclose(M @ x, dense @ x)
        assert np.allclose(M.H @ x, dense.conj().T @ x)


def test_of_a_self_adjoint_matrix_it_is_incomplete_cholesky(rng):
    A, b = spd(diffusion(16)), rng.standard_normal(256)
    assert np.allclose(ILU0()(A) @ b, IC()(A) @ b)
    assert CG().solve(A, b, M=ILU0()).iterations == CG().solve(A, b, M=IC()).iterations


@pytest.mark.parametrize("speed", [0.2, 0.6, 0.9])
@pytest.mark.parametrize("method", ["gmres", "bcgs"])
def test_as_many_iterations_as_petsc(speed, method, rng):
    A = convection(32, speed)
    b = rng.standard_normal(1024)
    solver = GMRES(restart=30) if method == "gmres" else BiCGStab()
    mine = solver.solve(A, b, M=ILU0())
    options = {"ksp_type": method, "pc_type": "ilu", "ksp_pc_side": "right"}
    assert mine.converged and abs(mine.iterations - petsc_iterations(A, b, options)) <= 1


def test_zero_pivots_and_missing_diagonals_are_named():
    with pytest.raises(ValueError, match="zero pivot in row 1: use ILU, which pivots"):
        ILU0()(Sparse(sp.csr_array(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 5.0]]))))
    with pytest.raises(ValueError, match="that of row 0 is not stored"):
        ILU0()(Sparse(sp.csr_array(np.array([[0.0, 1.0], [1.0, 1.0]]))))
    spoilt = poisson(4)
    spoilt.data[3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        ILU0()(Sparse(spoilt))
    with pytest.raises(ValueError, match="square"):
        ILU0()(Sparse(sp.csr_array(np.ones((2, 3)))))


def test_update_is_a_fresh_build_and_notices_a_new_pattern():
    recipe, A = ILU0(), Sparse(poisson(8))
    M = recipe(A)
    A.update(A=convection(8))
    again = recipe.update(M, A)
    assert again._diagonal is M._diagonal and np.array_equal(again.to_dense(), recipe(A).to_dense())
    wider = Sparse(sp.csr_array(convection(8) + sp.diags_array([-0.1], offsets=[9], shape=(64, 64))))
    other = recipe.update(again, wider)
    assert other._diagonal is not M._diagonal and np.array_equal(other.to_dense(), recipe(wider).to_dense())


def test_claims_to_be_definite_only_where_that_is_certain():
    from resolvent.operators import Props

    stieltjes = Sparse(poisson(4), props=SPD | Props.M_MATRIX)
    assert Props.POSITIVE_DEFINITE in ILU0()(stieltjes).props
    assert Props.POSITIVE_DEFINITE not in ILU0()(Sparse(poisson(4), props=SPD)).props
