"""What the direct solver needs of a factorisation."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import numpy as np

Solve = Callable[[np.ndarray, str], np.ndarray]
"""Takes an (n, k) array and ``"N"`` for A⁻¹ or ``"H"`` for A⁻ᴴ; returns an (n, k) array."""


def by_parts(solve: Solve, r: np.ndarray, trans: str, *, complex_factors: bool) -> np.ndarray:
    """Apply `solve` to r, to its real and imaginary parts where real factors meet a complex r."""
    if complex_factors or r.dtype.kind != "c":
        return solve(r, trans)
    return solve(r.real, trans) + 1j * solve(r.imag, trans)


class SingularError(ArithmeticError):
    """The factorisation met a pivot that is zero, or not positive where it must be."""


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
