"""Dense formulas that relaxation is compared with."""

import numpy as np
import scipy.sparse as sp


def sweep_matrix(A, omega, blocks=None, *, backward=False):
    """M of one sweep from zero, in the order of the unknowns: x ← x + M (b − A x)."""
    n = A.shape[0]
    starts = np.arange(n + 1) if blocks is None else blocks
    member = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    D = np.where(member[:, None] == member, A, 0.0)
    triangle = np.where(member[:, None] < member if backward else member[:, None] > member, A, 0.0)
    return omega * np.linalg.inv(D + omega * triangle)


def symmetric_matrix(A, omega, blocks=None):
    """M of a forward and a backward sweep from zero."""
    forward, backward = sweep_matrix(A, omega, blocks), sweep_matrix(A, omega, blocks, backward=True)
    return forward + backward - backward @ A @ forward


def random_matrix(n, dtype, rng, density=0.2):
    """A sparse, diagonally dominant matrix without symmetry."""
    A = sp.random_array((n, n), density=density, rng=rng).toarray() - 0.5 * (rng.random((n, n)) < density)
    if np.dtype(dtype).kind == "c":
        A = A + 1j * sp.random_array((n, n), density=density, rng=rng).toarray()
    A = A - np.diag(np.diag(A))
    return (A + np.diag(1.5 * np.abs(A).sum(axis=1) + 1.0)).astype(dtype)
