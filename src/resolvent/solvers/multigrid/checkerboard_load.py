"""Kernels that read the operators of an ensemble into the finest level of a checkerboard hierarchy.

An operator comes as natural (n_i n_j, n_k) arrays: its diagonal, and its couplings to the next point along each axis,
where those of the last points lead around a periodic axis, and are zero otherwise.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types, uint64
from numba.core import cgutils
from numba.extending import intrinsic

from .checkerboard_fields import (
    ABOVE_FACE,
    BELOW_FACE,
    EAST,
    LEVEL_CLOSED_I,
    LEVEL_CLOSED_J,
    LEVEL_CLOSED_K,
    LEVEL_I,
    LEVEL_J,
    LEVEL_K,
    LEVEL_MEMBERS,
    LEVEL_PAD,
    LEVEL_ROWS,
    LEVEL_TABLE,
    LEVEL_WIDTH,
    LEVEL_WRAPPED,
    NORTH,
    OWN_K,
    SOUTH,
    WEST,
    WRAP,
)
from .checkerboard_layout import PARITY
from .checkerboard_loops import both_roots, compiled, copy, fill, helper, scaled_twice
from .checkerboard_walls import stand_walls, sum_row, take_faces, watch_faces, watch_sums


@intrinsic
def _pointer(typing, address):  # type: ignore[no-untyped-def]
    """Make a pointer of an address: numba takes no lists of arrays without a conversion that copies them."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


carray: Any = numba.carray  # type: ignore[attr-defined]
pointer: Any = _pointer  # called with the address alone


@helper
def row_of_members(addresses, axis, row, sizes, factors, out, even, odd):  # type: ignore[no-untyped-def]
    """Bring a row of all members, of the diagonal or of the couplings along an axis, into a parted row of `out`.

    Four members at a time, as long as there are: more is fetched from memory at once, and lines of cache are written
    less often.
    """
    members, points, row = sizes[LEVEL_MEMBERS], sizes[LEVEL_K], uint64(row)
    cells, first = sizes[LEVEL_ROWS] * points, row * uint64(points)
    one, two, three, sign = uint64(1), uint64(2), uint64(3), -1.0 if axis > 0 else 1.0  # faces are minus the couplings
    member = points * 0
    while member + 4 <= members:
        v = entries(addresses, member, axis, cells)
        w = entries(addresses, member + 1, axis, cells)
        x = entries(addresses, member + 2, axis, cells)
        y = entries(addresses, member + 3, axis, cells)
        f, g = sign * factors[member], sign * factors[member + 1]
        h, k = sign * factors[member + 2], sign * factors[member + 3]
        for half in range(2):
            i, o = first + uint64(half), uint64(odd if half else even) + uint64(member)
            for place in range((points + 1 - half) // 2):
                p, q = i + uint64(2 * place), o + uint64(place * members)
                out[q], out[q + one], out[q + two], out[q + three] = f * v[p], g * w[p], h * x[p], k * y[p]
        member += 4
    while member < members:
        v, f = entries(addresses, member, axis, cells), sign * factors[member]
        for half in range(2):
            i, o = first + uint64(half), uint64(odd if half else even) + uint64(member)
            for place in range((points + 1 - half) // 2):
                out[o + uint64(place * members)] = f * v[i + uint64(2 * place)]
        member += 1


@helper
def entries(addresses, member, axis, cells):  # type: ignore[no-untyped-def]
    """The diagonal or the couplings of a member as an array."""
    return carray(pointer(addresses[member, axis]), cells, np.float64)


@helper
def lower_faces(addresses, axis, closed, place, row, behind, sizes, factors, lines, before, here):  # type: ignore[no-untyped-def]
    """Where in `lines` the faces before a row are: those after the row before, around a ring, or none at a wall."""
    width = sizes[LEVEL_WIDTH]
    if place > 0:
        return before
    if closed:
        row_of_members(addresses, axis, row + behind, sizes, factors, lines, here, here + width)
        return here
    fill(lines, here, 2 * width, 0.0)
    return here


@helper
def couple_along_k(line, scale, odd, r, parity, at, sizes, fine, c):  # type: ignore[no-untyped-def]
    """Store the couplings of the black points of row r along k, of which `line` holds the faces."""
    members, width = sizes[LEVEL_MEMBERS], sizes[LEVEL_WIDTH]
    o, e, inner = sizes[LEVEL_PAD] + r * width, r * width, width - members
    west, east = at[WEST] + o, at[EAST] + o
    if parity == 0:  # black k = 2 K + 1 lies between faces 2 K + 1 and 2 K + 2
        scaled_twice(line, width, scale, e, odd + e, fine, c, west, width)
        scaled_twice(line, members, scale, e + members, odd + e, fine, c, east, inner)
    else:  # black k = 2 K lies between faces 2 K and 2 K + 1
        scaled_twice(line, members, scale, odd + e, e + members, fine, c, west + members, inner)
        scaled_twice(line, width, scale, e, odd + e, fine, c, east, width)
    if sizes[LEVEL_WRAPPED]:
        last = (sizes[LEVEL_K] // 2 - 1) * members
        scaled_twice(line, sizes[LEVEL_K] * 0, scale, e, odd + e + last, fine, c, at[WRAP] + r * members, members)


@helper
def couple_rows(line, start, scale, odd, low, high, parity, up, down, at, sizes, fine, c):  # type: ignore[no-untyped-def]
    """Store the couplings between rows `low` and `high`, whose parity is given; their faces begin at `start` in `line`.

    `up` is the field of the couplings of black points of the lower row, `down` that of the higher one.
    """
    width, pad = sizes[LEVEL_WIDTH], sizes[LEVEL_PAD]
    black = (1 - parity) * odd
    below, here = low * width, high * width
    scaled_twice(
        line, start + (1 - parity) * width, scale, black + here, black + below, fine, c, at[down] + pad + here, width
    )
    black = odd - black
    scaled_twice(line, start + parity * width, scale, black + below, black + here, fine, c, at[up] + pad + below, width)


@compiled
def load(  # type: ignore[no-untyped-def]
    addresses,
    at,
    sizes,
    rows,
    deficit,
    factors,
    fine,
    c,
    root,
    scale,
    tk,
    tj,
    ti,
    ground,
    coupling,
    grounding,
    lack,
):
    """Write all members into the finest level of a reduced hierarchy, row by row, so that these stay in cache.

    Row sums away from walls go into `ground` where that has numbers.

    Parameters
    ----------
    addresses : (B, 4) array of int64
        Where the diagonal and the couplings along k, j and i of each member lie: contiguous float64 arrays of
        n_i n_j n_k numbers, kept alive by the caller.
    at, sizes, rows
        Fields and numbers of the finest level, and the tables of rows; see `checkerboard_fields`.
    deficit : float
        Part of the diagonal by which row sums may be below zero.
    factors : (B,) array
        What each member is multiplied by.
    fine, c : flat arrays
        The constants in double precision, of which the scaled couplings are written, and in that of the preconditioner,
        of which also the √d of red points are.
    root, scale : flat arrays
        √d of the black points, and 1/√d of all, parted, in double precision.
    tk, tj, ti, ground : flat arrays
        The network, as `checkerboard_setup` describes it.
    coupling, grounding, lack : (2, width) arrays
        Of each member, place by place of a parted row, times its factor: the largest off-diagonal entry, positive where
        the operator is not elliptic, not-a-number where entries are not; above zero where a point that touches no wall
        has a row sum that is more than rounding; above zero where a row sum is below −deficit times the diagonal.
    """
    members, width, pad, count = sizes[LEVEL_MEMBERS], sizes[LEVEL_WIDTH], sizes[LEVEL_PAD], sizes[LEVEL_ROWS]
    ni, nj, points = sizes[LEVEL_I], sizes[LEVEL_J], sizes[LEVEL_K]
    grounded = ground.size > 0
    # Numba compiles a function anew for each number that is written out in a call.
    none = count * 0
    i_axis, j_axis, k_axis = none + 3, none + 2, none + 1
    # All sums are needed before a wall is told from a grounding.
    sums = np.zeros(2 * width * (count if grounded else 1))
    odd, odd_j, odd_i = count * width, ni * (nj + 1) * width, (ni + 1) * nj * width
    # Faces after the rows of two steps along j, and of two planes along i, and one pair for those around a ring.
    along_k, along_j = np.zeros(2 * width), np.zeros(6 * width)
    along_i = np.zeros((4 * nj + 2) * width if ni > 1 else 0)
    nothing, work = np.zeros(width, dtype=tk.dtype), np.zeros(3 * width)
    most, grounding, lack = coupling.reshape(-1), grounding.reshape(-1), lack.reshape(-1)
    most[:], grounding[:], lack[:] = -np.inf, -np.inf, -np.inf
    for r in range(count):
        i, j, o = r // nj, r % nj, r * width
        parity = rows[sizes[LEVEL_TABLE] + r, PARITY]
        own = 2 * o if grounded else 0
        row_of_members(addresses, none, r, sizes, factors, scale, o, odd + o)
        # The coupling of point k to the next is that of face k + 1.
        row_of_members(addresses, k_axis, r, sizes, factors, along_k, width, members)
        last = (points % 2) * width + points // 2 * members
        if sizes[LEVEL_CLOSED_K]:
            copy(along_k, last, along_k, none, members)
        after_j, before_j = 2 * (r % 2) * width, 2 * ((r + 1) % 2) * width
        row_of_members(addresses, j_axis, r, sizes, factors, along_j, after_j, after_j + width)
        before_j = lower_faces(
            addresses, j_axis, sizes[LEVEL_CLOSED_J], j, r, nj - 1, sizes, factors, along_j, before_j, 4 * width
        )
        sum_row(scale, o, odd + o, along_k, along_j, before_j, after_j, sizes, sums, own)
        if ni > 1:
            after_i, before_i = 2 * (i % 2 * nj + j) * width, 2 * ((i + 1) % 2 * nj + j) * width
            row_of_members(addresses, i_axis, r, sizes, factors, along_i, after_i, after_i + width)
            behind = (ni - 1) * nj
            before_i = lower_faces(
                addresses,
                i_axis,
                sizes[LEVEL_CLOSED_I],
                i,
                r,
                behind,
                sizes,
                factors,
                along_i,
                before_i,
                4 * nj * width,
            )
            take_faces(along_i, before_i, after_i, sums, own, 2 * width)
            watch_faces(along_i, after_i, sums, own, 2 * width, most, none)
        watch_faces(along_k, none, sums, own, 2 * width, most, none)
        watch_faces(along_j, after_j, sums, own, 2 * width, most, none)
        watch_sums(sums, own, scale, o, odd + o, deficit, i, j, sizes, grounding, lack)
        both_roots(scale, parity * odd + o, c, at[OWN_K] + pad + o, width)
        both_roots(scale, (1 - parity) * odd + o, root, pad + o, width)
        store(along_k, none, tk, o, odd + o, width)
        couple_along_k(along_k, scale, odd, r, parity, at, sizes, fine, c)
        after = o + (i + 1) * width
        store(along_j, after_j, tj, after, odd_j + after, width)
        if j > 0:
            couple_rows(along_j, before_j, scale, odd, r - 1, r, parity, none + SOUTH, none + NORTH, at, sizes, fine, c)
        elif sizes[LEVEL_CLOSED_J]:
            store(along_j, before_j, tj, after - width, odd_j + after - width, width)
        # Rows that close a ring are complete when the last of them is here.
        if sizes[LEVEL_CLOSED_J] and nj > 1 and j == nj - 1:
            first = rows[sizes[LEVEL_TABLE] + r - j, PARITY]
            couple_rows(along_j, after_j, scale, odd, r, r - j, first, none + SOUTH, none + NORTH, at, sizes, fine, c)
        if ni > 1:
            after = o + nj * width
            store(along_i, after_i, ti, after, odd_i + after, width)
            if i > 0:
                couple_rows(
                    along_i,
                    before_i,
                    scale,
                    odd,
                    r - nj,
                    r,
                    parity,
                    none + ABOVE_FACE,
                    none + BELOW_FACE,
                    at,
                    sizes,
                    fine,
                    c,
                )
            elif sizes[LEVEL_CLOSED_I]:
                store(along_i, before_i, ti, o, odd_i + o, width)
            if sizes[LEVEL_CLOSED_I] and i == ni - 1:
                first = rows[sizes[LEVEL_TABLE] + j, PARITY]
                couple_rows(
                    along_i, after_i, scale, odd, r, j, first, none + ABOVE_FACE, none + BELOW_FACE, at, sizes, fine, c
                )
        if not grounded:
            stand_walls(sums, r, sizes, tk, tj, ti, ground, nothing, work)
    if grounded:
        for r in range(count):
            stand_walls(sums, r, sizes, tk, tj, ti, ground, nothing, work)


@helper
def store(line, start, out, even, odd, width):  # type: ignore[no-untyped-def]
    """Write both parities of a row."""
    copy(line, start, out, even, width)
    copy(line, start + width, out, odd, width)
