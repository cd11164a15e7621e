import numpy as np
import pytest

from resolvent.solvers.gp import PDE, Dirichlet, Observations, Posterior, laplacian, mixture, solve, tikhonov
from resolvent.solvers.gp.posterior import Functionals, cross_covariance, functionals


def equations(kernel, dimensions, n=7):
    """Data of Δu = f with exact boundary values, and a point, as functionals with zero values."""
    pde = PDE([(0.0, 1.0)] * dimensions, laplacian(dimensions), 0.0, 0.0, source_noise=1.0)
    nodes = pde.grid((n,) * dimensions)
    return pde, nodes, functionals(pde, nodes)


@pytest.mark.parametrize("dimensions, noise", [(1, 0.5), (2, 5.0)])
def test_intervals_of_95_percent_cover_95_percent(dimensions, noise):
    """u drawn from the prior, noisy source: one point a draw, so that all pairs are independent."""
    rng = np.random.default_rng(20240607)
    kernels = [mixture([0.0, 0.8], 0.3)] * dimensions
    _, _, data = equations(kernels, dimensions, 9 if dimensions == 1 else 6)
    draws, zero = 1200, (0,) * dimensions
    sigmas = np.concatenate([np.full(len(d.values), noise if d is data[0] else 0.0) for d in data])
    m = len(sigmas)
    here = Functionals(rng.uniform(0.0, 1.0, (draws, dimensions)), ((zero, 1.0),), np.zeros(draws), 0.0)
    everything = [*data, here]
    joint = np.block([[cross_covariance(kernels, a, b) for b in everything] for a in everything])
    scale = 1.0 / np.sqrt(np.diag(joint))
    values, V = np.linalg.eigh(scale[:, None] * joint * scale)
    root = (V * np.sqrt(np.maximum(values, 0.0))) / scale[:, None]
    truth = np.stack([root @ rng.standard_normal(m + draws) for _ in range(draws)])
    seen = truth[:, :m] + sigmas * rng.standard_normal((draws, m))
    means = np.zeros(draws)  # the mean is linear in the data
    for i in range(m):
        unit, begin = [], 0
        for d in data:
            one = (np.arange(begin, begin := begin + len(d.values)) == i).astype(float)
            unit.append(Functionals(d.points, d.terms, one, noise if d is data[0] else 0.0))
        posterior = Posterior(kernels, unit, amplitude=1.0)
        means += seen[:, i] * posterior.at(here.points, zero)
    errors = np.abs(means - truth[np.arange(draws), m + np.arange(draws)])
    inside = errors <= 1.959964 * np.sqrt(posterior.variance(here.points))
    assert 0.93 <= inside.mean() <= 0.97


def test_posterior_is_the_conditional_distribution():
    """Against the formulas with dense matrices, mean, variance, covariance and evidence."""
    rng = np.random.default_rng(1)
    kernels = [mixture([0.0, 1.5], 0.5, "gaussian"), mixture([0.3], 0.2)]
    pde = PDE(
        [(0.0, 1.0), (0.0, 2.0)],
        {(2, 0): 1.0, (1, 1): lambda x, y: x + y, (0, 1): -2.0, (0, 0): 3.0},
        lambda x, y: x - y,
        [Dirichlet(lambda x, y: x * y, noise=0.1)],
        source_noise=0.7,
        observations=Observations(rng.uniform(0, 1, (4, 2)), rng.standard_normal(4), 0.2),
    )
    data = functionals(pde, pde.grid((4, 5)))
    assert sum(len(d.values) for d in data) == 4 * 5 + 4
    K = np.block([[cross_covariance(kernels, a, b) for b in data] for a in data])
    assert np.abs(K - K.T).max() < 1e-10 * np.abs(K).max()
    y = np.concatenate([d.values for d in data])
    N = np.diag(np.concatenate([np.full(len(d.values), d.noise**2) for d in data]))
    posterior = Posterior(kernels, data, amplitude=2.0)
    G = 2.0 * K + N
    _, log = np.linalg.slogdet(G)
    evidence = -0.5 * (y @ np.linalg.solve(G, y) + log + len(y) * np.log(2 * np.pi))
    assert posterior.evidence == pytest.approx(evidence, rel=1e-9)
    points = rng.uniform(0, 1, (5, 2))
    here = Functionals(points, (((0, 0), 1.0),), np.zeros(5), 0.0)
    k = 2.0 * np.hstack([cross_covariance(kernels, here, d) for d in data])
    assert posterior.at(points, (0, 0)) == pytest.approx(k @ np.linalg.solve(G, y), rel=1e-6)
    C = 2.0 * cross_covariance(kernels, here, here) - k @ np.linalg.solve(G, k.T)
    assert np.abs(posterior.covariance(points) - C).max() < 1e-8
    assert posterior.variance(points) == pytest.approx(np.diag(C), rel=1e-6)
    h = 1e-4
    shift = np.array([h, 0.0])
    slope = (posterior.at(points + shift, (0, 0)) - posterior.at(points - shift, (0, 0))) / (2 * h)
    assert posterior.at(points, (1, 0)) == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_samples_have_the_mean_and_covariance_of_the_posterior():
    pde, nodes, _ = equations(None, 1)
    noisy = pde.replace(source=lambda x: -np.sin(3 * x), source_noise=0.5)
    posterior = Posterior([mixture([0.0], 0.5)], functionals(noisy, nodes), amplitude=1.0)
    points = np.array([[0.2], [0.5], [0.85]])
    draws = posterior.samples(points, 40_000, np.random.default_rng(2))
    deviation = np.sqrt(posterior.variance(points))
    assert np.abs(draws.mean(axis=0) - posterior.at(points, (0,))).max() < 5 * deviation.max() / 200
    assert np.abs(np.cov(draws.T) - posterior.covariance(points)).max() < 0.05 * deviation.max() ** 2
    again = posterior.samples(points, 2, 7)
    assert np.array_equal(again, posterior.samples(points, 2, 7))


def test_amplitude_has_the_largest_evidence():
    pde, nodes, _ = equations(None, 1, 20)
    noisy = pde.replace(source=lambda x: 30 * np.sin(5 * x), source_noise=0.5)
    data = functionals(noisy, nodes)
    best = Posterior([mixture([0.0], 0.5)], data)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert Posterior([mixture([0.0], 0.5)], data, best.amplitude * factor).evidence < best.evidence


def test_noisy_source_beats_the_prior_mean_and_has_a_baseline():
    rng = np.random.default_rng(3)
    u = lambda x: np.sin(40 * x)  # noqa: E731
    x = np.linspace(0.0, 1.0, 121)
    pde = PDE([(0.0, 1.0)], laplacian(1), -1600 * u(x) + 80.0 * rng.standard_normal(121), u, source_noise=80.0)
    field = solve(pde)
    fine = np.linspace(0.0, 1.0, 401)
    error = np.linalg.norm(field(fine) - u(fine)) / np.linalg.norm(u(fine))
    baseline, weight = tikhonov(pde, functionals(pde, [x]), [60])
    classical = np.linalg.norm(baseline.at(fine[:, None], (0,)) - u(fine)) / np.linalg.norm(u(fine))
    assert field.method == "posterior" and error < 0.1  # the prior mean, zero, has error 1
    assert weight > 0.0 and error <= 1.5 * classical
    assert field.error(fine).max() > 0.0


def test_a_missing_side_is_made_up_for_by_sensors():
    u = lambda x, y: np.sin(4 * x) * np.cos(3 * y)  # noqa: E731
    rng = np.random.default_rng(4)
    points = rng.uniform(0.0, 1.0, (12, 2))
    values = u(points[:, 0], points[:, 1])
    known = Dirichlet(u, sides=[(0, 0), (1, 0), (1, 1)])
    pde = PDE([(0.0, 1.0)] * 2, laplacian(2), lambda x, y: -25 * u(x, y), known)
    x = np.linspace(0.0, 1.0, 15)
    exact = u(x[:, None], x)
    errors, bars = [], []
    for seen in (None, Observations(points, values, 1e-3)):
        problem = pde.replace(observations=seen)
        field = solve(problem, n=14, kernels=[mixture([0.0], 0.0, "gaussian")] * 2)
        errors.append(np.linalg.norm(field.on_grid([x, x]) - exact) / np.linalg.norm(exact))
        bars.append(field.error(1.0, 0.5))
    baseline, _ = tikhonov(problem, functionals(problem, problem.grid((14, 14))), [12, 12])
    classical = np.linalg.norm(baseline.on_tensor([x, x], (0, 0)) - exact) / np.linalg.norm(exact)
    assert errors[1] < errors[0] < 1.0 and errors[1] < 1e-2
    assert bars[1] < bars[0]
    assert classical < 1.0


def test_too_many_functionals_and_indefinite_covariances_are_said():
    pde, _, _ = equations(None, 2)
    with pytest.raises(ValueError, match="too many for a dense posterior"):
        Posterior([mixture([0.0], 0.0)] * 2, functionals(pde, pde.grid((80, 80))))

    class Indefinite(type(mixture([0.0]))):
        def __call__(self, lag, order=0):
            return -super().__call__(lag, order)

    k = mixture([0.0], 0.0)
    with pytest.raises(ValueError, match="indefinite"):
        Posterior([Indefinite(k.log_w, k.log_ls, k.mu), k], functionals(pde, pde.grid((5, 5))), 1.0)
