"""PETSc's methods behind our interface, on one rank: contract, options, truth, callbacks."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Dense, Props, Sparse, StructureError, as_operator
from resolvent.solvers import CG, FGMRES, GMRES, MINRES, SSOR, ConvergenceError, Jacobi, Progress, Status, check_solver
from resolvent.solvers.check_problems import Counted
from resolvent.solvers.petsc import PETScKSP
from resolvent.solvers.petsc.reasons import MEANING, REASON_OF, meaning

from ..conformance import convection, diffusion, neumann, poisson, relative_residual, spd
from .systems import SIDE, N, helmholtz, petsc

PETSc = pytest.importorskip("petsc4py.PETSc", reason="petsc4py is not installed: scripts/petsc.sh builds it")

# The contract --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "solver",
    [
        petsc("gmres"),
        petsc("cg"),
        petsc("minres"),
        petsc("bcgs"),
        petsc("fgmres"),
        petsc("preonly", "lu"),
        petsc("gmres", "ilu"),
        petsc("cg", "hypre"),
    ],
    ids=str,
)
def test_contract_of_solvers(solver):
    check_solver(solver).check()


@pytest.mark.parametrize("kind", ["cg", "gmres", "fgmres", "bcgs", "minres", "lsqr", "bicg", "bcgsl", "tfqmr", "cgs"])
def test_counts_are_those_of_an_instrumented_operator(kind, b):
    A, M = Counted(spd(poisson(SIDE))), Counted(Jacobi()(spd(poisson(SIDE))))
    result = petsc(kind).solve(A, b, M=M).check()
    # A self-adjoint operator answers for its adjoint with a product.
    assert result.counts.products == A.matvecs + A.rmatvecs
    assert result.counts.preconditioner == M.matvecs + M.rmatvecs > 0


@pytest.mark.parametrize(
    ("kind", "ours", "claims"), [("cg", CG(), SPD), ("gmres", GMRES(), Props.NONE), ("minres", MINRES(), SPD)]
)
@pytest.mark.parametrize("M", [None, SSOR()])
def test_iteration_counts_are_ours(kind, ours, claims, M, b):
    A = Sparse(poisson(SIDE) if claims else convection(SIDE), props=claims)
    theirs, mine = petsc(kind).solve(A, b, M=M).check(), ours.solve(A, b, M=M).check()
    assert abs(theirs.iterations - mine.iterations) <= (1 if kind != "minres" else 3)
    if kind != "minres":  # which PETSc judges by another norm
        k = min(theirs.iterations, mine.iterations)
        assert np.allclose(theirs.history[:k], mine.history[:k], rtol=1e-3)


# Options -------------------------------------------------------------------------------------------------------------


def test_options_leave_no_trace_in_petsc_s_database(b):
    before = PETSc.Options().getAll()
    petsc("cg", "gamg", mg_levels_ksp_max_it=3).solve(spd(poisson(SIDE)), b).check()
    with pytest.raises(ValueError, match="did not use"):
        petsc("cg", mg_levels_ksp_max_it=3).solve(spd(poisson(SIDE)), b)
    assert PETSc.Options().getAll() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ksp_typ": "cg"}, "did not use the options ksp_typ "),
        ({"ksp_type": "cg", "ksp_gmres_restart": 5, "pc_type": "jacobi"}, "did not use the options ksp_gmres_restart "),
        ({"ksp_type": "nope"}, "requested KSP type nope"),
        ({"pc_type": "nope"}, "requested PC type nope"),
        ({"ksp_rtol": 1e-3}, "given to PETScKSP as rtol="),
        ({"-ksp_max_it": 3}, "given to PETScKSP as maxiter="),
        ({"ksp_norm_type": "none"}, "nothing to judge"),
        ({"ksp_type": "python"}, "instead of going through PETSc"),
    ],
)
def test_mistaken_options_are_named(options, words, b):
    with pytest.raises(ValueError, match=words):
        PETScKSP(options=options).solve(spd(poisson(SIDE)), b)


def test_other_arguments_are_checked(b):
    A = spd(poisson(SIDE))
    with pytest.raises(TypeError, match="must be a mapping"):
        PETScKSP(options="cg")
    with pytest.raises(ValueError, match="'constant'"):
        PETScKSP(null_space="all")
    with pytest.raises(StructureError, match="both M and the option"):
        petsc("cg", "jacobi").prepare(A, SSOR())
    with pytest.raises(StructureError, match="no stored entries"):
        petsc("cg", "jacobi").prepare(as_operator(A.to_scipy(), props=SPD))
    varying = as_operator(A.to_scipy(), props=Props.VARIABLE)
    with pytest.raises(StructureError, match="is VARIABLE: use one of fgmres"):
        petsc("gmres").prepare(A, varying)
    with pytest.raises(StructureError, match="complex symmetric"):
        petsc("cg").prepare(Sparse(helmholtz(SIDE), props=Props.SYMMETRIC))


def test_variable_preconditioner_with_a_flexible_method(b):
    A = spd(poisson(SIDE))
    inner = [SSOR()(A), Jacobi()(A)]
    calls = []

    def vary(x):
        calls.append(1)
        return inner[len(calls) % 2] @ x

    from resolvent.operators import Function

    M = Function(A.shape, vary, props=Props.VARIABLE)
    theirs = petsc("fgmres").solve(A, b, M=M).check()
    calls.clear()
    assert abs(theirs.iterations - FGMRES().solve(A, b, M=M).iterations) <= 1


def test_a_solver_prints_pickles_and_compares():
    solver = petsc("cg", "hypre")
    copy = pickle.loads(pickle.dumps(solver))
    assert copy == solver
    assert hash(copy) == hash(solver)
    assert "'pc_type': 'hypre'" in str(solver)
    assert petsc("cg").needs == SPD
    assert petsc("gmres").needs is Props.NONE


# Truth ---------------------------------------------------------------------------------------------------------------


def test_converged_means_the_true_residual_where_petsc_is_content_too_early():
    """GMRES preconditioned on the left, in the preconditioned norm, with a preconditioner that hides the residual."""
    A = spd(diffusion(SIDE, 1e6))
    b = np.random.default_rng(1).standard_normal(N)
    solver = petsc("gmres", "ilu", rtol=1e-10, ksp_pc_side="left", ksp_norm_type="preconditioned", ksp_gmres_restart=60)
    result = solver.solve(A, b).check()
    assert relative_residual(A, result.x, b) <= 1e-10
    assert result.history[0] == pytest.approx(np.linalg.norm(b))  # in the scale of the true residual


def test_a_tolerance_below_rounding_stagnates(b):
    result = petsc("cg", rtol=1e-17).solve(spd(poisson(SIDE)), b)
    assert result.status is Status.STAGNATED
    assert result.residual_norm < 1e-12 * result.rhs_norm


@pytest.mark.parametrize(
    ("kind", "pc", "matrix", "status"),
    [
        ("cg", None, poisson(SIDE) - 3.7 * sp.eye_array(N), Status.INDEFINITE),
        ("preonly", "lu", neumann(N), Status.BREAKDOWN),
        ("preonly", "cholesky", neumann(N), Status.BREAKDOWN),
        ("gmres", "ilu", poisson(SIDE) * np.nan, Status.NONFINITE),
    ],
)
def test_failures_have_their_status(kind, pc, matrix, status, b):
    result = petsc(kind, pc).solve(sp.csr_array(matrix), b)
    assert result.status is status
    assert np.isfinite(result.x).all()
    with pytest.raises(ConvergenceError):
        result.check()


def test_singular_systems_with_their_null_space():
    A = Sparse(neumann(N), props=SPD | Props.SINGULAR)
    x = np.random.default_rng(2).standard_normal(N)
    consistent = A @ x
    for vectors in ("constant", np.ones(N)):
        solver = PETScKSP(options={"ksp_type": "cg", "pc_type": "jacobi"}, null_space=vectors)
        solver.solve(A, consistent).check()
        result = solver.solve(A, consistent + 1.0)
        assert result.status is Status.STAGNATED
        # What is left is the part of b outside the range, no more.
        assert result.residual_norm == pytest.approx(np.sqrt(N), rel=1e-4)


def test_near_null_space_reaches_multigrid(b):
    solver = PETScKSP(options={"ksp_type": "cg", "pc_type": "gamg"}, near_null_space="constant")
    assert solver.solve(spd(poisson(SIDE)), b).check().iterations < 20


def test_every_reason_has_a_meaning():
    named = {value for value in vars(PETSc.KSP.ConvergedReason).values() if isinstance(value, int)}
    assert named <= MEANING.keys()
    assert set(REASON_OF) == set(Status)
    for status, reason in REASON_OF.items():
        assert (reason > 0) == (status in (Status.CONVERGED, Status.LEAST_SQUARES))
    assert meaning(-99)[0] is Status.BREAKDOWN


# Callbacks -----------------------------------------------------------------------------------------------------------


def test_callback_sees_and_stops_petsc(b):
    seen: list[Progress] = []
    A = spd(poisson(SIDE))
    result = petsc("cg").solve(A, b, callback=seen.append).check()
    assert [p.iteration for p in seen] == list(range(1, result.iterations + 1))
    stopped = petsc("cg").solve(A, b, callback=lambda p: p.iteration == 7)
    assert stopped.status is Status.STOPPED
    assert stopped.iterations == 7
    assert np.allclose(stopped.x, petsc("cg", rtol=1e-30).solve(A, b, callback=lambda p: p.iteration == 7).x)
    assert 0.0 < stopped.residual_norm == pytest.approx(result.history[7], rel=1e-6)


def test_an_exception_passes_through_petsc_and_leaves_the_solver_sound(b):
    A = spd(poisson(SIDE))
    prepared = petsc("cg").prepare(A)

    def fail(progress):
        raise KeyError("mine")

    for _ in range(3):
        with pytest.raises(KeyError, match="mine"):
            prepared.solve(b, callback=fail)
    assert prepared.solve(b).converged


def test_dense_systems(b):
    A = Dense(poisson(SIDE).toarray(), props=SPD)
    assert petsc("cg").solve(A, b, M=Jacobi()).converged
