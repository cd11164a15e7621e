"""Monarch operators: structure, projection, the Fourier transform as one."""

import numpy as np
import pytest

from resolvent.operators import Dense, Diagonal, Monarch, nearest_monarch

from .conformance import random_array


def blocks(m, dtype=float):
    return random_array((m, m, m), dtype), random_array((m, m, m), dtype, 1)


def block_diagonal(B):
    m = len(B)
    A = np.zeros((m * m, m * m), B.dtype)
    for i in range(m):
        A[i * m : (i + 1) * m, i * m : (i + 1) * m] = B[i]
    return A


@pytest.mark.parametrize("dtype", [float, complex])
def test_product_is_that_of_two_block_diagonal_matrices_and_transpositions(dtype):
    m = 4
    B1, B2 = blocks(m, dtype)
    P = np.eye(m * m)[np.arange(m * m).reshape(m, m).T.ravel()]
    A = P @ block_diagonal(B1) @ P @ block_diagonal(B2)
    M = Monarch(B1, B2)
    X = random_array((m * m, 3), dtype, 2)
    assert np.abs(M.to_dense() - A).max() <= 1e-12
    assert np.abs(M @ X - A @ X).max() <= 1e-12
    assert np.abs(M.H @ X - A.conj().T @ X).max() <= 1e-12
    assert np.abs(M.diagonal() - np.diag(A)).max() <= 1e-12


@pytest.mark.parametrize("m", [1, 2, 3, 8])
def test_the_fourier_transform_is_exactly_monarch(m):
    n = m * m
    F = np.fft.fft(np.eye(n))
    swapped = F.reshape(n, m, m).transpose(0, 2, 1).reshape(n, n)  # DFT · P
    assert np.abs(Monarch.fourier(m).to_dense() - swapped).max() <= 1e-12 * n
    assert np.abs(nearest_monarch(swapped).to_dense() - swapped).max() <= 1e-12 * n


@pytest.mark.parametrize("dtype", [np.float32, float, complex])
def test_projection_of_a_monarch_operator_is_itself(dtype):
    M = Monarch(*blocks(3, dtype))
    found = nearest_monarch(M)
    assert found.dtype == M.dtype
    assert np.abs(found.to_dense() - M.to_dense()).max() <= (1e-4 if dtype is np.float32 else 1e-12)


def test_projection_is_a_minimum():
    """The error is orthogonal to the operators on the straight lines through the projection, and no random one wins."""
    A = random_array((9, 9), complex, 3)
    M = nearest_monarch(A)
    error = A - M.to_dense()
    for seed in range(3):
        change = random_array((3, 3, 3), complex, seed)
        for nearby in (Monarch(change, M.B2), Monarch(M.B1, change)):
            assert abs(np.vdot(error, nearby.to_dense())) <= 1e-12 * np.linalg.norm(A) * np.linalg.norm(
                nearby.to_dense()
            )
        other = Monarch(M.B1 + 0.1 * change, M.B2 - 0.1 * change)
        assert np.linalg.norm(A - other.to_dense()) > np.linalg.norm(error)
    slices = A.reshape(3, 3, 3, 3).transpose(1, 2, 0, 3)
    tail = np.linalg.svd(slices, compute_uv=False)[..., 1:]
    assert np.linalg.norm(error) == pytest.approx(np.linalg.norm(tail), rel=1e-12)


def test_projection_takes_integers_and_operators():
    assert np.abs(nearest_monarch(np.eye(4, dtype=int)).to_dense() - np.eye(4)).max() <= 1e-15
    assert np.abs(nearest_monarch(Diagonal(np.arange(4.0))).to_dense() - np.diag(np.arange(4.0))).max() <= 1e-15
    assert np.all(nearest_monarch(Dense(np.zeros((4, 4)))).to_dense() == 0.0)


def test_update_changes_the_values():
    B1, B2 = blocks(2)
    M = Monarch(B1, B2)
    version = M.version
    M.update(B1=2.0 * B1)
    assert M.version > version
    assert np.allclose(M.to_dense(), 2.0 * Monarch(B1, B2).to_dense())
    with pytest.raises(ValueError, match="same shape"):
        M.update(B1=np.ones((3, 3, 3)), B2=np.ones((3, 3, 3)))
    with pytest.raises(ValueError, match="takes B1"):
        M.update(B3=B1)


@pytest.mark.parametrize(
    ("B1", "B2", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 2, 2)), "B1 must have shape"),
        (np.ones((2, 2, 3)), np.ones((2, 2, 2)), "B1 must have shape"),
        (np.ones((2, 2, 2)), np.ones((3, 3, 3)), "same shape"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(B1, B2, message):
    with pytest.raises(ValueError, match=message):
        Monarch(B1, B2)


@pytest.mark.parametrize("A", [np.ones((4, 5)), np.ones((5, 5)), np.ones(4)])
def test_projection_needs_a_square_size(A):
    with pytest.raises(ValueError, match="n = m²"):
        nearest_monarch(A)


def test_blocks_of_text_are_refused():
    with pytest.raises(TypeError, match="dtype"):
        Monarch(np.full((1, 1, 1), "a"), np.ones((1, 1, 1)))
