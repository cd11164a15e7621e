"""Inverting a small coarse matrix, of which some directions may be linearly dependent or null."""

from __future__ import annotations

import numpy as np

DEPENDENT = 1e3
"""Directions below this many units of roundoff, for columns scaled to equal energy, count as dependent."""


def pseudo_inverse(E: np.ndarray, eps: float, *, hermitian: bool) -> tuple[np.ndarray, int]:
    """Return the inverse of E on the directions that carry something, and how many there are.

    For a basis with dependent columns, U E⁺ Uᴴ is what the independent ones alone would give.

    Parameters
    ----------
    E : (k, k) array
        UᴴAU.
    eps : float
        Unit roundoff of the precision in which A is stored.
    hermitian : bool
        Whether E = Eᴴ; the inverse is so too then, exactly, and only eigenvalues count.

    Raises
    ------
    ValueError
        If E is not finite, or nothing is left.

    Examples
    --------
    >>> pseudo_inverse(np.array([[2.0, 2.0], [2.0, 2.0]]), 1e-16, hermitian=True)
    (array([[0.125, 0.125],
           [0.125, 0.125]]), 1)
    """
    if not np.isfinite(E).all():
        raise ValueError("the coarse matrix UᴴAU is not finite: check U and A")
    size = np.sqrt(abs(np.diagonal(E)).astype(np.float64))
    if not hermitian:  # a diagonal entry may vanish where the row does not
        size = np.maximum(size, np.sqrt(abs(E).max(axis=0, initial=0.0)))
    scale = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    scaled = scale[:, None] * E * scale
    limit = DEPENDENT * eps * max(len(E), 1)
    if hermitian:
        values, vectors = np.linalg.eigh(0.5 * (scaled + scaled.conj().T))
        keep = abs(values) > limit * abs(values).max(initial=0.0)
        inverse = (vectors[:, keep] / values[keep]) @ vectors[:, keep].conj().T
    else:
        left, values, right = np.linalg.svd(scaled)
        keep = values > limit * values.max(initial=0.0)
        inverse = (right[keep].conj().T / values[keep]) @ left[:, keep].conj().T
    if not keep.any():
        raise ValueError("the coarse matrix UᴴAU vanishes: U must not lie in the null space of A")
    inverse = scale[:, None] * inverse * scale
    return (0.5 * (inverse + inverse.conj().T) if hermitian else inverse), int(keep.sum())
