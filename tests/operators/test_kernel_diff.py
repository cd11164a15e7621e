"""Kernels with their derivatives, and the differentiation matrices made of them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from resolvent.operators import Dense, KernelDiff, SpectralMixture, Toeplitz, kernel_matrix

from .conformance import KERNEL


def test_kernel_matrices_have_the_sign_of_the_difference():
    x = np.linspace(0.0, 2.0, 12)
    for order in range(5):
        uniform, general = kernel_matrix(KERNEL, x, order=order), kernel_matrix(KERNEL, x, x, order)
        assert type(uniform) is Toeplitz and type(general) is Dense
        size = np.abs(general.to_dense()).max()
        assert np.abs(uniform.to_dense() - general.to_dense()).max() <= 1e-11 * size
        backward = kernel_matrix(KERNEL, x[::-1], order=order).to_dense()
        assert np.abs(backward - general.to_dense()[::-1, ::-1]).max() <= 1e-11 * size
    step = 1e-4
    slope = (kernel_matrix(KERNEL, x + step, x).to_dense() - kernel_matrix(KERNEL, x - step, x).to_dense()) / (2 * step)
    first = kernel_matrix(KERNEL, x, x, 1).to_dense()
    assert np.abs(slope - first).max() <= 1e-4 * np.abs(first).max()


def test_equally_spaced_points_take_n_values_of_the_kernel():
    class Counting:
        count = 0

        def derivative(self, d, order=0):
            self.count += np.size(d)
            return KERNEL.derivative(d, order)

    kernel = Counting()
    KernelDiff(kernel, np.linspace(0.0, 1.0, 30), 2, eps=1e-6)
    assert kernel.count == 2 * 30


def test_kernel_differentiation_converges_and_shares_one_decomposition():
    x = np.sort(np.random.default_rng(0).uniform(0.0, 1.0, 40))
    u, second = np.sin(5.0 * x), -25.0 * np.sin(5.0 * x)
    D = KernelDiff(SpectralMixture([0.0], [1.0], [0.0], "gaussian"), x, 2, eps=1e-6)
    errors = [np.abs(D @ u - second).max()]
    for eps in (1e-8, 1e-10, 1e-12):
        D.update(eps=eps)
        errors.append(np.abs(D @ u - second).max())
        K = kernel_matrix(D.kernel, x).to_dense() + eps * np.eye(40)
        direct = scipy.linalg.solve(K, kernel_matrix(D.kernel, x, x, 2).to_dense().T, assume_a="pos").T
        assert np.abs(D @ u - direct @ u).max() <= 1e-3 * max(errors[-1], 1e-6) + 1e-5
    assert errors[0] > errors[1] > errors[2] and D.version == 3
    at = KernelDiff(D.kernel, x, 1, eps=1e-10, at=np.array([0.5]))
    assert abs((at @ u)[0] - 5.0 * np.cos(2.5)) < 1e-3


def test_an_indefinite_covariance_names_the_jitter():
    x = np.linspace(0.0, 1.0, 60)
    with pytest.raises(ValueError, match=r"not positive definite.*take eps ≥"):
        KernelDiff(SpectralMixture([0.0], [-2.0], [0.0], "gaussian"), x, 2, eps=0.0)
    D = KernelDiff(SpectralMixture([0.0], [-2.0], [0.0], "gaussian"), x, 2, eps=1e-8)
    before = D.to_dense().copy()
    with pytest.raises(ValueError, match="take eps"):
        D.update(eps=0.0)
    assert D.eps == 1e-8 and np.array_equal(D.to_dense(), before) and D.version == 0
    with pytest.raises(ValueError, match="update takes eps"):
        D.update(r=1)


@pytest.mark.parametrize(
    ("build", "error", "fragment"),
    [
        (lambda: KernelDiff(KERNEL, [0.0, 0.0, 1.0], 1), ValueError, "distinct"),
        (lambda: KernelDiff(KERNEL, [0.0, np.nan], 1), ValueError, "finite coordinates"),
        (lambda: KernelDiff(KERNEL, [0.0, 1.0], 1, eps=-1.0), ValueError, "eps must be"),
        (lambda: KernelDiff(KERNEL, [0.0, 1.0], 5), ValueError, "order 0 to 4"),
        (lambda: KERNEL.derivative([-1.0]), ValueError, "distances must be ≥ 0"),
    ],
)
def test_bad_input_is_refused_in_words(build, error, fragment):
    with pytest.raises(error, match=fragment):
        build()
