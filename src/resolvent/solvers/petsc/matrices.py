"""The entries of an operator as a PETSc matrix for building preconditioners."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from ...operators import LinearOperator, Props, StructureError
from ...operators.petsc import PETScMatrix, entries
from ...operators.petsc_lifetime import load_petsc


def real_form(A: LinearOperator, *, doubled: bool) -> sp.csr_array:
    """Return the entries of A in double precision.

    With `doubled` each entry is a block [[Re, −Im], [Im, Re]], so that pairs of real numbers stand for complex ones.
    """
    return real_entries(A.to_sparse(), doubled=doubled)


def real_entries(matrix: sp.csr_array, *, doubled: bool) -> sp.csr_array:
    """Return a matrix in double precision, or with pairs of real numbers for complex ones, as `real_form` does."""
    if not doubled:
        return sp.csr_array(matrix, dtype=np.result_type(matrix.dtype, np.float64))
    data = matrix.data
    blocks = np.stack((data.real, -data.imag, data.imag, data.real), axis=1).reshape(-1, 2, 2).astype(np.float64)
    n = 2 * matrix.shape[0]
    pairs = sp.csr_array(sp.bsr_array((blocks, matrix.indices, matrix.indptr), shape=(n, n)))
    pairs.sort_indices()
    return pairs


def null_space(vectors: Any, template: Any, n: int, *, doubled: bool, comm: Any) -> tuple[Any, list[Any]]:
    """Return the span of vectors as a null space of PETSc, and all that was made for it, to be destroyed with it.

    Parameters
    ----------
    vectors : "constant" or (n,) or (n, q) array
    template : petsc4py.PETSc.Vec
        Of the kind that the matrix multiplies.
    n : int
        Length on this rank, of complex numbers where they are `doubled`.
    doubled : bool
        Whether pairs of real numbers stand for complex ones: i v is then a vector of its own.
    comm : MPI communicator
    """
    petsc = load_petsc()
    constant = isinstance(vectors, str) and not doubled
    basis: list[Any] = []
    if not constant:
        given = np.ones((n, 1)) if isinstance(vectors, str) else np.asarray(vectors).reshape(n, -1)
        for column in given.T:
            for factor in (1.0, 1.0j) if doubled else (1.0,):
                vector = template.duplicate()
                entries(vector, np.complex128 if doubled else None)[:, 0] = factor * column
                for earlier in basis:
                    vector.axpy(-vector.dot(earlier), earlier)
                vector.normalize()
                basis.append(vector)
    space = petsc.NullSpace().create(constant=constant, vectors=basis, comm=comm)
    return space, [*basis, space]


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
