"""Our operators and preconditioners in the solvers of scipy and pyamg, and theirs in ours."""

import pyamg
import pytest
import scipy.sparse.linalg as spla

from resolvent.operators import Sparse
from resolvent.solvers import CG, GMRES

from .conformance import RECIPES, convection, diffusion, relative_residual, spd

SYMMETRIC = [name for name in RECIPES if name != "ILU"]


@pytest.mark.parametrize("name", SYMMETRIC)
@pytest.mark.parametrize("as_scipy", [False, True])
def test_preconditioner_in_scipy_cg(name, as_scipy, rng):
    A, b, seen = diffusion(20), rng.standard_normal(400), []
    M = RECIPES[name](spd(A))
    x, info = spla.cg(A, b, rtol=1e-8, M=M.to_scipy() if as_scipy else M, callback=lambda x: seen.append(1))
    assert info == 0 and relative_residual(A, x, b) <= 1e-8
    assert len(seen) == CG().solve(spd(A), b, M=M).iterations


@pytest.mark.parametrize("name", RECIPES)
def test_preconditioner_in_scipy_gmres(name, rng):
    A, b = convection(20), rng.standard_normal(400)
    M = RECIPES[name](Sparse(A))
    x, info = spla.gmres(A, b, rtol=1e-8, M=M, restart=40)
    assert info == 0 and relative_residual(A, x, b) <= 1e-6


@pytest.mark.parametrize("method", ["cg", "minimal_residual", "gmres", "fgmres", "bicgstab"])
def test_operator_and_preconditioner_in_pyamg(method, rng):
    A, b = spd(diffusion(16)), rng.standard_normal(256)
    M = RECIPES["SSOR"](A)
    options = {"tol": 1e-8, "M": M, "maxiter": 300}
    if "gmres" in method:
        options |= {"restart": 20, "maxiter": 20}
    if method == "minimal_residual":
        options["maxiter"] = 3000
    x, info = getattr(pyamg.krylov, method)(A, b, **options)
    assert info == 0 and relative_residual(A.matrix, x, b) <= 1e-6


def test_operator_in_scipy_solvers(rng):
    A, b = spd(diffusion(12)), rng.standard_normal(144)
    for method in (spla.cg, spla.bicgstab, spla.gmres, spla.lgmres, spla.minres, spla.gcrotmk):
        x, info = method(A, b, rtol=1e-9)
        assert info == 0 and relative_residual(A.matrix, x, b) <= 1e-5


def test_pyamg_hierarchy_as_preconditioner(rng):
    A, b = diffusion(20), rng.standard_normal(400)
    hierarchy = pyamg.ruge_stuben_solver(A)
    theirs = CG().solve(spd(A), b, M=hierarchy.aspreconditioner())
    mine = CG().solve(spd(A), b, M=RECIPES["AMG"])
    assert theirs.converged and theirs.iterations == mine.iterations


def test_scipy_factorisation_as_preconditioner(rng):
    A, b = convection(12), rng.standard_normal(144)
    factors = spla.splu(A.tocsc())
    result = GMRES().solve(A, b, M=spla.LinearOperator(A.shape, factors.solve, dtype=float))
    assert result.converged and result.iterations == 1
