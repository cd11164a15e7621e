"""Mixtures of Ritz vectors from Lanczos' method with full re-orthogonalisation."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from ...operators import LinearOperator
from ...operators.neural.model import check_whole

EMPHASIS = 9.0
"""Factor of the coefficients of the lowest Ritz vectors, as published for DCDM and NPSD."""


def lanczos(A: LinearOperator, start: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an orthonormal Krylov basis and the tridiagonal A has in it.

    Each vector is orthogonalised twice against all before it: Ritz vectors of an unpurified basis repeat themselves.
    Storage: `steps` vectors; work 4 n steps².

    Parameters
    ----------
    A : operator
        Self-adjoint.
    start : (n,) array
    steps : int
        Fewer are taken where the Krylov space is exhausted.

    Returns
    -------
    V : (steps, n) array
    alpha, beta : (steps,) and (steps − 1,) arrays
        Diagonal and off-diagonal.
    """
    check_whole("steps", steps)
    v = np.asarray(start, dtype=float)
    size = np.linalg.norm(v)
    if not (np.isfinite(size) and size > 0.0):
        raise ValueError("Lanczos' method needs a finite start that is not zero")
    steps = min(steps, len(v))
    V = np.empty((steps, len(v)))
    V[0] = v / size
    alpha: list[float] = []
    beta: list[float] = []
    for k in range(1, steps + 1):
        w = A @ V[k - 1]
        alpha.append(float(w @ V[k - 1]))
        if k == steps:
            break
        for _ in range(2):
            w = w - (V[:k] @ w) @ V[:k]
        norm = float(np.linalg.norm(w))
        if norm <= 1e-12 * abs(alpha[0]):
            break
        beta.append(norm)
        V[k] = w / norm
    return V[: len(alpha)], np.array(alpha), np.array(beta)


def ritz_mixtures(
    A: LinearOperator,
    start: np.ndarray,
    *,
    count: int,
    steps: int,
    rng: np.random.Generator,
    lowest: float = 0.6,
    emphasis: float = EMPHASIS,
    null: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray]:
    """Return residuals b = A e and errors e, (count, n) each, with b ≈ Σ c_j q_j over Ritz vectors q_j.

    c_j is normal, `emphasis` times as large for the `lowest` part of the Ritz values: NPSD has 0.6 of 1,600, DCDM the
    lowest half and 500 more of 10,000, from A times a normal vector. e = Σ c_j q_j/θ_j, and b is its exact image, so
    that the pair belongs together; the difference to the mixture is that of Ritz pairs to eigenpairs.

    Parameters
    ----------
    A : operator
        Self-adjoint and positive (semi-)definite.
    start : (n,) array
        Of the Krylov space.
    count, steps : int
        Mixtures, and steps of Lanczos.
    rng : Generator
    lowest, emphasis : float
    null : float
        Ritz values below this multiple of the largest are left out: the null space of closed Neumann domains.
    """
    V, alpha, beta = lanczos(A, start, steps)
    theta, Z = scipy.linalg.eigh_tridiagonal(alpha, beta)
    kept = theta > null * theta[-1]
    theta, Z = theta[kept], Z[:, kept]
    c = rng.standard_normal((count, len(theta)))
    c[:, : round(lowest * len(theta))] *= emphasis
    e = ((c / theta) @ Z.T) @ V
    return (A @ e.T).T, e
