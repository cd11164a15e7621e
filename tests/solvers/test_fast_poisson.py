"""The fast Poisson solver: every boundary against dense matrices, detection, the solver's contract, FFT-CG counts."""

import itertools
import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.families import Darcy2D, Darcy3D
from resolvent.operators import SPD, Function, Props, Sparse, Stencil, StructureError, check_operator
from resolvent.solvers import CG, GMRES, MINRES, FastPoisson, Status
from resolvent.solvers.check import (
    callbacks,
    columns_equal_singles,
    counts,
    extreme_sizes,
    fields,
    honoured_maxiter,
    nan_reported,
    pickling,
    singular_systems,
    truthful,
    warm_start,
    zero_right_hand_side,
)
from resolvent.solvers.separable import Axis, Couplings, SeparableInverse, constant_operator

from .conformance import convection, poisson

ENDS = {
    "vertex": (1.0, 1.0, "walls"),
    "cell": (2.0, 2.0, "walls"),
    "insulated": (0.0, 0.0, "walls"),
    "cell, insulated": (2.0, 0.0, "walls"),
    "insulated, cell": (0.0, 2.0, "walls"),
    "Robin": (1.0, 0.3, "walls"),
    "periodic": (1.0, 1.0, "periodic"),
    "reflecting": (1.0, 1.0, "reflecting"),
}


def second_difference(axis):
    """The matrix of an axis from its definition."""
    n = axis.n
    T = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    if axis.closure == "walls":
        T[0, 0] += axis.left - 1.0
        T[-1, -1] += axis.right - 1.0
    elif axis.closure == "periodic":
        T[0, -1] -= 1.0
        T[-1, 0] -= 1.0
    else:
        T[0, 1] = T[-1, -2] = -2.0
    return T


def kron_sum(axes, scales, shift):
    sizes = [axis.n for axis in axes]
    A = shift * np.eye(int(np.prod(sizes)))
    for a, (axis, c) in enumerate(zip(axes, scales, strict=True)):
        before, after = int(np.prod(sizes[:a])), int(np.prod(sizes[a + 1 :]))
        A = A + c * np.kron(np.kron(np.eye(before), second_difference(axis)), np.eye(after))
    return A


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("n", [5, 8, 130])
def test_eigenvalues_of_an_axis(name, n):
    axis = Axis(n, *ENDS[name])
    expected = np.sort(np.linalg.eigvals(second_difference(axis)).real)
    np.testing.assert_allclose(np.sort(axis.eigenvalues()), expected, atol=1e-10)
    if axis.closure == "walls":
        V = axis.eigenvectors()
        np.testing.assert_allclose(V @ np.diag(axis.eigenvalues()) @ V.T, second_difference(axis), atol=1e-12)
        np.testing.assert_allclose(V.T @ V, np.eye(n), atol=1e-12)


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", ENDS)
def test_the_inverse_for_every_pair_of_boundaries(first, second, rng):
    axes = Axis(6, *ENDS[first]), Axis(9, *ENDS[second])
    for shift in (0.0, 0.7, 0.4 + 0.3j, -1.37):
        A = kron_sum(axes, (1.3, 0.8), shift)
        M = SeparableInverse(axes, (1.3, 0.8), shift, dtype=A.dtype)
        X = rng.standard_normal((54, 3))
        if M.singular:
            X = A @ X  # consistent
        for Y in (X, X.astype(complex) * (1.0 - 2.0j), X[:, 0]):
            x = M @ Y
            np.testing.assert_allclose(A @ x, Y, atol=2e-12 * abs(Y).max() * np.linalg.norm(x) / np.linalg.norm(Y))
        if M.singular and "reflecting" not in (first, second) and shift == 0.0:
            np.testing.assert_allclose(M.to_dense(), np.linalg.pinv(A, rtol=1e-13), atol=1e-12)
        np.testing.assert_allclose(M.H.to_dense(), M.to_dense().conj().T, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_the_inverse_is_a_sound_operator(dtype):
    for names in (("cell", "vertex"), ("insulated", "periodic"), ("reflecting", "cell"), ("periodic", "periodic")):
        axes = tuple(Axis(n, *ENDS[name]) for n, name in zip((7, 6), names, strict=True))
        check_operator(SeparableInverse(axes, (1.0, 2.0), dtype=dtype)).check()
        check_operator(SeparableInverse(axes, (1.0, 2.0), 0.5, dtype=dtype)).check()
        if np.dtype(dtype).kind == "c":
            check_operator(SeparableInverse(axes, (1.0, 2.0), 0.5 - 0.2j, dtype=dtype)).check()


@pytest.mark.parametrize("grid", [(40,), (130, 33), (33, 130), (6, 7, 40), (300, 5)])
@pytest.mark.parametrize("columns", [1, 2, 20])
def test_transforms_and_eigenvectors_and_elimination_agree(grid, columns, rng):
    """Long axes take fast transforms, short ones BLAS, the first elimination: three ways, one matrix."""
    axes = tuple(Axis(n, 2.0, 2.0) for n in grid)
    scales = (1.0, 0.5, 2.0)[: len(grid)]
    M = SeparableInverse(axes, scales)
    A = Stencil.from_transmissibilities(transmissibilities(grid, scales, 2.0))
    X = rng.standard_normal((M.shape[0], columns))
    Y = M.matmat(X)
    np.testing.assert_allclose(A.matmat(Y), X, atol=1e-10 * abs(X).max())
    shifted = SeparableInverse(axes, scales, 1e-13j, dtype=complex)  # transforms along all axes
    assert "elimination" in repr(M) and "elimination" not in repr(shifted)
    np.testing.assert_allclose(shifted.matmat(X), Y, atol=1e-11 * abs(Y).max())


def transmissibilities(grid, scales, wall):
    faces = []
    for a, c in enumerate(scales):
        t = np.full(tuple(n + (b == a) for b, n in enumerate(grid)), float(c))
        for end in (0, -1):
            t[(slice(None),) * a + (end,)] = wall * c
        faces.append(t)
    return faces


def test_accuracy_is_that_of_double_precision(rng):
    for n in (64, 127, 256):
        A = Stencil.from_transmissibilities(transmissibilities((n, n), (n**2, n**2), 2.0))
        x = rng.standard_normal(n * n)
        b = A @ x
        found = constant_operator(Couplings.of(A)).inverse() @ b
        assert np.linalg.norm(found - x) <= 2e-13 * n * np.linalg.norm(x)
        smooth = np.sin(np.pi * (np.arange(n) + 0.5) / n)
        u = np.multiply.outer(smooth, smooth).ravel()
        found = constant_operator(Couplings.of(A)).inverse() @ (A @ u)
        assert np.linalg.norm(found - u) <= 1e-12 * np.linalg.norm(u)
        assert FastPoisson(rtol=1e-12).solve(A, b).iterations <= 2


# Detection -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), list(itertools.product(ENDS, ("cell", "periodic", "insulated"))))
def test_entries_tell_boundary_spacing_and_shift(first, second):
    axes = Axis(6, *ENDS[first]), Axis(5, *ENDS[second])
    for shift in (0.0, 3.0):
        matrix = sp.csr_array(kron_sum(axes, (4.0, 9.0), shift))
        for A in (Sparse(matrix, grid=(6, 5)), Sparse(matrix)):
            found = constant_operator(Couplings.of(A))
            np.testing.assert_allclose(kron_sum(found.axes, found.scales, found.shift), matrix.toarray(), atol=1e-9)
            for axis, expected in zip(found.axes, axes, strict=True):
                assert axis.closure == expected.closure
                assert axis.kind == expected.kind


def test_stencil_and_matrix_are_read_alike(rng):
    A, _ = Darcy2D(resolution=7, coefficient="lognormal_unit").assemble(
        Darcy2D(resolution=7, coefficient="lognormal_unit").draw(rng)
    )
    for other in (A.expand(), Sparse(A.to_sparse(), grid=(7, 7)), Sparse(A.to_sparse())):
        one, two = Couplings.of(A), Couplings.of(other)
        for x, y in zip((one.diagonal, *one.upper, *one.lower), (two.diagonal, *two.upper, *two.lower), strict=True):
            np.testing.assert_array_equal(x, y)


def test_what_is_not_a_box_is_refused(rng):
    tridiagonal = sp.diags_array([np.ones(11), np.full(12, 5.0), np.ones(11)], offsets=[-1, 0, 1])
    assert Couplings.of(Sparse(tridiagonal)).grid == (12,)
    with pytest.raises(StructureError, match="do not link neighbours on a grid of 3 x 4"):
        Couplings.of(Sparse(tridiagonal, grid=(3, 4)))
    scattered = sp.random_array((30, 30), density=0.3, rng=rng) + sp.eye_array(30)
    with pytest.raises(StructureError, match="do not show the grid"):
        FastPoisson()(Sparse(scattered))
    nine = np.ones((9, 4, 4))
    for s, (i, j) in enumerate(Stencil(np.zeros((9, 4, 4))).offsets):
        nine[s][{1: np.s_[3:], -1: np.s_[:1], 0: np.s_[:0]}[i]] = 0.0
        nine[s][:, {1: np.s_[3:], -1: np.s_[:1], 0: np.s_[:0]}[j]] = 0.0
    with pytest.raises(StructureError, match=r"couples points at \(-1, -1\)"):
        FastPoisson()(Stencil(nine))
    with pytest.raises(ValueError, match="grid"):
        FastPoisson(grid=(5, 5))(Sparse(poisson(6)))


def test_operators_without_entries_need_boundary_and_spacing(rng):
    n, h = 24, 1.0 / 24
    A = Stencil.from_transmissibilities(transmissibilities((n, n), (h**-2, h**-2), 2.0))
    bare = Function(A.shape, A.matvec, props=SPD, grid=(n, n))
    b = rng.standard_normal(n * n)
    with pytest.raises(StructureError, match="no stored entries"):
        FastPoisson().solve(bare, b)
    given = FastPoisson(boundary="dirichlet", spacing=h)
    assert given.solve(bare, b).iterations == 1
    assert CG().solve(bare, b, M=given).iterations <= 2
    wrong = FastPoisson(boundary="neumann", spacing=h).solve(bare, b)
    assert not wrong.converged
    mixed = FastPoisson(boundary=("dirichlet", "periodic"), centring="vertex", spacing=(h, 2 * h), grid=(n, n))
    assert "fft" in repr(mixed(bare))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scaling": "half"}, "scaling must be"),
        ({"boundary": "robin"}, "boundary must be"),
        ({"boundary": ("dirichlet", "wall")}, "boundary must be"),
        ({"centring": "face"}, "centring must be"),
        ({"spacing": 0.0}, "spacing must be positive"),
        ({"grid": (0, 3)}, "grid must be"),
        ({"workers": 0}, "workers must be"),
        ({"rtol": -1.0}, "rtol must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        FastPoisson(**options)


# The solver ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "check",
    [
        zero_right_hand_side,
        honoured_maxiter,
        nan_reported,
        counts,
        columns_equal_singles,
        pickling,
        warm_start,
        fields,
        callbacks,
        singular_systems,
        extreme_sizes,
    ],
)
def test_the_contract_of_solvers(check):
    # Those checks of `check_solver` whose systems all have constant coefficients.
    assert check(FastPoisson(), np.random.default_rng(0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("shift", [0.0, 0.5, -3.7, -3.7 + 0.5j])
def test_precisions_columns_and_shifts(dtype, shift, rng):
    if np.iscomplexobj(shift) and np.dtype(dtype).kind != "c":
        pytest.skip("a complex shift makes a complex operator")
    matrix = sp.csr_array(poisson(12) + shift * sp.eye_array(144), dtype=dtype)
    A = Sparse(matrix, grid=(12, 12), props=Props.SYMMETRIC)
    B = rng.standard_normal((144, 4)).astype(dtype)
    rtol = 1e-4 if np.dtype(dtype).itemsize // (1 + (np.dtype(dtype).kind == "c")) == 4 else 1e-12
    result = FastPoisson(rtol=rtol).solve(A, B)
    truthful(A, B, result, "columns")
    assert result.converged and result.x.dtype == dtype and result.iterations <= 3
    exact = FastPoisson(rtol=rtol).solve(A, np.asarray(A @ result.x[:, 0]), result.x[:, 0])
    assert exact.converged and exact.iterations == 0
    prepared = FastPoisson(rtol=rtol).prepare(A)
    np.testing.assert_array_equal(prepared.solve(B).x, result.x)
    adjoint = prepared.adjoint().solve(B[:, 0])
    assert adjoint.converged
    residual = B[:, 0] - matrix.conj().T @ adjoint.x
    assert np.linalg.norm(residual) <= 1.01 * rtol * np.linalg.norm(B[:, 0]) + 1e-6 * (rtol == 1e-4)


@pytest.mark.parametrize("closure", ["insulated", "periodic"])
def test_a_singular_system_is_solved_with_zero_mean(closure, rng):
    axes = Axis(8, *ENDS[closure]), Axis(10, *ENDS["insulated"])
    A = Sparse(sp.csr_array(kron_sum(axes, (1.0, 1.0), 0.0)), props=SPD | Props.SINGULAR, grid=(8, 10))
    b = A @ rng.standard_normal(80)
    result = FastPoisson(rtol=1e-12).solve(A, b)
    assert result.converged and abs(result.x.mean()) < 1e-14
    inconsistent = FastPoisson().solve(A, b + 1.0)
    assert inconsistent.status is Status.STAGNATED
    assert inconsistent.residual_norm == pytest.approx(np.sqrt(80.0))
    for method in (CG(), MINRES()):
        assert method.solve(A, b, M=FastPoisson()).converged
    M = FastPoisson()(A)
    assert Props.POSITIVE_DEFINITE in M.props and Props.SINGULAR not in M.props
    assert np.linalg.eigvalsh(M.to_dense()).min() > 0.0


def test_varying_coefficients_are_refused_with_advice(rng):
    family = Darcy2D(resolution=8)
    A, b = family.assemble(family.draw(rng))
    with pytest.raises(StructureError, match=r"constant coefficients.*axis 0 vary.*M=FastPoisson\(\)"):
        FastPoisson().solve(A, b)
    with pytest.raises(StructureError, match="takes no preconditioner"):
        FastPoisson().solve(A, b, M=FastPoisson())
    with pytest.raises(StructureError, match="axis 0 vary"):
        FastPoisson().solve(Sparse(convection(8), grid=(8, 8)), np.ones(64))
    with pytest.raises(StructureError, match="diagonal varies"):
        FastPoisson().solve(Sparse(poisson(6) + sp.diags_array(np.arange(36.0))), np.ones(36))


def test_new_values_are_noticed(rng):
    A = Sparse(poisson(9), props=SPD, grid=(9, 9))
    b = rng.standard_normal(81)
    prepared = FastPoisson().prepare(A)
    prepared.solve(b)
    A.update(data=3.0 * A.matrix.data)
    result = prepared.solve(b)
    assert result.converged and result.iterations == 1
    spoilt = A.matrix.data.copy()
    spoilt[4] = np.inf
    A.update(data=spoilt)
    assert prepared.solve(b).status is Status.NONFINITE


# The preconditioner --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", [64, 100, 256])
@pytest.mark.parametrize(("law", "limit"), [("lognormal_unit", 30), ("skr", 15), ("fno_twophase", 25)])
def test_few_iterations_on_every_grid(resolution, law, limit):
    family = Darcy2D(resolution=resolution, coefficient=law)
    for seed in range(2):
        A, b = family.assemble(family.draw(np.random.default_rng(seed)))
        result = CG().solve(A, b, M=FastPoisson())
        assert result.converged and result.iterations <= limit
    M = FastPoisson()(A)
    assert M.scaled == (law != "fno_twophase") and M.setup_products == 0


@pytest.mark.parametrize("grid", ["cell", "vertex"])
def test_three_dimensions_and_vertex_grids(grid):
    family = Darcy3D(resolution=16, grid=grid, coefficient="lognormal_unit")
    A, b = family.assemble(family.draw(np.random.default_rng(1)))
    assert CG().solve(A, b, M=FastPoisson()).iterations <= 25
    wall = 2.0 if grid == "cell" else 1.0
    assert all((axis.left, axis.right) == (wall, wall) for axis in FastPoisson()(A).inverse.axes)


def test_the_choice_is_the_better_of_the_two():
    for law in ("skr", "lognormal_unit", "fno_twophase", "fno_twophase_12_4"):
        family = Darcy2D(resolution=128, coefficient=law)
        A, b = family.assemble(family.draw(np.random.default_rng(5)))
        iterations = {s: CG().solve(A, b, M=FastPoisson(scaling=s)).iterations for s in ("auto", "sqrt", "none")}
        assert iterations["auto"] == min(iterations.values())
        # The estimates foretell the counts: ½ ln(2/rtol) √κ.
        foretold = 9.56 * np.sqrt(FastPoisson()(A).conditions)
        assert foretold[0] == pytest.approx(iterations["none"], rel=0.3)
        if iterations["sqrt"] < 30:
            assert foretold[1] == pytest.approx(iterations["sqrt"], rel=0.3)


def test_the_scaled_form_is_the_formula(rng):
    family = Darcy2D(resolution=6, coefficient="lognormal_unit")
    A, _ = family.assemble(family.draw(rng))
    M = FastPoisson(scaling="sqrt")(A)
    L = kron_sum(M.inverse.axes, M.inverse.scales, M.inverse.shift)
    # diag L is that of the reference, up to the mean of what scaling leaves.
    d = M._d.ravel()
    np.testing.assert_allclose(M.to_dense(), d[:, None] * np.linalg.inv(L) * d, rtol=1e-10, atol=1e-16)
    flat = A.diagonal() * d**2
    np.testing.assert_allclose(flat / flat[14], np.diag(L - M.inverse.shift * np.eye(36)) / np.diag(L)[14], rtol=0.2)


def test_an_update_keeps_eigenvectors_and_follows_the_coefficients():
    family = Darcy2D(resolution=32, coefficient="lognormal_unit")
    (A, _), (B, b) = (family.assemble(family.draw(np.random.default_rng(s))) for s in (0, 1))
    recipe = FastPoisson()
    old = recipe(A)
    before = old @ b
    new = recipe.update(old, B)
    assert all(axis is old.inverse.axes[0] for axis in (*old.inverse.axes, *new.inverse.axes))
    np.testing.assert_array_equal(new @ b, recipe(B) @ b)
    np.testing.assert_array_equal(old @ b, before)
    squares = np.where(np.indices((32, 32)).sum(axis=0) // 8 % 2, 12.0, 3.0)
    C, _ = family.assemble({"a": squares})
    assert old.scaled and not recipe.update(old, C).scaled
    assert pickle.loads(pickle.dumps(new)).matvec(b) == pytest.approx(new @ b, rel=1e-12)


def test_reaction_wind_and_complex_symmetry(rng):
    n = 24
    reaction = sp.diags_array(np.exp(rng.standard_normal(n * n)))
    A = Sparse(sp.csr_array(poisson(n) + 0.1 * reaction), props=SPD, grid=(n, n))
    b = rng.standard_normal(n * n)
    assert CG().solve(A, b, M=FastPoisson()).iterations <= 15
    wind = Sparse(convection(n, 0.1), grid=(n, n))
    assert GMRES().solve(wind, b, M=FastPoisson()).iterations <= 25
    absorbing = Sparse(sp.csr_array(poisson(n) + 0.1j * reaction), props=Props.SYMMETRIC, grid=(n, n))
    assert GMRES().solve(absorbing, b, M=FastPoisson()).iterations <= 25


def test_an_application_allocates_nothing_of_the_size_of_a_vector(rng):
    for n, law in ((96, "lognormal_unit"), (256, "lognormal_unit"), (256, "fno_twophase")):
        family = Darcy2D(resolution=n, coefficient=law)
        A, _ = family.assemble(family.draw(np.random.default_rng(0)))
        M = FastPoisson()(A)
        X, out = rng.standard_normal((n * n, 1)), np.empty((n * n, 1))
        M._matmat_into(X, out)
        tracemalloc.start()
        M._matmat_into(X, out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.6 * 8 * n * n


def test_nothing_to_solve_is_refused():
    for M, solver in ((None, FastPoisson()), (FastPoisson(), CG())):
        with pytest.raises(StructureError, match="has no unknowns"):
            solver.solve(sp.csr_array((0, 0)), np.zeros(0), M=M)


@pytest.mark.parametrize(
    ("options", "message"), [({"grid": (7, 8)}, "has 56 points"), ({"boundary": "neumann"}, "grid")]
)
def test_a_grid_that_does_not_fit_is_an_error_and_not_a_status(options, message):
    with pytest.raises(ValueError, match=message):
        FastPoisson(**options).solve(poisson(7), np.ones(49))
    broken = poisson(7)
    broken.data[3] = np.nan
    assert FastPoisson().solve(broken, np.ones(49)).status is Status.NONFINITE
