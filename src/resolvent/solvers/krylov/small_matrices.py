"""LAPACK on the small matrices of a Krylov cycle, without scipy's wrappers, which take longer than the work."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack


def back_substitution(R: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return R⁻¹ applied to a vector or to columns, for an upper triangular R."""
    (trtrs,) = lapack.get_lapack_funcs(("trtrs",), (R, right))
    solution: np.ndarray = trtrs(R, right)[0]
    return solution


def reciprocal_condition(R: np.ndarray) -> float:
    """Return an estimate of 1/(‖R‖₁‖R⁻¹‖₁) for an upper triangular R."""
    (trcon,) = lapack.get_lapack_funcs(("trcon",), (R,))
    return float(trcon(R)[0])


def triangular_inverse(R: np.ndarray) -> np.ndarray:
    """Return R⁻¹ for an upper triangular R."""
    return back_substitution(R, np.eye(len(R), dtype=R.dtype))


def cholesky_factor(gram: np.ndarray) -> np.ndarray:
    """Return R, upper triangular, with gram = RᴴR, for a well-conditioned positive definite matrix."""
    (potrf,) = lapack.get_lapack_funcs(("potrf",), (gram,))
    R: np.ndarray = potrf(gram, clean=True)[0]
    return R


def pivoted_qr(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Q, R and the order of the columns with A[:, order] = Q R, diag |R| descending."""
    columns = A.shape[1]
    geqp3, orgqr = lapack.get_lapack_funcs(("geqp3", "ungqr" if A.dtype.kind == "c" else "orgqr"), (A,))
    packed, order, tau, _, _ = geqp3(A)
    R = np.triu(packed[:columns])
    Q: np.ndarray = orgqr(packed[:, : len(tau)], tau)[0]
    return Q, R, order - 1
