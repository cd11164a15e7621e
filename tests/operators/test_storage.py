"""Sparse, Dense, Diagonal, Function: storage, updates, conversion from and to other libraries, proved claims."""

from __future__ import annotations

import pickle

import numpy as np
import pyamg
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import resolvent
from resolvent.operators import (
    SPD,
    Dense,
    Diagonal,
    Function,
    Props,
    Sparse,
    StructureError,
    as_operator,
    detect_props,
)


def laplacian(n: int) -> sp.csr_array:
    return sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n), format="csr")


def test_sparse_shares_what_it_is_given_and_never_alters_it() -> None:
    matrix = sp.csr_array((np.ones(3), ([0, 0, 1], [1, 1, 0])), shape=(2, 2))  # a duplicate entry
    duplicated = sp.csr_array((np.array([1.0, 2.0]), np.array([0, 0]), np.array([0, 2, 2])), shape=(2, 2))
    A = Sparse(duplicated)
    assert duplicated.nnz == 2 and A.nnz == 1 and (A @ [1.0, 0.0])[0] == 3.0
    clean = laplacian(5)
    assert np.shares_memory(Sparse(clean).matrix.data, clean.data)
    assert Sparse(matrix).dtype == np.float64
    assert Sparse(sp.eye_array(2, dtype=int)).dtype == np.float64


@pytest.mark.parametrize("index", [-1, 20, 10**6])
def test_damaged_indices_are_refused_before_a_kernel_sees_them(index: int) -> None:
    damaged = laplacian(20)
    indices = damaged.indices.copy()
    indices[5] = index
    damaged.indices = indices
    with pytest.raises(ValueError, match="column indices must lie in"):
        Sparse(damaged)


def test_update_keeps_the_pattern_and_counts_versions() -> None:
    A = Sparse(laplacian(4))
    before = A.matrix
    A.update(A=2 * laplacian(4))
    assert A.version == 1 and A.diagonal()[0] == 4.0 and before.diagonal()[0] == 2.0
    A.update(data=np.arange(A.nnz))
    assert A.version == 2 and A.matrix.data[3] == 3.0
    with pytest.raises(StructureError, match="same pattern"):
        A.update(A=sp.eye_array(4))
    with pytest.raises(StructureError, match="entries in CSR order"):
        A.update(data=np.ones(3))
    with pytest.raises(TypeError, match="data=array"):
        A.update(values=1)
    with pytest.raises(StructureError, match="build a new one"):
        Function((2, 2), lambda x: x).update(a=1)
    D = Diagonal([1.0, 2.0])
    D.update(d=[3.0, 4.0])
    assert D.version == 1 and D.diagonal()[1] == 4.0
    with pytest.raises(ValueError, match="not positive definite and m matrix"):
        D.update(d=[-1.0, 0.0])  # a Sum made of D would go on claiming definiteness
    with pytest.raises(TypeError, match="Cannot cast"):
        D.update(d=[1j, 1.0])
    with pytest.raises(TypeError, match="Cannot cast"):
        A.update(data=1j * np.ones(A.nnz))


def test_as_operator_takes_what_scipy_takes() -> None:
    matrix = laplacian(6)
    x = np.arange(6.0)
    for given in (
        matrix,
        sp.csc_matrix(matrix),
        sp.coo_array(matrix),
        matrix.toarray(),
        matrix.toarray().tolist(),
        spla.aslinearoperator(matrix),
        Sparse(matrix),
    ):
        A = as_operator(given)
        assert A.shape == (6, 6) and np.allclose(A @ x, matrix @ x) and np.allclose(A.rmatvec(x), matrix @ x)
    with pytest.raises(TypeError, match="expected a matrix"):
        as_operator("a string")
    with pytest.raises(TypeError, match="expected a matrix"):
        as_operator(None)
    assert Props.POSITIVE_DEFINITE in as_operator(matrix, props=SPD).props
    with pytest.raises(ValueError, match="already carries"):
        as_operator(Sparse(matrix), props=SPD)


def test_functions_that_return_the_wrong_shape_are_named() -> None:
    with pytest.raises(StructureError, match="must return 3 entries"):
        Function((3, 3), lambda x: x[:2]) @ np.ones(3)
    with pytest.raises(StructureError, match="has no adjoint"):
        Function((3, 3), lambda x: x).rmatvec(np.ones(3))


def test_operators_serve_in_scipy_and_pyamg_unchanged() -> None:
    A = Sparse(laplacian(30), props=SPD)
    b = np.ones(30)
    for x, info in (
        spla.cg(A.to_scipy(), b, rtol=1e-10),
        spla.cg(A, b, rtol=1e-10),
        spla.gmres(A, b, rtol=1e-10, restart=30),
        spla.minres(A, b, rtol=1e-12),
        pyamg.krylov.cg(A, b, tol=1e-10),
        pyamg.krylov.gmres(A, b, tol=1e-10, restart=30),
    ):
        assert info == 0 and np.linalg.norm(A @ x - b) < 1e-7


@pytest.mark.parametrize(
    "A", [Sparse(laplacian(4), props=SPD), Dense(np.eye(3)), Diagonal([1.0, 2.0]), 2.0 * Dense(np.eye(3)).H]
)
def test_pickling_keeps_values_and_claims(A: resolvent.LinearOperator) -> None:
    copy = pickle.loads(pickle.dumps(A))
    assert copy.props == A.props and np.array_equal(copy.to_dense(), A.to_dense()) and repr(copy) == repr(A)


def test_detected_claims_are_proofs() -> None:
    assert detect_props(laplacian(5)) == SPD | Props.SYMMETRIC | Props.M_MATRIX
    neumann = laplacian(5).tolil()
    neumann[0, 0] = neumann[4, 4] = 1.0
    assert detect_props(neumann) == Props.SYMMETRIC | Props.SELF_ADJOINT, "singular: weak dominance alone is no proof"
    two_blocks = sp.block_diag([laplacian(3), neumann], format="csr")
    assert Props.POSITIVE_DEFINITE not in detect_props(two_blocks), "one block has no strictly dominant row"
    assert detect_props(-laplacian(5)) == Props.SYMMETRIC | Props.SELF_ADJOINT
    assert detect_props(laplacian(5) * 1j) == Props.SYMMETRIC
    hermitian = sp.csr_array(np.array([[3.0, 1j], [-1j, 3.0]]))
    assert detect_props(hermitian) == SPD
    rows, columns = np.array([1, 2]), np.array([2, 1])
    blocks = sp.coo_array(sp.block_diag([3.0 * sp.eye_array(2), neumann]))
    coordinates = (np.concatenate([blocks.row, rows]), np.concatenate([blocks.col, columns]))
    stored = sp.csr_array((np.concatenate([blocks.data, [0.0, 0.0]]), coordinates), shape=(7, 7))
    assert stored.nnz == blocks.nnz + 2 and Props.POSITIVE_DEFINITE not in detect_props(stored), "no edge"
    penalty = sp.diags_array([-1.9, 2.0, -0.1], offsets=[-1, 0, 1], shape=(6, 6), format="lil")
    penalty[0, 0] = 1e16
    assert detect_props(penalty) == Props.NONE, "one large entry must not hide the asymmetry of the others"
    nearly = sp.csr_array(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4000, 4000)).tolil())
    nearly[0, 0] = nearly[-1, -1] = 1.0
    nearly = sp.csr_array(nearly - 1.5e-13 * sp.eye_array(4000))
    nearly[0, 0] += 5e-10
    assert nearly.sum() < 0 and Props.POSITIVE_DEFINITE not in detect_props(nearly)
    assert detect_props(np.triu(np.ones((3, 3)))) == Props.NONE
    assert detect_props(np.full((2, 2), np.nan)) == Props.NONE
    assert detect_props(np.ones((2, 3))) == Props.NONE
    for n, seed in ((2, 0), (7, 1), (20, 2)):  # whatever is claimed of a random matrix must be true
        rng = np.random.default_rng(seed)
        M = rng.standard_normal((n, n))
        M = M + M.T + np.diag(rng.uniform(0, 3 * n, n))
        if Props.POSITIVE_DEFINITE in detect_props(M):
            assert np.linalg.eigvalsh(M).min() > 0


def test_fields_are_taken_and_returned_unflattened() -> None:
    A = Diagonal(np.arange(6.0).reshape(2, 3))
    assert A.grid == (2, 3)
    field = A @ np.ones((2, 3))
    assert field.shape == (2, 3) and field[1, 2] == 5.0
    assert (A @ np.ones((6, 2))).shape == (6, 2)
    with pytest.raises(ValueError, match=r"or the field shape \(2, 3\)"):
        A.matvec(np.ones((3, 2)))
    with pytest.raises(ValueError, match="grid"):
        Sparse(laplacian(5), grid=(2, 3))
