"""The inverse of separable operators for every pair of boundaries, against dense matrices."""

import numpy as np
import pytest

from resolvent.operators import Stencil, check_operator
from resolvent.solvers import FastPoisson
from resolvent.solvers.separable import Axis, Couplings, SeparableInverse, constant_operator

from .axes import ENDS, kron_sum, second_difference, transmissibilities


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("n", [5, 8, 130])
def test_eigenvalues_of_an_axis(name, n):
    axis = Axis(n, *ENDS[name])
    expected = np.sort(np.linalg.eigvals(second_difference(axis)).real)
    np.testing.assert_allclose(np.sort(axis.eigenvalues()), expected, atol=1e-10)
    if axis.closure == "walls":
        V = axis.eigenvectors()
        np.testing.assert_allclose(V @ np.diag(axis.eigenvalues()) @ V.T, second_difference(axis), atol=1e-12)
        np.testing.assert_allclose(V.T @ V, np.eye(n), atol=1e-12)


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", ENDS)
def test_the_inverse_for_every_pair_of_boundaries(first, second, rng):
    axes = Axis(6, *ENDS[first]), Axis(9, *ENDS[second])
    for shift in (0.0, 0.7, 0.4 + 0.3j, -1.37):
        A = kron_sum(axes, (1.3, 0.8), shift)
        M = SeparableInverse(axes, (1.3, 0.8), shift, dtype=A.dtype)
        X = rng.standard_normal((54, 3))
        if M.singular:
            X = A @ X  # consistent
        for Y in (X, X.astype(complex) * (1.0 - 2.0j), X[:, 0]):
            x = M @ Y
            np.testing.assert_allclose(A @ x, Y, atol=2e-12 * abs(Y).max() * np.linalg.norm(x) / np.linalg.norm(Y))
        if M.singular and "reflecting" not in (first, second) and shift == 0.0:
            np.testing.assert_allclose(M.to_dense(), np.linalg.pinv(A, rtol=1e-13), atol=1e-12)
        np.testing.assert_allclose(M.H.to_dense(), M.to_dense().conj().T, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_the_inverse_is_a_sound_operator(dtype):
    for names in (("cell", "vertex"), ("insulated", "periodic"), ("reflecting", "cell"), ("periodic", "periodic")):
        axes = tuple(Axis(n, *ENDS[name]) for n, name in zip((7, 6), names, strict=True))
        check_operator(SeparableInverse(axes, (1.0, 2.0), dtype=dtype)).check()
        check_operator(SeparableInverse(axes, (1.0, 2.0), 0.5, dtype=dtype)).check()
        if np.dtype(dtype).kind == "c":
            check_operator(SeparableInverse(axes, (1.0, 2.0), 0.5 - 0.2j, dtype=dtype)).check()


@pytest.mark.parametrize("grid", [(40,), (130, 33), (33, 130), (6, 7, 40), (300, 5)])
@pytest.mark.parametrize("columns", [1, 2, 20])
def test_transforms_and_eigenvectors_and_elimination_agree(grid, columns, rng):
    """Long axes take fast transforms, short ones BLAS, the first elimination: three ways, one matrix."""
    axes = tuple(Axis(n, 2.0, 2.0) for n in grid)
    scales = (1.0, 0.5, 2.0)[: len(grid)]
    M = SeparableInverse(axes, scales)
    A = Stencil.from_transmissibilities(transmissibilities(grid, scales, 2.0))
    X = rng.standard_normal((M.shape[0], columns))
    Y = M.matmat(X)
    np.testing.assert_allclose(A.matmat(Y), X, atol=1e-10 * abs(X).max())
    shifted = SeparableInverse(axes, scales, 1e-13j, dtype=complex)  # transforms along all axes
    assert "elimination" in repr(M) and "elimination" not in repr(shifted)
    np.testing.assert_allclose(shifted.matmat(X), Y, atol=1e-11 * abs(Y).max())


def test_accuracy_is_that_of_double_precision(rng):
    for n in (64, 127, 256):
        A = Stencil.from_transmissibilities(transmissibilities((n, n), (n**2, n**2), 2.0))
        x = rng.standard_normal(n * n)
        b = A @ x
        found = constant_operator(Couplings.of(A)).inverse() @ b
        assert np.linalg.norm(found - x) <= 2e-13 * n * np.linalg.norm(x)
        smooth = np.sin(np.pi * (np.arange(n) + 0.5) / n)
        u = np.multiply.outer(smooth, smooth).ravel()
        found = constant_operator(Couplings.of(A)).inverse() @ (A @ u)
        assert np.linalg.norm(found - u) <= 1e-12 * np.linalg.norm(u)
        assert FastPoisson(rtol=1e-12).solve(A, b).iterations <= 2
