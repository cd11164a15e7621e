"""What compiled sweeps take of a matrix, by the way it is stored.

Each is a tuple of arrays, so that a kernel is called with it as it is, and is compiled for its type.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Rows(NamedTuple):
    """Compressed sparse rows, column indices sorted; `inverse` holds the (n,) reciprocals of the diagonal."""

    indptr: Any
    indices: Any
    data: Any
    inverse: Any
    omega: Any


class Blocks(NamedTuple):
    """Compressed sparse rows in blocks of consecutive unknowns.

    Block s has the unknowns starts[s] … starts[s + 1] − 1, and the inverse of its diagonal block by rows begins at
    ``entries[offsets[s]]``. `work` has room for the largest block.
    """

    indptr: Any
    indices: Any
    data: Any
    starts: Any
    offsets: Any
    entries: Any
    omega: Any
    work: Any


class Points(NamedTuple):
    """A stencil, terms as in `operators.stencil_kernels`.

    `before` and `after` are the shifts between −m and 0, and between 0 and m, where m is the length of the work arrays
    `old` and `new`; the coefficients of row 0 begin at `before_starts` and `after_starts`.
    """

    starts: Any
    shifts: Any
    coefficients: Any
    inverse: Any
    omega: Any
    before: Any
    before_starts: Any
    after: Any
    after_starts: Any
    old: Any
    new: Any


class Checkerboard(NamedTuple):
    """A stencil whose points couple with points of the other colour only.

    Lines along the last axis have `length` points; `parities` holds the index sum of the first point of each, modulo 2.
    """

    starts: Any
    shifts: Any
    coefficients: Any
    inverse: Any
    omega: Any
    parities: Any
    length: Any


class Columns(NamedTuple):
    """Compressed sparse columns in blocks as those of `Blocks`; unknown i is in block ``block_of[i]``."""

    indptr: Any
    indices: Any
    data: Any
    starts: Any
    block_of: Any
    offsets: Any
    entries: Any
    omega: Any
