"""The Sylvester equation with triangular coefficients, by recursive blocking."""

from __future__ import annotations

import numpy as np
from scipy.linalg import get_lapack_funcs

from ...operators import Array

_LEAF = 64
"""Size up to which LAPACK solves at once: its level-2 `trsyl` is then in cache, and the rest is matrix products."""


def triangular_sylvester(T: Array, R: Array, F: Array, *, adjoint: bool = False) -> None:
    """Overwrite F with Y of T Y + Y R = F, or of Tᴴ Y + Y Rᴴ = F.

    Parameters
    ----------
    T : (m, m) array
        Upper triangular, or upper quasi-triangular with 2 × 2 blocks (real Schur form).
    R : (n, n) array
        The same.
    F : (m, n) array
        Of the dtype of T and R.
    adjoint : bool

    Notes
    -----
    m n (m + n) flops, almost all of them in matrix products. The larger coefficient is halved, not inside of a 2 × 2
    block, until LAPACK's `trsyl` takes over, whose result is divided by the scale that it returns. Where eigenvalues
    of T and −R meet, `trsyl` perturbs them, and the result is large.

    References
    ----------
    Bartels & Stewart 1972, doi:10.1145/361573.361582; Jonsson & Kågström 2002, doi:10.1145/592843.592845 (blocking).

    Examples
    --------
    >>> import numpy as np
    >>> T, R, F = np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([[1.0]]), np.array([[4.0], [4.0]])
    >>> triangular_sylvester(T, R, F)
    >>> F
    array([[1.],
           [1.]])
    """
    m, n = F.shape
    if max(m, n) <= _LEAF:
        (trsyl,) = get_lapack_funcs(("trsyl",), (T, R, F))
        turned = "N" if not adjoint else "C" if F.dtype.kind == "c" else "T"
        Y, scale, _ = trsyl(T, R, F, trana=turned, tranb=turned)
        np.divide(Y, scale, out=F)
    elif m >= n:
        s = _middle(T)
        above, first, second = T[:s, s:], F[:s], F[s:]
        if adjoint:
            triangular_sylvester(T[:s, :s], R, first, adjoint=True)
            second -= above.conj().T @ first
            triangular_sylvester(T[s:, s:], R, second, adjoint=True)
        else:
            triangular_sylvester(T[s:, s:], R, second)
            first -= above @ second
            triangular_sylvester(T[:s, :s], R, first)
    else:
        s = _middle(R)
        above, first, second = R[:s, s:], F[:, :s], F[:, s:]
        if adjoint:
            triangular_sylvester(T, R[s:, s:], second, adjoint=True)
            first -= second @ above.conj().T
            triangular_sylvester(T, R[:s, :s], first, adjoint=True)
        else:
            triangular_sylvester(T, R[:s, :s], first)
            second -= first @ above
            triangular_sylvester(T, R[s:, s:], second)


def _middle(T: Array) -> int:
    s = len(T) // 2
    return s + 1 if T[s, s - 1] != 0.0 else s
