"""Block-diagonal scaling."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse as sp

from ...operators import Array, LinearOperator, Props
from .entries import host_entries
from .ordering import block_layout, checked_blocks
from .recipe import Recipe, is_whole, options_equal, options_text


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BlockJacobi(Recipe):
    """M = diag(B₁, …, B_s)⁻¹ with B_i the diagonal blocks of A: contiguous blocks of one size, or any sets of unknowns.

    For systems of equations with the unknowns of each point numbered together (`size` unknowns a point), and for
    small dense couplings. For a self-adjoint definite A it is self-adjoint and definite.

    The inverses of the blocks are stored and multiplied with, which for a well-conditioned block is as accurate as
    its factors, and faster. Storage: Σ size², that is n · size numbers. An application costs 2 n · size flops, the
    set-up size² n. Do not use it with blocks of hundreds of unknowns: `AdditiveSchwarz(overlap=0)` keeps sparse
    factors. For whole grid lines there is `LineJacobi`.

    Parameters
    ----------
    size : int
        Unknowns in each block; the last may have fewer.
    blocks : sequence of (m,) arrays of int, optional
        The unknowns of each block instead: each unknown in exactly one.

    Raises
    ------
    ValueError
        When built for a matrix with NaN or infinity, or if a block is singular; if blocks overlap or leave unknowns
        out.

    References
    ----------
    Saad 2003, doi:10.1137/1.9780898718003, section 4.1.1.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import as_operator
    >>> from resolvent.solvers import BlockJacobi
    >>> A = as_operator(np.array([[2.0, 1.0, 0.0], [1.0, 1.0, 5.0], [0.0, 5.0, 4.0]]))
    >>> BlockJacobi(2)(A).to_dense()
    array([[ 1.  , -1.  ,  0.  ],
           [-1.  ,  2.  ,  0.  ],
           [ 0.  ,  0.  ,  0.25]])
    """

    size: int = 4
    blocks: Any = None

    def __post_init__(self) -> None:
        if not is_whole(self.size, 1):
            raise ValueError(f"size must be a whole number ≥ 1, got {self.size!r}")
        if self.blocks is not None:
            object.__setattr__(self, "blocks", checked_blocks(tuple(self.blocks)))

    def __eq__(self, other: object) -> bool:
        return options_equal(self, other)

    def __hash__(self) -> int:
        return hash((type(self), self.size))

    def __repr__(self) -> str:
        return options_text(self)

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return BlockDiagonal(A, self)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims."""
        return A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)


def inverse_blocks(
    matrix: sp.csr_array, starts: np.ndarray, index: np.ndarray, *, self_adjoint: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverses of the diagonal blocks of the unknowns ``index[starts[s] : starts[s + 1]]``.

    Returns
    -------
    offsets : (s + 1,) int array
    entries : array
        The inverse of block s by rows is ``entries[offsets[s] : offsets[s + 1]]``.

    Raises
    ------
    ValueError
        If a block is singular.
    """
    from .block_kernels import gather_blocks, invert_blocks, symmetrise_blocks

    offsets = np.concatenate(([0], np.cumsum(np.diff(starts) ** 2)))
    entries = np.empty(offsets[-1], dtype=matrix.dtype)
    gather_blocks(starts, index, offsets, matrix.indptr, matrix.indices, matrix.data, entries)
    singular = int(invert_blocks(starts, offsets, entries))
    if singular >= 0:
        unknowns = index[starts[singular] : starts[singular + 1]]
        raise ValueError(
            f"the block of the unknowns {unknowns[0]} … {unknowns[-1]} is singular: choose other blocks, or use ILU"
        )
    if self_adjoint:
        symmetrise_blocks(starts, offsets, entries)
    return offsets, entries


class BlockDiagonal(LinearOperator):
    """The block-Jacobi preconditioner of one matrix, applied by compiled loops without any allocation."""

    def __init__(self, A: LinearOperator, recipe: BlockJacobi) -> None:
        if A.shape[0] != A.shape[1]:
            raise ValueError(f"BlockJacobi needs a square matrix, got {A.shape[0]} x {A.shape[1]}")
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        matrix = host_entries(A, "BlockJacobi")
        self._starts, self._index = block_layout(recipe.size if recipe.blocks is None else recipe.blocks, A.shape[0])
        self._offsets, self._entries = inverse_blocks(
            matrix, self._starts, self._index, self_adjoint=Props.SELF_ADJOINT in A.props
        )

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        from .block_kernels import blocks_matmat

        blocks_matmat(self._starts, self._index, self._offsets, self._entries, X, out)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        from .block_kernels import adjoint_blocks_matmat, blocks_matmat

        apply = blocks_matmat if Props.SELF_ADJOINT in self.props else adjoint_blocks_matmat
        apply(self._starts, self._index, self._offsets, self._entries, X, out)

    def _summary(self) -> str:
        sizes = np.diff(self._starts)
        return f"{len(sizes)} blocks of at most {sizes.max(initial=0)}"
