"""PETSc's solvers with given options, for counts and values to compare with."""

import numpy as np
import pytest

from ..conformance import relative_residual


def petsc_solve(A, b, options, *, rtol=1e-8, subdomains=None):
    """Return the solution and the iterations of a KSP set up from a dictionary of options.

    Subdomains are pairs of own and of overlapping unknowns.
    """
    pytest.importorskip("petsc4py", reason="petsc4py is not installed: scripts/petsc.sh builds it")
    from petsc4py import PETSc

    if np.dtype(PETSc.ScalarType).kind != A.dtype.kind:
        pytest.skip("this PETSc has another kind of scalars")
    csr = (A.indptr.astype(PETSc.IntType), A.indices.astype(PETSc.IntType), A.data)
    matrix = PETSc.Mat().createAIJ(A.shape, csr=csr, comm=PETSc.COMM_SELF)
    solver = PETSc.KSP().create(PETSc.COMM_SELF)
    x, rhs = matrix.createVecs()
    prefix, database = "resolvent_reference_", PETSc.Options()
    for name, value in options.items():
        database[prefix + name] = value
    try:
        solver.setOperators(matrix)
        solver.setOptionsPrefix(prefix)
        solver.setNormType(PETSc.KSP.NormType.NORM_UNPRECONDITIONED)
        solver.setTolerances(rtol=rtol, atol=0.0, max_it=10_000)
        solver.setFromOptions()
        if subdomains is not None:
            own, overlapping = (
                [PETSc.IS().createGeneral(s.astype(PETSc.IntType), comm=PETSc.COMM_SELF) for s in sets]
                for sets in zip(*subdomains, strict=True)
            )
            solver.getPC().setASMLocalSubdomains(len(own), overlapping, own)
        rhs.setArray(b)
        solver.solve(rhs, x)
        return x.getArray().copy(), solver.getIterationNumber()
    finally:
        for name in options:
            database.delValue(prefix + name)
        for thing in (solver, matrix, x, rhs):
            thing.destroy()


def petsc_iterations(A, b, options, **more):
    x, iterations = petsc_solve(A, b, options, **more)
    assert relative_residual(A, x, b) <= 1e-8 * (1 + 1e-6)
    return iterations
