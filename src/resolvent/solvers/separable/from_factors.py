"""Kronecker sums whose factors are second differences: what fast transforms diagonalise, read off axis by axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...operators import (
    Dense,
    KroneckerPlusDiagonal,
    KroneckerSum,
    LinearOperator,
    Sparse,
    StructureError,
    Toeplitz,
)
from .couplings import Couplings, NonFiniteError
from .reference import Reference, constant_operator


def reference_of_factors(A: LinearOperator) -> Reference | None:
    """Return Σ_k c_k T_k + shift if A is that: second differences with constant coefficients on every axis.

    Parameters
    ----------
    A : LinearOperator
        A `KroneckerSum`, or one plus a multiple of the identity; anything else is None.

    Notes
    -----
    O(Σ n_k) for sparse and Toeplitz factors, O(Σ n_k²) for dense ones; nothing of the size of a vector.

    Examples
    --------
    >>> from resolvent.operators import KroneckerSum, Toeplitz
    >>> T = Toeplitz([2.0, -1.0, 0.0, 0.0])
    >>> reference = reference_of_factors(KroneckerSum(T, T))
    >>> [(axis.kind, c) for axis, c in zip(reference.axes, reference.scales)]
    [(('dst', 1), 1.0), (('dst', 1), 1.0)]
    """
    shift: Any = 0.0
    if isinstance(A, KroneckerPlusDiagonal):
        shift, A = A.constant, A.structured
    if not isinstance(A, KroneckerSum) or A._holds_torch() or shift is None:
        return None
    axes, scales, known = [], [], {}
    for factor in A.axes:
        if id(factor) not in known:
            found = _axis_of(factor)
            if found is None:
                return None
            known[id(factor)] = found
        part = known[id(factor)]
        axes.append(part.axes[0])
        scales.append(part.scales[0])
        shift = shift + part.shift
    return Reference(tuple(axes), tuple(scales), shift)


def _axis_of(factor: LinearOperator) -> Reference | None:
    n = factor.shape[0]
    if isinstance(factor, Dense | Toeplitz):
        entries = factor.to_dense() if isinstance(factor, Dense) else np.concatenate([factor.c, factor.r[1:]])
        # A periodic axis has two entries more than a tridiagonal one; of a Toeplitz one two vectors tell.
        if np.count_nonzero(entries) > (3 * n if isinstance(factor, Dense) else 5):
            return None
    elif isinstance(factor, Sparse) and factor.nnz > 3 * n:
        return None
    try:
        return constant_operator(Couplings.of(factor, (n,)))
    except (StructureError, NonFiniteError, ValueError):
        return None
