"""A = L + D + U, in the order in which relaxation goes through the unknowns."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse as sp

from ...operators import LinearOperator, Props
from .block_jacobi import inverse_blocks
from .entries import host_diagonal, host_entries
from .ordering import Ordering, arrange


@dataclasses.dataclass(frozen=True)
class Splitting:
    """Rows of A in the order of relaxation, with what divides by the diagonal.

    Attributes
    ----------
    matrix : csr_array
        A, renumbered; indices sorted. Shared with A where the numbering is that of A.
    permutation : (n,) int array or None
        Which unknown of A is at each place; None where the numbering is that of A.
    colours : int
        Number of colours, 0 without colouring.
    inverse : (n,) array or None
        The reciprocal diagonal, where unknowns are relaxed one by one.
    starts, offsets, entries : arrays or None
        Where they are in blocks: see `storage.Blocks`.
    """

    matrix: sp.csr_array
    permutation: np.ndarray | None
    colours: int
    inverse: np.ndarray | None
    starts: np.ndarray | None = None
    offsets: np.ndarray | None = None
    entries: np.ndarray | None = None

    @property
    def widest(self) -> int:
        """Unknowns of the largest block."""
        return 1 if self.starts is None else int(np.diff(self.starts).max(initial=1))

    def adjoint(self) -> Splitting:
        """Return the splitting of Aᴴ in the same order."""
        matrix = sp.csr_array(self.matrix.conj().T)
        matrix.sort_indices()
        inverse = None if self.inverse is None else self.inverse.conj()
        entries = self.entries
        if entries is not None and self.starts is not None:
            sizes = np.diff(self.starts)
            blocks = np.split(entries, np.cumsum(sizes**2)[:-1])
            entries = np.concatenate([B.reshape(m, m).conj().T.ravel() for B, m in zip(blocks, sizes, strict=True)])
        return dataclasses.replace(self, matrix=matrix, inverse=inverse, entries=entries)


def split(A: LinearOperator, ordering: Ordering, blocks: Any, method: str, *, skip_zeros: bool = False) -> Splitting:
    """Return the splitting of A for an ordering, by unknowns or by blocks as `checked_blocks` returns them.

    With `skip_zeros` unknowns with a zero on the diagonal are left as they are, instead of refused.

    Raises
    ------
    ValueError
        For a matrix that is not square or not finite, a zero on the diagonal or a singular block, blocks that do not
        fit, and red and black where two colours are not enough.
    """
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"{method} needs a square matrix, got {A.shape[0]} x {A.shape[1]}")
    diagonal = host_diagonal(A, method, zeros=skip_zeros) if blocks is None else None
    matrix = host_entries(A, method)
    arrangement = arrange(matrix, ordering, blocks)
    permutation, starts = arrangement.permutation, arrangement.starts
    if permutation is not None:
        matrix = sp.csr_array(matrix[permutation][:, permutation])
        matrix.sort_indices()
    if starts is None:
        assert diagonal is not None
        inverse = np.zeros_like(diagonal)
        np.divide(1.0, diagonal, out=inverse, where=diagonal != 0)
        inverse = inverse if permutation is None else inverse[permutation]
        return Splitting(matrix, permutation, arrangement.colours, inverse)
    offsets, entries = inverse_blocks(matrix, starts, np.arange(A.shape[0]), self_adjoint=Props.SELF_ADJOINT in A.props)
    return Splitting(matrix, permutation, arrangement.colours, None, starts, offsets, entries)
