"""Incomplete Cholesky factors against dense loops and PETSc, the shift, and what is refused."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.families.coefficients import coefficient_law
from resolvent.datasets.schemes.diffusion import cell_transmissibilities
from resolvent.operators import SPD, Props, Sparse, Stencil, StructureError
from resolvent.operators.detect import entries_equal
from resolvent.solvers import CG, IC, MINRES
from resolvent.solvers.preconditioners.ic_kernels import is_self_adjoint

from ..conformance import convection, diffusion, poisson, spd
from .petsc_reference import petsc_iterations

KERSHAW = np.array([[3.0, -2, 0, 2], [-2, 3, -2, 0], [0, -2, 3, -2], [2, 0, -2, 3]])
"""Definite, but IC(0) meets the pivot −5 (Kershaw 1978)."""


def definite(n=7, kind="f", seed=0):
    """A random definite matrix with many zeros."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if kind == "c" else 0.0)
    A[rng.random((n, n)) < 0.6] = 0.0
    A = A + A.conj().T
    return A + np.diag(np.abs(A).sum(axis=1) + 0.5)


def textbook_ic0(A):
    """L with A ≈ L Lᴴ, column by column, nothing outside of the pattern (Golub & Van Loan, algorithm 11.5.3)."""
    L, n = np.tril(A).astype(A.dtype), len(A)
    for k in range(n):
        L[k, k] = np.sqrt(L[k, k].real)
        L[k + 1 :, k] /= L[k, k]
        for j in range(k + 1, n):
            for i in range(j, n):
                if A[i, j] != 0:
                    L[i, j] -= L[i, k] * L[j, k].conj()
    return np.where(np.tril(A) != 0, L, 0)


def textbook_threshold(A, drop_tol, fill):
    """U and d with A ≈ Uᴴ diag(d) U, by rows, with the rule of the docstring."""
    n = len(A)
    U, d = np.eye(n, dtype=A.dtype), np.zeros(n)
    for i in range(n):
        row = A[i, i:] - sum(U[k, i].conj() * d[k] * U[k, i:] for k in range(i))
        d[i] = row[0].real
        row[0] = 0
        row[abs(row) <= drop_tol * np.linalg.norm(A[i])] = 0
        allowed = np.count_nonzero(A[i, i + 1 :]) + fill
        row[np.argsort(-abs(row), kind="stable")[allowed:]] = 0
        U[i, i + 1 :] = row[1:] / d[i]
    return U, d


def darcy(n, seed=0):
    a = coefficient_law("lognormal_unit", 2).draw(seed, n)
    return Stencil.from_transmissibilities(cell_transmissibilities(a, 1.0 / n, 2))


@pytest.mark.parametrize("kind", ["f", "c"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_fill_against_the_textbook(kind, seed):
    A = definite(9, kind, seed)
    L = textbook_ic0(A)
    M = IC()(Sparse(sp.csr_array(A), props=SPD))
    assert M.shift == 0.0 and M.nnz == np.count_nonzero(np.triu(A, 1))
    assert np.allclose(M.to_dense(), np.linalg.inv(L @ L.conj().T))


@pytest.mark.parametrize("kind", ["f", "c"])
@pytest.mark.parametrize("drop_tol, fill", [(0.0, 30), (0.02, 30), (0.02, 1), (0.0, 0), (0.2, 2)])
def test_threshold_against_the_dense_loop(kind, drop_tol, fill):
    A = definite(25, kind)
    U, d = textbook_threshold(A, drop_tol, fill)
    M = IC(drop_tol=drop_tol, fill=fill)(Sparse(sp.csr_array(A), props=SPD))
    assert M.nnz == np.count_nonzero(np.triu(U, 1))
    assert np.allclose(M.to_dense(), np.linalg.inv(U.conj().T @ np.diag(d) @ U))


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_and_many_columns(dtype, rng):
    A = Sparse(poisson(9).astype(dtype), props=SPD)
    M = IC()(A)
    X = rng.standard_normal((81, 5))
    assert M.dtype == dtype
    assert np.allclose(M @ X, np.stack([M @ x for x in X.T], axis=1))
    assert np.allclose(M @ X, IC()(spd(poisson(9))) @ X, rtol=1e-4)


@pytest.mark.parametrize("name", ["poisson", "diffusion", "darcy"])
def test_as_many_iterations_as_petsc(name, rng):
    A = {"poisson": poisson(32), "diffusion": diffusion(32, 1e4), "darcy": darcy(64).to_sparse()}[name]
    b = np.ones(A.shape[0]) if name == "darcy" else rng.standard_normal(A.shape[0])
    mine = CG().solve(spd(A), b, M=IC())
    assert mine.converged
    assert abs(mine.iterations - petsc_iterations(A, b, {"ksp_type": "cg", "pc_type": "icc"})) <= 1


def test_a_breakdown_is_answered_by_a_shift():
    with pytest.raises(FloatingPointError), np.errstate(invalid="raise"):
        textbook_ic0(KERSHAW)
    M = IC()(Sparse(sp.csr_array(KERSHAW), props=SPD))
    assert M.shift > 0.0 and f"shift {M.shift:g}" in repr(M)
    L = textbook_ic0(KERSHAW + M.shift * np.diag(np.diag(KERSHAW)))
    assert np.allclose(M.to_dense(), np.linalg.inv(L @ L.T))
    with pytest.raises(FloatingPointError), np.errstate(invalid="raise"):  # half of it was not enough
        textbook_ic0(KERSHAW + 0.5 * M.shift * np.diag(np.diag(KERSHAW)))
    assert IC(drop_tol=0.0)(Sparse(sp.csr_array(KERSHAW), props=SPD)).shift == 0.0


def test_indefinite_and_zero_diagonals_give_a_definite_preconditioner(rng):
    A = sp.csr_array(poisson(16) - 1.7 * sp.eye_array(256))
    M = IC()(Sparse(A))
    assert np.linalg.eigvalsh(M.to_dense()).min() > 0.0 and M.shift > 0.0
    b = rng.standard_normal(256)
    assert MINRES().solve(A, b, M=IC()).converged
    saddle = sp.csr_array(np.array([[2.0, 0, 1], [0, 2, 1], [1, 1, 0]]))
    assert np.linalg.eigvalsh(IC()(Sparse(saddle)).to_dense()).min() > 0.0
    negative = IC()(Sparse(sp.csr_array(-poisson(4))))
    assert np.linalg.eigvalsh(negative.to_dense()).min() > 0.0


def test_what_cannot_be_factorised_is_refused():
    with pytest.raises(StructureError, match="use ILU0 or ILU"):
        IC()(Sparse(convection(4)))
    complex_symmetric = sp.csr_array(poisson(4) + 0.3j * sp.eye_array(16))
    with pytest.raises(StructureError, match="is not self-adjoint"):
        IC()(Sparse(complex_symmetric, props=Props.SYMMETRIC))
    with pytest.raises(ValueError, match="row 1 is zero"):
        IC()(Sparse(sp.csr_array(np.diag([1.0, 0.0, 2.0]))))
    spoilt = poisson(4)
    spoilt.data[3] = np.inf
    with pytest.raises(ValueError, match="NaN or infinity"):
        IC()(spd(spoilt))
    for drop_tol in (-0.1, 1.0, np.nan):
        with pytest.raises(ValueError, match="drop_tol must be None"):
            IC(drop_tol=drop_tol)
    with pytest.raises(ValueError, match="fill must be"):
        IC(fill=1.5)


@pytest.mark.parametrize("drop_tol", [None, 1e-2])
def test_update_is_a_fresh_build_and_notices_a_new_pattern(drop_tol):
    recipe, A = IC(drop_tol=drop_tol), Sparse(poisson(8), props=SPD)
    M = recipe(A)
    A.update(A=sp.csr_array(diffusion(8)))
    again = recipe.update(M, A)
    assert again._upper is M._upper and np.array_equal(again.to_dense(), recipe(A).to_dense())
    wider = spd(sp.csr_array(poisson(8) + sp.diags_array([-0.1, -0.1, 0.5], offsets=[-9, 9, 0], shape=(64, 64))))
    other = recipe.update(again, wider)
    assert other._upper is not M._upper and np.array_equal(other.to_dense(), recipe(wider).to_dense())
    # As many entries, elsewhere.
    moved = spd(sp.csr_array(sp.kron(np.eye(8)[::-1], np.eye(8)) @ poisson(8) @ sp.kron(np.eye(8)[::-1], np.eye(8))))
    assert np.array_equal(recipe.update(M, moved).to_dense(), recipe(moved).to_dense())


def test_a_shift_is_forgotten_by_the_next_update():
    A = Sparse(sp.csr_array(KERSHAW), props=SPD)
    M = IC()(A)
    A.update(A=sp.csr_array(KERSHAW + 3.0 * np.eye(4)))
    assert M.shift > 0.0 and IC().update(M, A).shift == 0.0


@pytest.mark.parametrize("kind", ["f", "c"])
def test_the_test_for_self_adjointness(kind, rng):
    for trial in range(60):
        A = sp.random_array((12, 12), density=0.2, rng=rng, format="csr")
        if kind == "c":
            A = A + 1j * sp.random_array((12, 12), density=0.2, rng=rng, format="csr")
        if trial % 3:
            A = A + A.conj().T
        A = sp.csr_array(A)
        if trial % 3 == 2:  # one entry, or a stored zero where its mirror image is not stored
            A = sp.lil_array(A)
            A[rng.integers(12), rng.integers(12)] = rng.choice([0.0, 1.0])
            A = sp.csr_array(A)
        if trial % 2 and A.nnz:
            A.data[rng.integers(A.nnz)] = 0.0
        A.sort_indices()
        expected = entries_equal(A, A.conj().T, 1e-14)
        assert is_self_adjoint(A.indptr, A.indices, A.data, 1e-14) == expected
