"""Sums over the neighbours of one row of a checkerboard.

`at` holds where the fields of a level begin in the flat array `c`; see `checkerboard_fields`. `start` gives the
positions in x of the rows of neighbours: the same row, (i, j − 1), (i, j + 1), (i − 1, j) and (i + 1, j).
"""

from __future__ import annotations

from .checkerboard_fields import (
    ABOVE_FACE,
    BELOW_FACE,
    EAST,
    LEVEL_MEMBERS,
    LEVEL_PAD,
    LEVEL_SPACE,
    LEVEL_WIDTH,
    LEVEL_WRAPPED,
    NORTH,
    SOUTH,
    WEST,
    WRAP,
)
from .checkerboard_layout import ABOVE, BELOW, LEFT, PARITY, RIGHT, ROW
from .checkerboard_loops import helper, set_four, set_six, set_to_four, set_to_six


@helper
def towards_black(y, m, sign, c, at, sizes, row, x, start, out, o):  # type: ignore[no-untyped-def]
    """out = y + sign · Σ couplings × red neighbours for the black points of a row; y begins at m, out at o."""
    members, width = sizes[LEVEL_MEMBERS], sizes[LEVEL_WIDTH]
    i = sizes[LEVEL_PAD] + row[ROW] * width
    left = start[0] - row[PARITY] * members
    w, e, n, s = at[WEST] + i, at[EAST] + i, at[NORTH] + i, at[SOUTH] + i
    if sizes[LEVEL_SPACE]:
        b, a = at[BELOW_FACE] + i, at[ABOVE_FACE] + i
        set_to_six(
            y, m, sign, c, w, e, n, s, b, a, x, left, left + members, start[1], start[2], start[3], start[4], out, o,
            width,
        )  # fmt: skip
    else:
        set_to_four(y, m, sign, c, w, e, n, s, x, left, left + members, start[1], start[2], out, o, width)
    if sizes[LEVEL_WRAPPED]:
        last = width - 2 * members
        here, there = (0, last) if row[PARITY] else (last, 0)
        wrap = at[WRAP] + row[ROW] * members
        for b in range(members):
            out[o + here + b] += sign * c[wrap + b] * x[start[0] + there + b]


@helper
def towards_red(c, at, sizes, row, x, start, out, o):  # type: ignore[no-untyped-def]
    """out = Σ couplings × black neighbours for the red points of a row: the transpose."""
    members, width, pad = sizes[LEVEL_MEMBERS], sizes[LEVEL_WIDTH], sizes[LEVEL_PAD]
    shift = (row[PARITY] - 1) * members
    i = pad + row[ROW] * width + shift
    left = start[0] + shift
    # The row before is coupled by its face towards this one, the higher of its two.
    n, s = at[SOUTH] + pad + row[LEFT] * width, at[NORTH] + pad + row[RIGHT] * width
    e, w = at[EAST] + i, at[WEST] + i + members
    if sizes[LEVEL_SPACE]:
        b, a = at[ABOVE_FACE] + pad + row[BELOW] * width, at[BELOW_FACE] + pad + row[ABOVE] * width
        set_six(c, e, w, n, s, b, a, x, left, left + members, start[1], start[2], start[3], start[4], out, o, width)
    else:
        set_four(c, e, w, n, s, x, left, left + members, start[1], start[2], out, o, width)
    if sizes[LEVEL_WRAPPED]:
        last = width - 2 * members
        here, there = (last, 0) if row[PARITY] else (0, last)
        wrap = at[WRAP] + row[ROW] * members
        for b in range(members):
            out[o + here + b] += c[wrap + b] * x[start[0] + there + b]
