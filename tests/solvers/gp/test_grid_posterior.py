"""Posteriors on large grids: against dense matrices, and what they take."""

import tracemalloc

import numpy as np
import pytest

from resolvent.solvers.gp import (
    PDE,
    Dirichlet,
    GridPosterior,
    Observations,
    Posterior,
    laplacian,
    matern,
    mixture,
    solve,
    squared_exponential,
)
from resolvent.solvers.gp.grid_posterior import JITTER
from resolvent.solvers.gp.log_determinant import lanczos_logdet
from resolvent.solvers.gp.posterior import functionals

SMOOTH = squared_exponential(0.4)


def u(x, y):
    return np.sin(4 * x) * np.cos(3 * y)


def noisy(n, sigma=1.0, seed=0):
    x = np.linspace(0.0, 1.0, n)
    f = -25.0 * u(x[:, None], x) + sigma * np.random.default_rng(seed).standard_normal((n, n))
    return PDE([(0.0, 1.0)] * 2, laplacian(2), f, u, source_noise=sigma)


def test_is_the_conditional_distribution_of_the_values_at_the_nodes():
    """Two kernels, a variance, coefficients, mixed and first derivatives, a side without data; dense formulas."""
    operator = {(2, 0): 1.0, (0, 2): lambda x, y: 1.0 + x * y, (1, 1): 0.3, (0, 1): -2.0, (0, 0): 3.0}
    rng = np.random.default_rng(1)
    f = 20.0 * rng.standard_normal((9, 8))
    sides = Dirichlet(lambda x, y: np.sin(x + y), sides=[(0, 0), (0, 1), (1, 0)])
    pde = PDE([(0.0, 1.0), (0.0, 2.0)], operator, f, sides, source_noise=20.0)
    nodes = pde.grid((9, 8))
    kernels = [squared_exponential(0.3, 2.0), squared_exponential(0.6)]
    large = GridPosterior(kernels, pde, nodes)
    K = [k.matrix(x) / k.variance + JITTER * np.eye(x.size) for k, x in zip(kernels, nodes, strict=True)]
    D = [
        [np.eye(x.size) if r == 0 else np.linalg.solve(Kj, k.matrix(x, order=r).T / k.variance).T for r in range(3)]
        for k, x, Kj in zip(kernels, nodes, K, strict=True)
    ]
    A = sum(
        np.broadcast_to(pde.coefficient_at(orders, nodes), f.shape).reshape(-1, 1)
        * np.kron(*(D[j][r] for j, r in enumerate(orders)))
        for orders in operator
    )
    free = np.zeros(f.shape, bool)
    free[1:-1, 1:] = True
    free = free.ravel()
    values = np.zeros(f.shape)
    for side in pde.boundary_at(nodes):
        values[side.index] = side.values
    rows = np.vstack([np.eye(free.size)[~free], A[free]])
    y = np.concatenate([values.ravel()[~free], f.ravel()[free]])
    C = 2.0 * np.kron(*K)
    noise = np.concatenate([np.zeros((~free).sum()), 2.0 * large._noise.ravel()])
    gram = rows @ C @ rows.T + np.diag(noise)
    mean = C @ rows.T @ np.linalg.solve(gram, y)
    cov = C - C @ rows.T @ np.linalg.solve(gram, rows @ C)
    points = np.stack([x.ravel() for x in np.meshgrid(*nodes, indexing="ij")], axis=1)
    scale = np.abs(mean).max()
    assert np.abs(large.on_tensor(nodes, (0, 0)).ravel() - mean).max() < 1e-6 * scale
    chosen = np.flatnonzero(free)[::3]
    assert large.variance(points[chosen]) == pytest.approx(np.diag(cov)[chosen], rel=1e-6)
    evidence = -0.5 * (y @ np.linalg.solve(gram, y) + np.linalg.slogdet(gram)[1] + y.size * np.log(2 * np.pi))
    assert abs(large.evidence - evidence) < 4.0 * large.evidence_error < 10.0
    log = np.linalg.slogdet(large._G.to_dense())[1]
    assert large.evidence - evidence == pytest.approx(0.5 * (log - logdet_used(large)), abs=1e-6)


def logdet_used(large):
    """What the evidence took for log|G|."""
    size = large._y.size
    equation = large.evidence + large._known.size * np.log(large._scale) - large._boundary_evidence()
    return -2.0 * equation - float(np.vdot(large._y, large._alpha)) - size * np.log(2.0 * np.pi)


def test_agrees_with_the_dense_posterior_for_a_smooth_kernel():
    pde = noisy(16)
    nodes = pde.grid((16, 16))
    dense, large = Posterior([SMOOTH] * 2, functionals(pde, nodes), 1.0), GridPosterior([SMOOTH] * 2, pde, nodes)
    points = np.random.default_rng(2).uniform(0.0, 1.0, (20, 2))
    deviation = np.sqrt(dense.variance(points))
    assert large.remainder < 1e-3
    assert np.abs(large.at(points, (0, 0)) - dense.at(points, (0, 0))).max() < 1e-2 * deviation.max()
    assert np.sqrt(large.variance(points)) == pytest.approx(deviation, rel=1e-2)
    assert abs(large.evidence - dense.evidence) < 4.0 * large.evidence_error + 0.1
    assert np.abs(large.at(points, (1, 0)) - dense.at(points, (1, 0))).max() < 1e-2


def test_three_axes_and_first_order_equations():
    x = np.linspace(0.0, 1.0, 10)
    rng = np.random.default_rng(3)
    exact = lambda x, y, z: np.sin(2 * x + y) * np.cos(z)  # noqa: E731
    f = -6.0 * exact(x[:, None, None], x[:, None], x) + 0.5 * rng.standard_normal((10, 10, 10))
    pde = PDE([(0.0, 1.0)] * 3, laplacian(3), f, exact, source_noise=0.5)
    box = GridPosterior([squared_exponential(0.7)] * 3, pde, pde.grid((10,) * 3))
    points = rng.uniform(0.0, 1.0, (5, 3))
    assert np.abs(box.at(points, (0, 0, 0)) - exact(*points.T)).max() < 0.01
    wave = lambda x, t: np.sin(5 * (x - t))  # noqa: E731
    inflow = Dirichlet(wave, sides=[(0, 0), (1, 0)])
    source = 0.3 * rng.standard_normal((24, 24))
    moved = PDE([(0.0, 1.0)] * 2, {(1, 0): 1.0, (0, 1): 1.0}, source, inflow, source_noise=0.3)
    found = GridPosterior([squared_exponential(0.3)] * 2, moved, moved.grid((24, 24)))
    error = np.abs(found.at(points[:, :2], (0, 0)) - wave(*points[:, :2].T))
    assert (error <= 4.0 * np.sqrt(found.variance(points[:, :2]))).all()


def test_draws_have_the_mean_and_the_variance():
    pde = noisy(14)
    large = GridPosterior([SMOOTH] * 2, pde, pde.grid((14, 14)))
    points = np.array([[0.2, 0.3], [0.51, 0.49], [0.9, 0.4]])
    draws = large.samples(points, 400, 4)
    deviation = np.sqrt(large.variance(points))
    assert np.abs(draws.mean(axis=0) - large.at(points, (0, 0))).max() < 5.0 * deviation.max() / np.sqrt(400)
    assert draws.std(axis=0) == pytest.approx(deviation, rel=0.15)
    many = np.sqrt(large.variance(np.vstack([points, np.full((40, 2), 0.5)])))[:3]
    assert many == pytest.approx(deviation, rel=0.3)  # from 128 draws


def test_memory_is_linear_in_the_nodes_and_quadratic_in_an_axis():
    n = 128
    pde = noisy(n)
    nodes = pde.grid((n, n))
    GridPosterior([SMOOTH] * 2, noisy(8), noisy(8).grid((8, 8)))  # what is compiled and imported is not counted
    tracemalloc.start()
    large = GridPosterior([squared_exponential(0.3)] * 2, pde, nodes)
    large.variance(np.array([[0.3, 0.4]]))
    large.samples(np.array([[0.3, 0.4]]), 1, 0)
    assert large.evidence_error < 20.0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    numbers = n * n + 2 * n * n  # the grid, and the square of each axis
    assert peak < 8 * 25 * numbers  # one matrix of all unknowns would take 8 · 16384 · n²


def test_solve_takes_it_beyond_dense_sizes():
    pde = noisy(90, 10.0)
    field = solve(pde)
    assert isinstance(field.posterior, GridPosterior)
    x = np.linspace(0.03, 0.97, 5)
    error = np.abs(field.on_grid([x, x]) - u(x[:, None], x))
    assert np.mean(error <= 2.0 * field.error(x[:, None], x)) > 0.7
    assert error.max() < 0.05
    assert field.samples(2, 0.5, 0.5, rng=0).shape == (2,)


def test_log_determinant():
    rng = np.random.default_rng(5)
    Q = np.linalg.qr(rng.standard_normal((200, 200)))[0]
    values = np.exp(rng.uniform(-1.0, 1.0, 200))
    A = (Q * values) @ Q.T
    found, error = lanczos_logdet(lambda x: A @ x, 200, rng, probes=40)
    assert abs(found - np.log(values).sum()) < 4.0 * error < 20.0
    with pytest.raises(ValueError, match="not positive definite"):
        lanczos_logdet(lambda x: x * np.linspace(-1.0, 1.0, 200), 200, rng)


@pytest.mark.parametrize(
    "changes, kernel, message",
    [
        ({"source_noise": 0.0}, SMOOTH, "exact"),
        ({"observations": Observations([[0.5, 0.5]], [1.0])}, SMOOTH, "no observations"),
        ({"boundary": Dirichlet(u, noise=0.1)}, SMOOTH, "exact boundary values"),
        ({}, matern(0.4), "too coarse for the kernels"),
        ({}, mixture([0.0, 60.0], 0.0, "gaussian"), "too coarse for the kernels"),
    ],
)
def test_bad_input(changes, kernel, message):
    pde = noisy(12).replace(**changes)
    with pytest.raises(ValueError, match=message):
        GridPosterior([kernel] * 2, pde, pde.grid((12, 12)))


def test_noise_too_small_is_said():
    pde = noisy(40, 1e-9)
    with pytest.raises((ValueError, np.linalg.LinAlgError), match="noise"):
        GridPosterior([squared_exponential(0.05)] * 2, pde, pde.grid((40, 40)))
