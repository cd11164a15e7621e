"""TEMPORARY: replaced by KroneckerSolver."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg


def sum_solver(factors: Sequence[np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    A, B = factors
    T, Q = scipy.linalg.schur(A, output="complex")
    R, W = scipy.linalg.schur(B.T, output="complex")

    def solve(F: np.ndarray) -> np.ndarray:
        (trsyl,) = scipy.linalg.get_lapack_funcs(("trsyl",), (T, R))
        Y, scale, info = trsyl(T, R, Q.conj().T @ F @ W)
        return np.asarray((Q @ Y @ W.conj().T).real / scale)

    return solve
