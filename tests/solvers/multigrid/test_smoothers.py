"""Every smoother with every boundary condition makes a self-adjoint definite M; lines and orders do what they say."""

import numpy as np
import pytest

from resolvent.operators import SPD, check_operator
from resolvent.solvers import GeometricMultigrid
from resolvent.solvers.multigrid.level import Level
from resolvent.solvers.multigrid.smoothers import SMOOTHERS, Lines

from .boxes import CLOSURES, NUMPY, closures, dense, random_network

GRIDS = ((7,), (8,), (6, 7), (1, 5), (2, 3), (8, 4), (3, 4, 5), (4, 2, 1))


@pytest.mark.parametrize("cycle", ["V", "W"])
@pytest.mark.parametrize("smoother", SMOOTHERS)
def test_definite_for_every_boundary_condition(smoother, cycle, rng):
    for grid in GRIDS:
        for closed in closures(len(grid), 8, rng):
            for spread in (0.5, 3.0):
                network = random_network(grid, closed, rng, spread=spread)
                M = GeometricMultigrid(smoother, cycle=cycle).of_network(network).to_dense()
                size = np.linalg.norm(M, 2)
                assert np.abs(M - M.T).max() <= 1e-11 * size, (grid, closed)
                assert np.linalg.eigvalsh(M).min() > -1e-14 * size, (grid, closed)


@pytest.mark.parametrize("closure", CLOSURES)
@pytest.mark.parametrize("smoother", SMOOTHERS)
def test_contract_of_operators(smoother, closure, rng):
    network = random_network((5, 6), (closure, "mixed"), rng, shift=0.1)
    for sweeps, cycle in ((1, "V"), (2, "W")):
        check_operator(GeometricMultigrid(smoother, sweeps, cycle).of_network(network, props=SPD)).check()


def iteration_matrices(network, name, sweeps):
    """K of x ← x + K (b − A x), before and after."""
    n, level = network.cells, Level(network, NUMPY)
    smoother, v = SMOOTHERS[name](level, sweeps), level.arrays(network.cells, np.dtype(float))
    v.b[...] = np.eye(n).reshape(v.b.shape)
    smoother.before(v, zero=True)
    from_zero = v.inner.reshape(n, n).copy()
    v.inner[...] = 0.0
    smoother.before(v, zero=False)
    before = v.inner.reshape(n, n).copy()
    v.inner[...] = 0.0
    smoother.after(v)
    return from_zero, before, v.inner.reshape(n, n).copy()


@pytest.mark.parametrize("sweeps", [1, 3])
@pytest.mark.parametrize("smoother", SMOOTHERS)
def test_after_is_the_adjoint_of_before_and_contracts(smoother, sweeps, rng):
    for grid in ((9,), (4, 5), (3, 3, 2)):
        for closed in closures(len(grid), 5, rng):
            network = random_network(grid, closed, rng, shift=0.2)
            A = dense(network)
            from_zero, before, after = iteration_matrices(network, smoother, sweeps)
            np.testing.assert_allclose(from_zero, before, atol=1e-13)
            np.testing.assert_allclose(after, before.T, atol=1e-13)
            root = np.linalg.cholesky(A).T
            energy = root @ (np.eye(len(A)) - before @ A) @ np.linalg.inv(root)
            assert np.linalg.norm(energy, 2) < 1.0


@pytest.mark.parametrize("closure", ["dirichlet", "mixed", "periodic"])
@pytest.mark.parametrize("n", [2, 3, 8, 9])
def test_one_line_is_solved(n, closure, rng):
    network = random_network((n,), (closure,), rng, shift=0.3 * (closure == "periodic"))
    _, before, after = iteration_matrices(network, "lines", 1)
    np.testing.assert_allclose(before @ dense(network), np.eye(n), atol=1e-12)
    np.testing.assert_allclose(after, before, atol=1e-12)


def test_uncoupled_lines_are_solved_by_one_sweep(rng):
    network = random_network((6, 7), ("neumann", "dirichlet"), rng)
    network.faces[0][...] = 0.0
    for name in ("lines", "alternating_lines"):
        _, before, _ = iteration_matrices(network, name, 1)
        np.testing.assert_allclose(before @ dense(network), np.eye(42), atol=1e-12)


def test_lines_follow_the_strongest_axis(rng):
    network = random_network((4, 5, 6), ("dirichlet",) * 3, rng)
    network.faces[1][...] *= 50.0
    made = SMOOTHERS["lines"](Level(network, NUMPY), 1)
    assert isinstance(made, Lines) and made.axes == (1,)
    assert SMOOTHERS["alternating_lines"](Level(network, NUMPY), 1).axes == (0, 1, 2)


def test_red_black_is_gauss_seidel_in_that_order(rng):
    network = random_network((4, 5), ("dirichlet", "neumann"), rng)
    A = dense(network)
    colour = np.add.outer(np.arange(4), np.arange(5)).ravel() % 2
    order = np.argsort(colour, kind="stable")
    expected = np.zeros((20, 20))
    expected[np.ix_(order, order)] = np.linalg.inv(np.tril(A[np.ix_(order, order)]))
    np.testing.assert_allclose(iteration_matrices(network, "red_black", 1)[1], expected, atol=1e-13)
    in_order = iteration_matrices(network, "gauss_seidel", 1)[1]
    np.testing.assert_allclose(in_order, np.linalg.inv(np.tril(A)), atol=1e-13)
