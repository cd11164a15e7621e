"""Algebraic multigrid by PETSc: claims, adjoints, what is refused, and what an update keeps."""

import dataclasses
import gc
import sys
import weakref

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.families import Elasticity2D
from resolvent.operators import SPD, Props, Sparse, StructureError, check_operator
from resolvent.solvers import AMG, CG, GMRES, Refresh, Sequence, Status, near_null_space
from resolvent.solvers.petsc import PETScAMG, PETScKSP, PETScPC

from .conformance import convection, diffusion, neumann, poisson, relative_residual, spd

PETSc = pytest.importorskip("petsc4py.PETSc", reason="petsc4py is not installed: scripts/petsc.sh builds it")

METHODS = ("boomeramg", "gamg")


def handles(M):
    return [P.handle for P in M.interpolations]


def slowly_changing(n, steps):
    first, last = diffusion(n, 100.0), diffusion(n, 200.0)
    return [sp.csr_array((1.0 - t) * first + t * last) for t in np.linspace(0.0, 1.0, steps)]


@pytest.mark.parametrize("options", [{}, {"cycle": "W"}, {"sweeps": 2}, {"cycle": "W", "sweeps": 3, "strength": 0.05}])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("matrix", [poisson(24), diffusion(24, 1e6)], ids=["poisson", "jumps"])
def test_claims_of_definiteness_are_true(method, options, matrix):
    """On three levels: a W-cycle of hypre that sweeps over C and F in turn would not be self-adjoint."""
    M = PETScAMG(method, **options)(spd(matrix))
    assert SPD in M.props and (method == "boomeramg" or len(M.interpolations) >= 2)
    check_operator(M).check()
    columns = np.stack([M @ e for e in np.eye(576)], axis=1)
    assert np.allclose(columns, columns.T, atol=1e-13 * abs(columns).max())
    assert np.linalg.eigvalsh(columns).min() > 0.0


def test_an_indefinite_matrix_keeps_what_is_true_of_it():
    A = Sparse(sp.csr_array(poisson(8) - 0.1 * sp.eye_array(64)), props=Props.SELF_ADJOINT)
    for method in METHODS:
        claims = PETScAMG(method)(A).props
        assert Props.SELF_ADJOINT in claims and Props.POSITIVE_DEFINITE not in claims


@pytest.mark.parametrize("method", METHODS)
def test_singular_systems(method, rng):
    T, one = neumann(16), sp.eye_array(16)
    matrix = sp.csr_array(sp.kron(T, one) + sp.kron(one, T))
    A = Sparse(matrix, props=SPD | Props.SINGULAR)
    M = PETScAMG(method)(A)
    # hypre eliminates the singular coarsest matrix, and what comes out is not self-adjoint to rounding.
    assert (Props.SELF_ADJOINT in M.props) == (method == "gamg")
    result = CG().solve(A, matrix @ rng.standard_normal(256), M=M)
    assert result.converged and result.iterations <= 25
    assert CG().solve(A, np.zeros(256), M=M).check().iterations == 0


def test_iterations_are_those_of_petsc_s_own_method(rng):
    A, b = spd(diffusion(32)), rng.standard_normal(1024)
    for method in METHODS:
        recipe = PETScAMG(method, sweeps=2)
        mine = CG().solve(A, b, M=recipe).check().iterations
        theirs = PETScKSP(options={"ksp_type": "cg", **recipe.options()}).solve(A, b).check().iterations
        assert abs(mine - theirs) <= 1
        same = PETScPC(recipe.options())(A)
        assert np.array_equal(same @ b, recipe(A) @ b)


def test_iterations_hardly_grow_with_the_size():
    for method in METHODS:
        counts = [CG().solve(spd(diffusion(n)), np.ones(n * n), M=PETScAMG(method)).iterations for n in (32, 96)]
        assert counts[1] <= min(counts[0] + 5, 18)


def test_the_adjoint_is_true_or_refused(rng):
    A = Sparse(convection(16))
    M = PETScAMG("gamg")(A)
    x, y = rng.standard_normal((2, 256))
    assert np.vdot(y, M @ x) == pytest.approx(np.vdot(M.H @ y, x), rel=1e-12)
    prepared = GMRES(rtol=1e-10).prepare(A, PETScAMG("gamg"))
    assert relative_residual(convection(16).T, prepared.adjoint().solve(x).check().x, x) <= 1e-10
    for recipe in (PETScAMG(), PETScPC({"pc_type": "hypre"})):
        with pytest.raises(StructureError, match="hypre has none that can be trusted"):
            recipe(A).H @ x
    symmetric = PETScAMG()(spd(poisson(16)))
    assert np.array_equal(symmetric.H @ x, symmetric @ x)
    before = PETScAMG("gamg")(A).H @ y
    A.update(A=5.0 * convection(16))  # after M was built, before its adjoint is
    assert np.array_equal(M.H @ y, before)
    late = PETScAMG("gamg")(A)
    A.update(A=convection(16))
    assert np.allclose(5.0 * (late.H @ y), before, rtol=1e-12)


def test_complex_systems_are_solved_where_that_is_linear(rng):
    phase = sp.diags_array(np.exp(1j * np.linspace(0.0, 5.0, 400)))
    hermitian = sp.csr_array(phase @ diffusion(20) @ phase.conj())
    b = rng.standard_normal(400) + 1j * rng.standard_normal(400)
    for props in (SPD, Props.NONE):  # recognised by its entries
        A = Sparse(hermitian, props=props)
        M = PETScAMG("gamg")(A)
        check_operator(M).check()
        assert CG().solve(A, b, M=M).check().iterations <= 25
    with pytest.raises(StructureError, match=r"for Hermitian matrices, .* use smoothed_aggregation of AMG"):
        PETScAMG("gamg")(Sparse(sp.csr_array(poisson(4) + 0.1j * sp.eye_array(16)), props=Props.SYMMETRIC))
    with pytest.raises(StructureError, match="BoomerAMG is for real matrices"):
        PETScAMG()(Sparse(hermitian, props=SPD))


@pytest.mark.parametrize("make", ["jumps", "elasticity"])
def test_several_near_null_vectors(make):
    """Aggregates of fewer points than vectors leave zero rows on the next level, by which sweeps would divide."""
    family = Elasticity2D(resolution=20)
    A = spd(diffusion(24, 1e6)) if make == "jumps" else family.assemble(family.draw(np.random.default_rng(0)))[0]
    b = np.random.default_rng(1).standard_normal(A.shape[0])
    plain = CG().solve(A, b, M=PETScAMG("gamg")).iterations
    for k in (2, 3, 6):
        recipe = PETScAMG("gamg", near_null_space=near_null_space(A, k))
        M = recipe(A)
        check_operator(M).check()
        B = M.to_dense()
        assert abs(B - B.T).max() <= 1e-10 * abs(B).max() and np.linalg.eigvalsh(B)[0] > 0.0
        result = CG().solve(A, b, M=M)
        assert result.converged and result.iterations <= plain + 3
    if make == "elasticity":
        modes = PETScAMG("gamg", near_null_space=family.near_null_space())
        assert result.iterations < CG().solve(A, b, M=modes).check().iterations < 0.5 * plain


def test_near_null_space_for_a_system_of_equations(rng):
    """Two uncoupled Laplacians, interleaved: the vectors of each make the iterations those of one."""
    A = spd(sp.csr_array(sp.kron(diffusion(20), sp.eye_array(2))))
    b = rng.standard_normal(800)
    B = np.kron(np.ones((400, 1)), np.eye(2))
    better = CG().solve(A, b, M=PETScAMG("gamg", near_null_space=B)).check().iterations
    plain = CG().solve(spd(diffusion(20)), b[::2], M=PETScAMG("gamg")).check().iterations
    assert better <= plain + 3
    recipe = PETScAMG("gamg", near_null_space=B)
    assert recipe == PETScAMG("gamg", near_null_space=B.copy()) and recipe != PETScAMG("gamg")
    with pytest.raises(ValueError, match=r"must have shape \(16,\) or \(16, q\) to fit A, got \(4, 1\)"):
        PETScAMG("gamg", near_null_space=np.ones((4, 1)))(spd(poisson(4)))


def test_what_petsc_cannot_do_is_refused():
    for options, words in (
        ({"method": "ml"}, "method must be 'boomeramg' or 'gamg', got 'ml'"),
        ({"strength": ("classical", {"theta": 0.5})}, "strength must be a threshold ≥ 0 or None, .* one measure"),
        ({"strength": -1.0}, "threshold ≥ 0"),
        ({"cycle": "F"}, "cycle must be 'V' or 'W'"),
        ({"sweeps": 0}, "sweeps must be a whole number"),
        ({"near_null_space": np.ones(4)}, "BoomerAMG takes no near_null_space: use method='gamg'"),
        ({"reuse": "interpolation"}, "BoomerAMG builds its interpolation anew .* use method='gamg'"),
        ({"reuse": "freeze"}, "reuse must be one of 'nothing', 'interpolation', 'hierarchy'"),
    ):
        with pytest.raises(ValueError, match=words):
            PETScAMG(**options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (sp.csr_array((5, 5)), "needs a matrix to coarsen, got 5 x 5 zeros"),
        (sp.csr_array(np.diag([1.0, 2.0, 0.0])), "entry 2 of .* is 0.0: use ILU"),
        (sp.csr_array(np.diag([1.0, np.nan, 3.0])), "needs finite entries"),
        (sp.csr_array(np.eye(30, k=1) - np.eye(30, k=-1)), "entry 0 of .* is 0.0"),
    ],
    ids=["zeros", "zero on the diagonal", "nan", "skew"],
)
def test_what_would_end_the_process_is_an_error(method, matrix, words):
    with pytest.raises(ValueError, match=words):
        PETScAMG(method)(Sparse(matrix))


def test_thresholds_and_sweeps_reach_petsc():
    A, r = spd(diffusion(24, 1e4)), np.ones(576)
    for method, strength in (("boomeramg", 0.7), ("gamg", 0.2)):
        plain = PETScAMG(method)(A) @ r
        assert not np.array_equal(PETScAMG(method, strength=strength)(A) @ r, plain)
        assert not np.array_equal(PETScAMG(method, sweeps=2)(A) @ r, plain)
        assert not np.array_equal(PETScAMG(method, cycle="W")(A) @ r, plain)


# Reuse ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("matrices", [(diffusion(32), diffusion(32, 200.0)), (convection(32), convection(32, 0.5))])
def test_kept_interpolation_is_the_same_objects_and_the_old_cycle_stays(matrices):
    first, last = (
        Sparse(matrix, props=SPD if abs(matrix - matrix.T).max() == 0 else Props.NONE) for matrix in matrices
    )
    recipe, r = PETScAMG("gamg", reuse="interpolation"), np.ones(1024)
    M = recipe(first)
    before = M @ r
    again = recipe.update(M, last)
    assert len(handles(M)) >= 2 and handles(again) == handles(M)
    assert np.array_equal(M @ r, before) and not np.array_equal(again @ r, before)
    check_operator(again).check()
    assert again.props == M.props
    # For the values it was coarsened for it is what GAMG itself does.
    assert np.array_equal(recipe.update(again, first) @ r, before)
    del M
    gc.collect()
    assert np.isfinite(again @ r).all()  # the interpolation outlives the cycle that it was made for


def test_interpolation_is_not_computed_again(monkeypatch):
    """GAMG would coarsen at each building; the cycle over given interpolation is PETSc's plain multigrid."""
    from resolvent.solvers.petsc import amg

    kinds = []
    original = amg.Built

    def noted(A, options, **more):
        kinds.append(options["pc_type"])
        return original(A, options, **more)

    monkeypatch.setattr(amg, "Built", noted)
    sequence = Sequence(CG(), M=PETScAMG("gamg", reuse="interpolation"), refresh=Refresh.EVERY(2))
    for A in slowly_changing(16, 7):
        assert sequence.solve(spd(A), np.ones(256)).converged
    assert kinds == ["gamg", "mg", "mg", "mg"]


def test_iterations_with_reuse_stay_near_those_of_rebuilding():
    systems, b = slowly_changing(32, 6), np.random.default_rng(2).standard_normal(1024)
    counts = {}
    for method, reuse in (
        *(("gamg", reuse) for reuse in ("nothing", "interpolation", "hierarchy")),
        *(("boomeramg", reuse) for reuse in ("nothing", "hierarchy")),
    ):
        sequence = Sequence(CG(), M=PETScAMG(method, reuse=reuse))
        results = [sequence.solve(spd(A), b).check() for A in systems]
        assert all(relative_residual(A, r.x, b) <= 1e-8 for A, r in zip(systems, results, strict=True))
        counts[method, reuse] = max(r.iterations for r in results)
    assert counts["gamg", "interpolation"] <= counts["gamg", "nothing"] + 3
    for method in METHODS:
        assert counts[method, "hierarchy"] <= counts[method, "nothing"] + 8


@pytest.mark.parametrize("recipe", [PETScAMG(reuse="hierarchy"), PETScAMG("gamg", reuse="interpolation")], ids=str)
def test_updates_for_another_size_dtype_or_pattern(recipe):
    M = recipe(spd(poisson(8)))
    with pytest.raises(ValueError, match=r"shape \(64, 64\), but was given one of shape \(36, 36\)"):
        recipe.update(M, spd(poisson(6)))
    assert PETScAMG().update(M, spd(poisson(6))).shape == (36, 36)
    assert recipe.update(M, Sparse(poisson(8).astype(np.float32), props=SPD)).dtype == np.float32
    more = spd(sp.csr_array(poisson(8) + 0.01 * poisson(8) @ poisson(8)))
    check_operator(recipe.update(M, more)).check()
    sequence = Sequence(CG(), M=recipe)
    for n in (8, 6):
        assert sequence.solve(spd(poisson(n)), np.ones(n * n)).converged


def test_values_that_are_not_finite_leave_the_old_cycle_whole():
    recipe, spoilt = PETScAMG("gamg", reuse="interpolation"), poisson(8)
    M = recipe(spd(poisson(8)))
    before = M @ np.ones(64)
    spoilt.data[3] = np.nan
    with pytest.raises(ValueError, match="needs finite entries"):
        recipe.update(M, spd(spoilt))
    assert np.array_equal(M @ np.ones(64), before)


def test_an_indefinite_matrix_is_a_status():
    for recipe in (PETScAMG(), PETScAMG("gamg", reuse="interpolation")):
        prepared = CG().prepare(Sparse(poisson(12)), recipe)
        prepared.update(Sparse(sp.csr_array(poisson(12) - 1.5 * sp.eye_array(144))))
        result = prepared.solve(np.ones(144))
        assert result.status is Status.INDEFINITE and np.isfinite(result.x).all()


def test_petsc_matrices_are_taken_as_they_are(rng):
    from resolvent.operators.petsc import from_petsc

    mat = Sparse(diffusion(16)).to_petsc()
    A, b = from_petsc(mat, props=SPD), rng.standard_normal(256)
    for recipe in (PETScAMG(), PETScAMG("gamg"), PETScAMG("gamg", reuse="interpolation")):
        M = recipe(A)
        check_operator(M).check()
        assert np.allclose(recipe.update(M, A) @ b, M @ b, rtol=1e-10)
        assert CG().solve(A, b, M=M).converged
    with pytest.raises(StructureError, match="give it to the matrix"):
        PETScAMG("gamg", near_null_space=np.ones((256, 1)))(A)
    mat.destroy()


def test_petsc_s_objects_go_with_the_cycle():
    recipe = PETScAMG("gamg", reuse="interpolation")
    M = recipe(spd(poisson(12)))
    P = M.interpolations[0]
    shared = P.getRefCount()
    again = recipe.update(M, spd(poisson(12)))
    assert P.getRefCount() > shared
    gone = weakref.ref(again)
    del again
    gc.collect()
    assert gone() is None and P.getRefCount() == shared


def test_without_petsc4py_the_line_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    for method in METHODS:
        with pytest.raises(ImportError, match=r'pip install "resolvent\[petsc\]"'):
            PETScAMG(method)(spd(poisson(4)))


def test_both_recipes_share_their_words():
    shared = {"strength", "cycle", "sweeps", "near_null_space", "reuse", "method"}
    for recipe, own in ((AMG, {"smoother"}), (PETScAMG, set())):
        assert {field.name for field in dataclasses.fields(recipe)} == shared | own
