"""Choosing what to keep of a Krylov cycle: harmonic Ritz vectors of smallest modulus."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from ..krylov.small_matrices import pivoted_qr, triangular_inverse

DEPENDENT = 1e-12
"""Relative size below which a selected vector counts as dependent on the others."""


def select(
    G: np.ndarray, S: np.ndarray, k: int, room: int, dependent: float = DEPENDENT
) -> tuple[np.ndarray, np.ndarray]:
    """Return which combinations of the vectors of a cycle to keep, and their images.

    With A Y = Ŵ G, Ŵᴴ Ŵ = I and S = Ŵᴴ Y, the harmonic Ritz pairs of A in the span of Y solve Gᴴ G g = θ Gᴴ S g. The QR
    factorisation G = Q R turns that into R g = θ Qᴴ S g, which does not square the condition of G.

    Parameters
    ----------
    G : (j + 1, j) array
        Images in the basis Ŵ.
    S : (j + 1, j) array
        Components of Y in the basis Ŵ.
    k, room : int
        How many to keep, and how many at most if the last is one of a complex pair. Of a real problem a pair enters as
        its real and imaginary parts, both or neither.
    dependent : float
        Relative size below which an image counts as rounding, or as dependent on others. A singular A or M has harmonic
        Ritz values of zero: their images are rounding alone, which C would make vectors of length one.

    Returns
    -------
    P : (j, i) array
        The vectors kept are Y P.
    Q : (j + 1, i) array
        Their images are Ŵ Q, with orthonormal columns; i ≤ room, and less than k where G has less rank.
    """
    Q, R = np.linalg.qr(G)
    if not (np.isfinite(R).all() and np.isfinite(S).all()):
        return np.zeros((G.shape[1], 0), dtype=G.dtype), np.zeros((G.shape[0], 0), dtype=G.dtype)
    # ggev itself: scipy.linalg.eig divides by β, and drivers that balance first were seen to spoil small eigenvalues.
    (ggev,) = lapack.get_lapack_funcs(("ggev",), (R, S))
    if G.dtype.kind == "c":
        alpha, beta, _, vectors, *_ = ggev(R, Q.conj().T @ S, compute_vl=0)
    else:
        real, imaginary, beta, _, vectors, *_ = ggev(R, Q.T @ S, compute_vl=0)
        alpha = real + 1j * imaginary
    with np.errstate(all="ignore"):
        size = np.abs(alpha) / np.abs(beta)
    size[~np.isfinite(size)] = np.inf
    chosen: list[int] = []
    for i in np.argsort(size, kind="stable"):
        if size[i] == np.inf or len(chosen) >= k:
            break
        if i in chosen:
            continue
        # LAPACK returns a conjugate pair as two real columns side by side, positive imaginary part first.
        pair = [int(i)]
        if G.dtype.kind != "c" and alpha[i].imag != 0.0:
            pair = [int(i), int(i) + 1] if alpha[i].imag > 0.0 else [int(i) - 1, int(i)]
        if len(chosen) + len(pair) > room:
            continue
        chosen += pair
    P = vectors[:, chosen]
    images = G @ P
    scale = np.linalg.norm(images, axis=0)
    sound = np.isfinite(scale) & (scale > dependent * np.linalg.norm(R) * np.linalg.norm(P, axis=0))
    P, images = P[:, sound] / scale[sound], images[:, sound] / scale[sound]
    if not P.shape[1]:
        return P, images
    Q, R, order = pivoted_qr(images)
    diagonal = np.abs(np.diagonal(R))
    rank = int((diagonal > dependent * diagonal[0]).sum())
    return P[:, order[:rank]] @ triangular_inverse(R[:rank, :rank]), Q[:, :rank]
