"""Kernels that take vectors of an ensemble into the two colours of its checkerboard and back.

On the way in they eliminate the red points, on the way back they find these again.
"""

from __future__ import annotations

import numpy as np
from numba import uint64

from .checkerboard_cycle import starts
from .checkerboard_fields import LEVEL_MEMBERS, LEVEL_PAD, LEVEL_ROWS, LEVEL_TABLE, LEVEL_WIDTH
from .checkerboard_layout import PARITY
from .checkerboard_loops import add_fields, compiled
from .checkerboard_rows import towards_black, towards_red


@compiled
def to_colours(vectors, factors, scale, rows, sizes, red, black):  # type: ignore[no-untyped-def]
    """red and black = factor · scale · x for the (B, n) array `vectors`, with one factor a member."""
    members, pad, width = sizes[LEVEL_MEMBERS], sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    points = vectors.shape[1] // sizes[LEVEL_ROWS]
    x, s, half, stride = vectors.reshape(-1), scale, sizes[LEVEL_ROWS] * width, uint64(members)
    for r in range(sizes[LEVEL_ROWS]):
        parity = rows[sizes[LEVEL_TABLE] + r, PARITY]
        even, odd = (red, black) if parity == 0 else (black, red)
        for member in range(members):
            o, i = uint64(pad + r * width + member), uint64(r * width + member)
            n, factor = uint64(member * vectors.shape[1] + r * points), factors[member]
            for step in range((points + 1) // 2):
                f = uint64(step)
                even[o + f * stride] = factor * s[i + f * stride] * x[n + f + f]
            n, i = n + uint64(1), i + uint64(half)
            for step in range(points // 2):
                f = uint64(step)
                odd[o + f * stride] = factor * s[i + f * stride] * x[n + f + f]


@compiled
def eliminate(fine, at, sizes, rows, red, black):  # type: ignore[no-untyped-def]
    """black += C red: the right-hand side of the reduced system."""
    pad, width = sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    for r in range(sizes[LEVEL_ROWS]):
        row, o = rows[sizes[LEVEL_TABLE] + r], pad + r * width
        towards_black(black, o, 1.0, fine, at, sizes, row, red, starts(0, sizes, row), black, o)


@compiled
def substitute(fine, at, sizes, rows, black, red):  # type: ignore[no-untyped-def]
    """red += Cᵀ black: the red half of the solution."""
    pad, width = sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    line = np.empty(pad + width)
    for r in range(sizes[LEVEL_ROWS]):
        row, o = rows[sizes[LEVEL_TABLE] + r], pad + r * width
        towards_red(fine, at, sizes, row, black, starts(0, sizes, row), line, pad)
        add_fields(line, pad, red, o, red, o, width)


@compiled
def add_colours(red, black, factors, scale, rows, sizes, vectors):  # type: ignore[no-untyped-def]
    """x += factor · scale · (red and black) for the (B, n) array `vectors`; members with factor 0 are left alone."""
    members, pad, width = sizes[LEVEL_MEMBERS], sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    points = vectors.shape[1] // sizes[LEVEL_ROWS]
    x, s, half, stride = vectors.reshape(-1), scale, sizes[LEVEL_ROWS] * width, uint64(members)
    for r in range(sizes[LEVEL_ROWS]):
        parity = rows[sizes[LEVEL_TABLE] + r, PARITY]
        even, odd = (red, black) if parity == 0 else (black, red)
        for member in range(members):
            o, i = uint64(pad + r * width + member), uint64(r * width + member)
            n, factor = uint64(member * vectors.shape[1] + r * points), factors[member]
            if factor == 0.0:
                continue
            for step in range((points + 1) // 2):
                f = uint64(step)
                x[n + f + f] += factor * s[i + f * stride] * even[o + f * stride]
            n, i = n + uint64(1), i + uint64(half)
            for step in range(points // 2):
                f = uint64(step)
                x[n + f + f] += factor * s[i + f * stride] * odd[o + f * stride]
