"""Several hierarchies in one preconditioner."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import scipy.sparse as sp

from ....operators.workspace import Workspace
from .hierarchy import PairwiseHierarchy

COMPOSITIONS = ("mult", "sym", "add")


@final
class Composite:
    """Cycles of hierarchies B₁ … B_k, composed.

    With error operators E_r = I − B_r A: E_k … E₁ for "mult", E₁ … E_k E_k … E₁ for "sym", I − mean(B_r) A for "add".

    Parameters
    ----------
    hierarchies : sequence of PairwiseHierarchy
    composition : {"mult", "sym", "add"}
    shape : {"V", "W", "H", "K"}
        Of the cycles.
    """

    def __init__(self, hierarchies: Any, composition: str, shape: str) -> None:
        self.hierarchies: tuple[PairwiseHierarchy, ...] = tuple(hierarchies)
        self.composition, self.shape = composition, shape
        self._work = Workspace()

    @property
    def matrix(self) -> sp.csr_array:
        """The matrix of the first level."""
        return self.hierarchies[0].levels[0].A

    def order(self, *, backwards: bool = False) -> tuple[PairwiseHierarchy, ...]:
        """Return the hierarchies one after the other, as they are applied."""
        found = self.hierarchies
        if self.composition == "sym":
            return found + found[::-1]
        return found[::-1] if backwards else found

    def improve(self, b: np.ndarray, x: np.ndarray, *, zero: bool, backwards: bool = False) -> None:
        """Apply the composite for A x = b to x, (n,) arrays; `backwards` in the opposite order, the adjoint."""
        if self.composition == "add" and len(self.hierarchies) > 1:
            self._add(b, x, zero)
            return
        for hierarchy in self.order(backwards=backwards):
            hierarchy.improve(b, x, self.shape, zero=zero)
            zero = False

    def cost(self, *, zero: bool) -> float:
        """Return the entries that one application reads, relative to those of A."""
        if self.composition == "add" and len(self.hierarchies) > 1:
            return sum(h.cost(self.shape, zero=True) for h in self.hierarchies) + (0.0 if zero else 1.0)
        first, *others = self.order()
        return first.cost(self.shape, zero=zero) + sum(h.cost(self.shape, zero=False) for h in others)

    def operator_complexity(self) -> float:
        """Return the mean of those of the hierarchies."""
        return float(np.mean([h.operator_complexity() for h in self.hierarchies]))

    def renewed(self, matrix: sp.csr_array) -> Composite:
        """Return the same for another matrix of this size, with all interpolation kept."""
        return Composite([h.renewed(matrix) for h in self.hierarchies], self.composition, self.shape)

    def _add(self, b: np.ndarray, x: np.ndarray, zero: bool) -> None:
        from .cycle_kernels import multiply

        r, y = (self._work.array(name, x.shape, x.dtype) for name in ("r", "y"))
        if zero:
            r[:] = b
            x[:] = 0.0
        else:
            A = self.matrix
            multiply(A.indptr, A.indices, A.data, x, r)
            np.subtract(b, r, out=r)
        for hierarchy in self.hierarchies:
            hierarchy.improve(r, y, self.shape, zero=True)
            y /= len(self.hierarchies)
            x += y
