"""Operators as PETSc matrices."""

from __future__ import annotations

import copy
import gc
import pickle
import sys

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import (
    SPD,
    Dense,
    Diagonal,
    LinearOperator,
    Props,
    Sparse,
    Stencil,
    StructureError,
    as_operator,
    check_operator,
)


def test_without_petsc4py_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    with pytest.raises(ImportError, match=r'pip install "resolvent\[petsc\]"'):
        Diagonal([1.0, 2.0]).to_petsc()


class TestWithPETSc:
    """Needs petsc4py."""

    PETSc = pytest.importorskip("petsc4py.PETSc", reason='needs the extra "petsc"')

    @pytest.mark.parametrize(
        "A",
        [
            Sparse(sp.random_array((6, 6), density=0.5, rng=0)),
            Stencil.from_transmissibilities((np.ones((4, 5)), np.ones((3, 6)))),
            Diagonal([1.0, 2.0]) + Diagonal([0.5, 0.0]),
        ],
    )
    def test_matrix_and_its_transpose_multiply_alike(self, A: Sparse) -> None:
        matrix = A.to_petsc()
        x, y = matrix.createVecs()
        x.setArray(np.arange(1.0, A.shape[1] + 1))
        matrix.mult(x, y)
        assert np.allclose(y.getArray(), A @ np.arange(1.0, A.shape[1] + 1))
        matrix.multTranspose(x, y)
        assert np.allclose(y.getArray(), A.T @ np.arange(1.0, A.shape[1] + 1))
        for thing in (matrix, x, y):
            thing.destroy()

    def test_complex_entries_need_a_complex_petsc(self) -> None:
        if np.dtype(self.PETSc.ScalarType).kind == "c":
            pytest.skip("this PETSc is complex")
        with pytest.raises(TypeError, match="is complex"):
            Diagonal([1.0, 1j]).to_petsc()

    def test_operators_without_entries_say_so(self) -> None:
        with pytest.raises(StructureError, match="no stored entries"):
            as_operator(Sparse(sp.eye_array(2)).to_scipy(), props=SPD).to_petsc()

    def test_mistaken_forms_are_named(self) -> None:
        with pytest.raises(ValueError, match="'aij' or 'shell'"):
            Diagonal([1.0]).to_petsc(form="dense")


def wind(n: int = 6) -> sp.csr_array:
    return sp.csr_array(sp.diags_array([-1.5, 2.0, -0.5], offsets=[-1, 0, 1], shape=(n, n)))


class TestShells:
    """Our operators as PETSc shells."""

    PETSc = pytest.importorskip("petsc4py.PETSc", reason='needs the extra "petsc"')

    @pytest.mark.parametrize(
        "A",
        [
            Sparse(wind()),
            Dense(np.arange(12.0).reshape(3, 4)),
            Diagonal(np.arange(1.0, 5.0)) @ Sparse(wind(4)),
            as_operator(Sparse(wind()).to_scipy()),
        ],
    )
    def test_products_need_no_entries(self, A: LinearOperator) -> None:
        shell = A.to_petsc(form="shell")
        x, y = shell.createVecs()
        rng = np.random.default_rng(0)
        given, back = rng.standard_normal(A.shape[1]), rng.standard_normal(A.shape[0])
        x.setArray(given)
        shell.mult(x, y)
        assert np.allclose(y.getArray(), A @ given)
        y.setArray(back)
        shell.multTranspose(y, x)
        assert np.allclose(x.getArray(), A.T @ back)
        for thing in (shell, x, y):
            thing.destroy()

    def test_diagonal_and_a_solve_by_petsc(self) -> None:
        A = Stencil.from_transmissibilities((np.ones((4, 5)), np.ones((3, 6))))
        shell = A.to_petsc(form="shell")
        d = shell.getDiagonal()
        assert np.allclose(d.getArray(), A.diagonal())
        ksp = self.PETSc.KSP().create(self.PETSc.COMM_SELF)
        ksp.setOperators(shell)
        ksp.setType("cg")
        ksp.getPC().setType("jacobi")
        ksp.setTolerances(rtol=1e-10)
        x, b = shell.createVecs()
        b.set(1.0)
        ksp.solve(b, x)
        assert np.allclose(A @ x.getArray().copy(), 1.0)
        for thing in (shell, d, ksp, x, b):
            thing.destroy()

    def test_a_shell_keeps_nothing_alive_once_destroyed(self) -> None:
        A = Sparse(wind())
        gc.collect()
        before = sys.getrefcount(A)
        shell = A.to_petsc(form="shell")
        assert sys.getrefcount(A) > before
        shell.destroy()
        gc.collect()
        assert sys.getrefcount(A) == before


class TestFromPETSc:
    """PETSc matrices as our operators."""

    PETSc = pytest.importorskip("petsc4py.PETSc", reason='needs the extra "petsc"')

    @staticmethod
    def wrapped(matrix: sp.csr_array, props: Props | None = None) -> LinearOperator:
        from resolvent.operators.petsc import from_petsc

        mat = Sparse(matrix).to_petsc()
        A = from_petsc(mat, props=props)
        mat.destroy()  # the operator holds its own reference
        return A

    @pytest.mark.parametrize(
        ("matrix", "props"),
        [
            (wind(), None),
            (sp.csr_array(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(7, 7))), SPD),
            (sp.csr_array(np.arange(12.0).reshape(3, 4)), None),
        ],
    )
    def test_contract_of_operators(self, matrix: sp.csr_array, props: Props | None) -> None:
        check_operator(self.wrapped(matrix, props)).check()

    def test_entries_diagonal_and_block(self) -> None:
        A = self.wrapped(wind())
        assert np.array_equal(A.to_sparse().toarray(), wind().toarray())
        assert np.array_equal(A.diagonal(), wind().diagonal())
        assert np.array_equal(A.block().to_dense(), wind().toarray())  # type: ignore[attr-defined]
        assert A.to_dense().shape == (6, 6)

    def test_other_types_are_converted_for_their_entries(self) -> None:
        from resolvent.operators.petsc import from_petsc

        dense = self.PETSc.Mat().createDense(
            (2, 2), array=np.array([[1.0, 2.0], [3.0, 4.0]]), comm=self.PETSc.COMM_SELF
        )
        dense.assemble()
        A = from_petsc(dense)
        assert np.array_equal(A.to_sparse().toarray(), dense.getDenseArray())
        assert np.allclose(A @ [1.0, 1.0], dense.getDenseArray() @ [1.0, 1.0])
        dense.destroy()

    def test_shells_have_no_entries_and_may_have_no_adjoint(self) -> None:
        from resolvent.operators.petsc import from_petsc

        class Twice:
            def mult(self, mat: object, x: object, y: object) -> None:
                x.copy(y)  # type: ignore[attr-defined]
                y.scale(2.0)  # type: ignore[attr-defined]

        shell = self.PETSc.Mat().createPython((3, 3), Twice(), comm=self.PETSc.COMM_SELF)
        shell.setUp()
        A = from_petsc(shell)
        assert np.array_equal(A @ [1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
        with pytest.raises(StructureError, match="no stored entries"):
            A.to_sparse()
        with pytest.raises(StructureError, match="does not know its diagonal"):
            A.diagonal()
        with pytest.raises(StructureError, match="no adjoint"):
            A.rmatvec(np.ones(3))
        assert np.array_equal(from_petsc(shell, props=SPD).rmatvec(np.ones(3)), 2.0 * np.ones(3))
        shell.destroy()

    def test_changes_of_the_matrix_change_the_version(self) -> None:
        from resolvent.operators.petsc import from_petsc

        mat = Sparse(wind()).to_petsc()
        A = from_petsc(mat)
        version, stamp = A.version, A.stamp()
        A @ np.ones(6)
        assert (A.version, A.stamp()) == (version, stamp)
        mat.setValue(0, 0, 5.0)
        mat.assemble()
        assert A.version > version
        assert A.stamp() != stamp
        assert (A @ np.ones(6))[0] == 5.0 - 0.5
        version = A.version
        A.update(A=2.0 * wind())
        assert A.version > version
        assert np.allclose(A.to_dense(), 2.0 * wind().toarray())
        with pytest.raises(StructureError, match="same pattern"):
            A.update(A=sp.eye_array(6, format="csr"))
        with pytest.raises(TypeError, match="takes A=matrix"):
            A.update(data=np.ones(3))
        mat.destroy()

    def test_symmetry_that_petsc_knows_becomes_a_claim(self) -> None:
        from resolvent.operators.petsc import from_petsc

        mat = Sparse(sp.eye_array(3, format="csr")).to_petsc()
        assert from_petsc(mat).props == Props.NONE
        mat.setOption(self.PETSc.Mat.Option.SYMMETRIC, True)
        assert Props.SYMMETRIC in from_petsc(mat).props
        mat.destroy()

    def test_as_operator_copies_and_pickles(self) -> None:
        mat = Sparse(wind()).to_petsc()
        A = as_operator(mat)
        for other in (copy.copy(A), pickle.loads(pickle.dumps(A))):
            assert np.array_equal(other @ np.arange(6.0), A @ np.arange(6.0))
        assert "PETSc seqaij" in repr(A)
        mat.destroy()

    def test_the_matrix_goes_with_the_operator(self) -> None:
        from resolvent.operators.petsc import from_petsc

        mat = Sparse(wind()).to_petsc()
        A = from_petsc(mat)
        assert mat.refcount == 2
        del A
        gc.collect()
        assert mat.refcount == 1
        mat.destroy()

    def test_our_methods_take_petsc_s_matrices(self) -> None:
        from resolvent.solvers import ILU, solve

        mat = Sparse(wind()).to_petsc()
        assert np.allclose(wind() @ solve(mat, np.ones(6), M=ILU()).check().x, 1.0)
        mat.destroy()


def test_what_is_not_a_petsc_matrix_or_was_closed_is_said_to_be() -> None:
    pytest.importorskip("petsc4py")
    from resolvent.operators.petsc import from_petsc, to_petsc

    with pytest.raises(TypeError, match=r"expected a petsc4py\.PETSc\.Mat, got"):
        from_petsc(wind())
    mat = to_petsc(wind())
    A = from_petsc(mat)
    mat.destroy()
    assert np.allclose(A @ np.ones(6), wind() @ np.ones(6))
    A.close()
    assert "closed" in repr(A)
    for use in (lambda: A @ np.ones(6), lambda: A.H @ np.ones(6), A.diagonal, A.to_sparse, A.block):
        with pytest.raises(ValueError, match="was closed"):
            use()
