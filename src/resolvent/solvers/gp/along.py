"""Products of matrices along one axis of an array."""

from __future__ import annotations

import numpy as np


def along(M: np.ndarray, U: np.ndarray, axis: int) -> np.ndarray:
    """Return M applied along an axis: Σ_k M_ik U_{…k…}, of shape (…, m, …) for M of shape (m, n)."""
    if axis == U.ndim - 1:
        return np.asarray(U @ M.T)
    if axis == 0:
        return np.asarray((M @ U.reshape(U.shape[0], -1)).reshape(M.shape[0], *U.shape[1:]))
    return np.moveaxis(np.tensordot(M, U, axes=(1, axis)), 0, axis)


def unfolded(U: np.ndarray, axis: int) -> np.ndarray:
    """Return U as a matrix whose rows run over one axis."""
    return np.moveaxis(U, axis, 0).reshape(U.shape[axis], -1)


def tensor_product(matrices: list[np.ndarray], U: np.ndarray) -> np.ndarray:
    """Return (M_1 ⊗ … ⊗ M_d) U, U an array with d axes."""
    for axis, M in enumerate(matrices):
        U = along(M, U, axis)
    return U
