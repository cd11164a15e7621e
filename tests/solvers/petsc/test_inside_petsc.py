"""Our preconditioners and methods inside PETSc."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Dense, Sparse
from resolvent.solvers import AMG, CG, GMRES, SSOR, Jacobi, Status
from resolvent.solvers.petsc import RecipePC, SolverKSP
from resolvent.solvers.petsc.reasons import REASON_OF

from ..conformance import convection, poisson, relative_residual, spd
from .systems import SIDE, N

PETSc = pytest.importorskip("petsc4py.PETSc", reason="petsc4py is not installed: scripts/petsc.sh builds it")


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
