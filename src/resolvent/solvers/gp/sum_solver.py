"""Kronecker sums of the axes of a grid, factorised once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...operators import KroneckerSum
from ..kronecker import KroneckerSolver
from ..status import Status

FAILED = (Status.BREAKDOWN, Status.NONFINITE)
"""How a solve ends whose matrix is singular or not finite; others have left what rounding leaves."""


def sum_solver(factors: Sequence[np.ndarray], rtol: float = 1e-9) -> Callable[[np.ndarray], np.ndarray]:
    """Return F ↦ X with (A_1 ⊕ … ⊕ A_d) X = F for arrays with d axes.

    Raises, when called, numpy.linalg.LinAlgError where the sum is singular.
    """
    prepared = KroneckerSolver(rtol=rtol).prepare(KroneckerSum(*factors))

    def solve(F: np.ndarray) -> np.ndarray:
        result = prepared.solve(np.ascontiguousarray(F).ravel())
        x = np.asarray(result.x)
        if result.status in FAILED or not np.isfinite(x).all():
            raise np.linalg.LinAlgError(f"the Kronecker sum cannot be solved with: {result.status.message}")
        return x.reshape(F.shape)

    return solve
