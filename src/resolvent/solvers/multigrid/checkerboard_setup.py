"""Kernels that make the levels of a checkerboard hierarchy: couplings, weights of interpolation, coarser networks.

A level is a network of conductances t between neighbouring cells, with the walls as outermost faces, and perhaps a
grounding σ. Where a level is read, its numbers are parted by the parity of k: arrays of shape (2, rows, width) hold
the even ones, then the odd ones, so that all loops along k are over contiguous numbers. There are n_i n_j rows of
cells and of faces along k, n_i (n_j + 1) of faces along j and (n_i + 1) n_j of faces along i. Coarser levels are made in
natural order and parted in the end. The mathematics is that of `network`.
"""

from __future__ import annotations

import numpy as np

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
from .checkerboard_loops import compiled

TINY = np.float32(1e-30)
"""Keeps 0/0 away; faces are scaled to at most one."""

INFINITE = np.float32(1e30)
"""Conductance of a piece of no length."""


@compiled
def part(natural, members, parted):  # type: ignore[no-untyped-def]
    """Part the numbers of natural rows by the parity of their place."""
    points = natural.shape[1] // members
    for r in range(natural.shape[0]):
        even, odd, line = parted[0, r], parted[1, r], natural[r]
        if members == 1:
            for k in range((points + 1) // 2):
                even[k] = line[2 * k]
            for k in range(points // 2):
                odd[k] = line[2 * k + 1]
        else:
            for k in range((points + 1) // 2):
                n, o = 2 * k * members, k * members
                for b in range(members):
                    even[o + b] = line[n + b]
            for k in range(points // 2):
                n, o = (2 * k + 1) * members, k * members
                for b in range(members):
                    odd[o + b] = line[n + b]


@compiled
def join(parted, members, natural):  # type: ignore[no-untyped-def]
    """Undo `part`."""
    points = natural.shape[1] // members
    for r in range(natural.shape[0]):
        line = natural[r]
        for k in range(points):
            source, n, o = parted[k % 2, r], k * members, (k // 2) * members
            for b in range(members):
                line[n + b] = source[o + b]


@compiled
def diagonal_of_network(tk, tj, ti, shift, nj, points, members, d):  # type: ignore[no-untyped-def]
    """d = sum of the faces of each cell, and the shift where it has rows."""
    width = d.shape[2]
    for r in range(d.shape[1]):
        i = r // nj
        for parity in range(2):
            out, low, high = d[parity, r], tj[parity, r + i], tj[parity, r + i + 1]
            # An even cell has its even face first, an odd one its odd face, and the next even one.
            first = tk[parity, r]
            second = tk[1 - parity, r, members * parity :]
            for f in range(width):
                out[f] = first[f] + low[f] + high[f]
            for f in range(second.size):
                out[f] += second[f]
            if ti.shape[1] > 0:
                below, above = ti[parity, r], ti[parity, r + nj]
                for f in range(width):
                    out[f] += below[f] + above[f]
            if shift.shape[1] > 0:
                ground = shift[parity, r]
                for f in range(width):
                    out[f] += ground[f]
            if points % 2 == parity:  # the empty place, where the last wall was counted
                for f in range(width - members, width):
                    out[f] = 0


@compiled
def inverse_root(d, s):  # type: ignore[no-untyped-def]
    """s = 1/√d, 0 where d is not positive."""
    for parity in range(2):
        for r in range(d.shape[1]):
            x, y = d[parity, r], s[parity, r]
            for f in range(x.size):
                y[f] = 1.0 / np.sqrt(x[f]) if x[f] > 0.0 else 0.0


@compiled
def store_scales(s, c, at, sizes, rows):  # type: ignore[no-untyped-def]
    """Store 1/√d by colour."""
    pad, width = sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    for r in range(sizes[LEVEL_ROWS]):
        parity = rows[sizes[LEVEL_TABLE] + r, PARITY]
        o = pad + r * width
        red, black = (
            c[at[SCALE_RED] + o : at[SCALE_RED] + o + width],
            c[at[SCALE_BLACK] + o : at[SCALE_BLACK] + o + width],
        )
        red[:] = s[parity, r]
        black[:] = s[1 - parity, r]


@compiled
def store_roots(s, root, sizes, rows):  # type: ignore[no-untyped-def]
    """Store √d of the black points."""
    pad, width = sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    for r in range(sizes[LEVEL_ROWS]):
        o = pad + r * width
        out, scale = root[o : o + width], s[1 - rows[sizes[LEVEL_TABLE] + r, PARITY], r]
        for f in range(width):
            out[f] = 1.0 / scale[f] if scale[f] > 0.0 else 0.0


@compiled
def scaled(t, first, second, out):  # type: ignore[no-untyped-def]
    """out = t · first · second."""
    for f in range(out.size):
        out[f] = t[f] * first[f] * second[f]


@compiled
def couple(tk, tj, ti, s, nj, c, at, sizes, rows, copy, at_copy):  # type: ignore[no-untyped-def]
    """Store the scaled couplings t_pq / √(d_p d_q) of the black points in c, and again in `copy` where it has room."""
    members, pad, width = sizes[LEVEL_MEMBERS], sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    count = sizes[LEVEL_ROWS]
    points = sizes[LEVEL_NATURAL_WIDTH] // members
    inner = width - members
    for r in range(count):
        row = rows[sizes[LEVEL_TABLE] + r]
        i, black = r // nj, 1 - row[PARITY]
        o = pad + r * width
        even, odd, own = s[0, r], s[1, r], s[black, r]
        west, east = c[at[WEST] + o : at[WEST] + o + width], c[at[EAST] + o : at[EAST] + o + width]
        if black:  # black k = 2 K + 1 lies between faces 2 K + 1 and 2 K + 2
            scaled(tk[1, r], even, odd, west)
            scaled(tk[0, r, members:], even[members:], odd[:inner], east[:inner])
        else:  # black k = 2 K lies between faces 2 K and 2 K + 1
            scaled(tk[0, r, members:], odd[:inner], even[members:], west[members:])
            scaled(tk[1, r], even, odd, east)
        if sizes[LEVEL_WRAPPED]:
            last = (points // 2 - 1) * members
            for b in range(members):
                c[at[WRAP] + r * members + b] = tk[0, r, b] * even[b] * odd[last + b]
        if row[LEFT] < count:
            scaled(tj[black, r + i], own, s[black, row[LEFT]], c[at[NORTH] + o : at[NORTH] + o + width])
        if row[RIGHT] < count:
            scaled(tj[black, r + i + 1], own, s[black, row[RIGHT]], c[at[SOUTH] + o : at[SOUTH] + o + width])
        if sizes[LEVEL_SPACE]:
            if row[BELOW] < count:
                scaled(ti[black, r], own, s[black, row[BELOW]], c[at[BELOW_FACE] + o : at[BELOW_FACE] + o + width])
            if row[ABOVE] < count:
                scaled(ti[black, r + nj], own, s[black, row[ABOVE]], c[at[ABOVE_FACE] + o : at[ABOVE_FACE] + o + width])
        if copy.size > 0:
            for face in range(6 if sizes[LEVEL_SPACE] else 4):
                source, target = at[face] + o, at_copy[face] + o
                copy[target : target + width] = c[source : source + width]
            if sizes[LEVEL_WRAPPED]:
                source, target = at[WRAP] + r * members, at_copy[WRAP] + r * members
                copy[target : target + members] = c[source : source + members]


@compiled
def far_conductance(face, half, out):  # type: ignore[no-untyped-def]
    """out = conductance of `face` and of half a cell, twice `half`, one behind the other."""
    for f in range(out.size):
        h = np.float32(2.0) * half[f]
        out[f] = face[f] * (h / max(face[f] + h, TINY))


@compiled
def shorten(face, half):  # type: ignore[no-untyped-def]
    """The same in place."""
    for f in range(face.size):
        h = np.float32(2.0) * half[f]
        face[f] = face[f] * (h / max(face[f] + h, TINY))


@compiled
def weights_along_k(tk, s, periodic, c, at, sizes, rows, far):  # type: ignore[no-untyped-def]
    """Store the weights of interpolation along k to the red points, times √d; `far` is a row of working space."""
    members, pad, width = sizes[LEVEL_MEMBERS], sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    points = sizes[LEVEL_NATURAL_WIDTH] // members
    pairs = points // 2 * members
    inner = width - members
    for r in range(sizes[LEVEL_ROWS]):
        parity = rows[sizes[LEVEL_TABLE] + r, PARITY]
        o = pad + r * width
        own, other = c[at[OWN_K] + o : at[OWN_K] + o + width], c[at[OTHER_K] + o : at[OTHER_K] + o + width]
        scale = s[parity, r]
        for f in range(width):
            own[f] = 1.0 / scale[f] if scale[f] > 0.0 else 0.0
        other[:] = 0
        if not sizes[LEVEL_HALVED_K] or pairs == 0 or (periodic and points == 2):
            continue
        even, near = tk[0, r], tk[1, r]
        if parity == 0:  # red k = 2 K: half a cell and face 2 K on its way to the left
            far_conductance(even[members:], near[:inner], far[members:])
            for b in range(members):
                far[b] = even[b]
            if periodic:
                far_conductance(even[:members], near[pairs - members : pairs], far[:members])
        else:  # red k = 2 K + 1: half a cell and face 2 K + 2 on its way to the right
            far_conductance(even[members:], near[members:], far[:inner])
            if points % 2 == 0:  # behind the last face there is no cell
                for b in range(members):
                    far[pairs - members + b] = even[pairs + b]
                if periodic:
                    far_conductance(even[pairs : pairs + members], near[:members], far[pairs - members : pairs])
            elif points > 1:  # the last coarse cell is a single one: no half
                for b in range(members):
                    far[pairs - members + b] = even[pairs + b]
        for f in range(pairs):
            share = far[f] / max(np.float32(2.0) * near[f] + far[f], TINY)
            root = own[f]
            other[f] = root * share
            own[f] = root - root * share


@compiled
def series(face, low, high, out):  # type: ignore[no-untyped-def]
    """out = conductance of half a coarse cell, a face and another half, one behind the other."""
    for f in range(out.size):
        a, b = np.float32(2.0) * low[f], np.float32(2.0) * high[f]
        t = face[f] * (a / max(face[f] + a, TINY))
        out[f] = t * (b / max(t + b, TINY))


@compiled
def coarsen_along_k(tk, members, points, periodic, halves, out):  # type: ignore[no-untyped-def]
    """Faces along k, in natural order, of the grid that is halved along k: in series.

    `halves` is a row of working space: the inner face of each coarse cell with one cell before and one after, without
    a limit where there is none.
    """
    coarse = (points + 1) // 2
    pairs = points // 2 * members
    end = coarse * members
    for r in range(out.shape[0]):
        halves[:] = INFINITE
        halves[members : members + pairs] = tk[1, r, :pairs]
        if periodic:
            halves[:members] = tk[1, r, pairs - members : pairs]
            halves[members + pairs : 2 * members + pairs] = tk[1, r, :members]
        even, target = tk[0, r], out[r]
        series(even[:end], halves[:end], halves[members : members + end], target[:end])
        # The last face: behind an even number of cells, or behind the single last one.
        last = even[end : end + members] if points % 2 == 0 else tk[1, r, end - members : end]
        if points % 2 == 0:
            series(last, halves[end : end + members], halves[end + members :], target[end:])
        else:
            target[end:] = last
        if periodic and coarse == 1:
            target[:] = 0


@compiled
def add_pairs_along_k(x, members, points, out):  # type: ignore[no-untyped-def]
    """Sums over the pairs of cells along k, in natural order."""
    for r in range(out.shape[0]):
        even, odd, target = x[0, r], x[1, r], out[r]
        for f in range(target.size):
            target[f] = even[f]
        for f in range(points // 2 * members):
            target[f] += odd[f]


@compiled
def coarsen_leading(t, periodic, out):  # type: ignore[no-untyped-def]
    """Faces (outer, n + 1, inner) of the grid that is halved along the middle axis: in series."""
    outer, faces, inner = t.shape
    n = faces - 1
    coarse = (n + 1) // 2
    for o in range(outer):
        for J in range(coarse + 1):
            line = out[o, J]
            line[:] = t[o, min(2 * J, n)]
            low, high = 2 * J - 1, 2 * J + 1
            if periodic:
                low, high = low % n, high % n
            if 0 < low < n:
                shorten(line, t[o, low])
            if high < n and (coarse > J or periodic):
                shorten(line, t[o, high])
        if periodic and coarse == 1:
            out[o] = 0


@compiled
def weights_leading(t, periodic, weights):  # type: ignore[no-untyped-def]
    """Own weights (outer, n, inner) of interpolation along the middle axis."""
    outer, faces, inner = t.shape
    n = faces - 1
    for o in range(outer):
        for k in range(n):
            w = weights[o, k]
            J = k // 2
            if n <= 2 * J + 1 or (periodic and n == 2):
                w[:] = 1
                continue
            near = t[o, 2 * J + 1]
            w[:] = t[o, k] if k % 2 == 0 else t[o, k + 1]
            behind = 2 * J - 1 if k % 2 == 0 else 2 * J + 3
            if periodic:
                behind = behind % n
            if 0 < behind < n:
                shorten(w, t[o, behind])
            for f in range(inner):
                w[f] = np.float32(1.0) - w[f] / max(np.float32(2.0) * near[f] + w[f], TINY)


@compiled
def add_pairs_leading(x, out):  # type: ignore[no-untyped-def]
    """Sums over the pairs of cells along the middle axis."""
    outer, n, inner = x.shape
    for o in range(outer):
        for J in range(out.shape[1]):
            line, first = out[o, J], x[o, 2 * J]
            if n > 2 * J + 1:
                second = x[o, 2 * J + 1]
                for f in range(inner):
                    line[f] = first[f] + second[f]
            else:
                line[:] = first
