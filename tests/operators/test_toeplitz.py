"""Toeplitz operators, selections of rows and columns, and differentiation matrices of kernels."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from resolvent.operators import (
    SPD,
    Dense,
    KernelDiff,
    Kronecker,
    Masked,
    Props,
    SpectralKernel,
    Toeplitz,
    kernel_matrix,
)

from .conformance import KERNEL, definite, random_array

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(DTYPES), st.booleans(), st.integers(0, 10**6))
def test_toeplitz_equals_scipy_s_matrix(m, n, dtype, circulant, seed):
    c, r = random_array(m, dtype, seed), random_array(n, dtype, seed + 1)
    T = Toeplitz(c, circulant=True) if circulant else Toeplitz(c, r)
    D = scipy.linalg.circulant(c) if circulant else scipy.linalg.toeplitz(c, r)
    X, Y = random_array((D.shape[1], 3), complex, seed), random_array((D.shape[0], 3), complex, seed)
    tolerance = 1e-4 if np.dtype(dtype).itemsize // (2 if np.dtype(dtype).kind == "c" else 1) == 4 else 1e-12
    assert np.abs(T @ X - D @ X).max() <= 10 * tolerance
    assert np.abs(T.rmatmat(Y) - D.conj().T @ Y).max() <= 10 * tolerance
    assert np.array_equal(T.to_dense(), D) and np.array_equal(T.to_sparse().toarray(), D)
    assert np.array_equal(T.diagonal(), np.diagonal(D))
    assert (T @ X.real.astype(np.float32)).dtype == np.result_type(dtype, np.float32)


def test_what_toeplitz_entries_prove():
    assert Props.SYMMETRIC in Toeplitz([2.0, -1.0]).props and Toeplitz([2.0, -1.0], [2.0, 1.0]).props == Props.NONE
    assert Toeplitz([1.0, 1j]).props == Props.SELF_ADJOINT
    assert Toeplitz([1j, 1.0], [1j, 1.0]).props == Props.SYMMETRIC
    assert Props.POSITIVE_DEFINITE in Toeplitz([3.0, 1.0, 1.0], circulant=True).props
    neumann = Toeplitz([2.0, -1.0, 0.0, -1.0], circulant=True)
    assert Props.POSITIVE_DEFINITE not in neumann.props, "its smallest eigenvalue is zero"
    assert np.allclose(np.sort(neumann.eigenvalues().real), [0.0, 2.0, 2.0, 4.0])
    T = Toeplitz([2.0, -1.0, 0.0], props=SPD)
    T.update(c=[3.0, -1.0, 0.0])
    assert T.version == 1 and np.allclose(T @ np.ones(3), [2.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="not symmetric"):
        T.update(c=[3.0, -1.0, 0.0], r=[3.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("build", "error", "fragment"),
    [
        (lambda: Toeplitz([]), ValueError, "at least one number"),
        (lambda: Toeplitz(np.eye(2)), ValueError, "must be a vector"),
        (lambda: Toeplitz(["a"]), TypeError, "needs numbers"),
        (lambda: Toeplitz([1.0, 2.0], [1.0], circulant=True), ValueError, "leave r out"),
        (lambda: Toeplitz([1.0, 2.0]).eigenvalues(), ValueError, "only the eigenvalues of a circulant"),
        (lambda: Toeplitz([1.0, 2.0]).update(c=[1.0]), ValueError, "same lengths"),
        (lambda: Toeplitz([1.0, 2.0]).update(r=[1.0]), ValueError, "update takes c=array"),
        (lambda: Masked(np.eye(3), [True, False]), ValueError, r"shape \(3,\)"),
        (lambda: Masked(np.eye(3), [0, 3]), ValueError, "0 … 2, got 0 … 3"),
        (lambda: Masked(np.eye(3), [0, 0]), ValueError, "distinct"),
        (lambda: Masked(np.eye(3), [0.5]), TypeError, "boolean mask"),
        (lambda: Masked(np.eye(3), [False] * 3), ValueError, "nothing is kept"),
        (lambda: Masked(np.ones((2, 3)), [0]), ValueError, "give columns"),
        (lambda: Masked(np.eye(3), [0], "other"), ValueError, "'same'"),
        (lambda: KernelDiff(KERNEL, [0.0, 0.0, 1.0], 1), ValueError, "distinct"),
        (lambda: KernelDiff(KERNEL, [0.0, np.nan], 1), ValueError, "finite coordinates"),
        (lambda: KernelDiff(KERNEL, [0.0, 1.0], 1, eps=-1.0), ValueError, "eps must be"),
        (lambda: KernelDiff(KERNEL, [0.0, 1.0], 5), ValueError, "order 0 … 4"),
        (lambda: SpectralKernel([1.0], [0.0, 1.0], [0.0]), ValueError, "one length"),
        (lambda: SpectralKernel([1.0], [np.inf], [0.0]), ValueError, "log_scales must be finite"),
        (lambda: SpectralKernel([1.0], [0.0], [0.0], "box"), ValueError, "window must be"),
        (lambda: KERNEL.derivative([-1.0]), ValueError, "distances must be ≥ 0"),
    ],
)
def test_bad_input_is_refused_in_words(build, error, fragment):
    with pytest.raises(error, match=fragment):
        build()


def test_masked_is_the_submatrix():
    A = Kronecker(definite(3), definite(4))
    D = A.to_dense()
    mask = np.random.default_rng(0).random((3, 4)) > 0.5
    kept = np.flatnonzero(mask)
    M = Masked(A, mask)
    assert SPD in M.props and np.allclose(M.to_dense(), D[np.ix_(kept, kept)])
    assert np.isclose(M.trace(), np.trace(D[np.ix_(kept, kept)]))
    observe = Masked(A, mask, columns=None)
    assert observe.shape == (len(kept), 12) and np.allclose(observe.to_dense(), D[kept])
    assert type(observe.H) is Masked and np.allclose(observe.H.to_dense(), D[kept].T)
    order = Masked(A, [7, 2, 5], [1, 0])
    assert np.allclose(order @ np.array([1.0, 2.0]), D[np.ix_([7, 2, 5], [1, 0])] @ [1.0, 2.0])
    before = M.version
    M.update(factors=(np.eye(3), None))
    assert M.version > before and np.allclose(M.to_dense(), A.to_dense()[np.ix_(kept, kept)])


def test_masked_on_torch():
    torch = pytest.importorskip("torch")
    M = Masked(Kronecker(definite(3), definite(4)), [0, 5, 7])
    T = M.to_torch()
    assert type(T) is Masked and np.allclose((T @ torch.ones(3, dtype=torch.float64)).numpy(), M @ np.ones(3))


@pytest.mark.parametrize("window", ["gaussian", "matern52"])
def test_kernel_derivatives_against_high_precision(window):
    mpmath = pytest.importorskip("mpmath")
    kernel = SpectralKernel([0.7, 1.3], [0.4, -1.0], [0.5, 1.7], window=window)
    mpmath.mp.dps = 60

    def exact(d):
        total = mpmath.mpf(0)
        for w, s, mu in zip(kernel.weights, kernel.log_scales, kernel.frequencies, strict=True):
            if window == "gaussian":
                G = mpmath.exp(-mpmath.exp(s) * d * d)
            else:
                a = mpmath.sqrt(5) * mpmath.exp(s)
                G = (1 + a * d + (a * d) ** 2 / 3) * mpmath.exp(-a * d)
            total += w * G * mpmath.cos(2 * mpmath.pi * mu * d)
        return total

    for d in (0.05, 0.31, 1.9):
        for order in range(5):
            expected = float(mpmath.diff(exact, mpmath.mpf(d), order))
            assert abs(kernel.derivative(np.array([d]), order)[0] - expected) <= 1e-8 * max(abs(expected), 1.0)


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
    D = KernelDiff(SpectralKernel([1.0], [1.0], [0.0], window="gaussian"), x, 2, eps=1e-6)
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
        KernelDiff(SpectralKernel([1.0], [-2.0], [0.0], window="gaussian"), x, 2, eps=0.0)
    D = KernelDiff(SpectralKernel([1.0], [-2.0], [0.0], window="gaussian"), x, 2, eps=1e-8)
    before = D.to_dense().copy()
    with pytest.raises(ValueError, match="take eps"):
        D.update(eps=0.0)
    assert D.eps == 1e-8 and np.array_equal(D.to_dense(), before) and D.version == 0
    with pytest.raises(ValueError, match="update takes eps"):
        D.update(r=1)
