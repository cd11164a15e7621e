"""Kernels that make the levels of a checkerboard hierarchy: couplings, weights of interpolation, coarser networks.

A level is a network of conductances t between neighbouring cells, with the walls as outermost faces, and perhaps a
grounding σ. Where a level is read, its numbers are parted by the parity of k: arrays of shape (2, rows, width) hold
the even ones, then the odd ones, so that all loops along k are over contiguous numbers. There are n_i n_j rows of
cells and of faces along k, n_i (n_j + 1) of faces along j and (n_i + 1) n_j of faces along i; all arrays are flat here.
Coarser levels are made in natural order and parted in the end. The mathematics is that of `network`.
"""

from __future__ import annotations

import numpy as np
from numba import uint64

from .checkerboard_fields import (
    ABOVE_FACE,
    BELOW_FACE,
    EAST,
    LEVEL_HALVED_K,
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
    SCALE_BLACK,
    SCALE_RED,
    SOUTH,
    WEST,
    WRAP,
)
from .checkerboard_layout import ABOVE, BELOW, LEFT, PARITY, RIGHT
from .checkerboard_loops import (
    TINY,
    accumulate,
    add_fields,
    compiled,
    copy,
    far_conductance,
    fill,
    helper,
    in_series,
    scaled,
    split_share,
    to_roots,
)

INFINITE = 1e30
"""Conductance of a piece of no length; faces are scaled to the order of one."""


@compiled
def part(natural, rows, points, members, width, parted):  # type: ignore[no-untyped-def]
    """Part the numbers of natural rows by the parity of their place."""
    stride = uint64(2 * members)
    for r in range(rows):
        for half in range(2):
            o, n = uint64((half * rows + r) * width), uint64((r * points + half) * members)
            for place in range((points + 1 - half) // 2):
                i, k = n + uint64(place) * stride, o + uint64(place * members)
                for member in range(members):
                    b = uint64(member)
                    parted[k + b] = natural[i + b]


@compiled
def join(parted, rows, points, members, width, natural):  # type: ignore[no-untyped-def]
    """Undo `part`."""
    stride = uint64(2 * members)
    for r in range(rows):
        for half in range(2):
            o, n = uint64((half * rows + r) * width), uint64((r * points + half) * members)
            for place in range((points + 1 - half) // 2):
                i, k = n + uint64(place) * stride, o + uint64(place * members)
                for member in range(members):
                    b = uint64(member)
                    natural[i + b] = parted[k + b]


@compiled
def diagonal_of_network(tk, tj, ti, shift, ni, nj, points, members, width, d):  # type: ignore[no-untyped-def]
    """d = sum of the faces of each cell, and the shift where it has rows."""
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
                fill(d, o + width - members, members, 0.0)


@compiled
def inverse_root(d, s):  # type: ignore[no-untyped-def]
    """s = 1/√d, 0 where d is not positive."""
    for step in range(d.size):
        f = uint64(step)
        s[f] = 1.0 / np.sqrt(d[f]) if d[f] > 0.0 else 0.0


@compiled
def store_scales(s, c, at, sizes, rows):  # type: ignore[no-untyped-def]
    """Store 1/√d by colour."""
    pad, width, count = sizes[LEVEL_PAD], sizes[LEVEL_WIDTH], sizes[LEVEL_ROWS]
    for r in range(count):
        parity = rows[sizes[LEVEL_TABLE] + r, PARITY]
        o = pad + r * width
        copy(s, (parity * count + r) * width, c, at[SCALE_RED] + o, width)
        copy(s, ((1 - parity) * count + r) * width, c, at[SCALE_BLACK] + o, width)


@compiled
def store_roots(s, root, sizes, rows):  # type: ignore[no-untyped-def]
    """Store √d of the black points."""
    pad, width, count = sizes[LEVEL_PAD], sizes[LEVEL_WIDTH], sizes[LEVEL_ROWS]
    for r in range(count):
        black = 1 - rows[sizes[LEVEL_TABLE] + r, PARITY]
        to_roots(s, (black * count + r) * width, root, pad + r * width, width)


@compiled
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


@compiled
def weights_along_k(tk, s, periodic, c, at, sizes, rows, far):  # type: ignore[no-untyped-def]
    """Store the weights of interpolation along k to the red points, times √d; `far` is a row of working space."""
    members, pad, width, count = sizes[LEVEL_MEMBERS], sizes[LEVEL_PAD], sizes[LEVEL_WIDTH], sizes[LEVEL_ROWS]
    points = sizes[LEVEL_NATURAL_WIDTH] // members
    pairs = points // 2 * members
    inner = width - members
    start = count * 0
    for r in range(count):
        parity = rows[sizes[LEVEL_TABLE] + r, PARITY]
        o, even, near = pad + r * width, r * width, (count + r) * width
        own, other = at[OWN_K] + o, at[OTHER_K] + o
        to_roots(s, (parity * count + r) * width, c, own, width)
        fill(c, other, width, 0.0)
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
def coarsen_along_k(tk, rows, members, points, width, periodic, halves, out):  # type: ignore[no-untyped-def]
    """Faces along k, in natural order, of the grid that is halved along k: in series.

    `halves` is a row of working space: the inner face of each coarse cell with one cell before and one after, without
    a limit where there is none.
    """
    coarse = (points + 1) // 2
    pairs = points // 2 * members
    end = coarse * members
    start = rows * 0
    for r in range(rows):
        even, odd, target = r * width, (rows + r) * width, r * (end + members)
        fill(halves, start, end + 2 * members, INFINITE)
        copy(tk, odd, halves, members, pairs)
        if periodic:
            copy(tk, odd + pairs - members, halves, start, members)
            copy(tk, odd, halves, members + pairs, members)
        in_series(tk, even, halves, start, members, out, target, end)
        # The last face: behind an even number of cells, or behind the single last one.
        if points % 2 == 0:
            in_series(tk, even + end, halves, end, end + members, out, target + end, members)
        else:
            copy(tk, odd + end - members, out, target + end, members)
        if periodic and coarse == 1:
            fill(out, target, end + members, 0.0)


@compiled
def add_pairs_along_k(x, rows, members, points, width, out):  # type: ignore[no-untyped-def]
    """Sums over the pairs of cells along k, in natural order."""
    coarse = (points + 1) // 2 * members
    for r in range(rows):
        copy(x, r * width, out, r * coarse, coarse)
        accumulate(x, (rows + r) * width, out, r * coarse, points // 2 * members)


@helper
def half_before(t, line, low, n, inner, out, target):  # type: ignore[no-untyped-def]
    """Put half a coarse cell, inside of which face `low` lies, in series with a row of faces, if there is one."""
    if 0 < low < n:
        far_conductance(out, target, t, line + low * inner, out, target, inner)


@compiled
def coarsen_leading(t, outer, n, inner, periodic, out):  # type: ignore[no-untyped-def]
    """Faces (outer, n + 1, inner) of the grid that is halved along the middle axis: in series."""
    coarse = (n + 1) // 2
    for o in range(outer):
        line = o * (n + 1) * inner
        for J in range(coarse + 1):
            target = (o * (coarse + 1) + J) * inner
            copy(t, line + min(2 * J, n) * inner, out, target, inner)
            low, high = 2 * J - 1, 2 * J + 1
            if periodic:
                low, high = low % n, high % n
            half_before(t, line, low, n, inner, out, target)
            if coarse > J or periodic:
                half_before(t, line, high, n, inner, out, target)
            if periodic and coarse == 1:
                fill(out, target, inner, 0.0)


@compiled
def weights_leading(t, outer, n, inner, periodic, weights, o_weights):  # type: ignore[no-untyped-def]
    """Own weights (outer, n, inner), from `o_weights` on, of interpolation along the middle axis."""
    for o in range(outer):
        line = o * (n + 1) * inner
        for k in range(n):
            w, pair = o_weights + (o * n + k) * inner, 2 * (k // 2)
            if pair + 1 >= n or (periodic and n == 2):
                fill(weights, w, inner, 1.0)
                continue
            copy(t, line + (k if k % 2 == 0 else k + 1) * inner, weights, w, inner)
            behind = pair - 1 if k % 2 == 0 else pair + 3
            if periodic:
                behind = behind % n
            half_before(t, line, behind, n, inner, weights, w)
            near = uint64(line + (pair + 1) * inner)
            first = uint64(w)
            for step in range(inner):
                f = uint64(step)
                far = weights[first + f]
                weights[first + f] = 1.0 - far / max(2.0 * t[near + f] + far, TINY)


@compiled
def add_pairs_leading(x, outer, n, inner, out):  # type: ignore[no-untyped-def]
    """Sums over the pairs of cells along the middle axis."""
    coarse = (n + 1) // 2
    for o in range(outer):
        for J in range(coarse):
            target, first = (o * coarse + J) * inner, (o * n + 2 * J) * inner
            if n > 2 * J + 1:
                add_fields(x, first, x, first + inner, out, target, inner)
            else:
                copy(x, first, out, target, inner)
