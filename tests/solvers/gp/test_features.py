import numpy as np
import pytest

from resolvent.datasets.multiscale import multiscale_problem
from resolvent.solvers.gp import PDE, laplacian, solve
from resolvent.solvers.gp.features import FeatureSystem, improved, solve_by_features
from resolvent.solvers.gp.frequencies import spectral_peaks
from resolvent.solvers.gp.trigonometric import FeatureFunction, FeatureSpace


@pytest.mark.parametrize("name", ["u1", "u2", "u3", "u4", "u5"])
def test_lines_from_source_and_boundary_alone(name):
    problem = multiscale_problem(name)
    solution = solve_by_features(FeatureSystem(problem.pde, problem.pde.grid(problem.nodes)[0]))
    assert problem.error(solution.function) <= 1e-10


@pytest.mark.parametrize("name", ["u1", "u2", "u3", "u4", "u5", "a1", "a2"])
def test_automatic_choice_on_lines(name):
    problem = multiscale_problem(name)
    field = solve(problem.pde)
    assert field.method == "features"
    error = problem.error(field)
    assert error <= 1e-10
    assert error < 20 * field.defect.error + 1e-13
    known = sorted(problem.angular[0])[-len(field.diagnostics["frequencies"]) :]
    assert np.sort(field.diagnostics["frequencies"]) == pytest.approx(known, rel=1e-9)


def test_frequencies_by_transform():
    x = np.linspace(0.0, 2.0 * np.pi, 400)
    peaks = spectral_peaks(np.sin(6 * x) * np.cos(100 * x), x[1])
    assert np.sort(peaks.omega) == pytest.approx([94.0, 106.0], abs=0.01)
    assert peaks.amplitude == pytest.approx([0.5, 0.5], rel=0.01)
    rng = np.random.default_rng(0)
    noisy = np.sin(40 * x) + 0.5 * rng.standard_normal(x.size)
    assert spectral_peaks(noisy, x[1], noise=0.5).omega == pytest.approx([40.0], abs=0.1)
    assert not spectral_peaks(0.5 * rng.standard_normal(x.size), x[1], noise=0.5).omega.size
    assert not spectral_peaks(np.ones(50), 0.1).omega.size


def test_frequencies_are_improved_to_rounding():
    problem = multiscale_problem("u3")
    system = FeatureSystem(problem.pde, problem.pde.grid((400,))[0])
    omega, fits = improved(system, np.array([94.02, 105.97]), 0)
    assert omega == pytest.approx([94.0, 106.0], rel=1e-12)
    assert fits < 20


@pytest.mark.parametrize("order", range(4))
def test_features_and_their_slopes_agree_with_differences(order):
    space, x, h = FeatureSpace(-0.3, 1.1, np.array([3.0, 11.0]), 2, 5), np.linspace(-0.3, 1.1, 7), 1e-5
    assert space.columns(x).shape == (7, space.size)
    difference = (space.columns(x + h, order) - space.columns(x - h, order)) / (2 * h)
    value = space.columns(x, order + 1)
    assert np.abs(difference - value).max() < 1e-6 * np.abs(value).max()
    moved = [FeatureSpace(-0.3, 1.1, np.array([3.0, 11.0 + s * h]), 2, 5).columns(x, order) for s in (1, -1)]
    slope = space.slopes(x, 1, order)
    assert np.abs((moved[0] - moved[1])[:, -6:] / (2 * h) - slope).max() < 1e-6 * np.abs(slope).max()
    f = FeatureFunction(space, np.arange(space.size, dtype=float))
    assert f.at(x[:, None], (order,)) == pytest.approx(space.columns(x, order) @ f.c)


def test_variable_coefficients():
    u = lambda x: np.sin(30 * x) + x  # noqa: E731
    source = lambda x: -(1 + x) * 900 * np.sin(30 * x) + 2 * (30 * np.cos(30 * x) + 1) + x * u(x)  # noqa: E731
    pde = PDE([(0.0, 1.0)], {(2,): lambda x: 1 + x, (1,): 2.0, (0,): lambda x: x}, source, u)
    field = solve(pde)
    x = np.linspace(0.0, 1.0, 101)
    assert field.method == "features" and np.abs(field(x) - u(x)).max() < 1e-9
    assert field.defect.error < 1e-9


def test_what_features_do_not_hold_is_left_to_the_smaller_defect():
    """A kink in the source: neither way is exact, and the estimate must not claim that it is."""
    u = lambda x: np.abs(x - 0.41) ** 3  # noqa: E731
    field = solve(PDE([(0.0, 1.0)], laplacian(1), lambda x: 6 * np.abs(x - 0.41), u), n=100)
    x = np.linspace(0.0, 1.0, 301)
    error = np.linalg.norm(field(x) - u(x)) / np.linalg.norm(u(x))
    assert error < 1e-3
    assert field.defect.error > 0.05 * error
