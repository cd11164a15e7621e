"""The entries of an operator as a PETSc matrix for building preconditioners."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from ...operators import LinearOperator, Props, StructureError
from ...operators.petsc import PETScMatrix
from ...operators.petsc_lifetime import load_petsc


def real_form(A: LinearOperator, *, doubled: bool) -> sp.csr_array:
    """Return the entries of A in double precision.

    With `doubled` each entry is a block [[Re, −Im], [Im, Re]], so that pairs of real numbers stand for complex ones.
    """
    matrix = A.to_sparse()
    if not doubled:
        return sp.csr_array(matrix, dtype=np.result_type(matrix.dtype, np.float64))
    data = matrix.data
    blocks = np.stack((data.real, -data.imag, data.imag, data.real), axis=1).reshape(-1, 2, 2).astype(np.float64)
    n = 2 * matrix.shape[0]
    pairs = sp.csr_array(sp.bsr_array((blocks, matrix.indices, matrix.indptr), shape=(n, n)))
    pairs.sort_indices()
    return pairs


def assembled(A: LinearOperator, *, doubled: bool, comm: Any) -> tuple[Any, sp.csr_array | None]:
    """Return a PETSc matrix with the entries of A, and these; a PETSc matrix itself, and None, where A is one.

    Raises
    ------
    StructureError
        If A has no entries, or they are spread over ranks in a form other than a PETSc matrix.
    """
    petsc = load_petsc()
    if isinstance(A, PETScMatrix) and not doubled:
        return A.mat, None
    if A._communicator() is not None:
        raise StructureError(
            f"PETSc cannot build a preconditioner from {A!r}: give the matrix itself, or M=, or leave pc_type out"
        )
    matrix = real_form(A, doubled=doubled)
    mat = petsc.Mat().create(comm=comm)
    mat.setSizes(matrix.shape)
    mat.setType("aij")
    if doubled:
        mat.setBlockSize(2)
    mat.setPreallocationCSR((matrix.indptr.astype(petsc.IntType), matrix.indices.astype(petsc.IntType), matrix.data))
    mat.assemble()
    if Props.SELF_ADJOINT in A.props:
        mat.setOption(petsc.Mat.Option.SYMMETRIC, True)
        if Props.POSITIVE_DEFINITE in A.props and Props.SINGULAR not in A.props:
            mat.setOption(petsc.Mat.Option.SPD, True)
    return mat, matrix
