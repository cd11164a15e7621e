"""The largest eigenvalue of a matrix scaled by its diagonal, from a few products."""

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


def _start(n: int, v: Vectors) -> np.ndarray:
    """Return this rank's part of the starting vector, which is the same over however many ranks it is spread."""
    rng = np.random.default_rng(SEED)
    before = v.before(n)
    while before > 0:  # thrown away in pieces: nothing as long as the whole vector is needed
        before -= len(rng.standard_normal(min(before, 65536)))
    return rng.standard_normal(n)
