"""Recipes and the operators they build: contract, claims, updates, errors."""

import gc
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from resolvent import solvers
from resolvent.operators import SPD, Dense, Function, Props, Sparse, StructureError, as_operator, check_operator
from resolvent.solvers import (
    AMG,
    CG,
    GMRES,
    ILU,
    MINRES,
    SSOR,
    AdditiveSchwarz,
    Chebyshev,
    Jacobi,
    Recipe,
    ShiftedLaplacian,
    petsc,
    preconditioners,
)
from resolvent.solvers.preconditioners.recipe import build

from ..conformance import (
    HERMITIAN_ONLY,
    KEEPS_INTERPOLATION,
    NEEDS_SELF_ADJOINT,
    NOT_SELF_ADJOINT,
    REAL_ONLY,
    RECIPES,
    convection,
    diffusion,
    poisson,
    relative_residual,
    spd,
)


def system(kind, dtype):
    dtype, n = np.dtype(dtype), 64
    if kind == "definite":
        A, props = poisson(8) + 0.5 * sp.eye_array(n), SPD
    else:
        A, props = convection(8), Props.NONE
    if dtype.kind == "c":
        phase = sp.diags_array(np.exp(1j * np.linspace(0.0, 5.0, n)))
        A = phase @ A @ phase.conj()
        if kind != "definite":
            A = A + 0.5j * sp.eye_array(n)
    return Sparse(sp.csr_array(A, dtype=dtype), props=props, grid=(8, 8))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("kind", ["definite", "nonsymmetric"])
def test_every_preconditioner_is_a_sound_operator(name, dtype, kind):
    A, recipe = system(kind, dtype), RECIPES[name]
    if A.dtype.kind == "c" and (name in REAL_ONLY or (name in HERMITIAN_ONLY and kind != "definite")):
        with pytest.raises(StructureError, match=r"use smoothed_aggregation|takes symmetric ones"):
            recipe(A)
        return
    if kind != "definite" and name in NEEDS_SELF_ADJOINT:
        with pytest.raises(StructureError, match="is not self-adjoint: use ILU0 or ILU"):
            recipe(A)
        return
    M = recipe(A)
    check_operator(M).check()
    assert M.dtype == A.dtype and M.grid == A.grid
    claims = M.props & (Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)
    # A positive diagonal is definite whatever the matrix it was taken from.
    definite = kind == "definite" or (name == "Jacobi" and A.dtype.kind != "c")
    expected = SPD if definite and name not in NOT_SELF_ADJOINT else Props.NONE
    assert claims == (expected & ~Props.POSITIVE_DEFINITE if name == "ILU0" else expected)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_values(name):
    recipe = RECIPES[name]
    assert isinstance(recipe, Recipe)
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert eval(repr(recipe), vars(solvers) | vars(preconditioners) | vars(petsc)) == recipe
    assert hash(recipe) == hash(pickle.loads(pickle.dumps(recipe)))
    first, second = recipe(spd(poisson(6))), recipe(spd(poisson(6)))
    assert np.array_equal(first @ np.ones(36), second @ np.ones(36))


@pytest.mark.parametrize("name", RECIPES)
def test_iterations_fall(name, rng):
    A, b = spd(diffusion(32)), rng.standard_normal(1024)
    method = GMRES(restart=60) if name in NOT_SELF_ADJOINT else CG()
    plain = method.solve(A, b).iterations
    result = method.solve(A, b, M=RECIPES[name])
    assert result.converged and result.iterations < 0.6 * plain
    assert RECIPES[name].__class__.__name__ in result.solver


@pytest.mark.parametrize("name", RECIPES)
def test_new_values_reach_the_preconditioner(name, rng):
    A, b = Sparse(diffusion(8), props=SPD), rng.standard_normal(64)
    prepared = GMRES(rtol=1e-10).prepare(A, RECIPES[name])
    prepared.solve(b)
    A.update(A=sp.csr_array(diffusion(8) + 2.0 * sp.diags_array(np.linspace(1.0, 9.0, 64))))
    updated = prepared.solve(b)
    fresh = GMRES(rtol=1e-10).solve(A, b, M=RECIPES[name])
    assert updated.converged and updated.iterations == fresh.iterations


@pytest.mark.parametrize("name", RECIPES)
def test_an_update_leaves_the_old_preconditioner_to_those_who_share_it(name):
    recipe, A = RECIPES[name], Sparse(poisson(6), props=SPD)
    M = recipe(A)
    shared, before = M.H, M @ np.ones(36)
    A.update(data=2.0 * A.matrix.data)
    again = recipe.update(M, A)
    assert np.allclose(again @ np.ones(36), recipe(A) @ np.ones(36))
    assert np.array_equal(shared @ np.ones(36), M.H @ np.ones(36)) and np.array_equal(M @ np.ones(36), before)
    if name not in KEEPS_INTERPOLATION:
        assert recipe.update(M, spd(poisson(5))).shape == (25, 25)


# pyamg keeps what it likes; bootstrap multigrid makes hundreds of small arrays in each update, which are slow to trace.
@pytest.mark.parametrize("name", [n for n in RECIPES if not n.startswith(("AMG", "BootstrapAMG "))])
def test_two_hundred_updates_keep_no_memory(name, rng):
    A, recipe = Sparse(diffusion(16), props=SPD), RECIPES[name]
    M, data, b = recipe(A), A.matrix.data.copy(), rng.standard_normal((256, 2))

    def updates(count):
        nonlocal M
        for _ in range(count):
            A.update(data=(1.0 + rng.random()) * data)
            M = recipe.update(M, A)
            M @ b
        gc.collect()

    updates(5)
    tracemalloc.start()
    updates(5)
    allowed = 20 * 8 * 256  # less than a vector in ten updates: scipy keeps some bytes at each
    for _ in range(2):  # what is kept once and for all is no leak
        before = tracemalloc.get_traced_memory()[0]
        updates(200)
        growth = tracemalloc.get_traced_memory()[0] - before
        if growth < allowed:
            break
    tracemalloc.stop()
    assert growth < allowed
    assert np.allclose(M @ b, recipe(A) @ b)


# SuperLU, pyamg and scipy.fft return new arrays; numpy buffers strided arrays (multigrid/test_cycles.py).
NO_ALLOCATION = [n for n in RECIPES if not n.startswith(("AMG", "FastPoisson", "GeometricMultigrid")) and n != "ILU"]


@pytest.mark.parametrize("name", NO_ALLOCATION)
@pytest.mark.parametrize("columns", [1, 3])
def test_an_application_allocates_nothing(name, columns):
    n = 100 * 100
    M = RECIPES[name](spd(poisson(100)))
    X, out = np.ones((n, columns)), np.empty((n, columns))
    products = [M._matmat_into, M._rmatmat_into]
    for product in products:
        product(X, out)
    tracemalloc.start()
    for product in products:
        product(X, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * X.nbytes + 8 * 8192  # which is what numpy buffers


@pytest.mark.parametrize("name", sorted(NOT_SELF_ADJOINT))
def test_methods_for_self_adjoint_systems_refuse_what_is_known_not_to_be(name, rng):
    A, b = poisson(8), rng.standard_normal(64)
    for method in (CG(), MINRES()):
        for system in (A, spd(A), as_operator(A.toarray())):
            with pytest.raises(StructureError, match=r"needs M = Mᴴ, but .* use GMRES"):
                method.solve(system, b, M=RECIPES[name])
        with pytest.raises(StructureError, match="needs M = Mᴴ"):
            method.solve(A, b, M=RECIPES[name](spd(A)))
    assert GMRES(restart=64).solve(A, b, M=RECIPES[name]).converged
    # Nobody knows of an operator of another library.
    assert CG(maxiter=3).solve(A, b, M=RECIPES[name](spd(A)).to_scipy()).iterations <= 3


@pytest.mark.parametrize("name", [n for n in RECIPES if n not in NOT_SELF_ADJOINT])
def test_methods_for_self_adjoint_systems_take_what_claims_nothing(name, rng):
    A, b = poisson(8), rng.standard_normal(64)
    assert CG().solve(A, b, M=RECIPES[name]).converged  # a matrix without claims


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_refusal_sees_through_the_wrapper_for_torch():
    torch = pytest.importorskip("torch")
    with pytest.raises(StructureError, match="needs M = Mᴴ"):
        CG().solve(spd(poisson(4)).to_torch(), torch.ones(16, dtype=torch.float64), M=ILU())


def test_one_preconditioner_in_several_threads(rng):
    A, X = spd(diffusion(40)), rng.standard_normal((1600, 4))
    for name in ("Schwarz coarse", "Chebyshev", "Deflation balancing"):
        M = RECIPES[name](A)
        expected = [M @ x for x in X.T]
        with ThreadPoolExecutor(4) as pool:
            for _ in range(10):
                for found, wanted in zip(pool.map(M.matvec, X.T), expected, strict=True):
                    assert np.array_equal(found, wanted)


def test_an_update_that_fails_leaves_the_old_preconditioner_whole():
    A = Sparse(poisson(6), props=SPD)
    M = SSOR()(A)
    before = M @ np.ones(36)
    spoilt = A.matrix.data.copy()
    spoilt[1] = np.nan  # off the diagonal
    A.update(data=spoilt)
    with pytest.raises(ValueError, match="NaN"):
        SSOR().update(M, A)
    assert np.array_equal(M @ np.ones(36), before)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("kind", ["definite", "nonsymmetric"])
def test_claims_are_known_before_building(name, dtype, kind):
    A, recipe = system(kind, dtype), RECIPES[name]
    if kind != "definite" and name in NEEDS_SELF_ADJOINT:
        return
    if A.dtype.kind != "c" or name not in REAL_ONLY | HERMITIAN_ONLY:
        kinds = Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE | Props.VARIABLE
        assert recipe.claims(A) & kinds == recipe(A).props & kinds


@pytest.mark.parametrize("name", RECIPES)
def test_the_matrix_is_left_alone(name):
    matrix = poisson(6)
    kept, attributes = matrix.copy(), set(vars(matrix))
    RECIPES[name](spd(matrix)) @ np.ones(36)
    assert (matrix != kept).nnz == 0 and set(vars(matrix)) == attributes


def test_ssor_and_ilu_and_amg_options():
    for omega in (0.0, 2.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="omega must lie between 0 and 2"):
            SSOR(omega)
    with pytest.raises(ValueError, match="drop_tol must lie between"):
        ILU(drop_tol=2.0)
    with pytest.raises(ValueError, match="fill_factor must be at least 1"):
        ILU(fill_factor=0.0)
    with pytest.raises(ValueError, match="method must be"):
        AMG("classical")
    with pytest.raises(ValueError, match="cycle must be 'V' or 'W'"):
        AMG(cycle="F")
    with pytest.raises(ValueError, match="sweeps must be"):
        AMG(sweeps=0)
    with pytest.raises(ValueError, match="near_null_space is used by"):
        AMG(near_null_space=np.ones(4))


def test_zero_diagonals_and_not_a_number_are_named():
    A = sp.csr_array(np.array([[0.0, 1.0], [1.0, 1.0]]))
    with pytest.raises(ValueError, match="SSOR divides by the diagonal"):
        SSOR()(Sparse(A))
    for recipe in (ILU(), AMG(), SSOR()):
        spoilt = poisson(4)
        spoilt.data[2] = np.nan
        with pytest.raises(ValueError, match=r"NaN|nan"):
            recipe(Sparse(spoilt))


def test_what_may_be_passed_as_preconditioner(rng):
    A, b = spd(poisson(6)), rng.standard_normal(36)
    inverse = 1.0 / A.diagonal()
    dense = np.diag(inverse)
    expected = CG().solve(A, b, M=Jacobi()).x
    for M in (dense, sp.diags_array(inverse), spla.aslinearoperator(dense), Dense(dense), lambda_operator(inverse)):
        assert np.allclose(CG().solve(A, b, M=M).x, expected)
    assert build(None, A) is None
    with pytest.raises(ValueError, match=r"must have the shape of A, \(36, 36\), got \(35, 35\)"):
        build(np.eye(35), A)


def lambda_operator(d):
    return Function((len(d), len(d)), lambda r: d * r)


@pytest.mark.parametrize("name", [n for n in RECIPES if n not in NOT_SELF_ADJOINT])
def test_self_adjoint_preconditioners_serve_minres(name, rng):
    A, b = Sparse(diffusion(12), props=SPD), rng.standard_normal(144)
    result = MINRES().solve(A, b, M=RECIPES[name])
    assert result.converged and relative_residual(A.matrix, result.x, b) <= 1e-8


@pytest.mark.parametrize("value", ["abc", None, float("nan"), float("inf"), [], 1j], ids=repr)
def test_options_of_recipes_that_are_no_numbers_are_named(value):
    for recipe, name in (
        (SSOR, "omega"),
        (ILU, "drop_tol"),
        (ILU, "fill_factor"),
        (Chebyshev, "ratio"),
        (AMG, "sweeps"),
    ):
        with pytest.raises(ValueError, match=f"{name} must"):
            recipe(**{name: value})
    with pytest.raises(ValueError, match="beta must"):
        ShiftedLaplacian(beta=value)
    with pytest.raises(ValueError, match="coarse must be True or False"):
        AdditiveSchwarz(4, coarse=value)


def test_a_preconditioner_on_torch_storage_for_a_matrix_on_the_host_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="is on torch storage and A is not"):
        CG().solve(poisson(2), np.ones(4), M=torch.eye(4, dtype=torch.float64))
