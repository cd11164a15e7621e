"""Operators and PETSc matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import LinearOperator


def to_petsc(A: LinearOperator, *, comm: Any = None) -> Any:
    """Return the entries of A as an assembled PETSc AIJ matrix; the caller destroys it.

    Parameters
    ----------
    A : LinearOperator
        With entries (`to_sparse`), real where PETSc is built real.
    comm : MPI communicator, optional
        ``COMM_SELF`` by default: the whole matrix on this rank.

    Raises
    ------
    ImportError
        Without petsc4py, with the line that installs it.
    TypeError
        For a complex operator and a real PETSc.
    """
    try:
        from petsc4py import PETSc
    except ImportError as error:
        raise ImportError(
            'petsc4py is missing: pip install "resolvent[petsc]" (it needs an installed PETSc)'
        ) from error
    matrix = A.to_sparse()
    if matrix.dtype.kind == "c" and np.dtype(PETSc.ScalarType).kind != "c":
        raise TypeError(f"this PETSc is built for {PETSc.ScalarType.__name__}, but {A!r} is complex")
    size = matrix.shape
    csr = (
        matrix.indptr.astype(PETSc.IntType),
        matrix.indices.astype(PETSc.IntType),
        matrix.data.astype(PETSc.ScalarType),
    )
    converted = PETSc.Mat().createAIJ(size=size, csr=csr, comm=PETSc.COMM_SELF if comm is None else comm)
    converted.assemble()
    return converted
