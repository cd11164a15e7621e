"""Operators as PETSc matrices."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Diagonal, Sparse, Stencil, StructureError, as_operator


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
