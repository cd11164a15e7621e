"""Kernels that read the operators of an ensemble into the finest level of a checkerboard hierarchy.

An operator comes as natural (n_i n_j, n_k) arrays: its diagonal, and its couplings to the next point along each axis,
where those of the last points lead around a periodic axis. Row sums that are not zero are walls and reaction; they
are told apart as `extraction` says. Where every point of the box touches a wall, they are walls here, and reaction
there.
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
from .checkerboard_loops import accumulate, both_roots, compiled, copy, helper, scaled_twice

ROUNDING = 1e-12
"""Row sums below this part of the diagonal are rounding."""


@helper
def watch_row(centre, ck, cj, ci, space, i, points, coupling, m):  # type: ignore[no-untyped-def]
    """coupling = its largest so far; not-a-number where an entry is not finite, and stays."""
    i, m = uint64(i), uint64(m)
    for step in range(points):
        f = uint64(step)
        v, w, most = ck[i + f], cj[i + f], coupling[m + f]
        # Zero but for entries that are not finite.
        v = (v if v > w else w) + 0.0 * (centre[i + f] + v + w)
        coupling[m + f] = most if (v <= most) | (most != most) else v
    if space:
        for step in range(points):
            f = uint64(step)
            v, most = ci[i + f], coupling[m + f]
            v = v + 0.0 * v
            coupling[m + f] = most if (v <= most) | (most != most) else v


@helper
def watch_sums(sums, o, centre, i, deficit, away, first, last, points, grounding, lack, m):  # type: ignore[no-untyped-def]
    """grounding = max(|sums| − rounding) of points first … last if away from walls; lack = max(−sums − deficit · d)."""
    o, i, m = uint64(o), uint64(i), uint64(m)
    for step in range(points):
        f = uint64(step)
        v, most = -sums[o + f] - deficit * centre[i + f], lack[m + f]
        lack[m + f] = v if v > most else most
    if away:
        for step in range(first, last):
            f = uint64(step)
            v, most = abs(sums[o + f]) - ROUNDING * centre[i + f], grounding[m + f]
            grounding[m + f] = v if v > most else most


@helper
def sums_of_row(centre, ck, cj, ci, ni, nj, points, periodic, r, out, o):  # type: ignore[no-untyped-def]
    """out = row sums of one row of points, from o on; the entries are flat."""
    i, j, at = r // nj, r % nj, r * points
    first, target = uint64(at), uint64(o)
    for step in range(points):
        f = uint64(step)
        out[target + f] = centre[first + f] + ck[first + f]
    accumulate(ck, at, out, o + 1, points - 1)
    if periodic[2]:
        out[o] += ck[at + points - 1]
    low = r - 1 if j > 0 else (r + nj - 1 if periodic[1] else -1)
    accumulate(cj, at, out, o, points)
    if low >= 0:
        accumulate(cj, low * points, out, o, points)
    if ni > 1:
        low = r - nj if i > 0 else (r + (ni - 1) * nj if periodic[0] else -1)
        accumulate(ci, at, out, o, points)
        if low >= 0:
            accumulate(ci, low * points, out, o, points)


@helper
def inner(at, n, periodic):  # type: ignore[no-untyped-def]
    """The nearest place along an axis that touches no wall."""
    return at if periodic or n == 1 else min(max(at, 1), n - 2) if n > 2 else at


@helper
def scatter(values, i, points, factor, members, out, even, odd):  # type: ignore[no-untyped-def]
    """Write factor · values, the even ones from `even` on and the odd ones from `odd` on, a place apart."""
    i, even, odd, stride = uint64(i), uint64(even), uint64(odd), uint64(members)
    for step in range((points + 1) // 2):
        f = uint64(step)
        out[even + f * stride] = factor * values[i + f + f]
    i = i + uint64(1)
    for step in range(points // 2):
        f = uint64(step)
        out[odd + f * stride] = factor * values[i + f + f]


@helper
def row_of_members(addresses, axis, at, points, stretch, factors, sign, line, even, odd):  # type: ignore[no-untyped-def]
    """Bring one row of all members into a parted row of `line`."""
    members = factors.size
    for member in range(members):
        values = carray(pointer(addresses[member, axis]), stretch, np.float64)
        scatter(values, at, points, sign * factors[member], members, line, even + member, odd + member)


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
        scaled_twice(line, 0, scale, e, odd + e + last, fine, c, at[WRAP] + r * members, members)


@helper
def couple_rows(line, scale, odd, low, high, parity, up, down, at, sizes, fine, c):  # type: ignore[no-untyped-def]
    """Store the couplings between rows `low` and `high`, whose parity is given, of which `line` holds the faces.

    `up` is the field of the couplings of black points of the lower row, `down` that of the higher one.
    """
    width, pad = sizes[LEVEL_WIDTH], sizes[LEVEL_PAD]
    black = (1 - parity) * odd
    below, here = low * width, high * width
    scaled_twice(line, (1 - parity) * width, scale, black + here, black + below, fine, c, at[down] + pad + here, width)
    black = odd - black
    scaled_twice(line, parity * width, scale, black + below, black + here, fine, c, at[up] + pad + below, width)


@intrinsic
def _pointer(typing, address):  # type: ignore[no-untyped-def]
    """Make a pointer of an address: numba takes no lists of arrays without a conversion that copies them."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


carray: Any = numba.carray  # type: ignore[attr-defined]
pointer: Any = _pointer  # called with the address alone


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
    coupling, grounding, lack : (B, points) arrays
        Of each member, place by place of a row: the largest off-diagonal entry, positive where the operator is not
        elliptic, not-a-number where entries are not; above zero where a point that touches no wall has a row sum that
        is more than rounding; above zero where a row sum is below −deficit times the diagonal.
    """
    members, width, pad = addresses.shape[0], sizes[LEVEL_WIDTH], sizes[LEVEL_PAD]
    ni, nj, points = sizes[LEVEL_I], sizes[LEVEL_J], sizes[LEVEL_K]
    periodic = (sizes[LEVEL_CLOSED_I], sizes[LEVEL_CLOSED_J], sizes[LEVEL_CLOSED_K])
    count = ni * nj
    cells = count * points
    grounded = ground.size > 0
    stretch = (count if grounded else 1) * points
    sums = np.empty(members * stretch)
    if grounded:
        for member in range(members):
            centre, ck, cj, ci = entries_at(addresses, member, cells)
            for r in range(count):
                sums_of_row(centre, ck, cj, ci, ni, nj, points, periodic, r, sums, member * stretch + r * points)
                for k in range(r * points, (r + 1) * points):
                    if abs(sums[member * stretch + k]) <= ROUNDING * centre[k]:
                        sums[member * stretch + k] = 0.0
    coupling[:], grounding[:], lack[:] = -np.inf, -np.inf, -np.inf
    most_coupling, most_grounding, most_lack = coupling.reshape(-1), grounding.reshape(-1), lack.reshape(-1)
    odd, odd_j, odd_i = count * width, ni * (nj + 1) * width, (ni + 1) * nj * width
    along_k, line = np.zeros(2 * width), np.zeros(2 * width)
    opened = (ni > 1 and not periodic[0], nj > 1 and not periodic[1], points > 1 and not periodic[2])
    if points == 1 and nj == 1 and ni == 1:
        opened = (False, False, True)  # a single cell has walls only
    for r in range(count):
        i, j, first = r // nj, r % nj, r * points
        parity = rows[sizes[LEVEL_TABLE] + r, PARITY]
        o = r * width
        row_of_members(addresses, 0, first, points, cells, factors, 1.0, scale, o, odd + o)
        both_roots(scale, parity * odd + o, c, at[OWN_K] + pad + o, width)
        both_roots(scale, (1 - parity) * odd + o, root, pad + o, width)
        # The coupling of point k to the next is that of face k + 1.
        row_of_members(addresses, 1, first, points, cells, factors, -1.0, along_k, width, members)
        if periodic[2]:
            copy(along_k, (points % 2) * width + points // 2 * members, along_k, 0, members)
        copy(along_k, 0, tk, o, width)
        copy(along_k, width, tk, odd + o, width)
        couple_along_k(along_k, scale, odd, r, parity, at, sizes, fine, c)
        if j > 0:
            row_of_members(addresses, 2, first - points, points, cells, factors, -1.0, line, 0, width)
            copy(line, 0, tj, o + i * width, width)
            copy(line, width, tj, odd_j + o + i * width, width)
            couple_rows(line, scale, odd, r - 1, r, parity, SOUTH, NORTH, at, sizes, fine, c)
        if i > 0:
            row_of_members(addresses, 3, first - nj * points, points, cells, factors, -1.0, line, 0, width)
            copy(line, 0, ti, o, width)
            copy(line, width, ti, odd_i + o, width)
            couple_rows(line, scale, odd, r - nj, r, parity, ABOVE_FACE, BELOW_FACE, at, sizes, fine, c)
        # Rows that close a ring are complete when the last of them is here.
        if periodic[1] and j == nj - 1:
            low = r - j
            row_of_members(addresses, 2, first, points, cells, factors, -1.0, line, 0, width)
            for face in (low + i, r + i + 1):
                copy(line, 0, tj, face * width, width)
                copy(line, width, tj, odd_j + face * width, width)
            if nj > 1:
                parity_low = rows[sizes[LEVEL_TABLE] + low, PARITY]
                couple_rows(line, scale, odd, r, low, parity_low, SOUTH, NORTH, at, sizes, fine, c)
        if ni > 1 and periodic[0] and i == ni - 1:
            row_of_members(addresses, 3, first, points, cells, factors, -1.0, line, 0, width)
            for face in (j, r + nj):
                copy(line, 0, ti, face * width, width)
                copy(line, width, ti, odd_i + face * width, width)
            parity_low = rows[sizes[LEVEL_TABLE] + j, PARITY]
            couple_rows(line, scale, odd, r, j, parity_low, ABOVE_FACE, BELOW_FACE, at, sizes, fine, c)
        whole = (opened[0] and (i == 0 or i == ni - 1)) or (opened[1] and (j == 0 or j == nj - 1))
        for member in range(members):
            centre, ck, cj, ci = entries_at(addresses, member, cells)
            factor = factors[member]
            if grounded:
                scatter(sums, member * stretch + first, points, factor, members, ground, o + member, odd + o + member)
            else:
                sums_of_row(centre, ck, cj, ci, ni, nj, points, periodic, r, sums, member * stretch)
            own = member * stretch + (first if grounded else 0)
            watch_row(centre, ck, cj, ci, ni > 1, first, points, most_coupling, member * points)
            begin, end = (1, points - 1) if opened[2] else (0, points)
            m = member * points
            watch_sums(sums, own, centre, first, deficit, not whole, begin, end, points, most_grounding, most_lack, m)
            if not whole and not opened[2]:
                continue
            near = member * stretch + (inner(i, ni, not opened[0]) * nj + inner(j, nj, not opened[1])) * points
            for k in range(0, points, 1 if whole else max(points - 1, 1)):
                e = sums[own + k]
                if abs(e) <= ROUNDING * centre[first + k]:
                    e = 0.0
                if grounded:
                    share = min(e, sums[near + inner(k, points, not opened[2])])
                    ground[(k % 2) * odd + o + (k // 2) * members + member] = factor * share
                    e -= share
                wall(
                    ck, cj, ci, ni, nj, points, opened, i, j, k, factor * e, member, members, width,
                    odd, odd_j, odd_i, tk, tj, ti,
                )  # fmt: skip


@helper
def entries_at(addresses, member, count):  # type: ignore[no-untyped-def]
    """The diagonal and couplings of a member as arrays."""
    return (
        carray(pointer(addresses[member, 0]), count, np.float64),
        carray(pointer(addresses[member, 1]), count, np.float64),
        carray(pointer(addresses[member, 2]), count, np.float64),
        carray(pointer(addresses[member, 3]), count, np.float64),
    )


@helper
def wall(  # type: ignore[no-untyped-def]
    ck, cj, ci, ni, nj, points, opened, i, j, k, e, member, members, width, odd, odd_j, odd_i, tk, tj, ti
):
    """Share what a cell loses through walls among these, as the faces behind it are to each other."""
    open_i, open_j, open_k = opened
    r = i * nj + j
    at = r * points + k
    place, half = (k // 2) * members + member, k % 2
    first_k, last_k = open_k and k == 0, open_k and k == points - 1
    first_j, last_j = open_j and j == 0, open_j and j == nj - 1
    first_i, last_i = open_i and i == 0, open_i and i == ni - 1
    w0 = -ck[at] if first_k and points > 1 else 0.0
    w1 = -ck[at - 1] if last_k and points > 1 else 0.0
    w2 = -cj[at] if first_j else 0.0
    w3 = -cj[at - points] if last_j else 0.0
    w4 = -ci[at] if first_i else 0.0
    w5 = -ci[at - nj * points] if last_i else 0.0
    total = w0 + w1 + w2 + w3 + w4 + w5
    equal = 0.0
    if not total > 0.0:
        total, equal = float(int(first_k) + int(last_k) + int(first_j) + int(last_j) + int(first_i) + int(last_i)), 1.0
    if first_k:
        tk[half * odd + r * width + place] = e * (w0 + equal) / total
    if last_k:
        after = ((k + 1) // 2) * members + member
        tk[(1 - half) * odd + r * width + after] = e * (w1 + equal) / total
    if first_j:
        tj[half * odd_j + (r + i) * width + place] = e * (w2 + equal) / total
    if last_j:
        tj[half * odd_j + (r + i + 1) * width + place] = e * (w3 + equal) / total
    if first_i:
        ti[half * odd_i + r * width + place] = e * (w4 + equal) / total
    if last_i:
        ti[half * odd_i + (r + nj) * width + place] = e * (w5 + equal) / total
