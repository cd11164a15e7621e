"""The order in which relaxation goes through unknowns or blocks of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal, get_args

import numpy as np
import scipy.sparse as sp

from .recipe import is_whole

Ordering = Literal["natural", "red_black", "multicolour"]


def check_ordering(ordering: Any) -> None:
    """Raise ValueError for what is none of the orderings."""
    if ordering not in get_args(Ordering):
        raise ValueError(f"ordering must be one of {', '.join(map(repr, get_args(Ordering)))}, got {ordering!r}")


def checked_blocks(blocks: Any) -> Any:
    """Return blocks as an option holds them: None, a size, or a tuple of arrays of unknowns.

    Raises
    ------
    ValueError
        For anything else.
    """
    if blocks is None or is_whole(blocks, 1):
        return blocks
    if not isinstance(blocks, Iterable):
        raise ValueError(f"blocks must be a size ≥ 1 or a sequence of arrays of unknowns, got {blocks!r}")
    arrays = tuple(np.asarray(block) for block in blocks)
    if not arrays or any(block.ndim != 1 or (block.size and block.dtype.kind not in "iu") for block in arrays):
        raise ValueError("blocks must be a sequence of one-dimensional arrays of whole numbers")
    return tuple(block.astype(np.int64) for block in arrays if block.size)


def block_layout(blocks: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each block starts in the list of their unknowns, and the list.

    Raises
    ------
    ValueError
        If given blocks do not hold each unknown exactly once.
    """
    if not isinstance(blocks, tuple):
        starts = np.append(np.arange(0, n, int(blocks)), n)
        return starts.astype(np.int64), np.arange(n, dtype=np.int64)
    index = np.concatenate(blocks)
    if len(index) != n or not np.array_equal(np.sort(index), np.arange(n)):
        raise ValueError(f"blocks must hold each of the {n} unknowns exactly once, got {len(index)} numbers")
    return np.cumsum([0, *(len(block) for block in blocks)]).astype(np.int64), index


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """A numbering of the unknowns in which relaxation goes from the first to the last.

    Attributes
    ----------
    permutation : (n,) int array or None
        Which unknown comes at each place; None where the given numbering is kept.
    starts : (s + 1,) int array or None
        Where each block starts; None for single unknowns.
    colours : int
        Number of colours, 0 without colouring.
    """

    permutation: np.ndarray | None
    starts: np.ndarray | None
    colours: int = 0


def arrange(A: sp.csr_array, ordering: Ordering, blocks: Any) -> Arrangement:
    """Return the numbering for an ordering, of the unknowns or of blocks as `checked_blocks` returns them.

    Colours come one after the other, unknowns of a colour as they were. Entries that are zero couple nothing.

    Raises
    ------
    ValueError
        If blocks do not fit, or red and black are not enough colours.
    """
    n = A.shape[0]
    starts, index = (None, np.arange(n)) if blocks is None else block_layout(blocks, n)
    colours = np.zeros(0, dtype=np.int64)
    if ordering != "natural":
        colours = _colours(A, ordering, starts, index)
        order = np.argsort(colours, kind="stable")
        if starts is None:
            index = order
        else:
            sizes = np.diff(starts)
            index = np.concatenate([index[starts[s] : starts[s + 1]] for s in order])
            starts = np.append(0, np.cumsum(sizes[order]))
    kept = np.array_equal(index, np.arange(n))
    return Arrangement(None if kept else index, starts, int(colours.max(initial=-1)) + 1)


def _colours(A: sp.csr_array, ordering: Ordering, starts: np.ndarray | None, index: np.ndarray) -> np.ndarray:
    from .colouring_kernels import greedy_colours, two_colours

    entries = sp.coo_array(A)
    present = entries.data != 0
    rows, columns, count = entries.row[present], entries.col[present], A.shape[0]
    if starts is not None:
        count = len(starts) - 1
        block = np.empty(A.shape[0], dtype=np.int64)
        block[index] = np.repeat(np.arange(count), np.diff(starts))
        rows, columns = block[rows], block[columns]
    ends = (np.concatenate((rows, columns)), np.concatenate((columns, rows)))
    graph = sp.csr_array(sp.coo_array((np.ones(len(ends[0]), dtype=bool), ends), (count, count)))
    if ordering == "multicolour":
        return np.asarray(greedy_colours(graph.indptr, graph.indices))
    colours = np.asarray(two_colours(graph.indptr, graph.indices))
    if (colours < 0).any():
        raise ValueError(
            f"red and black are not enough colours: two {'unknowns' if starts is None else 'blocks'} that are coupled "
            "would have one colour; use ordering='multicolour'"
        )
    return colours
