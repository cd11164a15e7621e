import numpy as np
import pytest

from resolvent.solvers.gp import (
    PDE,
    ChebyshevFunction,
    Observations,
    invert_coefficients,
    invert_source,
    laplacian,
    solve_chebyshev,
)
from resolvent.solvers.gp.chebyshev import barycentric_rows, chebyshev_matrix, chebyshev_nodes, chebyshev_system
from resolvent.solvers.gp.source_inversion import adjoint_solves
from resolvent.solvers.gp.tikhonov import ridge


def observed(pde, n, points, noise, rng):
    u, _, _ = solve_chebyshev(pde, (n,) * pde.dimensions)
    return Observations(points, u.at(points, (0,) * pde.dimensions) + noise * rng.standard_normal(len(points)), noise)


@pytest.mark.parametrize("dimensions, n, sensors, limit", [(1, 48, 19, 0.1), (2, 30, 80, 0.4)])
def test_source_from_sensors(dimensions, n, sensors, limit):
    rng = np.random.default_rng(5)
    f = lambda *x: 10 * np.exp(-sum((t - 0.4) ** 2 for t in x) / 0.02)  # noqa: E731
    box = [(0.0, 1.0)] * dimensions
    points = rng.uniform(0.05, 0.95, (sensors, dimensions))
    truth = PDE(box, laplacian(dimensions), f, 0.0)
    noise = 2e-4 if dimensions == 1 else 1e-3
    pde = truth.replace(source=0.0, observations=observed(truth, 64, points, noise, rng))
    found = invert_source(pde, n)
    x = [np.linspace(0.03, 0.97, 60 if dimensions == 1 else 25)] * dimensions
    exact = f(*np.meshgrid(*x, indexing="ij", sparse=True))
    zero = (0,) * dimensions
    errors = [
        np.linalg.norm(g.on_tensor(x, zero) - exact) / np.linalg.norm(exact) for g in (found.source, found.tikhonov)
    ]
    assert errors[0] < limit  # the prior mean, zero, has error 1
    assert errors[0] <= 1.1 * errors[1]
    deviation = found.deviation.on_tensor(x, zero)
    assert np.mean(np.abs(found.source.on_tensor(x, zero) - exact) <= 3 * deviation + 1e-9) > 0.7
    u = solve_chebyshev(truth, (64,) * dimensions)[0].on_tensor(x, zero)
    assert np.linalg.norm(found.solution.on_tensor(x, zero) - u) < 0.05 * np.linalg.norm(u)
    assert found.adjoint_solves == sensors


def test_adjoint_solves_are_rows_of_the_inverse():
    pde = PDE([(0.0, 1.0), (0.0, 2.0)], {(2, 0): 1.0, (0, 2): 2.0, (0, 1): 3.0}, 0.0, 0.0)
    system = chebyshev_system(pde, (8, 7))
    points = np.array([[0.3, 0.4], [0.9, 1.7], [0.5, 1.0]])
    S = [barycentric_rows(x, points[:, j]) for j, x in enumerate(system.axes)]
    G = adjoint_solves(system, S)
    f = np.random.default_rng(0).standard_normal(system.shape)
    u, _ = system.solve(f)
    expected = ChebyshevFunction(system.axes, u).at(points, (0, 0))
    assert np.tensordot(G, f[system.unknown], axes=2) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("given", [0.0, 1e-3])
def test_coefficients_from_sensors(given):
    rng = np.random.default_rng(6)
    u = lambda x, y: np.sin(3 * x) * np.exp(y)  # noqa: E731
    truth = {(2, 0): 1.0, (0, 2): 2.0, (1, 0): 0.5}
    source = lambda x, y: (-9.0 + 2.0) * u(x, y) + 1.5 * np.cos(3 * x) * np.exp(y)  # noqa: E731
    points = rng.uniform(0, 1, (80, 2))
    seen = Observations(points, u(points[:, 0], points[:, 1]) + 1e-3 * rng.standard_normal(80), given)
    pde = PDE([(0.0, 1.0)] * 2, {(2, 0): 1.0, (0, 2): 1.0, (1, 0): 0.0}, source, u, observations=seen)
    found = invert_coefficients(pde, [(0, 2), (1, 0)], n=18)
    for key in ((0, 2), (1, 0)):
        assert abs(found.coefficients[key] - truth[key]) < 4 * found.deviation[key] < 0.1
    assert found.noise == pytest.approx(1e-3, rel=0.3)


def test_coefficient_of_a_nonlinear_equation_and_a_prior():
    rng = np.random.default_rng(7)
    u = lambda x: np.sin(4 * x)  # noqa: E731
    x = np.linspace(0.05, 0.95, 15)
    pde = PDE(
        [(0.0, 1.0)],
        {(2,): 1.0, (0,): 1.0},
        lambda x: (-16.0 + 3.0) * u(x) + u(x) ** 3,
        u,
        nonlinear=(lambda u: u**3, lambda u: 3 * u**2),
        observations=Observations(x, u(x) + 1e-4 * rng.standard_normal(15), 1e-4),
    )
    free = invert_coefficients(pde, [(0,)], n=24)
    assert abs(free.coefficients[(0,)] - 3.0) < 4 * free.deviation[(0,)] < 0.1
    tight = invert_coefficients(pde, [(0,)], n=24, spread={(0,): 1e-6})
    assert tight.coefficients[(0,)] == pytest.approx(1.0, abs=1e-3)


def test_chebyshev_matrices_differentiate_polynomials():
    x = chebyshev_nodes(-1.0, 3.0, 12)
    f, first, second = x**9 / 3**9, 9 * x**8 / 3**9, 72 * x**7 / 3**9
    assert np.abs(chebyshev_matrix(12, 4.0, 1) @ f - first).max() < 1e-11
    assert np.abs(chebyshev_matrix(12, 4.0, 2) @ f - second).max() < 1e-9
    points = np.array([-1.0, 0.123, x[4], 3.0])
    assert barycentric_rows(x, points) @ f == pytest.approx(points**9 / 3**9, abs=1e-12)


def test_ridge_finds_its_weight():
    rng = np.random.default_rng(8)
    A, c = rng.standard_normal((60, 40)) @ np.diag(0.8 ** np.arange(40)), rng.standard_normal(40)
    b = A @ c + 0.1 * rng.standard_normal(60)
    found, weight = ridge(A, b, np.ones(40))
    misfits = [np.linalg.norm(A @ (found - c)), np.linalg.norm(A @ (np.linalg.lstsq(A, b, rcond=None)[0] - c))]
    assert weight > 0.0 and misfits[0] < misfits[1]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda p: invert_source(p), "nothing to find a source from"),
        (lambda p: invert_coefficients(p, [(2,)]), "nothing to find coefficients from"),
        (lambda p: invert_coefficients(p.replace(observations=Observations([0.5], [1.0])), [(1,)]), "no term"),
        (lambda p: invert_coefficients(p.replace(observations=Observations([0.5], [1.0])), []), "at least one"),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call(PDE([(0.0, 1.0)], laplacian(1), 0.0, 0.0))
