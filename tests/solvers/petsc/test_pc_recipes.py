"""PETSc's preconditioners as recipes for our methods."""

import pytest
import scipy.sparse as sp

from resolvent.operators import Props, Sparse, StructureError
from resolvent.solvers import CG, FGMRES, GMRES
from resolvent.solvers.petsc import PETScPC

from ..conformance import convection, poisson, spd
from .systems import SIDE, helmholtz, petsc

pytest.importorskip("petsc4py.PETSc", reason="petsc4py is not installed: scripts/petsc.sh builds it")


@pytest.mark.parametrize("options", [{"pc_type": "hypre"}, {"pc_type": "gamg"}, {"pc_type": "icc"}, {"pc_type": "lu"}])
def test_petsc_s_preconditioners_with_our_methods(options, b):
    A = spd(poisson(SIDE))
    mine = CG().solve(A, b, M=PETScPC(options)).check()
    theirs = petsc("cg", options["pc_type"]).solve(A, b).check()
    assert abs(mine.iterations - theirs.iterations) <= 1
    assert mine.counts.preconditioner >= mine.iterations
    complex_b = b + 1j * b[::-1]
    assert CG().solve(A, complex_b, M=PETScPC(options)).check().iterations <= mine.iterations + 2


def test_petsc_s_preconditioners_follow_changes_and_adjoints(b):
    from resolvent.operators import check_operator

    A = Sparse(helmholtz(8), props=Props.SYMMETRIC)
    check_operator(PETScPC({"pc_type": "ilu"})(Sparse(convection(8)))).check()
    check_operator(PETScPC({"pc_type": "ilu"})(A)).check()
    prepared = GMRES().prepare(poisson(SIDE), PETScPC({"pc_type": "lu"}))
    prepared.update(sp.csr_array(3.0 * poisson(SIDE)))
    assert prepared.solve(b).check().iterations == 1


def test_mistaken_recipes_of_petsc_are_named(b):
    with pytest.raises(ValueError, match="with pc_type"):
        PETScPC({"ksp_type": "cg"})
    with pytest.raises(ValueError, match="did not use the options pc_gamg_type"):
        PETScPC({"pc_type": "icc", "pc_gamg_type": "agg"})(spd(poisson(4)))
    with pytest.raises(ValueError, match="requested PC type nope"):
        PETScPC({"pc_type": "nope"})(spd(poisson(4)))
    varying = PETScPC({"pc_type": "ksp", "ksp_ksp_type": "gmres", "ksp_pc_type": "jacobi"})
    with pytest.raises(StructureError, match="FlexibleCG"):
        CG().solve(spd(poisson(SIDE)), b, M=varying)
    assert FGMRES().solve(spd(poisson(SIDE)), b, M=varying).converged
