"""What the direct solver needs of a factorisation."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

Solve = Callable[[np.ndarray, str], np.ndarray]
"""Takes an (n, k) array and ``"N"`` for A⁻¹ or ``"H"`` for A⁻ᴴ; returns an (n, k) array."""


def by_parts(solve: Solve, r: np.ndarray, trans: str, *, complex_factors: bool) -> np.ndarray:
    """Apply `solve` to r, to its real and imaginary parts where real factors meet a complex r."""
    if complex_factors or r.dtype.kind != "c":
        return solve(r, trans)
    return solve(r.real, trans) + 1j * solve(r.imag, trans)


class SingularError(ArithmeticError):
    """The factorisation met a pivot that is zero, or not positive where it must be."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pattern:
    """The positions of the entries of a CSR matrix, without their values."""

    shape: tuple[int, int]
    dtype: np.dtype
    indptr: np.ndarray
    indices: np.ndarray

    @classmethod
    def of(cls, matrix: sp.csr_array) -> Pattern:
        """Return the pattern of a matrix; index arrays are shared."""
        return cls(matrix.shape, matrix.dtype, matrix.indptr, matrix.indices)

    def fits(self, matrix: Any) -> bool:
        """Whether a matrix has these positions in this order, and this dtype. O(nnz)."""
        return (
            sp.issparse(matrix)
            and matrix.dtype == self.dtype
            and matrix.shape == self.shape
            and np.array_equal(matrix.indptr, self.indptr)
            and np.array_equal(matrix.indices, self.indices)
        )

    def numbered(self) -> sp.csr_array:
        """Return a matrix whose entries are their own positions, counted from one."""
        count = np.arange(1, len(self.indices) + 1, dtype=np.float64)
        return sp.csr_array((count, self.indices, self.indptr), shape=self.shape)

    def rows(self) -> np.ndarray:
        """Return the row of each entry."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))

    def half_bandwidth(self) -> int:
        """Return max |i − j| over the entries."""
        return int(np.abs(self.rows() - self.indices).max(initial=0))

    def symmetric(self) -> bool:
        """Whether each entry has its mirror image. O(nnz)."""
        matrix = self.numbered()
        mirrored = sp.csr_array(matrix.T)
        return np.array_equal(matrix.indptr, mirrored.indptr) and np.array_equal(matrix.indices, mirrored.indices)


class Analysis(abc.ABC):
    """All that a factorisation finds out from the positions of the entries alone."""

    @abc.abstractmethod
    def fits(self, matrix: Any) -> bool:
        """Whether the analysis holds for this matrix: same pattern, same dtype. O(nnz)."""

    @abc.abstractmethod
    def factorise(self, matrix: Any) -> Solve:
        """Factorise and return what solves with the factors.

        Raises
        ------
        SingularError
            If that is impossible in this way.
        """

    def fallback(self) -> Analysis | None:
        """Return a slower and more stable way, or None if there is none."""
        return None
