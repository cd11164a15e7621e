"""Kernels that make the levels of a checkerboard hierarchy: couplings, weights of interpolation, coarser networks.

A level is a network of conductances t between neighbouring cells, with the walls as outermost faces, and perhaps a
grounding σ. Where a level is read, its numbers are parted by the parity of k: arrays of shape (2, rows, width) hold
the even ones, then the odd ones, so that all loops along k are over contiguous numbers. There are n_i n_j rows of
cells and of faces along k, n_i (n_j + 1) of faces along j and (n_i + 1) n_j of faces along i; all arrays are flat here.
`checkerboard_load` does for the finest level of a reduced hierarchy what is done for the others here.
"""

from __future__ import annotations

import numpy as np

from .checkerboard_coarsen import coarsen, part_of
from .checkerboard_fields import (
    ABOVE_FACE,
    BELOW_FACE,
    EAST,
    FACES_I,
    FACES_J,
    FACES_K,
    GROUND,
    LEVEL_CLOSED_K,
    LEVEL_HALVED_K,
    LEVEL_I,
    LEVEL_J,
    LEVEL_K,
    LEVEL_MEMBERS,
    LEVEL_NATURAL_WIDTH,
    LEVEL_PAD,
    LEVEL_ROWS,
    LEVEL_SPACE,
    LEVEL_TABLE,
    LEVEL_WIDTH,
    LEVEL_WRAPPED,
    NORTH,
    OTHER_K,
    OWN_K,
    ROOTS,
    SCALE_BLACK,
    SCALE_RED,
    SOUTH,
    WEST,
    WRAP,
)
from .checkerboard_layout import ABOVE, BELOW, LEFT, PARITY, RIGHT
from .checkerboard_loops import (
    accumulate,
    add_fields,
    compiled,
    copy,
    far_conductance,
    fill,
    helper,
    inverse_roots,
    scaled,
    split_share,
    to_roots,
)


@helper
def diagonal_of_network(tk, tj, ti, shift, ni, nj, points, members, width, d):  # type: ignore[no-untyped-def]
    """d = sum of the faces of each cell, and the shift where there is one."""
    rows, rows_j, rows_i = ni * nj, ni * (nj + 1), (ni + 1) * nj
    for half in range(2):
        for r in range(rows):
            o = (half * rows + r) * width
            low = (half * rows_j + r + r // nj) * width
            add_fields(tj, low, tj, low + width, d, o, width)
            # An even cell has its even face first, an odd one its odd face, and the next even one.
            accumulate(tk, o, d, o, width)
            other = ((1 - half) * rows + r) * width + half * members
            accumulate(tk, other, d, o, width - half * members)
            if ti.size > 0:
                below = (half * rows_i + r) * width
                accumulate(ti, below, d, o, width)
                accumulate(ti, below + nj * width, d, o, width)
            if shift.size > 0:
                accumulate(shift, o, d, o, width)
            if points % 2 == half:  # the empty place, where the last wall was counted
                fill(d, o + width - members, members, 0)


@helper
def scale(s, c, at, sizes, rows, last):  # type: ignore[no-untyped-def]
    """Take the diagonal in `s` to 1/√d, and store it by colour, with √d of the red points but on the last level."""
    pad, width, count = sizes[LEVEL_PAD], sizes[LEVEL_WIDTH], sizes[LEVEL_ROWS]
    for r in range(count):
        parity = rows[sizes[LEVEL_TABLE] + r, PARITY]
        o, red, black = pad + r * width, (parity * count + r) * width, ((1 - parity) * count + r) * width
        inverse_roots(s, red, c, at[SCALE_RED] + o, width)
        inverse_roots(s, black, c, at[SCALE_BLACK] + o, width)
        if not last:
            to_roots(s, red, c, at[OWN_K] + o, width)


@helper
def couple(tk, tj, ti, s, nj, c, at, sizes, rows):  # type: ignore[no-untyped-def]
    """Store the scaled couplings t_pq / √(d_p d_q) of the black points."""
    members, pad, width = sizes[LEVEL_MEMBERS], sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    count = sizes[LEVEL_ROWS]
    odd, odd_j, odd_i = count * width, (count // nj) * (nj + 1) * width, (count + nj) * width
    last = (sizes[LEVEL_NATURAL_WIDTH] // members // 2 - 1) * members
    inner = width - members
    for r in range(count):
        row = rows[sizes[LEVEL_TABLE] + r]
        black = 1 - row[PARITY]
        o, e = pad + r * width, r * width
        own = black * odd + e
        west, east = at[WEST] + o, at[EAST] + o
        if black:  # black k = 2 K + 1 lies between faces 2 K + 1 and 2 K + 2
            scaled(tk, odd + e, s, e, odd + e, c, west, width)
            scaled(tk, e + members, s, e + members, odd + e, c, east, inner)
        else:  # black k = 2 K lies between faces 2 K and 2 K + 1
            scaled(tk, e + members, s, odd + e, e + members, c, west + members, inner)
            scaled(tk, odd + e, s, e, odd + e, c, east, width)
        if sizes[LEVEL_WRAPPED]:
            scaled(tk, e, s, e, odd + e + last, c, at[WRAP] + r * members, members)
        if row[LEFT] < count:
            face, other = black * odd_j + e + (r // nj) * width, black * odd + row[LEFT] * width
            scaled(tj, face, s, own, other, c, at[NORTH] + o, width)
        if row[RIGHT] < count:
            face, other = black * odd_j + e + (r // nj + 1) * width, black * odd + row[RIGHT] * width
            scaled(tj, face, s, own, other, c, at[SOUTH] + o, width)
        if sizes[LEVEL_SPACE]:
            if row[BELOW] < count:
                scaled(ti, black * odd_i + e, s, own, black * odd + row[BELOW] * width, c, at[BELOW_FACE] + o, width)
            if row[ABOVE] < count:
                face, other = black * odd_i + e + nj * width, black * odd + row[ABOVE] * width
                scaled(ti, face, s, own, other, c, at[ABOVE_FACE] + o, width)


@helper
def weights_along_k(tk, c, at, sizes, rows, far):  # type: ignore[no-untyped-def]
    """Share the √d of the red points between the two they are interpolated from; `far` is a row of working space."""
    members, pad, width, count = sizes[LEVEL_MEMBERS], sizes[LEVEL_PAD], sizes[LEVEL_WIDTH], sizes[LEVEL_ROWS]
    points, periodic = sizes[LEVEL_K], sizes[LEVEL_CLOSED_K]
    pairs = points // 2 * members
    inner = width - members
    start = count * 0
    for r in range(count):
        parity = rows[sizes[LEVEL_TABLE] + r, PARITY]
        o, even, near = pad + r * width, r * width, (count + r) * width
        own, other = at[OWN_K] + o, at[OTHER_K] + o
        fill(c, other, width, 0)
        if not sizes[LEVEL_HALVED_K] or pairs == 0 or (periodic and points == 2):
            continue
        if parity == 0:  # red k = 2 K: half a cell and face 2 K on its way to the left
            far_conductance(tk, even + members, tk, near, far, members, inner)
            copy(tk, even, far, start, members)
            if periodic:
                far_conductance(tk, even, tk, near + pairs - members, far, start, members)
        else:  # red k = 2 K + 1: half a cell and face 2 K + 2 on its way to the right
            far_conductance(tk, even + members, tk, near + members, far, start, inner)
            # Behind the last pair there is a wall, or a single cell without a half.
            copy(tk, even + pairs, far, pairs - members, members)
            if periodic:
                far_conductance(tk, even + pairs, tk, near, far, pairs - members, members)
        split_share(tk, near, far, c, own, other, pairs)


@compiled
def refill(network, networks, c, at, sizes, rows, scratch, reduced):  # type: ignore[no-untyped-def]
    """Make all levels from the network of the finest.

    Its inverse roots hold its diagonal when this begins; of a reduced hierarchy, `load` made the constants of the
    finest level, but for the weights.
    """
    longest = max(sizes[0, LEVEL_I], sizes[0, LEVEL_J], sizes[0, LEVEL_K])
    row = np.zeros((longest + 4) * sizes[0, LEVEL_MEMBERS], dtype=c.dtype)
    last = at.shape[0] - 1
    for level in range(last + 1):
        here, size = at[level], sizes[level]
        tk = part_of(network, networks, level, FACES_K)
        if level > 0 or not reduced:
            s, tj = part_of(network, networks, level, ROOTS), part_of(network, networks, level, FACES_J)
            ti, ground = part_of(network, networks, level, FACES_I), part_of(network, networks, level, GROUND)
            ni, nj, nk = size[LEVEL_I], size[LEVEL_J], size[LEVEL_K]
            if level > 0:
                diagonal_of_network(tk, tj, ti, ground, ni, nj, nk, size[LEVEL_MEMBERS], size[LEVEL_WIDTH], s)
            scale(s, c, here, size, rows, level == last)
            couple(tk, tj, ti, s, nj, c, here, size, rows)
        if level < last:
            weights_along_k(tk, c, here, size, rows, row)
            coarsen(network, networks, c, at, sizes, scratch, row, level)
