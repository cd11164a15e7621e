import itertools

import mpmath
import numpy as np
import pytest

from resolvent.operators import SpectralMixture
from resolvent.operators.spectral_mixture import matern, mixture, squared_exponential

SHAPES = ("student-t", "gaussian")


def kernel(shape):
    return SpectralMixture(np.log([0.4, 0.7, 0.1]), np.array([0.3, -0.8, 1.1]), np.array([0.0, 1.7, 0.4]), shape)


def exact(k, log_w, log_ls, mu):
    """The kernel in high precision, written from its definition."""

    def value(d):
        total = mpmath.mpf(0)
        for w, ls, m in zip(log_w, log_ls, mu, strict=True):
            scale, d_abs = mpmath.exp(ls), abs(d)
            if k.shape == "gaussian":
                G = mpmath.exp(-scale * d_abs**2)
            else:
                t = mpmath.sqrt(5) * scale * d_abs
                G = (1 + t + t**2 / 3) * mpmath.exp(-t)
            total += mpmath.exp(w) * G * mpmath.cos(2 * mpmath.pi * m * d)
        return total

    return value


@pytest.mark.parametrize("shape, order, lag", list(itertools.product(SHAPES, range(5), (0.37, -0.9, 2.3))))
def test_derivatives_agree_with_high_precision_differences(shape, order, lag):
    k = kernel(shape)
    with mpmath.workdps(60):
        parameters = [[mpmath.mpf(float(v)) for v in values] for values in (k.log_w, k.log_ls, k.mu)]
        f = exact(k, *parameters)
        reference = float(mpmath.diff(f, mpmath.mpf(lag), order, h=mpmath.mpf("1e-10")))
    assert k(lag, order) == pytest.approx(reference, rel=1e-8, abs=1e-8 * abs(k(0.0, order)))


@pytest.mark.parametrize("shape, order", list(itertools.product(SHAPES, range(5))))
def test_derivatives_at_the_origin(shape, order):
    """One-sided and two-sided differences agree there up to order 4: the kernel is that smooth."""
    k = kernel(shape)
    with mpmath.workdps(80):
        parameters = [[mpmath.mpf(float(v)) for v in values] for values in (k.log_w, k.log_ls, k.mu)]
        reference = float(mpmath.diff(exact(k, *parameters), 0, order, h=mpmath.mpf("1e-14")))
    assert k(0.0, order) == pytest.approx(reference, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("shape, order, which", list(itertools.product(SHAPES, range(5), range(3))))
def test_gradients_agree_with_high_precision_differences(shape, order, which):
    k, q = kernel(shape), 1
    for lag in (0.41, -1.2):
        with mpmath.workdps(60):
            parameters = [[mpmath.mpf(float(v)) for v in values] for values in (k.log_w, k.log_ls, k.mu)]
            values = []
            for step in (mpmath.mpf("1e-15"), -mpmath.mpf("1e-15")):
                moved = [list(each) for each in parameters]
                moved[which][q] += step
                values.append(mpmath.diff(exact(k, *moved), mpmath.mpf(lag), order, h=mpmath.mpf("1e-9")))
            reference = float((values[0] - values[1]) / mpmath.mpf("2e-15"))
        gradient = k.gradient(lag, order)[which]
        assert gradient.shape == (3,)
        assert gradient[q] == pytest.approx(reference, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("shape, order", list(itertools.product(SHAPES, range(5))))
def test_uniform_grid_gives_the_same_matrix_from_its_lags(shape, order):
    k, x = kernel(shape), np.linspace(0.3, 1.9, 17)
    calls = []

    class Counted(SpectralMixture):
        def __call__(self, lag, order=0):
            calls.append(np.size(lag))
            return SpectralMixture.__call__(self, lag, order)

    counted = Counted(k.log_w, k.log_ls, k.mu, shape)
    scale = np.abs(k(0.0, order + order % 2)) + 1.0
    assert np.abs(counted.matrix(x, order=order) - k.matrix(x, x, order)).max() <= 1e-12 * scale
    assert calls == [17]
    bent = x**2
    assert np.array_equal(k.matrix(bent, order=order), k.matrix(bent, bent, order))


@pytest.mark.parametrize("shape", SHAPES)
def test_covariance_of_values_and_second_derivatives_is_positive(shape):
    k, x = kernel(shape), np.linspace(0.0, 3.0, 12)
    joint = np.block([[k.matrix(x), k.matrix(x, order=2)], [k.matrix(x, order=2), k.matrix(x, order=4)]])
    assert np.abs(joint - joint.T).max() < 1e-12 * np.abs(joint).max()
    assert np.linalg.eigvalsh(joint).min() > -1e-12 * np.abs(joint).max()


def test_kernels_without_a_frequency():
    d = np.array([0.0, 0.3, 1.0])
    assert squared_exponential(0.5, 2.0)(d) == pytest.approx(2.0 * np.exp(-(d**2) / 0.5))
    t = np.sqrt(5.0) * d / 0.7
    assert matern(0.7)(d) == pytest.approx((1 + t + t**2 / 3) * np.exp(-t))
    assert mixture([0.0, 3.0, 5.0]).variance == pytest.approx(1.0)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: SpectralMixture(np.zeros(1), np.zeros(1), np.array([np.nan])), "mu must be finite"),
        (lambda: SpectralMixture(np.zeros(1), np.zeros(1), np.zeros(1), "cubic"), "shape must be"),
        (lambda: SpectralMixture(np.zeros((2, 2)), np.zeros(1), np.zeros(1)), "one number a component"),
        (lambda: SpectralMixture(np.zeros(2), np.zeros(3), np.zeros(2)), "shapes .2,., .3,., .2,."),
        (lambda: SpectralMixture([0.0], [np.inf], [0.0]), "log_ls must be finite"),
        (lambda: mixture([1.0]).gradient(0.3, 5), "order 0 to 4"),
        (lambda: mixture([1.0]).derivative([-1.0]), "distances must be ≥ 0"),
        (lambda: squared_exponential(0.0), "length must be a positive number"),
        (lambda: matern(1.0, -2.0), "variance must be a positive number"),
        (lambda: mixture([1.0])(0.0, 5), "order 0 to 4"),
    ],
)
def test_bad_parameters_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
