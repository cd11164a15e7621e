"""Systems and solvers that the tests of PETSc share."""

import scipy.sparse as sp

from resolvent.solvers.petsc import PETScKSP

from ..conformance import poisson

SIDE = 16
N = SIDE * SIDE


def petsc(kind="gmres", pc=None, rtol=1e-8, **options):
    given = {"ksp_type": kind} | ({"pc_type": pc} if pc else {})
    return PETScKSP(options=given | options, rtol=rtol)


def helmholtz(side):
    """−Δ − k² (1 + i/10): complex symmetric, indefinite."""
    return sp.csr_array(poisson(side) - (0.6 + 0.06j) * sp.eye_array(side * side))
