"""Extreme eigenvalues of a matrix scaled by its diagonal, from products."""

from __future__ import annotations

import numpy as np

from ...operators import LinearOperator, Props
from ..vectors import Vectors, vectors_for
from .entries import host_diagonal

SEED = 20_240_229
"""Of the starting vector: the same in every run, and not what a right-hand side is likely to be."""


def largest_eigenvalue(A: LinearOperator, steps: int) -> tuple[float, float, int]:
    """Estimate the largest |λ| of D⁻¹A by Arnoldi steps from a fixed random vector.

    Works on D^(−1/2) A D^(−1/2) where D > 0, which is self-adjoint when A is and has the same eigenvalues; the
    estimate is then a lower bound, and adding `excess` makes it an upper bound of some eigenvalue, in practice of the
    largest. Storage: `steps` vectors, 3 where A is self-adjoint.

    Returns
    -------
    largest : float
        The largest modulus of a Ritz value.
    excess : float
        Norm of the residual of its Ritz vector.
    products : int
        Products with A, fewer than `steps` if an invariant space was found.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.operators import Sparse
    >>> A = Sparse(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(100, 100)))
    >>> largest, excess, products = largest_eigenvalue(A, 10)
    >>> 1.9 < largest < 2.0 < 1.1 * largest, products
    (True, 10)
    """
    n = A.shape[0]
    d = host_diagonal(A, "Chebyshev")
    dtype = np.result_type(A.dtype, np.float64)
    v = vectors_for(d, A._communicator())
    total, one = v.total(n), np.ones(1)
    positive = v.total(int(d.imag.any() or not (d.real > 0).all())) == 0
    if positive:
        left = right = 1.0 / np.sqrt(d.real.astype(np.float64))[:, None]
    else:
        left, right = 1.0 / d.astype(dtype)[:, None], np.ones((n, 1))
    # Of a self-adjoint operator the last two vectors are enough: in so few steps rounding loses nothing.
    short = positive and Props.SELF_ADJOINT in A.props
    w = _start(n, v).astype(dtype)[:, None]
    length = v.norm(w)
    V: list[np.ndarray] = []
    H = np.zeros((steps + 1, steps), dtype=dtype)
    x, size = np.empty((n, 1), dtype=A.dtype), 0
    for j in range(min(steps, total)):
        v.assign(one / length, w, w)
        V.append(w)
        np.multiply(right, w, out=x, casting="same_kind")
        w = left * A._matmat(x)
        size = j + 1
        if short:
            del V[:-2]
        for i, basis_vector in enumerate(V, start=size - len(V)):
            h = v.dot(basis_vector, w)
            v.axpy(-h, basis_vector, w)
            H[i, j] = h[0]
        length = v.norm(w).real
        H[size, j] = length[0]
        if not np.isfinite(length[0]) or length[0] <= 1e-12 * np.linalg.norm(H[:size, :size]):
            break
    if not np.isfinite(H).all():
        return float("nan"), 0.0, size
    if size == 0:
        return 1.0, 0.0, 0
    values, vectors = np.linalg.eig(H[:size, :size])
    top = int(np.argmax(abs(values)))
    excess = abs(H[size, size - 1]) * abs(vectors[-1, top])
    return float(abs(values[top])), float(excess), size


def extreme_eigenvalues(
    A: LinearOperator, rng: np.random.Generator, *, rtol: float, maxsteps: int | None = None
) -> tuple[float, float, int]:
    """Estimate the smallest and the largest eigenvalue of D⁻¹A for a self-adjoint A with positive diagonal by Lanczos.

    Works on D^(−1/2) A D^(−1/2) without reorthogonalisation, which extreme Ritz values do without. Ends when that of
    the two which is further from 1 is known to `rtol` times its distance from 0 or 2, whichever is the less, by the
    bound |θ − λ| ≤ ‖r‖² / gap. Storage: 4 vectors.

    Returns
    -------
    smallest, largest : float
        Ritz values: from above and from below.
    products : int
        Products with A: O(1/√smallest) of them.

    Raises
    ------
    ValueError
        If A holds NaN or infinity.

    References
    ----------
    Parlett 1998, doi:10.1137/1.9781611971163, chapters 11 and 13.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.operators import Sparse
    >>> A = Sparse(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(40, 40)))
    >>> smallest, largest, products = extreme_eigenvalues(A, np.random.default_rng(0), rtol=1e-4)
    >>> bool(abs(smallest - (1.0 - np.cos(np.pi / 41))) < 1e-6), products <= 40
    (True, True)
    """
    n = A.shape[0]
    scale = 1.0 / np.sqrt(host_diagonal(A, "Lanczos").real.astype(np.float64))[:, None]
    dtype = np.result_type(A.dtype, np.float64)
    w = rng.standard_normal((n, 1)).astype(dtype)
    w /= np.linalg.norm(w)
    v, x = np.zeros_like(w), np.empty_like(w)
    alphas: list[float] = []
    betas: list[float] = []
    check, smallest, largest = 8, 1.0, 1.0
    for step in range(1, (20 * n if maxsteps is None else maxsteps) + 1):
        np.multiply(scale, w, out=x)
        z = scale * A._matmat(x)
        if betas:
            z -= betas[-1] * v
        alphas.append(float(np.vdot(w, z).real))
        z -= alphas[-1] * w
        length = float(np.linalg.norm(z))
        if not np.isfinite(length):
            raise ValueError(f"{A!r} holds NaN or infinity: check how it was assembled")
        invariant = length <= 1e-13 * max(map(abs, alphas))
        if step == check or invariant:
            check += max(4, check // 8)
            smallest, largest, error = _ends(alphas, betas, length)
            low = 1.0 - smallest >= largest - 1.0
            if invariant or error <= rtol * abs(smallest if low else 2.0 - largest):
                break
        betas.append(length)
        v, w = w, z / length
    return smallest, largest, len(alphas)


def _ends(alphas: list[float], betas: list[float], length: float) -> tuple[float, float, float]:
    """Return the extreme eigenvalues of a tridiagonal matrix, and the bound for that which is further from 1."""
    from scipy.linalg import eigh_tridiagonal

    m = len(alphas)
    if m < 4:
        values, vectors = eigh_tridiagonal(alphas, betas)
    else:
        low, high = (eigh_tridiagonal(alphas, betas, select="i", select_range=r) for r in ((0, 1), (m - 2, m - 1)))
        values, vectors = np.concatenate((low[0], high[0])), np.concatenate((low[1], high[1]), axis=1)
    end, inner = (0, 1) if 1.0 - values[0] >= values[-1] - 1.0 else (-1, -2)
    gap = abs(values[inner] - values[end]) if m > 1 else np.inf
    return float(values[0]), float(values[-1]), float((length * abs(vectors[-1, end])) ** 2 / gap)


def _start(n: int, v: Vectors) -> np.ndarray:
    """Return this rank's part of the starting vector, which is the same over however many ranks it is spread."""
    rng = np.random.default_rng(SEED)
    before = v.before(n)
    while before > 0:  # thrown away in pieces: nothing as long as the whole vector is needed
        before -= len(rng.standard_normal(min(before, 65536)))
    return rng.standard_normal(n)
