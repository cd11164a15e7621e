import itertools
import pickle
import tracemalloc

import numpy as np
import pyamg.krylov
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from hypothesis import given
from hypothesis import strategies as st

from resolvent.operators import SPD, Props
from resolvent.operators.stencil import Stencil

from .conformance import FIVE, NINE, SEVEN, diffusion, random_array, random_coefficients, stencil

TOLERANCE = {"f": 1e-5, "d": 1e-13, "F": 1e-5, "D": 1e-13}


def dense(coefficients, offsets):
    """The matrix of a stencil, entry by entry from the definition."""
    grid = coefficients.shape[1:]
    n = int(np.prod(grid))
    A = np.zeros((n, n), coefficients.dtype)
    for row, point in enumerate(itertools.product(*map(range, grid))):
        for c, offset in zip(coefficients, offsets, strict=True):
            neighbour = tuple(np.add(point, offset))
            if all(0 <= i < extent for i, extent in zip(neighbour, grid, strict=True)):
                A[row, np.ravel_multi_index(neighbour, grid)] += c[point]
    return A


@st.composite
def stencils(draw, mirrored=False):
    """Grid, offsets and coefficients of any dimension, with thin grids and far neighbours."""
    dimension = draw(st.integers(1, 3))
    grid = tuple(draw(st.integers(1, 6 if dimension < 3 else 4)) for _ in range(dimension))
    offset = st.tuples(*[st.integers(-2, 2)] * dimension)
    by = (lambda o: max(o, tuple(-d for d in o))) if mirrored else tuple
    offsets = draw(st.lists(offset, min_size=1, max_size=11, unique_by=by))
    dtype = draw(st.sampled_from("fdFD"))
    return grid, offsets, random_coefficients(grid, offsets, dtype, seed=draw(st.integers(0, 9)))


@given(stencils(), st.sampled_from([1, 2, 5]))
def test_products_entries_and_diagonal_are_those_of_the_matrix(example, k):
    _, offsets, c = example
    A, expected = Stencil(c, offsets), dense(c, offsets)
    atol = 10 * TOLERANCE[c.dtype.char]
    X = random_array((A.shape[0], k), c.dtype, seed=1)
    np.testing.assert_allclose(A.matmat(X), expected @ X, atol=atol)
    np.testing.assert_allclose(A.rmatmat(X), expected.conj().T @ X, atol=atol)
    np.testing.assert_array_equal(A.to_sparse().toarray(), expected)
    np.testing.assert_array_equal(A.diagonal(), expected.diagonal())


@given(stencils(mirrored=True))
def test_mirrored_storage_is_the_symmetric_matrix(example):
    _, offsets, c = example
    half = dense(c, offsets)
    expected = half + half.T - (np.diag(half.diagonal()) if any(not any(o) for o in offsets) else 0)
    A = Stencil(c, offsets, mirrored=True)
    x = random_array(A.shape[0], c.dtype, seed=1)
    atol = 10 * TOLERANCE[c.dtype.char]
    assert Props.SYMMETRIC in A.props
    np.testing.assert_allclose(A @ x, expected @ x, atol=atol)
    np.testing.assert_allclose(A.rmatvec(x), expected.conj().T @ x, atol=atol)
    np.testing.assert_array_equal(A.to_sparse().toarray(), expected)
    np.testing.assert_array_equal(A.expand().to_sparse().toarray(), expected)


@pytest.mark.parametrize("grid", [(1, 7), (7, 1), (2, 2), (40, 30)])
@pytest.mark.parametrize("offsets", [FIVE, NINE])
def test_thin_and_large_grids(grid, offsets):
    c = random_coefficients(grid, offsets)
    A, x = Stencil(c), random_array(grid, seed=2)
    assert A.offsets == offsets
    np.testing.assert_allclose((A @ x).ravel(), dense(c, offsets) @ x.ravel(), atol=1e-13)


def test_the_seven_point_default_has_one_pair_an_axis():
    assert Stencil(np.zeros((7, 2, 3, 4))).offsets == SEVEN


@pytest.mark.parametrize("offsets", [FIVE, NINE])
def test_to_sparse_is_canonical_and_its_pattern_depends_on_the_grid_alone(offsets):
    A = Stencil(random_coefficients((5, 6), offsets), offsets)
    zero = Stencil(np.zeros((len(offsets), 5, 6)), offsets)
    matrix = A.to_sparse()
    fresh = sp.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
    assert fresh.has_canonical_format
    assert matrix.nnz == (5 * 30 - 2 * 5 - 2 * 6 if offsets is FIVE else (3 * 5 - 2) * (3 * 6 - 2))
    np.testing.assert_array_equal(zero.to_sparse().indices, matrix.indices)


def test_the_matrix_does_not_share_memory_with_the_stencil():
    A = diffusion(4, 4)
    A.to_sparse().data[:] = 0.0
    A.diagonal()[:] = 0.0
    assert A.diagonal().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((5, 3, 3)),), "point outside of the grid"),
        ((np.zeros((4, 3, 3)),), "no default for 4 offsets in 2 dimensions"),
        ((np.zeros((2, 3, 3)), ((0, 0),)), "2 coefficient arrays need 2 offsets"),
        ((np.zeros((1, 3, 3)), ((0,),)), "offsets of 2 integers"),
        ((np.zeros((2, 3, 3)), ((0, 0), (0, 0))), "each offset can occur once"),
        ((np.zeros(3),), "shape \\(s, \\*grid\\)"),
        ((np.zeros((3, 2, 2, 2, 2)),), "shape \\(s, \\*grid\\)"),
    ],
)
def test_unsuitable_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Stencil(*arguments)


def test_mirrored_storage_refuses_both_offsets_of_a_pair():
    with pytest.raises(ValueError, match="one offset of each opposite pair"):
        Stencil(np.zeros((2, 3, 3)), ((0, 1), (0, -1)), mirrored=True)


def test_integer_coefficients_are_refused():
    with pytest.raises(TypeError, match="single or double precision"):
        Stencil(np.zeros((5, 3, 3), dtype=int))


@pytest.mark.parametrize("offset", [(0, 3), (-4, 0), (2, -2)])
def test_offsets_beyond_the_grid_have_no_entries(offset):
    A = Stencil(np.zeros((1, 2, 2)), (offset,))
    assert A.to_sparse().nnz == 0
    assert not (A @ np.ones(4)).any()


def test_repr_names_points_and_grid():
    assert repr(diffusion(4, 5)) == "Stencil(20 x 20, float64, 5-point on 4 x 5, positive definite, m matrix)"
    assert "7-point on 2 x 3 x 4" in repr(diffusion(2, 3, 4))


def test_no_copy_is_made_of_contiguous_coefficients():
    c = np.zeros((5, 4, 4))
    assert Stencil(c).coefficients is c


# Diffusion ------------------------------------------------------------------------------------------------------------


def test_transmissibilities_give_the_five_point_laplacian():
    n, h2 = 4, 1.0 / 16.0
    t = np.full(n + 1, 1.0 / h2)
    t[[0, -1]] *= 2.0  # half a cell to the boundary
    A = Stencil.from_transmissibilities((np.outer(t, np.ones(n)), np.outer(np.ones(n), t)))
    one = np.diag(t[:-1] + t[1:]) - np.diag(t[1:-1], 1) - np.diag(t[1:-1], -1)
    np.testing.assert_allclose(A.to_dense(), np.kron(one, np.eye(n)) + np.kron(np.eye(n), one))


@pytest.mark.parametrize("grid", [(6,), (3, 5), (2, 3, 4)])
@pytest.mark.parametrize("dirichlet", [True, False])
def test_row_sums_are_the_boundary_transmissibilities(grid, dirichlet):
    A = diffusion(*grid, dirichlet=dirichlet, shift=0.5)
    sums = A @ np.ones(grid) - 0.5
    inside = tuple(slice(1, -1) for _ in grid)
    np.testing.assert_allclose(sums[inside], 0.0, atol=1e-12)
    assert (sums.max() > 0.1) == dirichlet


SEMI_DEFINITE = SPD | Props.SYMMETRIC | Props.SINGULAR
M_MATRIX = SPD | Props.SYMMETRIC | Props.M_MATRIX


@pytest.mark.parametrize(
    ("options", "claims"),
    [
        ({}, M_MATRIX),
        ({"dirichlet": False}, SEMI_DEFINITE),
        ({"dirichlet": False, "shift": 0.0}, SEMI_DEFINITE),
        ({"dirichlet": False, "shift": 0.1}, M_MATRIX),
        ({"dirichlet": False, "shift": np.eye(4)}, M_MATRIX),
        ({"shift": -0.1}, Props.SYMMETRIC | Props.SELF_ADJOINT),
        ({"shift": 1.0j}, Props.SYMMETRIC),
    ],
)
def test_diffusion_claims_what_is_a_theorem(options, claims):
    assert diffusion(4, 4, **options).props == claims


def test_an_isolated_cell_makes_the_operator_singular_unless_it_is_shifted():
    t_x, t_y = np.ones((4, 3)), np.ones((3, 4))
    t_x[1:3, 1] = t_y[1, 1:3] = 0.0  # around cell (1, 1)
    A = Stencil.from_transmissibilities((t_x, t_y))
    assert A.props == SEMI_DEFINITE
    assert np.linalg.eigvalsh(A.to_dense())[0] == pytest.approx(0.0, abs=1e-14)
    shift = np.zeros((3, 3))
    shift[1, 1] = 1.0
    B = Stencil.from_transmissibilities((t_x, t_y), shift=shift)
    assert B.props == M_MATRIX
    assert np.linalg.eigvalsh(B.to_dense())[0] > 0.1


def test_a_wall_between_two_anchored_halves_keeps_the_claims():
    t_x, t_y = np.ones((5, 3)), np.ones((4, 4))
    t_x[2] = 0.0
    assert Stencil.from_transmissibilities((t_x, t_y)).props == M_MATRIX


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_bad_transmissibilities_are_refused_with_their_place(bad):
    t_x, t_y = np.ones((4, 3)), np.ones((3, 4))
    t_y[2, 1] = bad
    with pytest.raises(ValueError, match=r"1 along axis 1 are not, the first is .* at \(2, 1\)"):
        Stencil.from_transmissibilities((t_x, t_y))


@pytest.mark.parametrize(
    "shapes", [[(4, 3), (3, 5)], [(4, 3)], [(4, 3), (3, 4), (3, 3)], [(1, 3), (0, 4)], [(2,) * 4] * 4, []]
)
def test_face_arrays_that_do_not_fit_are_refused(shapes):
    with pytest.raises(ValueError, match="face array"):
        Stencil.from_transmissibilities([np.ones(shape) for shape in shapes])


@pytest.mark.parametrize("shift", [np.ones(3), np.nan, np.full((3, 3), np.inf)])
def test_an_unsuitable_shift_is_refused(shift):
    with pytest.raises(ValueError, match="shift must be finite"):
        Stencil.from_transmissibilities((np.ones((4, 3)), np.ones((3, 4))), shift=shift)


def test_single_precision_faces_stay_single_and_integers_become_double():
    assert diffusion(3, 3, shift=1.0, dtype=np.float32).dtype == np.float32
    assert Stencil.from_transmissibilities([np.ones(4, dtype=int)], shift=2).dtype == np.float64


def test_from_faces_refuses_faces_of_a_wrong_shape():
    with pytest.raises(ValueError, match=r"needs faces of shapes \(\(1, 2\), \(2, 1\)\)"):
        Stencil.from_faces(np.ones((2, 2)), (np.ones((2, 2)), np.ones((2, 1))))


# Life of an operator --------------------------------------------------------------------------------------------------


def test_update_changes_the_values_and_the_version():
    A, B = diffusion(5, 4), diffusion(5, 4, shift=2.0)
    x = random_array(20)
    A.update(coefficients=B.coefficients)
    assert A.version == 1
    np.testing.assert_array_equal(A @ x, B @ x)


@pytest.mark.parametrize(
    ("coefficients", "message"),
    [
        (np.zeros((3, 4, 4)), "needs coefficients of shape"),
        (np.zeros((3, 5, 4), dtype=complex), "dtype float64"),
        (np.ones((3, 5, 4)), "point outside"),
    ],
)
def test_update_refuses_another_kind_of_stencil_and_keeps_the_old_values(coefficients, message):
    A = diffusion(5, 4)
    kept = A.coefficients
    with pytest.raises(ValueError, match=message):
        A.update(coefficients=coefficients)
    assert A.version == 0
    assert A.coefficients is kept


def test_update_takes_coefficients_only():
    with pytest.raises(TypeError, match="takes coefficients="):
        diffusion(5, 4).update(values=1.0)


def test_pickling_keeps_everything():
    A = diffusion(5, 4)
    A.update(coefficients=2.0 * A.coefficients)
    B = pickle.loads(pickle.dumps(A))
    assert (repr(B), B.version, B.mirrored, B.offsets) == (repr(A), 1, True, A.offsets)
    np.testing.assert_array_equal(B @ np.ones(20), A @ np.ones(20))


@pytest.mark.parametrize("k", [1, 6])
@pytest.mark.parametrize("adjoint", [False, True])
def test_products_into_a_given_array_allocate_nothing(k, adjoint):
    A = stencil((40, 50), FIVE)
    apply = A._rmatmat_into if adjoint else A._matmat_into
    X = random_array((2000, k))
    out = np.empty_like(X)
    apply(X, out)  # compiles
    tracemalloc.start()
    try:
        apply(X, out)
        tracemalloc.clear_traces()
        tracemalloc.reset_peak()
        apply(X, out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1024, f"{peak} bytes for a result of {out.nbytes}"


def test_a_wrong_answer_spreads_no_further_than_the_neighbours_in_memory():
    A = diffusion(6, 6)
    x = np.ones((6, 6))
    x[3, 3] = np.nan
    y = A @ x
    assert np.isnan(y[3, 3])
    assert np.isnan(y).sum() == 5


def test_importing_operators_does_not_import_numba(run_python):
    code = "import sys, resolvent.operators, resolvent.operators.stencil; assert 'numba' not in sys.modules"
    outcome = run_python("-c", code)
    assert outcome.returncode == 0, outcome.stderr


# In other libraries ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [spla.cg, spla.gmres, spla.bicgstab, spla.minres])
def test_scipy_solvers_take_the_stencil_as_it_is(solver):
    A = diffusion(9, 8)
    x = random_array(72)
    found, info = solver(A, A @ x, rtol=1e-11)
    assert info == 0
    np.testing.assert_allclose(found, x, atol=1e-8)


@pytest.mark.parametrize("solver", [pyamg.krylov.cg, pyamg.krylov.gmres, pyamg.krylov.bicgstab])
def test_pyamg_solvers_take_the_stencil_as_it_is(solver):
    A = diffusion(9, 8)
    x = random_array(72)
    found, info = solver(A, A @ x, tol=1e-11, maxiter=72)
    assert info == 0
    np.testing.assert_allclose(found, x, atol=1e-8)


def test_least_squares_uses_the_adjoint_of_a_nonsymmetric_stencil():
    A = stencil((6, 5), FIVE)
    x = random_array(30, seed=4)
    found = spla.lsqr(A, A @ x, atol=1e-14, btol=1e-14, iter_lim=500)[0]
    np.testing.assert_allclose(found, x, atol=1e-7)
