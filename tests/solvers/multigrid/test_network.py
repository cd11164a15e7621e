"""Extraction and coarsening of networks: what must hold exactly, and what is refused."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Function, Props, Sparse, Stencil, StructureError
from resolvent.solvers import GeometricMultigrid
from resolvent.solvers.multigrid.extraction import network_of
from resolvent.solvers.multigrid.levels import Levels
from resolvent.solvers.multigrid.network import coarsen_axis

from ..conformance import poisson
from .boxes import CLOSURES, NUMPY, closures, dense, diffusion, random_network


def interpolation(transfer, n_fine, n_coarse):
    """P as a matrix, and its transpose as the restriction makes it."""
    fine, coarse = transfer.grids[0], transfer.grids[-1]
    P, R = np.zeros((*fine, n_coarse)), np.zeros((*coarse, n_fine))
    scratch = np.empty(max(P.size, R.size, n_fine * n_fine))
    unit = np.eye(n_coarse).reshape(*coarse, n_coarse)
    transfer.interpolate(unit, P, transfer.between(n_coarse, np.dtype(float)), scratch, add=False)
    unit = np.eye(n_fine).reshape(*fine, n_fine)
    transfer.restrict(unit, R, transfer.between(n_fine, np.dtype(float)), scratch)
    return P.reshape(n_fine, n_coarse), R.reshape(n_coarse, n_fine)


@pytest.mark.parametrize("closure", CLOSURES)
@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 9, 17])
def test_on_a_line_the_coarse_operator_bounds_that_of_galerkin(n, closure, rng):
    network = random_network((n,), (closure,), rng)
    levels = Levels.of(network, NUMPY)
    assert [level.cells for level in levels.levels] == [n, *halvings(n)]
    for fine, coarse, transfer in zip(levels.levels, levels.levels[1:], levels.transfers, strict=False):
        P, R = interpolation(transfer, fine.cells, coarse.cells)
        np.testing.assert_allclose(R, P.T, atol=1e-14)
        galerkin = P.T @ dense(fine.network) @ P
        excess = np.linalg.eigvalsh(dense(coarse.network) - galerkin)
        assert excess.min() >= -1e-12 * max(1.0, abs(galerkin).max())


def test_a_uniform_current_keeps_its_potential(rng):
    network = random_network((10,), ("neumann",), rng)
    coarse, _ = coarsen_axis(network, 0, NUMPY)
    P, _ = interpolation(Levels.of(network, NUMPY).transfers[0], 10, 5)
    x = np.concatenate([[0.0], np.cumsum(1.0 / coarse.faces[0].ravel()[1:-1])])
    inner = slice(2, -2)  # away from the ends, where the current begins and ends
    np.testing.assert_allclose(np.diff(P @ x)[inner], (1.0 / network.faces[0].ravel()[1:-1])[inner])


def halvings(n):
    while n > 1:
        n = (n + 1) // 2
        yield n


@pytest.mark.parametrize("grid", [(6, 7), (5, 1), (1, 4), (2, 2), (3, 4, 5)])
def test_restriction_is_the_transpose_and_constants_stay_where_nothing_is_grounded(grid, rng):
    for closed in closures(len(grid), 6, rng):
        for kind in ("operator", "linear"):
            levels = Levels.of(random_network(grid, closed, rng), NUMPY, interpolation=kind)
            for fine, coarse, transfer in zip(levels.levels, levels.levels[1:], levels.transfers, strict=False):
                P, R = interpolation(transfer, fine.cells, coarse.cells)
                np.testing.assert_allclose(R, P.T, atol=1e-14)
                assert P.min() >= 0.0 and P.sum(axis=1).max() <= 1.0 + 1e-14
                if not {"dirichlet", "mixed"} & set(closed):
                    np.testing.assert_allclose(P.sum(axis=1), 1.0)
                    np.testing.assert_allclose(dense(coarse.network).sum(axis=1), 0.0, atol=1e-12)
            assert levels.levels[-1].cells == 1


def test_linear_weights_are_those_of_a_constant_coefficient():
    for wall, at_wall in ((2.0, 0.5), (1.0, 2.0 / 3.0), (0.0, 1.0)):
        t = np.array([wall, 1.0, 1.0, 1.0, 1.0, 1.0, wall])
        for constant in (1.0, np.linspace(1.0, 1.0, 7)):
            network, _ = network_of(Stencil.from_transmissibilities([t * constant], shift=0.0))
            for kind in ("operator", "linear"):
                _, w = coarsen_axis(network, 0, NUMPY, kind)
                np.testing.assert_allclose(w.own_even.ravel(), [at_wall, 0.75, 0.75])
                np.testing.assert_allclose(w.own_odd.ravel(), [0.75, 0.75, at_wall])


def test_conductances_without_a_path_interpolate_from_the_own_cell():
    t = np.array([0.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0])
    network, _ = network_of(Stencil.from_transmissibilities([t], shift=1.0))
    coarse, w = coarsen_axis(network, 0, NUMPY)
    np.testing.assert_allclose(coarse.faces[0].ravel(), [0.0, 0.0, 1.0 / (1 / 2 + 1 / 2 + np.inf), 0.0])
    assert np.isfinite(w.own_even).all() and np.isfinite(w.own_odd).all()
    np.testing.assert_allclose(w.own_even.ravel()[:2], [1.0, 1.0])


@pytest.mark.parametrize("grid", [(6, 7), (7,), (4, 5, 6)])
def test_walls_and_shift_are_recovered_from_the_entries(grid, rng):
    faces = [np.exp(rng.standard_normal([n + (a == b) for b, n in enumerate(grid)])) for a in range(len(grid))]
    for a, t in enumerate(faces):
        t[(slice(None),) * a + (0,)] = 0.0  # Neumann at one side of each axis: each cell touches walls of one kind only
        t[(slice(None),) * a + (-1,)] *= a == 0
    network, d = network_of(Stencil.from_transmissibilities(faces, shift=0.3))
    walls = [t[(slice(None),) * a + ([0, -1],)].sum() for a, t in enumerate(faces)]
    found = [t[(slice(None),) * a + ([0, -1],)].sum() for a, t in enumerate(network.faces)]
    assert sum(found) == pytest.approx(sum(walls), rel=1e-12)
    np.testing.assert_allclose(network.shift, 0.3, rtol=1e-12)
    np.testing.assert_allclose(network.diagonal(), d, rtol=1e-13)
    assert not any(network.periodic)


def test_corner_cells_share_what_is_left_by_the_opposite_faces():
    A = diffusion(np.ones((5, 5)), strength=(1.0, 4.0))
    network, _ = network_of(A)
    np.testing.assert_allclose(network.faces[0][[0, -1]], 2.0)
    np.testing.assert_allclose(network.faces[1][:, [0, -1]], 8.0)
    np.testing.assert_array_equal(network.shift, 0.0)


def test_rings_are_recognised_in_matrices():
    ring = sp.diags_array([-1.0, -1.0, 2.5, -1.0, -1.0], offsets=[-5, -1, 0, 1, 5], shape=(6, 6))
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4))
    A = Sparse(sp.kron(ring, sp.eye_array(4)) + sp.kron(sp.eye_array(6), line), grid=(6, 4))
    network, _ = network_of(A)
    assert network.periodic == (True, False)
    np.testing.assert_array_equal(network.faces[0][0], network.faces[0][-1])
    np.testing.assert_allclose(dense(network), A.to_dense())


def test_semi_coarsening_leaves_weak_axes():
    def grids(strength, semi=True):
        network, _ = network_of(diffusion(np.ones((16, 16)), strength))
        return [level.grid for level in Levels.of(network, NUMPY, semi=semi).levels]

    assert grids((1.0, 1.0)) == [(n, n) for n in (16, 8, 4, 2, 1)]
    # A coarsening by two makes the other couplings four times as strong beside those along the axis.
    assert grids((1.0, 0.01)) == [(16, 16), (8, 16), (4, 16), (2, 16), (1, 8), (1, 4), (1, 2), (1, 1)]
    assert grids((0.1, 1.0)) == [(16, 16), (16, 8), (8, 4), (4, 2), (2, 1), (1, 1)]
    assert grids((1.0, 0.01), semi=False) == grids((1.0, 1.0))


# What is refused -----------------------------------------------------------------------------------------------------


def nine_point():
    c = np.zeros((9, 5, 5))
    c[0] = 8.0
    c[5, 1:, 1:] = c[8, :-1, :-1] = -1.0
    return Stencil(c, props=SPD)


@pytest.mark.parametrize(
    ("A", "error", "message"),
    [
        (nine_point(), StructureError, "only nearest neighbours"),
        (Function((4, 4), lambda x: x), StructureError, "no stored entries"),
        (Sparse(sp.eye_array(4) * 0.0, grid=(2, 2)), ValueError, "diagonal that is positive, but 4 of the entries"),
        (Sparse(-poisson(4), grid=(4, 4)), ValueError, "diagonal that is positive, but 16"),
        (Sparse(abs(poisson(4)), grid=(4, 4), props=SPD), StructureError, "couplings ≤ 0 between neighbours"),
        (Sparse(poisson(4) * np.nan, grid=(4, 4)), ValueError, "NaN or infinity"),
        (
            Sparse(poisson(4) - sp.eye_array(16), grid=(4, 4)),
            StructureError,
            "falls short, by up to 0.33 of the diagonal",
        ),
        (Sparse(poisson(4), grid=(2, 8)), StructureError, "needs a 3-, 5- or 7-point stencil on a box: .* do not link"),
        (
            Sparse(sp.random_array((30, 30), density=0.2, rng=0) + sp.eye_array(30)),
            StructureError,
            "do not show the grid",
        ),
        (Sparse(sp.eye_array(6, 5)), ValueError, "square operator, got 6 x 5"),
        (Sparse(sp.csr_array([[2.0, -1.0 - 1j], [-1.0 + 1j, 2.0]]), grid=(2,)), StructureError, "takes symmetric ones"),
    ],
)
def test_operators_that_are_no_networks_are_refused(A, error, message):
    with pytest.raises(error, match=message):
        GeometricMultigrid()(A)


def test_a_tensor_needs_its_grid():
    torch = pytest.importorskip("torch")
    from resolvent.operators import as_operator

    matrix = torch.as_tensor(poisson(4).toarray())
    with pytest.raises(StructureError, match=r"needs the grid of .*grid=…"):
        GeometricMultigrid()(as_operator(matrix))
    from resolvent.operators._torch import Tensor

    with pytest.raises(StructureError, match=r"entries of .* on a grid of 2 x 8"):
        GeometricMultigrid()(Tensor(matrix, grid=(2, 8)))
    matrix[0, 0] = torch.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        GeometricMultigrid()(Tensor(matrix, grid=(4, 4)))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("smoother", "sor"),
        ("cycle", "K"),
        ("interpolation", 1),
        ("coarsening", None),
        ("precision", "half"),
        ("sweeps", 0),
        ("sweeps", True),
        ("sweeps", 1.5),
        ("smoother", ["red_black"]),
    ],
)
def test_options_that_make_no_sense_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} must be"):
        GeometricMultigrid(**{option: value})


def test_a_scaled_definite_matrix_is_taken_though_its_rows_fall_short_a_little(rng):
    """D A D is definite, but not diagonally dominant."""
    d = sp.diags_array(1.0 + 1e-5 * rng.standard_normal(64))
    matrix = sp.csr_array(d @ (poisson(8) + 1e-4 * sp.eye_array(64)) @ d)
    M = GeometricMultigrid()(Sparse(matrix, props=SPD, grid=(8, 8)))
    assert Props.POSITIVE_DEFINITE in M.props and np.linalg.eigvalsh(M.to_dense()).min() > 0.0
