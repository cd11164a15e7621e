"""Block-diagonal scaling."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator, Props
from .entries import host_entries
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
            blocks = tuple(np.asarray(block) for block in self.blocks)
            if not blocks or any(block.ndim != 1 or (block.size and block.dtype.kind not in "iu") for block in blocks):
                raise ValueError("blocks must be a sequence of one-dimensional arrays of whole numbers")
            object.__setattr__(self, "blocks", tuple(block.astype(np.int64) for block in blocks if block.size))

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

    def _layout(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where blocks start in the list of their unknowns, and the list."""
        if self.blocks is None:
            starts = np.append(np.arange(0, n, int(self.size)), n)
            return starts.astype(np.int64), np.arange(n, dtype=np.int64)
        blocks = self.blocks
        index = np.concatenate(blocks)
        if len(index) != n or not np.array_equal(np.sort(index), np.arange(n)):
            raise ValueError(f"blocks must hold each of the {n} unknowns exactly once, got {len(index)} numbers")
        return np.cumsum([0, *(len(block) for block in blocks)]).astype(np.int64), index


class BlockDiagonal(LinearOperator):
    """The block-Jacobi preconditioner of one matrix, applied by compiled loops without any allocation."""

    def __init__(self, A: LinearOperator, recipe: BlockJacobi) -> None:
        from .block_kernels import gather_blocks, invert_blocks, symmetrise_blocks

        if A.shape[0] != A.shape[1]:
            raise ValueError(f"BlockJacobi needs a square matrix, got {A.shape[0]} x {A.shape[1]}")
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        matrix = host_entries(A, "BlockJacobi")
        self._starts, self._index = recipe._layout(A.shape[0])
        sizes = np.diff(self._starts)
        self._offsets = np.concatenate(([0], np.cumsum(sizes**2)))
        self._entries = np.empty(self._offsets[-1], dtype=A.dtype)
        gather_blocks(
            self._starts, self._index, self._offsets, matrix.indptr, matrix.indices, matrix.data, self._entries
        )
        singular = int(invert_blocks(self._starts, self._offsets, self._entries))
        if singular >= 0:
            unknowns = self._index[self._starts[singular] : self._starts[singular + 1]]
            raise ValueError(
                f"the block of the unknowns {unknowns[0]} … {unknowns[-1]} is singular: choose other blocks, or use ILU"
            )
        if Props.SELF_ADJOINT in A.props:
            symmetrise_blocks(self._starts, self._offsets, self._entries)

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
