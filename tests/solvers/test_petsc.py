"""PETSc as a back-end, and our preconditioners and methods inside PETSc, on one rank."""

import gc
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Dense, Props, Sparse, StructureError, as_operator
from resolvent.solvers import (
    AMG,
    CG,
    FGMRES,
    GMRES,
    MINRES,
    SSOR,
    ConvergenceError,
    Jacobi,
    Progress,
    Status,
    check_solver,
)
from resolvent.solvers.check_problems import Counted
from resolvent.solvers.petsc import PETScKSP, PETScPC, RecipePC, SolverKSP
from resolvent.solvers.petsc.reasons import MEANING, REASON_OF, meaning

from .conformance import convection, diffusion, neumann, poisson, relative_residual, spd

PETSc = pytest.importorskip("petsc4py.PETSc", reason="petsc4py is not installed: scripts/petsc.sh builds it")

REAL = np.dtype(PETSc.ScalarType).kind != "c"
SIDE = 16
N = SIDE * SIDE


@pytest.fixture
def b():
    return np.random.default_rng(0).standard_normal(N)


def petsc(kind="gmres", pc=None, rtol=1e-8, **options):
    given = {"ksp_type": kind} | ({"pc_type": pc} if pc else {})
    return PETScKSP(options=given | options, rtol=rtol)


def helmholtz(side):
    """−Δ − k² (1 + i/10): complex symmetric, indefinite."""
    return sp.csr_array(poisson(side) - (0.6 + 0.06j) * sp.eye_array(side * side))


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


# Reuse ---------------------------------------------------------------------------------------------------------------


def test_symbolic_factorisation_is_kept_for_the_same_pattern(b):
    PETSc.Log.begin()
    symbolic = PETSc.Log.Event("MatLUFactorSym")

    def analyses():
        return symbolic.getPerfInfo()["count"]

    A, other = poisson(SIDE), sp.csr_array(poisson(SIDE) + sp.eye_array(N))
    prepared = petsc("preonly", "lu").prepare(A)
    start = analyses()
    for matrix in (other, A, other):
        prepared.update(matrix)
        assert relative_residual(matrix, prepared.solve(b).check().x, b) < 1e-12
    assert analyses() == start
    prepared.update(sp.csr_array(A + sp.eye_array(N, k=N - 1) * 1e-3))
    assert prepared.solve(b).converged
    assert analyses() == start + 1


def test_preconditioner_is_refreshed_or_kept_as_told(b):
    A = diffusion(SIDE, 1e4)
    other = sp.csr_array(A + 1000.0 * sp.diags_array(np.linspace(0.0, 1.0, N)))
    fresh = petsc("cg", "icc").solve(other, b).iterations
    renewed = petsc("cg", "icc").prepare(A)
    renewed.update(other)
    assert renewed.solve(b).check().iterations == fresh
    kept = PETScKSP(options={"ksp_type": "cg", "pc_type": "icc"}, reuse_preconditioner=True).prepare(A)
    kept.update(other)
    assert kept.solve(b).check().iterations > 2 * fresh
    assert relative_residual(other, kept.solve(b).x, b) <= 1e-8


def test_a_matrix_changed_in_place_is_noticed(b):
    A = poisson(SIDE)
    prepared = petsc("preonly", "lu").prepare(A)
    A.data *= 2.0
    assert relative_residual(A, prepared.solve(b).check().x, b) < 1e-12


def test_petsc_matrices_changed_in_place_are_noticed(b):
    from resolvent.operators.petsc import from_petsc

    mat = Sparse(poisson(SIDE)).to_petsc()
    A = from_petsc(mat, props=SPD)
    prepared = petsc("preonly", "lu").prepare(A)
    jacobi = CG().prepare(A, Jacobi())
    assert jacobi.solve(b).converged
    mat.scale(2.0)
    assert np.allclose(2.0 * poisson(SIDE) @ prepared.solve(b).check().x, b)
    assert np.allclose(2.0 * poisson(SIDE) @ jacobi.solve(b).check().x, b, atol=1e-6)
    mat.destroy()


@pytest.mark.skipif(sys.platform != "linux", reason="counts the memory of the process")
def test_nothing_grows_over_many_solves():
    """PETSc's objects go with what owns them: memory of the process, and reference counts, after 300 solves."""
    A, b = spd(poisson(40)), np.ones(1600)
    mat = A.to_petsc()
    from resolvent.operators.petsc import from_petsc

    def once():
        petsc("cg", "ilu").solve(A, b).check()
        petsc("gmres").solve(from_petsc(mat), b, M=SSOR()).check()

    def resident():
        gc.collect()
        return 4096 * int(Path("/proc/self/statm").read_text().split()[1])

    for _ in range(30):
        once()
    before = resident()
    for _ in range(150):
        once()
    # One leaked matrix a solve would be 150 × 100 kB.
    assert resident() - before < 3e6
    assert mat.refcount == 1
    mat.destroy()


def test_a_kept_preconditioner_of_a_petsc_matrix(b):
    from resolvent.operators.petsc import from_petsc

    mat = Sparse(diffusion(SIDE, 1e4)).to_petsc()
    other = Sparse(diffusion(SIDE, 1e4) + 1000.0 * sp.diags_array(np.linspace(0.0, 1.0, N))).to_petsc()
    counts = {}
    for keep in (False, True):
        options = {"ksp_type": "cg", "pc_type": "icc"}
        A = from_petsc(mat.copy(), props=SPD)
        prepared = PETScKSP(options=options, reuse_preconditioner=keep).prepare(A)
        prepared.solve(b).check()
        other.copy(A.mat, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        counts[keep] = prepared.solve(b).check().iterations
    assert counts[True] > 2 * counts[False]
    mat.destroy()
    other.destroy()


def test_without_petsc4py_the_error_names_the_extra(monkeypatch, b):
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    solver = petsc("cg")
    with pytest.raises(ImportError, match=r'pip install "resolvent\[petsc\]"'):
        solver.prepare(spd(poisson(SIDE)))


def test_a_process_may_end_with_everything_alive():
    """petsc4py 3.18 crashes where objects with Python callbacks outlive PETSc: ours are destroyed before."""
    code = """
import numpy as np, scipy.sparse as sp
from resolvent.operators import Sparse
from resolvent.solvers.petsc import PETScKSP, PETScPC
A = Sparse(sp.eye_array(9, format="csr"))
shell = A.to_petsc(form="shell")
prepared = PETScKSP(options={"ksp_type": "cg", "pc_type": "icc"}).prepare(A)
M = PETScPC({"pc_type": "ilu"})(A)
print(prepared.solve(np.ones(9)).status.name)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "CONVERGED"), run.stderr


# Complex systems on a real PETSc -------------------------------------------------------------------------------------


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


# Inside PETSc --------------------------------------------------------------------------------------------------------


def hosted(matrix, prefix, contexts=lambda ksp: None, **options):
    """Solve with a KSP configured by contexts and by the options database alone; return x, iterations, the KSP."""
    database = PETSc.Options()
    for key, value in options.items():
        database[prefix + key] = value
    mat = Sparse(matrix).to_petsc()
    ksp = PETSc.KSP().create(PETSc.COMM_SELF)
    ksp.setOptionsPrefix(prefix)
    ksp.setOperators(mat)
    contexts(ksp)
    ksp.setTolerances(rtol=1e-8, max_it=500)
    ksp.setConvergenceHistory()
    ksp.setFromOptions()
    for key in options:
        database.delValue(prefix + key)
    return mat, ksp


def run(mat, ksp, b, transpose=False):
    x, rhs = mat.createVecs()
    rhs.setArray(b)
    (ksp.solveTranspose if transpose else ksp.solve)(rhs, x)
    return x.getArray().copy()


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        (SSOR(omega=1.5), {"pc_resolvent_recipe": "SSOR", "pc_resolvent_omega": 1.5}),
        (Jacobi(), {"pc_resolvent_recipe": "Jacobi"}),
        (AMG(), {"pc_resolvent_recipe": "AMG", "pc_resolvent_claims": "positive_definite"}),
    ],
)
def test_recipes_as_preconditioners_of_petsc(recipe, options, b):
    ours = CG().solve(spd(poisson(SIDE)), b, M=recipe).iterations
    common = {"ksp_type": "cg", "ksp_norm_type": "unpreconditioned", "pc_type": "python"}
    python_type = {"pc_python_type": "resolvent.solvers.petsc.RecipePC"}

    def context(ksp):
        ksp.getPC().setType("python")
        ksp.getPC().setPythonContext(RecipePC(recipe, claims=SPD))

    for mat, ksp in (
        hosted(poisson(SIDE), "first_", **common, **python_type, **options),
        hosted(poisson(SIDE), "second_", context, ksp_type="cg", ksp_norm_type="unpreconditioned"),
    ):
        x = run(mat, ksp, b)
        assert ksp.getConvergedReason() > 0
        assert abs(ksp.getIterationNumber() - ours) <= 1
        assert np.allclose(poisson(SIDE) @ x, b, atol=1e-6)
        mat.scale(3.0)  # the values change: the recipe follows
        assert np.allclose(3.0 * poisson(SIDE) @ run(mat, ksp, b), b, atol=1e-6)
        assert abs(ksp.getIterationNumber() - ours) <= 1
        ksp.destroy()
        mat.destroy()


def test_transposed_solve_with_our_preconditioner(b):
    def context(ksp):
        ksp.getPC().setType("python")
        ksp.getPC().setPythonContext(RecipePC(SSOR(omega=1.3)))

    mat, ksp = hosted(convection(SIDE), "transposed_", context, ksp_type="gmres")
    x = run(mat, ksp, b, transpose=True)
    assert np.allclose(convection(SIDE).T @ x, b, atol=1e-5)
    ksp.destroy()
    mat.destroy()


@pytest.mark.parametrize(
    ("method", "matrix", "options"),
    [
        (CG(), poisson(SIDE), {"ksp_resolvent_method": "CG"}),
        (GMRES(restart=17), convection(SIDE), {"ksp_resolvent_method": "GMRES", "ksp_resolvent_restart": 17}),
    ],
)
def test_methods_as_ksp_of_petsc(method, matrix, options, b):
    mine = method.solve(matrix, b, M=Jacobi())
    python_type = {"ksp_type": "python", "ksp_python_type": "resolvent.solvers.petsc.SolverKSP", "pc_type": "jacobi"}

    def context(ksp):
        ksp.setType("python")
        ksp.setPythonContext(SolverKSP(method))

    for mat, ksp in (
        hosted(matrix, "third_", **python_type, **options),
        hosted(matrix, "fourth_", context, pc_type="jacobi"),
    ):
        seen = []
        ksp.setMonitor(lambda ksp, its, norm, seen=seen: seen.append((its, norm)))
        x = run(mat, ksp, b)
        assert ksp.getConvergedReason() == 2
        assert ksp.getIterationNumber() == mine.iterations
        assert np.allclose([norm for _, norm in seen], mine.history[1:], rtol=1e-6)
        assert np.allclose(ksp.getConvergenceHistory(), mine.history[1:], rtol=1e-6)
        assert relative_residual(matrix, x, b) <= 1e-8
        mat.scale(2.0)
        assert relative_residual(2.0 * matrix, run(mat, ksp, b), b) <= 1e-8
        ksp.destroy()
        mat.destroy()


def test_failures_of_ours_are_reasons_of_petsc(b):
    indefinite = sp.csr_array(poisson(SIDE) - 3.7 * sp.eye_array(N))

    def context(ksp):
        ksp.setType("python")
        ksp.setPythonContext(SolverKSP(CG()))

    mat, ksp = hosted(indefinite, "fifth_", context, pc_type="none")
    run(mat, ksp, b)
    assert ksp.getConvergedReason() == -10
    assert ksp.getPythonContext().result.status is Status.INDEFINITE
    ksp.destroy()
    mat.destroy()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pc_resolvent_recipe": "Nope"}, "must be one of"),
        ({"pc_resolvent_recipe": "SSOR", "pc_resolvent_omega": 3.0}, "omega must lie between"),
        ({"pc_resolvent_claims": "big"}, "must be one of positive_definite"),
    ],
)
def test_mistaken_options_of_recipes_are_named(options, words, b):
    python_type = {"ksp_type": "cg", "pc_type": "python", "pc_python_type": "resolvent.solvers.petsc.RecipePC"}
    mat, ksp = hosted(poisson(SIDE), "sixth_", **python_type, **options)
    with pytest.raises(ValueError, match=words):
        run(mat, ksp, b)


def test_dense_systems(b):
    A = Dense(poisson(SIDE).toarray(), props=SPD)
    assert petsc("cg").solve(A, b, M=Jacobi()).converged


# PETSc's preconditioners as recipes ----------------------------------------------------------------------------------


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


def test_what_is_no_solver_or_claim_is_refused_at_once():
    for given in ("cg", CG):
        with pytest.raises(TypeError, match="expected a solver such as"):
            SolverKSP(given)
    for made in (lambda: SolverKSP(CG(), claims="spd"), lambda: RecipePC(Jacobi(), claims="spd")):
        with pytest.raises(TypeError, match="claims must be Props"):
            made()


def test_not_a_number_inside_petsc_is_a_reason_and_a_wrong_shape_an_error(b):
    mat = spd(poisson(SIDE)).to_petsc()
    ksp = PETSc.KSP().create(PETSc.COMM_SELF)
    ksp.setOperators(mat)
    ksp.setType("python")
    ksp.setPythonContext(SolverKSP(CG()))
    ksp.pc.setType("none")
    x, right = mat.createVecs()
    right.setArray(np.where(np.arange(N) == 3, np.nan, b))
    ksp.solve(right, x)
    assert ksp.reason == REASON_OF[Status.NONFINITE]
    right.setArray(b)
    ksp.pc.setType("python")
    ksp.pc.setPythonContext(RecipePC(Dense(np.eye(5))))
    with pytest.raises(ValueError, match=r"shape of this rank's part, \(256, 256\)"):
        ksp.solve(right, x)
    for thing in (ksp, x, right, mat):
        thing.destroy()


def test_every_recipe_has_a_name_for_petsc_s_options():
    from resolvent.solvers.petsc.inside_pc import recipe_from_database

    for name in ("FastPoisson", "Factorised", "LineJacobi"):
        assert type(recipe_from_database(name, "nobody_", "pc_resolvent")).__name__ == name
