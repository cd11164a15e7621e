"""Gaussian random fields: their law against the formula, boundary conditions, nesting and reproducibility."""

import functools

import numpy as np
import pytest
import scipy.fft
import scipy.stats

from resolvent.datasets.random_fields import GaussianRandomField, grid_points

LAWS = [(1, 1.5, 4.0), (2, 2.0, 3.0), (2, 2.5, 7.0), (3, 2.5, 5.0)]
SMALL = {1: 24, 2: 12, 3: 8}  # points per side


def axis_functions(bc: str, K: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wave numbers and an orthonormal basis of functions of one variable, by explicit evaluation."""
    if bc == "neumann":
        k = np.arange(K + 1)
        basis = np.sqrt(2.0) * np.cos(np.pi * np.outer(k, x))
        basis[0] = 1.0
        return k, basis
    k = np.arange(-K, K + 1)
    # Negative wave numbers stand for sines: a real tensor basis, other than the one the field uses.
    basis = np.sqrt(2.0) * np.where(
        k[:, None] > 0, np.cos(2 * np.pi * np.outer(k, x)), np.sin(2 * np.pi * np.outer(k, x))
    )
    basis[K] = 1.0
    return k, basis


def coefficients(g: np.ndarray, bc: str, K: int) -> np.ndarray:
    """Coefficients of a sample on a cell grid in the explicit basis, by the (exact) midpoint rule."""
    for axis in range(g.ndim):
        _, basis = axis_functions(bc, K, grid_points(g.shape[axis]))
        g = np.moveaxis(np.tensordot(basis, g, axes=(1, axis)) / g.shape[axis], 0, axis)
    return g


def evaluate(c: np.ndarray, bc: str, K: int, x: np.ndarray) -> np.ndarray:
    """The series with these coefficients at the points of a tensor grid, by explicit sums."""
    for axis in range(c.ndim):
        _, basis = axis_functions(bc, K, x)
        c = np.moveaxis(np.tensordot(basis, c, axes=(0, axis)), 0, axis)
    return c


def wave_numbers(bc: str, K: int, dim: int) -> np.ndarray:
    k, _ = axis_functions(bc, K, np.zeros(1))
    return np.stack(np.meshgrid(*[k] * dim, indexing="ij"), axis=-1)


@pytest.mark.parametrize("bc", ["neumann", "periodic"])
@pytest.mark.parametrize("dim,alpha,tau", LAWS)
def test_coefficients_are_independent_normals_with_the_stated_spectrum(bc, dim, alpha, tau):
    field = GaussianRandomField(dim, alpha, tau, bc)
    n, samples = SMALL[dim], 400
    K = field.carried(n)
    k = wave_numbers(bc, K, dim)
    c = np.stack([coefficients(field.sample(seed, n), bc, K).ravel() for seed in range(samples)])
    lambda_k = field.spectrum(k).ravel()
    inner = lambda_k > 0
    assert np.abs(c[:, ~inner]).max() < 1e-13
    z = c[:, inner] / np.sqrt(lambda_k[inner])

    # Each shell of wave numbers separately, so that a wrong power or factor shows: a sum of squares is chi-square.
    shells = np.abs(k).max(axis=-1).ravel()[inner]
    for shell in range(1, K + 1):
        squares = z[:, shells == shell] ** 2
        assert 1e-4 < scipy.stats.chi2.cdf(squares.sum(), squares.size) < 1 - 1e-4
    assert scipy.stats.kstest(z.ravel(), "norm").pvalue > 1e-3

    # Modes are uncorrelated: the squared correlations of m modes, times the samples, are nearly chi-square.
    few = z[:, :40]
    correlation = few.T @ few / samples
    pairs = correlation[np.triu_indices(few.shape[1], 1)] * np.sqrt(samples)
    assert abs((pairs**2).mean() - 1) < 4 * np.sqrt(2 / pairs.size)


@pytest.mark.parametrize("bc", ["neumann", "periodic"])
@pytest.mark.parametrize("grid", ["cell", "vertex"])
@pytest.mark.parametrize("dim,alpha,tau", LAWS)
def test_pointwise_variance_is_the_sum_over_modes(bc, grid, dim, alpha, tau):
    field = GaussianRandomField(dim, alpha, tau, bc)
    n = SMALL[dim]
    K = field.carried(n, grid)
    _, basis = axis_functions(bc, K, grid_points(n, grid))
    expected = field.spectrum(wave_numbers(bc, K, dim))
    for _ in range(dim):
        expected = np.tensordot(expected, basis**2, axes=(0, 0))
    np.testing.assert_allclose(field.variance(n, grid), expected, rtol=1e-12)


@pytest.mark.parametrize("bc", ["neumann", "periodic"])
@pytest.mark.parametrize("grid", ["cell", "vertex"])
def test_samples_have_the_stated_pointwise_variance(bc, grid):
    field, n, samples = GaussianRandomField(2, 2.0, 3.0, bc), 9, 4000
    g = np.stack([field.sample(seed, n, grid) for seed in range(samples)])
    ratio = (g**2).sum(axis=0) / field.variance(n, grid)
    # 81 correlated chi-square variables: a two-sided level of 1e-3 for all of them together, by Bonferroni.
    low, high = scipy.stats.chi2.ppf([0.5e-3 / 81, 1 - 0.5e-3 / 81], samples)
    assert low < ratio.min()
    assert ratio.max() < high
    assert np.abs(g.mean(axis=0) / np.sqrt(field.variance(n, grid) / samples)).max() < 4.5


@pytest.mark.parametrize("bc", ["neumann", "periodic"])
@pytest.mark.parametrize("coarse,fine", [((12, "cell"), (31, "cell")), ((9, "vertex"), (24, "cell")),
                                         ((10, "cell"), (21, "vertex")), ((8, "vertex"), (15, "vertex"))])  # fmt: skip
@pytest.mark.parametrize("dim", [1, 2])
def test_a_coarse_sample_is_the_truncated_series_of_the_fine_one(bc, coarse, fine, dim):
    field = GaussianRandomField(dim, 2.0, 3.0, bc)
    # The modes of the fine sample, read off it on a cell grid that carries as many of them.
    K = field.carried(*fine)
    middle = K + 1 if bc == "neumann" else 2 * K + 1
    c = coefficients(field.sample(7, middle), bc, K)
    np.testing.assert_allclose(evaluate(c, bc, K, grid_points(*fine)), field.sample(7, *fine), atol=1e-12)
    K_coarse = field.carried(*coarse)
    assert K_coarse < K
    carried = np.abs(wave_numbers(bc, K, dim)).max(axis=-1) <= K_coarse
    truncated = evaluate(np.where(carried, c, 0.0), bc, K, grid_points(*coarse))
    np.testing.assert_allclose(field.sample(7, *coarse), truncated, atol=1e-12)


@pytest.mark.parametrize("bc", ["neumann", "periodic"])
def test_three_dimensional_draws_are_nested(bc):
    field = GaussianRandomField(3, 3.0, 3.0, bc)
    K, K_coarse = field.carried(11), field.carried(6, "vertex")
    c = coefficients(field.sample(3, 11), bc, K)
    carried = np.abs(wave_numbers(bc, K, 3)).max(axis=-1) <= K_coarse
    truncated = evaluate(np.where(carried, c, 0.0), bc, K, grid_points(6, "vertex"))
    np.testing.assert_allclose(field.sample(3, 6, "vertex"), truncated, atol=1e-12)


def test_samples_converge_under_refinement():
    field = GaussianRandomField(2, 4.0, 3.0)
    reference = field.sample(1, 257, "vertex")
    errors = [np.abs(field.sample(1, n, "vertex") - reference[:: 256 // (n - 1), :: 256 // (n - 1)]).max()
              for n in (17, 33, 65)]  # fmt: skip
    assert errors[0] > 4 * errors[1] > 16 * errors[2]
    assert errors[0] < 0.02 * np.abs(reference).max()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_periodic_fields_are_periodic(dim):
    field = GaussianRandomField(dim, 3.0, 5.0, "periodic")
    g = field.sample(0, 13, "vertex")
    for axis in range(dim):
        np.testing.assert_array_equal(g.take(0, axis=axis), g.take(-1, axis=axis))
    np.testing.assert_allclose(field.sample(0, 12, "periodic"), g[(slice(-1),) * dim], rtol=0, atol=1e-14)


def test_neumann_fields_have_vanishing_normal_derivative():
    field = GaussianRandomField(2, 5.0, 3.0)
    slopes = []
    for n in (65, 129, 257):
        g = field.sample(2, n, "vertex") * (n - 1)
        inner = np.abs(np.diff(g, axis=0)).max()
        # Second-order one-sided differences at both ends.
        ends = [np.abs(-1.5 * g[s[0]] + 2 * g[s[1]] - 0.5 * g[s[2]]).max() for s in ((0, 1, 2), (-1, -2, -3))]
        slopes.append(max(ends) / inner)
    assert slopes[0] < 0.02
    assert slopes[0] > 3 * slopes[1] > 9 * slopes[2]


@pytest.mark.parametrize("bc", ["neumann", "periodic"])
def test_samples_have_mean_zero(bc):
    field = GaussianRandomField(2, 2.0, 3.0, bc)
    assert abs(field.sample(0, 32).mean()) < 1e-14


def test_the_stream_advances_by_the_same_amount_on_every_grid():
    field, following = GaussianRandomField(2, 2.0, 3.0), []
    for n, grid in ((16, "cell"), (33, "vertex")):
        rng = np.random.default_rng(5)
        field.sample(rng, n, grid)
        following.append(rng.random())
    assert following[0] == following[1]


def test_a_stream_gives_different_fields_in_turn_and_the_same_ones_again():
    field = GaussianRandomField(2, 2.0, 3.0)
    first, again = np.random.default_rng(3), np.random.default_rng(3)
    a, b = field.sample(first, 16), field.sample(first, 16)
    assert not np.allclose(a, b)
    np.testing.assert_array_equal(a, field.sample(again, 16))
    np.testing.assert_array_equal(b, field.sample(again, 16))
    np.testing.assert_array_equal(a, field.sample(3, 16))
    assert a.dtype == np.float64


def test_samples_own_their_memory():
    # The cached tables must not be reachable through a sample.
    for bc in ("neumann", "periodic"):
        field = GaussianRandomField(2, 2.0, 3.0, bc)
        first = field.sample(0, 8)
        kept = first.copy()
        first[...] = np.nan
        np.testing.assert_array_equal(field.sample(0, 8), kept)


@pytest.mark.parametrize("bc", ["neumann", "periodic"])
@pytest.mark.parametrize("dim,alpha,tau,K", [(1, 2.0, 3.0, 4000), (2, 3.0, 7.0, 600), (3, 5.0, 3.0, 60)])
def test_mean_variance_is_the_sum_over_all_modes(bc, dim, alpha, tau, K):
    field = GaussianRandomField(dim, alpha, tau, bc)
    k = np.arange(K + 1.0) if bc == "neumann" else np.arange(-K, K + 1.0)
    squares = functools.reduce(np.add.outer, [k**2] * dim)
    c = np.pi if bc == "neumann" else 2 * np.pi
    lambda_k = field.sigma**2 * (c**2 * squares + tau**2) ** -alpha
    assert field.mean_variance() == pytest.approx(lambda_k.sum() - lambda_k[squares == 0].sum(), rel=1e-9)


def test_mean_variance_is_exact_where_the_series_has_a_closed_form():
    # Σ 1/(π²k² + τ²) over k ≥ 1 is (τ coth τ − 1)/(2τ²).
    tau = 3.0
    field = GaussianRandomField(1, 1.0, tau, amplitude=1.0)
    assert field.mean_variance() == pytest.approx((tau / np.tanh(tau) - 1) / (2 * tau**2), rel=1e-13)


@pytest.mark.parametrize("bc", ["neumann", "periodic"])
def test_normalised_fields_have_unit_mean_variance(bc):
    field = GaussianRandomField(2, 2.0, 3.0, bc, amplitude=17.0).normalised()
    assert field.mean_variance() == pytest.approx(1.0, rel=1e-12)
    grid_means = [field.variance(n).mean() for n in (16, 64, 256)]
    assert grid_means == sorted(grid_means)
    assert 1 - 1e-4 < grid_means[-1] < 1


def test_spectrum_and_amplitude_follow_the_formula():
    field = GaussianRandomField(2, 2.5, 7.0, "periodic")
    assert field.sigma == pytest.approx(7.0**1.5)
    expected = 7.0**3 * (4 * np.pi**2 * 5 + 49) ** -2.5
    assert field.spectrum([[1, -2], [0, 0]]) == pytest.approx([expected, 0.0])


def test_a_cosine_transform_recovers_the_draws():
    # The vertex grid uses another transform: its modes must have the same coefficients.
    field = GaussianRandomField(1, 1.0, 2.0)
    g = field.sample(0, 9, "vertex")
    c = scipy.fft.dct(g, type=1) / 16 * np.sqrt(2)
    c[-1] /= 2
    np.testing.assert_allclose(c, coefficients(field.sample(0, 9), "neumann", 8), atol=1e-14)


@pytest.mark.parametrize(
    "options,message",
    [
        ({"dim": 4}, "dim 1, 2 or 3"),
        ({"alpha": 1.0}, r"alpha must exceed dim/2 = 1"),
        ({"alpha": np.nan}, "alpha"),
        ({"tau": 0.0}, "tau must be a positive"),
        ({"bc": "dirichlet"}, "'neumann' or 'periodic'"),
        ({"amplitude": -1.0}, "amplitude must be"),
    ],
)
def test_bad_laws_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GaussianRandomField(**({"dim": 2, "alpha": 2.0, "tau": 3.0} | options))


def test_bad_grids_are_refused():
    field = GaussianRandomField(2, 2.0, 3.0)
    with pytest.raises(ValueError, match="at least 2 points"):
        field.sample(0, 1)
    with pytest.raises(ValueError, match="'cell', 'vertex' or 'periodic'"):
        field.sample(0, 8, "node")
    with pytest.raises(ValueError, match="belongs to bc='periodic'"):
        field.sample(0, 8, "periodic")
    with pytest.raises(ValueError, match="last axis of length dim = 2"):
        field.spectrum([1, 2, 3])
