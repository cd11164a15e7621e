"""Direct solution by the packages of PETSc: what is factorised how, what is kept, adjoints, blocks, honest failure."""

import gc
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Dense, Props, Sparse, StructureError
from resolvent.solvers import GMRES, Direct, Factorised, Refresh, Sequence, Status, check_solver
from resolvent.solvers.factorisations import Pattern, SparseLU
from resolvent.solvers.factorisations import petsc_factors as module
from resolvent.solvers.factorisations.petsc_factors import PETScFactorisation

from .conformance import convection, diffusion, neumann, poisson

PETSc = pytest.importorskip("petsc4py.PETSc", reason="petsc4py is not installed: scripts/petsc.sh builds it")

REAL = np.dtype(PETSc.ScalarType).kind != "c"
BACKENDS = ("mumps", "cholmod", "umfpack")
N = 144


def indefinite(n=12):
    return sp.csr_array(poisson(n) - 1.3 * sp.eye_array(n * n))


def saddle():
    return sp.block_array([[poisson(4), np.ones((16, 1))], [np.ones((1, 16)), None]], format="csr")


def hermitian():
    phase = sp.diags_array(np.exp(1j * np.linspace(0.0, 5.0, N)))
    return sp.csr_array(phase @ poisson(12) @ phase.conj())


CASES = {
    "definite": (poisson(12), SPD),
    "single": (poisson(12).astype(np.float32), SPD),
    "indefinite": (indefinite(), Props.SELF_ADJOINT),
    "saddle point": (saddle(), Props.SELF_ADJOINT),
    "unclaimed": (convection(12), Props.NONE),
    "hermitian": (hermitian(), SPD),
    "complex symmetric": (sp.csr_array(indefinite() + 0.3j * sp.eye_array(N)), Props.SYMMETRIC),
    "complex": (sp.csr_array(convection(12) + 0.3j * sp.eye_array(N)), Props.NONE),
}
FORMS = {"definite": "cholesky", "single": "cholesky", "hermitian": "cholesky" if REAL else "lu"}
FORMS |= {"indefinite": "ldl", "saddle point": "ldl"}


def analyses():
    """How often PETSc was asked for a symbolic factorisation so far."""
    events = [PETSc.Log.Event(name) for name in ("MatLUFactorSym", "MatCholFctrSym")]
    return sum(event.getPerfInfo()["count"] for event in events)


@pytest.mark.parametrize("backend", BACKENDS)
def test_contract_of_solvers(backend):
    check_solver(Direct(backend=backend)).check()


@pytest.mark.parametrize("complex_b", [False, True])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_systems_and_their_adjoints_in_one_step(backend, name, complex_b):
    matrix, props = CASES[name]
    A, n = Sparse(matrix, props=props), matrix.shape[0]
    rng = np.random.default_rng(0)
    b = rng.standard_normal((n, 3)) + (1j * rng.standard_normal((n, 3)) if complex_b else 0.0)
    b[:, 1] = 0.0
    rtol = 1e-5 if name == "single" else 1e-11
    solver = Direct(rtol=rtol, backend=backend)
    if backend == "cholmod" and name in ("unclaimed", "complex symmetric", "complex"):
        with pytest.raises(StructureError, match=r"CHOLMOD factorises matrices with A = Aᴴ, .* use 'mumps'"):
            solver.prepare(A)
        return
    prepared = solver.prepare(A)
    result, adjoint = prepared.solve(b).check(), prepared.adjoint().solve(b).check()
    size = rtol * np.linalg.norm(b, axis=0)
    double = matrix.astype(np.result_type(matrix.dtype, np.float64))
    assert (np.linalg.norm(b - double @ result.x, axis=0) <= 1.01 * size).all()
    assert (np.linalg.norm(b - double.conj().T @ adjoint.x, axis=0) <= 1.01 * size).all()
    assert result.x[:, 1].tolist() == [0.0] * n
    assert result.iterations == 1
    analysis = prepared._state.analysis
    assert isinstance(analysis, PETScFactorisation) and analysis.package == backend
    assert analysis.form == {"mumps": FORMS.get(name, "lu"), "cholmod": "cholesky", "umfpack": "lu"}[backend]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("props", [SPD, Props.SELF_ADJOINT, Props.NONE], ids=["definite", "self-adjoint", "none"])
def test_the_symbolic_analysis_is_kept_while_the_pattern_stays(backend, props):
    PETSc.Log.begin()
    matrices = [diffusion(12, contrast) for contrast in (10.0, 100.0, 1000.0, 1e4)]
    before = analyses()
    prepared = Direct(rtol=1e-11, backend=backend).prepare(Sparse(matrices[0], props=props))
    kept = prepared._state.analysis
    assert analyses() == before + 1 == before + kept.analyses
    for matrix in matrices[1:]:
        prepared.update(Sparse(matrix, props=props))
        result = prepared.solve(np.ones(N)).check()
        assert np.linalg.norm(matrix @ result.x - 1.0) <= 1e-9
        assert prepared._state.analysis is kept
    assert analyses() == before + 1
    # Another pattern, or another claim, is analysed anew.
    more = sp.csr_array(poisson(12) @ poisson(12))
    prepared.update(Sparse(more, props=props))
    assert np.linalg.norm(more @ prepared.solve(np.ones(N)).check().x - 1.0) <= 1e-7
    assert analyses() == before + 2


def test_a_claim_that_goes_is_noticed():
    """The same pattern, no longer symmetric: LDLᴴ would look at half of the entries."""
    prepared = Direct(rtol=1e-11, backend="mumps").prepare(Sparse(poisson(12), props=SPD))
    assert prepared._state.analysis.form == "cholesky"
    prepared.update(Sparse(convection(12)))
    assert prepared.solve(np.ones(N)).check().iterations == 1 and prepared._state.analysis.form == "lu"
    prepared.update(Sparse(indefinite(), props=Props.SELF_ADJOINT))
    assert prepared.solve(np.ones(N)).check().iterations == 1 and prepared._state.analysis.form == "ldl"


@pytest.mark.parametrize("backend", ["mumps", "umfpack"])
def test_factors_in_use_are_not_overwritten(backend):
    """An adjoint taken before an update goes on solving the old system, as gradients want."""
    first, second = diffusion(12, 10.0), diffusion(12, 1000.0)
    prepared = Direct(rtol=1e-10, backend=backend).prepare(Sparse(first + 1e-9 * convection(12)))
    old, matrix = prepared.adjoint(), sp.csr_array(first + 1e-9 * convection(12))
    prepared.update(Sparse(second + 1e-9 * convection(12)))
    assert np.linalg.norm(matrix.T @ old.solve(np.ones(N)).check().x - 1.0) <= 1e-8
    assert prepared._state.analysis.analyses == 2
    new = sp.csr_array(second + 1e-9 * convection(12))
    assert np.linalg.norm(new @ prepared.solve(np.ones(N)).check().x - 1.0) <= 1e-7


@pytest.mark.parametrize("backend", BACKENDS)
def test_preconditioners_alternate_between_two_sets_of_factors(backend):
    """The old M stays as it is while the new one is made; then its factors are free for the next."""
    recipe = Factorised(backend=backend)
    matrices = [diffusion(12, contrast) for contrast in (10.0, 20.0, 40.0, 80.0, 160.0)]
    M = recipe(Sparse(matrices[0], props=SPD))
    for matrix in matrices[1:]:
        before = M @ np.ones(N)
        again = recipe.update(M, Sparse(matrix, props=SPD))
        assert np.array_equal(M @ np.ones(N), before)
        assert np.allclose(matrix @ (again @ np.ones(N)), 1.0, atol=1e-9)
        M = again
    assert M._factors.analysis.analyses == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_factors_are_freed_as_soon_as_they_are_replaced(backend):
    prepared = Direct(backend=backend).prepare(Sparse(poisson(6), props=SPD))
    prepared.solve(np.ones(36) + 1j)
    state, solve = weakref.ref(prepared._state), weakref.ref(prepared._state._solve)
    kept = weakref.ref(prepared._state.analysis._sets[0])
    gc.disable()
    try:
        prepared.update(Sparse(sp.csr_array(2.0 * poisson(6)), props=SPD))
        assert state() is None and solve() is None
        assert kept() is prepared._state.analysis._sets[0]  # where the analysis is
        del prepared
        assert kept() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("backend", BACKENDS)
def test_many_right_hand_sides_are_one_block(backend, monkeypatch):
    blocks = []
    original = module.Factors._solve_block
    monkeypatch.setattr(module.Factors, "_solve_block", lambda self, B: blocks.append(B.shape[1]) or original(self, B))
    prepared = Direct(backend=backend).prepare(Sparse(poisson(12), props=SPD))
    blocks.clear()
    assert prepared.solve(np.eye(N)[:, :40]).converged
    assert blocks == [40]


# Failure -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("matrix", [neumann(100), 0.0 * poisson(5)], ids=["neumann", "zeros"])
def test_singular_matrices_are_a_status(backend, matrix, capfd):
    result = Direct(backend=backend).solve(Sparse(matrix, props=SPD), np.ones(matrix.shape[0]))
    assert result.status in (Status.BREAKDOWN, Status.STAGNATED) and np.isfinite(result.x).all()
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err == ""  # CHOLMOD would


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_entries_that_are_not_finite_are_a_status(backend, bad):
    spoilt = poisson(5)
    spoilt.data[3] = bad
    prepared = Direct(backend=backend).prepare(Sparse(poisson(5), props=SPD))
    prepared.update(Sparse(spoilt, props=SPD))
    result = prepared.solve(np.ones(25))
    assert result.status is Status.NONFINITE and np.isfinite(result.x).all()
    prepared.update(Sparse(poisson(5), props=SPD))
    assert prepared.solve(np.ones(25)).converged


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_false_claim_of_definiteness_costs_time_only(backend):
    result = Direct(rtol=1e-10, backend=backend).solve(Sparse(indefinite(), props=SPD), np.ones(N)).check()
    assert np.linalg.norm(indefinite() @ result.x - 1.0) <= 1e-8
    lying = Sparse(convection(12, 5.0), props=SPD)
    result = Direct(rtol=1e-10, backend=backend).solve(lying, np.ones(N)).check()
    assert np.linalg.norm(convection(12, 5.0) @ result.x - 1.0) <= 1e-8


def test_what_follows_where_a_factorisation_fails():
    pattern = Pattern.of(poisson(4))
    chain, analysis = [], PETScFactorisation(pattern, "mumps", "cholesky")
    while analysis is not None:
        chain.append(analysis.form)
        analysis = analysis.fallback()
    assert chain == ["cholesky", "ldl", "lu"]
    for package, form in (("cholmod", "cholesky"), ("umfpack", "lu")):
        following = PETScFactorisation(pattern, package, form).fallback()
        assert isinstance(following, SparseLU) and following.symmetric == (package == "cholmod")


def test_mumps_is_given_more_memory_where_pivoting_needs_it(monkeypatch):
    rng = np.random.default_rng(3)
    matrix = sp.csr_array(sp.random_array((400, 400), density=0.03, rng=rng) + 1e-8 * sp.eye_array(400))
    monkeypatch.setattr(module, "MORE_WORKSPACE", (-90, -80, 100))  # less than the analysis foresees
    prepared = Direct(rtol=1e-10, backend="mumps").prepare(Sparse(matrix))
    assert prepared._state.analysis.analyses == 3
    prepared.solve(np.ones(400)).check()
    prepared.update(Sparse(sp.csr_array(2.0 * matrix)))
    assert prepared._state.analysis.analyses == 3 and prepared.solve(np.ones(400)).converged
    monkeypatch.setattr(module, "MORE_WORKSPACE", (-90, -80))
    result = Direct(backend="mumps").solve(Sparse(matrix), np.ones(400))
    assert result.status is Status.BREAKDOWN and "INFOG(1) = -9" in result.extra["reason"]


def test_what_cannot_be_used_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="backend must be 'scipy', 'mumps', 'cholmod' or 'umfpack', got 'superlu'"):
        Direct(backend="superlu")
    with pytest.raises(ValueError, match="mumps orders by itself, got 'band'"):
        Direct(backend="mumps", ordering="band")
    with pytest.raises(ValueError, match="backend must be"):
        Factorised(backend="pardiso")
    monkeypatch.setitem(module.FORMS, "strumpack", ("lu",))
    with pytest.raises(StructureError, match=r"built without strumpack .*: choose another backend"):
        module.require_package("strumpack")
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    with pytest.raises(ImportError, match=r'pip install "resolvent\[petsc\]"'):
        Direct(backend="mumps").prepare(Sparse(poisson(4), props=SPD))


def test_dense_operators_go_to_lapack():
    result = Direct(backend="mumps").solve(Dense(poisson(4).toarray(), props=SPD), np.ones(16)).check()
    assert np.allclose(poisson(4) @ result.x, 1.0)


def test_an_old_factorisation_along_a_sequence():
    steps = Sequence(GMRES(), M=Factorised(backend="mumps"), refresh=Refresh.WHEN_SLOW(5))
    for shift in np.linspace(0.0, 0.05, 6):
        A = Sparse(sp.csr_array(indefinite() + shift * sp.eye_array(N)), props=Props.SELF_ADJOINT)
        assert steps.solve(A, np.ones(N)).check().iterations <= 10
    assert steps.rebuilt < 6


@pytest.mark.skipif(sys.platform != "linux", reason="counts the memory of the process")
@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_grows_over_many_factorisations(backend):
    def resident():
        gc.collect()
        return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * 4096

    prepared, matrix = Direct(backend=backend).prepare(Sparse(diffusion(24), props=SPD)), diffusion(24)

    def once(i):
        prepared.update(Sparse(sp.csr_array((1.0 + 0.01 * i) * matrix), props=SPD))
        assert prepared.solve(np.ones(576)).converged
        Direct(backend=backend).solve(Sparse(matrix, props=SPD), np.ones(576))

    for i in range(30):
        once(i)
    before = resident()
    for i in range(100):
        once(i)
    assert resident() - before < 8e6  # a set of factors is half a megabyte
