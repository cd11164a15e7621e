"""Complex systems on a PETSc built for real numbers, and adjoint systems."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Props, Sparse
from resolvent.solvers import CG, SSOR, Jacobi

from ..conformance import convection, poisson, relative_residual, spd
from .systems import SIDE, N, helmholtz, petsc

pytest.importorskip("petsc4py.PETSc", reason="petsc4py is not installed: scripts/petsc.sh builds it")


@pytest.mark.parametrize(("kind", "pc"), [("gmres", None), ("gmres", "ilu"), ("preonly", "lu"), ("bcgs", "bjacobi")])
def test_complex_helmholtz(kind, pc):
    A = Sparse(helmholtz(12), props=Props.SYMMETRIC)
    rng = np.random.default_rng(3)
    x = rng.standard_normal(144) + 1j * rng.standard_normal(144)
    options = {"ksp_gmres_restart": 300} if kind == "gmres" else {}
    result = petsc(kind, pc, rtol=1e-10, **options).solve(A, A @ x).check()
    assert np.linalg.norm(result.x - x) <= 1e-7 * np.linalg.norm(x)
    assert relative_residual(A, result.x, A @ x) <= 1e-10
    # The norm of pairs of real numbers is that of the complex ones.
    assert result.history[0] == pytest.approx(np.linalg.norm(A @ x))
    assert result.history[-1] == pytest.approx(result.residual_norm, rel=1e-2)


def test_complex_right_hand_side_of_a_real_system(b):
    A = spd(poisson(SIDE))
    rhs = b + 1j * b[::-1]
    for pc in (None, "icc"):
        prepared = petsc("cg", pc).prepare(A)
        assert relative_residual(A, prepared.solve(rhs).check().x, rhs) <= 1e-8
        assert relative_residual(A, prepared.solve(b).check().x, b) <= 1e-8


def test_complex_preconditioner_and_hermitian_system():
    phase = sp.diags_array(np.exp(1j * np.linspace(0.0, 6.0, N)))
    A = Sparse(sp.csr_array(phase @ poisson(SIDE) @ phase.conj()), props=SPD)
    b = np.exp(1j * np.arange(N))
    theirs = petsc("cg").solve(A, b, M=Jacobi()).check()
    # Each eigenvalue is there twice in the real form, which conjugate gradients do not mind.
    assert abs(theirs.iterations - CG().solve(A, b, M=Jacobi()).iterations) <= 2


def test_adjoint_systems(b):
    A = Sparse(convection(SIDE))
    for solver, M in ((petsc("gmres", "lu"), None), (petsc("gmres"), SSOR())):
        x = solver.prepare(A, M).adjoint().solve(b).check().x
        assert np.allclose(convection(SIDE).T @ x, b, atol=1e-6)
