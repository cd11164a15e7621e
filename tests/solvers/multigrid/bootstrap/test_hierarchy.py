"""Interpolation, coarse matrices and cycles against dense formulas."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.solvers.multigrid.bootstrap.composite import Composite
from resolvent.solvers.multigrid.bootstrap.hierarchy import PairwiseHierarchy, pairwise_hierarchy
from resolvent.solvers.multigrid.matching import symmetric_rows

from ...conformance import poisson
from .matrices import MODEL, anisotropic, jumps, laplacian, random_graph


def built(A, w=None, sweeps=2, coarse=10):
    A = symmetric_rows(sp.csr_array(A))
    return pairwise_hierarchy(A, np.ones(A.shape[0]) if w is None else w, sweeps=sweeps, coarse=coarse)


@pytest.mark.parametrize("name", MODEL)
@pytest.mark.parametrize("sweeps", [1, 3])
def test_interpolation_is_orthonormal_and_holds_the_smooth_vector(name, sweeps, rng):
    A, w = MODEL[name], rng.random(4096) + 0.1
    hierarchy = built(A, w, sweeps)
    for level, following in zip(hierarchy.levels, hierarchy.levels[1:], strict=False):
        P = level.P
        assert abs((P.T @ P - sp.eye_array(P.shape[1])).data).max(initial=0.0) <= 1e-14
        assert abs(P @ (P.T @ w) - w).max() <= 1e-14 * abs(w).max()
        w = P.T @ w
        exact = P.T @ level.A @ P
        assert abs((exact - following.A).data).max(initial=0.0) <= 1e-13 * abs(exact.data).max()
        assert (following.A != following.A.T).nnz == 0 and following.A.has_sorted_indices
        assert np.allclose(following.mass, P.power(2).T @ level.mass)
    assert hierarchy.levels[-1].A.shape[0] <= 10
    if sweeps == 1:
        assert hierarchy.levels[0].A.shape[0] / hierarchy.levels[1].A.shape[0] >= 1.8


def test_vertices_without_weight_or_couplings_have_no_part_in_coarsening(rng):
    w = np.ones(4096)
    w[rng.random(4096) < 0.1] = 0.0
    P = built(poisson(64), w).levels[0].P
    rows = np.diff(P.indptr)
    assert (rows[w == 0.0] == 0).all() and (rows[w != 0.0] == 1).all()
    A = sp.block_diag([poisson(8), sp.diags_array([3.0, 4.0])], format="csr")
    assert (np.diff(built(A).levels[0].P.indptr)[-2:] == 0).all()


def test_what_would_stall_joins_pairs():
    """A star has one pair; its other vertices join it. Without edges there is nothing to coarsen."""
    star = laplacian([(0, j) for j in range(1, 500)], 500) + 1e-3 * sp.eye_array(500)
    hierarchy = built(star)
    assert [level.A.shape[0] for level in hierarchy.levels] == [500, 1]
    alone = built(sp.diags_array(np.linspace(1.0, 9.0, 3000)))
    x, b = np.empty(3000), np.ones(3000)
    alone.improve(b, x, "V", zero=True)
    assert np.allclose(x * np.linspace(1.0, 9.0, 3000), 1.0)


def reference(levels, inverses, depth, shape, b, x):
    """One cycle, by the book."""
    A = levels[depth].A.toarray()
    if depth == len(levels) - 1:
        return np.linalg.pinv(A, rtol=1e-12, hermitian=True) @ b
    L, U = np.tril(A), np.triu(A)
    x = x + np.linalg.solve(L, b - A @ x)
    P, r = levels[depth].P.toarray(), b - A @ x
    c, zero = P.T @ r, np.zeros(P.shape[1])
    y = reference(levels, inverses, depth + 1, shape, c, zero)
    if depth + 1 < len(levels) - 1:
        B = P.T @ A @ P
        if shape == "W" or (shape == "H" and depth % 2 == 0):
            y = reference(levels, inverses, depth + 1, shape, c, y)
        if shape == "K":
            v = B @ y
            step = (y @ c) / (y @ v)
            d = reference(levels, inverses, depth + 1, shape, c - step * v, zero)
            basis = np.array([y, d]).T
            y = basis @ np.linalg.solve(basis.T @ B @ basis, basis.T @ c)
    x = x + P @ y
    return x + np.linalg.solve(U, b - A @ x)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("shape", ["V", "W", "H", "K"])
def test_cycles_are_those_of_the_book(shape, smooth, rng):
    hierarchy = built(jumps(16), coarse=3, sweeps=1)
    hierarchy = hierarchy.smoothed() if smooth else hierarchy
    assert len(hierarchy.levels) >= 5
    b, x = rng.standard_normal(256), rng.standard_normal(256)
    for zero in (True, False):
        expected = reference(hierarchy.levels, None, 0, shape, b, np.zeros(256) if zero else x)
        found = x.copy()
        hierarchy.improve(b, found, shape, zero=zero)
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-11 * abs(expected).max())


def test_smoothed_interpolation_is_the_formula_and_is_made_anew_for_other_values():
    A = symmetric_rows(anisotropic(16))
    plain = built(A)
    hierarchy, P = plain.smoothed(), plain.levels[0].P.toarray()
    inverse = np.diag(1.0 / A.diagonal())
    omega = 4.0 / (3.0 * np.linalg.norm(inverse @ A.toarray(), np.inf))
    assert np.allclose(hierarchy.levels[0].P.toarray(), P - omega * inverse @ (A @ P))
    other = symmetric_rows(anisotropic(16, 0.02))
    renewed, fresh = hierarchy.renewed(other), plain.renewed(other).smoothed()
    for one, two in zip(renewed.levels, fresh.levels, strict=True):
        assert np.allclose(one.A.toarray(), two.A.toarray(), rtol=1e-12, atol=1e-14)
    assert plain.renewed(other).levels[0].P is plain.levels[0].P


@pytest.mark.parametrize("composition", ["mult", "sym", "add"])
def test_compositions_are_products_of_error_operators(composition, rng):
    A = symmetric_rows(poisson(7))
    parts = [built(A, rng.random(49)) for _ in range(3)]
    errors = []
    for hierarchy in parts:
        columns = np.eye(49)
        for column in columns:
            hierarchy.improve(np.zeros(49), column, "V", zero=False)
        errors.append(columns.T)
    E1, E2, E3 = errors
    expected = {"mult": E3 @ E2 @ E1, "sym": E1 @ E2 @ E3 @ E3 @ E2 @ E1, "add": (E1 + E2 + E3) / 3.0}[composition]
    x, b = rng.standard_normal(49), rng.standard_normal(49)
    exact = np.linalg.solve(A.toarray(), b)
    composite, found = Composite(parts, composition, "V"), x.copy()
    composite.improve(b, found, zero=False)
    assert np.allclose(found - exact, expected @ (x - exact))
    composite.improve(b, found, zero=True)
    assert np.allclose(found - exact, expected @ -exact)


def test_work_is_what_the_kernels_read():
    hierarchy = built(poisson(16))
    fine, *others = (level.A.nnz for level in hierarchy.levels)
    transfers = sum(level.P.nnz for level in hierarchy.levels[:-1])
    last = hierarchy.levels[-1].A.shape[0] ** 2
    expected = (2.0 * (fine + sum(others[:-1]) + transfers) + last) / fine
    assert hierarchy.cost("V", zero=True) == pytest.approx(expected)
    assert hierarchy.cost("V", zero=False) == pytest.approx(expected + 1.0)
    assert hierarchy.cost("K", zero=True) > hierarchy.cost("H", zero=True) > expected
    assert hierarchy.operator_complexity() == pytest.approx((fine + sum(others)) / fine)


def test_hierarchies_are_pickled_without_their_pieces(rng):
    hierarchy, b = built(random_graph(300, 900) + 0.01 * sp.eye_array(300)), rng.standard_normal(300)
    copy = pickle.loads(pickle.dumps(hierarchy))
    assert isinstance(copy, PairwiseHierarchy)
    x, y = np.empty(300), np.empty(300)
    hierarchy.improve(b, x, "V", zero=True)
    copy.improve(b, y, "V", zero=True)
    assert np.array_equal(x, y)
