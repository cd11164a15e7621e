"""A coefficient that varies in space, from sensors."""

import numpy as np
import pytest

from resolvent.solvers.gp import PDE, ChebyshevFunction, Observations, invert_diffusivity, laplacian, matern
from resolvent.solvers.gp import diffusivity as module


def log_a(x, y):
    return 0.8 * np.sin(4 * x) * np.cos(3 * y)


def observed(sensors, share=0.005, seed=0):
    """Darcy's equation −∇·(a ∇u) = 10 on a square, solved on 30² points."""
    rng = np.random.default_rng(seed)
    base = PDE([(0.0, 1.0)] * 2, laplacian(2, -1.0), 10.0, 0.0)
    fine = module._Forward(base.replace(observations=Observations([[0.5, 0.5]], [0.0], 1.0)), (30, 30))
    u = fine.solve(log_a(*np.meshgrid(*fine.axes, indexing="ij")).ravel()).reshape(30, 30)
    points = rng.uniform(0.05, 0.95, (sensors, 2))
    values = ChebyshevFunction(fine.axes, u).at(points, (0, 0))
    noise = share * float(np.abs(u).max())
    return base.replace(observations=Observations(points, values + noise * rng.standard_normal(sensors), noise))


def test_linearised_map_and_its_transpose():
    rng = np.random.default_rng(1)
    operator = {(2, 0): 1.0, (0, 2): 2.0, (1, 0): lambda x, y: x, (0, 0): -1.0}
    seen = Observations(rng.uniform(0.0, 1.0, (5, 2)), np.zeros(5), 0.1)
    pde = PDE([(0.0, 1.0)] * 2, operator, lambda x, y: 1.0 + x * y, lambda x, y: x - y, observations=seen)
    forward = module._Forward(pde, (9, 8))
    theta, v, w = 0.2 * rng.standard_normal(72), rng.standard_normal((72, 1)), rng.standard_normal((5, 1))
    _, ahead, backward = forward.linearised(theta)
    h = 1e-5
    difference = forward.S @ (forward.solve(theta + h * v[:, 0]) - forward.solve(theta - h * v[:, 0])) / (2 * h)
    assert ahead(v)[:, 0] == pytest.approx(difference, rel=1e-7, abs=1e-7 * np.abs(difference).max())
    assert np.vdot(w, ahead(v)) == pytest.approx(np.vdot(v, backward(w)), rel=1e-10)


def test_a_constant_field_solves_the_plain_equation():
    u = lambda x, y: np.sin(2 * x) * np.exp(y)  # noqa: E731
    pde = PDE([(0.0, 1.0)] * 2, {(2, 0): 1.0, (0, 2): 1.0, (0, 1): 0.5}, lambda x, y: (-4 + 1 + 0.5) * u(x, y), u)
    forward = module._Forward(pde.replace(observations=Observations([[0.5, 0.5]], [0.0], 1.0)), (16, 16))
    exact = u(forward.axes[0][:, None], forward.axes[1])
    assert np.abs(forward.solve(np.zeros(256)).reshape(16, 16) - exact).max() < 1e-10


@pytest.mark.parametrize("sensors, limit", [(60, 0.15), (420, 0.08)])
def test_field_from_sensors(sensors, limit):
    found = invert_diffusivity(observed(sensors), 14)
    x = np.linspace(0.05, 0.95, 20)
    exact = log_a(x[:, None], x)
    mean, baseline, deviation = (g.on_tensor([x, x], (0, 0)) for g in (found.log_a, found.tikhonov, found.deviation))
    errors = [np.linalg.norm(g - exact) / np.linalg.norm(exact) for g in (mean, baseline)]
    assert errors[0] < limit and errors[0] < errors[1] < 1.0  # the prior mean, zero, has error 1
    assert np.mean(np.abs(mean - exact) <= 3.0 * deviation) > 0.9
    assert (found.products > 0) == (sensors > module.MANY) == np.isnan(found.evidence)


def test_conjugate_gradients_find_the_same_maximum():
    forward, kernels = module._Forward(observed(40), (10, 10)), [matern(0.4, 0.5), matern(0.4)]
    one = module._maximum(forward, kernels)
    rng = np.random.default_rng(2)
    other = module._maximum_by_gradients(forward, kernels, np.zeros(100), rng)
    assert np.abs(one.theta - other.theta).max() < 1e-4
    assert other.deviation == pytest.approx(one.deviation, rel=0.45)  # from 64 draws
    assert np.mean(other.deviation / one.deviation) == pytest.approx(1.0, abs=0.1)


def test_on_a_line_with_a_given_prior():
    x = np.linspace(0.05, 0.95, 19)
    u = lambda x: x + x**2  # noqa: E731, of (a u')' = 3 with a (1 + 2 x) = 1 + 3 x
    pde = PDE([(0.0, 1.0)], {(2,): 1.0}, 3.0, u, observations=Observations(x, u(x), 1e-4))
    found = invert_diffusivity(pde, kernels=[matern(0.5, 0.25)])
    # A multiple of 1 / (1 + 2 x) may be added to a: that is left to the prior, and to the error bars.
    error = np.abs(found.log_a.on_tensor([x], (0,)) - np.log((1 + 3 * x) / (1 + 2 * x)))
    assert (error <= 2.0 * found.deviation.on_tensor([x], (0,))).all() and error.max() < 0.2
    assert np.abs(found.solution.on_tensor([x], (0,)) - u(x)).max() < 1e-3
    tight = invert_diffusivity(pde, kernels=[matern(0.5, 1e-16)])
    assert np.abs(tight.log_a.on_tensor([x], (0,))).max() < 0.05  # the prior's mean


SEEN = Observations([0.5], [1.0], 0.1)


@pytest.mark.parametrize(
    "changes, options, message",
    [
        ({"observations": None}, {}, "nothing to find a coefficient from"),
        ({"observations": Observations([0.5], [1.0])}, {}, "with noise"),
        ({"operator": {(1,): 1.0}}, {}, "second-order terms"),
        ({"operator": {(2,): lambda x: 1.0 + x}}, {}, "second-order terms"),
        ({"nonlinear": (lambda u: u, lambda u: 1.0)}, {}, "linearise"),
        ({}, {"n": 3000}, "too many"),
        ({}, {"kernels": [matern(1.0)] * 2}, "one kernel for each"),
    ],
)
def test_bad_input(changes, options, message):
    pde = PDE([(0.0, 1.0)], laplacian(1), 1.0, 0.0, observations=SEEN).replace(**changes)
    with pytest.raises(ValueError, match=message):
        invert_diffusivity(pde, **options)
