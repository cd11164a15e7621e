"""A definite Kronecker product plus a diagonal that is a Kronecker product itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...operators import (
    Array,
    Dense,
    Kronecker,
    KroneckerPlusDiagonal,
    Props,
    StructureError,
)
from .diagonalisation import Diagonalisation
from .inverse import StructuredFactors


class BalancedFactors(StructuredFactors):
    """(K + D)⁻¹ = D^{−1/2} (D^{−1/2} K D^{−1/2} + I)⁻¹ D^{−1/2} for d = d_1 ⊗ … ⊗ d_k > 0: noise of separable variance.

    The scaled product is a Kronecker product again, so that its eigenvectors are found axis by axis. See
    `Diagonalisation` for the cost.
    """

    def __init__(self, A: KroneckerPlusDiagonal, parts: list[np.ndarray]) -> None:
        self.shape = A.shape
        K = A.structured
        scaled = []
        for factor, d in zip(K.axes, parts, strict=True):
            s = 1.0 / np.sqrt(d)
            scaled.append(Dense(s[:, None] * factor.to_dense() * s[None, :], props=factor.props & _KEPT))
        self._inner = Diagonalisation(KroneckerPlusDiagonal(Kronecker(*scaled), 1.0))
        self.failure = self._inner.failure
        self._d = A.d
        self._s = (1.0 / np.sqrt(A.d))[:, None]

    def solve_into(self, R: Array, out: Array, *, adjoint: bool) -> None:
        """Write A⁻¹ R, or A⁻ᴴ R, into `out`."""
        s = self._s.astype(R.real.dtype, copy=False)
        self._inner.solve_into(np.multiply(s, R), out, adjoint=adjoint)
        out *= s

    def logdet(self) -> tuple[Any, float]:
        """Return sign and log|det A|, the scaling included."""
        sign, log = self._inner.logdet()
        return sign, log + math.fsum(np.log(self._d))

    def describe(self) -> str:
        """Return the way of solving."""
        return "fast diagonalisation, scaled by the diagonal"


_KEPT = Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE | Props.SINGULAR


def balanced(A: KroneckerPlusDiagonal) -> BalancedFactors:
    """Return the factors of K + D where d is a positive Kronecker product of vectors; StructureError otherwise."""
    parts = separable_parts(A)
    if parts is None:
        raise StructureError(
            f"the diagonal of {A!r} varies: use GMRES, or CG where A is definite, with M=KroneckerSolver(); only a "
            "product with a positive diagonal that is itself a Kronecker product of vectors is solved directly"
        )
    return BalancedFactors(A, parts)


def separable_parts(A: KroneckerPlusDiagonal) -> list[np.ndarray] | None:
    """Return d_1, …, d_k with d = d_1 ⊗ … ⊗ d_k > 0 if K is a product and d is of that form, else None."""
    K, d = A.structured, A.d
    if not isinstance(K, Kronecker) or A._holds_torch() or d.dtype.kind == "c" or d.ndim == 0:
        return None
    if not (np.isfinite(d).all() and (d > 0.0).all()):
        return None
    sizes = [f.shape[0] for f in K.axes]
    axes, field = range(len(sizes)), d.reshape(sizes)
    # A field of rank one is given by the lines through one of its points.
    lines = [field[tuple(slice(None) if b == a else 0 for b in axes)] for a in axes]
    lines = [lines[0], *(line / d[0] for line in lines[1:])]
    product = lines[0]
    for line in lines[1:]:
        product = np.multiply.outer(product, line)
    return lines if np.abs(product - field).max() <= 1e-13 * field.max() else None
