"""Kronecker sums of second differences, solved by the fast transforms of FastPoisson."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator
from ..separable import Reference
from .inverse import StructuredFactors


class TransformFactors(StructuredFactors):
    """A⁻¹ by sine, cosine and Fourier transforms: `separable.SeparableInverse`, which `FastPoisson` applies as well.

    Notes
    -----
    O(n log n) for each right-hand side, and one field of storage. See `FastPoisson` for singular systems.
    """

    def __init__(self, A: LinearOperator, reference: Reference, *, null_value: float = np.inf) -> None:
        self.shape, self._complex = A.shape, A.dtype.kind == "c"
        self._reference = reference
        self._inverse = reference.inverse(dtype=A.dtype, null_value=null_value)
        if self._inverse.singular and math.isinf(null_value):
            self.failure = "the matrix is singular: its smallest eigenvalue is zero"

    @classmethod
    def of(cls, A: LinearOperator, reference: Reference, *, preconditioner: bool) -> TransformFactors:
        """Return the factors; for a preconditioner, eigenvalues that are zero become the smallest of the others."""
        factors = cls(A, reference)
        if not factors.failure or not preconditioner:
            return factors
        size = np.abs(factors._values())
        return cls(A, reference, null_value=float(size[size > 1e-14 * size.max()].min(initial=size.max())))

    def solve_into(self, R: Array, out: Array, *, adjoint: bool) -> None:
        """Write A⁻¹ R, or A⁻ᴴ R, into `out`."""
        (self._inverse._rmatmat_into if adjoint else self._inverse._matmat_into)(R, out)

    def logdet(self) -> tuple[Any, float]:
        """Return sign and log|det A| from the eigenvalues of the transforms."""
        values = self._values()
        size = np.abs(values)
        sign = np.prod(values / size)
        return (complex(sign) if self._complex else float(np.sign(np.real(sign)))), math.fsum(np.log(size))

    def _values(self) -> Any:
        reference = self._reference
        total: Any = np.asarray(reference.shift)
        for c, axis in zip(reference.scales, reference.axes, strict=True):
            total = np.add.outer(total, c * axis.eigenvalues())
        return total.reshape(-1)

    def describe(self) -> str:
        """Return the way of solving."""
        return "fast transforms"
