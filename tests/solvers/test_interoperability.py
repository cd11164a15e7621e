"""Our operators and preconditioners in the solvers of scipy and pyamg, and theirs in ours."""

import warnings

import numpy as np
import pyamg
import pytest
import scipy.sparse.linalg as spla

import resolvent
from resolvent.operators import Sparse
from resolvent.solvers import CG, GMRES

from .conformance import NEEDS_SELF_ADJOINT, NOT_SELF_ADJOINT, RECIPES, convection, diffusion, relative_residual, spd

SYMMETRIC = [name for name in RECIPES if name not in NOT_SELF_ADJOINT]


@pytest.mark.parametrize("name", SYMMETRIC)
@pytest.mark.parametrize("as_scipy", [False, True])
def test_preconditioner_in_scipy_cg(name, as_scipy, rng):
    A, b, seen = diffusion(20), rng.standard_normal(400), []
    M = RECIPES[name](spd(A))
    x, info = spla.cg(A, b, rtol=1e-8, M=M.to_scipy() if as_scipy else M, callback=lambda x: seen.append(1))
    assert info == 0 and relative_residual(A, x, b) <= 1e-8
    assert len(seen) == CG().solve(spd(A), b, M=M).iterations


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in NEEDS_SELF_ADJOINT])
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


@pytest.mark.parametrize("name", ["cg", "minres", "bicgstab", "cgs", "tfqmr", "gmres", "lgmres", "gcrotmk"])
def test_our_functions_accelerate_pyamg(name, rng):
    A, b = diffusion(24), rng.standard_normal(576)
    hierarchy = pyamg.ruge_stuben_solver(A)
    residuals, given = [], b.copy()
    with warnings.catch_warnings():
        if name == "gmres":  # pyamg does not say what its callback wants to be told
            warnings.simplefilter("ignore", DeprecationWarning)
        x, info = hierarchy.solve(
            b, tol=1e-8, maxiter=50, accel=getattr(resolvent, name), residuals=residuals, return_info=True
        )
    assert info == 0 and relative_residual(A, x, b) <= 1e-8 and (b == given).all()
    plain = []
    hierarchy.solve(b, tol=1e-8, maxiter=50, residuals=plain)
    assert 2 <= len(residuals) < len(plain)
    scale = 1.0 if name == "gmres" else np.linalg.norm(b)  # relative from gmres, in scipy's too
    assert residuals[0] == pytest.approx(np.linalg.norm(b))
    if name not in ("lgmres", "gcrotmk"):
        assert residuals[-1] <= 1e-8 * scale
    assert np.allclose(hierarchy.solve(b, tol=1e-8, accel=getattr(resolvent, name)), x)


def test_acceleration_takes_the_iterations_of_scipy_and_pyamg(rng):
    A, b = diffusion(24), rng.standard_normal(576)
    hierarchy = pyamg.smoothed_aggregation_solver(A)
    counts = []
    for accel in (resolvent.cg, spla.cg, pyamg.krylov.cg):
        residuals = []
        hierarchy.solve(b, tol=1e-8, accel=accel, residuals=residuals)
        counts.append(len(residuals))
    assert counts[0] == counts[1] == counts[2]


def test_results_stand_for_the_tuples_of_scipy(rng):
    """In code that was written for scipy: unpacked, indexed, sliced, and handed on as arrays."""
    A, b = diffusion(12), rng.standard_normal(144)
    result = resolvent.cg(A, b)
    x, info = result
    assert info == 0 and result[0] is x and result[-1] == 0 and result[:1] == (x,) and len(result) == 2
    first, *rest = resolvent.lsmr(A, b, maxiter=1000)
    assert len(rest) == 7 and rest[0] == 1 and np.linalg.norm(A @ first - b) <= 1e-4 * np.linalg.norm(b)
    with pytest.raises(IndexError):
        result[2]
