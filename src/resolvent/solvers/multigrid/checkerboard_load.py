"""Kernels that read the operator of one member of an ensemble into a checkerboard hierarchy, and vectors in and out.

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

from .checkerboard_cycle import starts
from .checkerboard_fields import LEVEL_MEMBERS, LEVEL_PAD, LEVEL_ROWS, LEVEL_TABLE, LEVEL_WIDTH
from .checkerboard_layout import PARITY
from .checkerboard_loops import accumulate, add_fields, compiled, helper
from .checkerboard_rows import towards_black, towards_red

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


@intrinsic
def _pointer(typing, address):  # type: ignore[no-untyped-def]
    """Make a pointer of an address: numba takes no lists of arrays without a conversion that copies them."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


carray: Any = numba.carray  # type: ignore[attr-defined]
pointer: Any = _pointer  # called with the address alone


@compiled
def load(addresses, ni, nj, points, periodic, deficit, factors, d, tk, tj, ti, shift, coupling, grounding, lack):  # type: ignore[no-untyped-def]
    """Write all members into the parted arrays of the finest level, row by row, so that these stay in cache.

    Row sums away from walls go into `shift` where that has rows.

    Parameters
    ----------
    addresses : (B, 4) array of int64
        Where the diagonal and the couplings along k, j and i of each member lie: contiguous float64 arrays of
        n_i n_j n_k numbers, kept alive by the caller.
    deficit : float
        Part of the diagonal by which row sums may be below zero.
    factors : (B,) array
        What each member is multiplied by.
    coupling, grounding, lack : (B, points) arrays
        Of each member, place by place of a row: the largest off-diagonal entry, positive where the operator is not
        elliptic, not-a-number where entries are not; above zero where a point that touches no wall has a row sum that
        is more than rounding; above zero where a row sum is below −deficit times the diagonal.
    """
    members, count, width = addresses.shape[0], ni * nj, d.shape[2]
    grounded = shift.shape[1] > 0
    stretch = (count if grounded else 1) * points
    sums = np.empty(members * stretch)
    if grounded:
        for member in range(members):
            centre, ck, cj, ci = entries_at(addresses, member, count * points)
            for r in range(count):
                sums_of_row(centre, ck, cj, ci, ni, nj, points, periodic, r, sums, member * stretch + r * points)
                for k in range(r * points, (r + 1) * points):
                    if abs(sums[member * stretch + k]) <= ROUNDING * centre[k]:
                        sums[member * stretch + k] = 0.0
    coupling[:], grounding[:], lack[:] = -np.inf, -np.inf, -np.inf
    most_coupling, most_grounding, most_lack = coupling.reshape(-1), grounding.reshape(-1), lack.reshape(-1)
    D, K, J, L, G = d.reshape(-1), tk.reshape(-1), tj.reshape(-1), ti.reshape(-1), shift.reshape(-1)
    half_d, half_j, half_i = count * width, tj.shape[1] * width, ti.shape[1] * width
    for r in range(count):
        i, j, at = r // nj, r % nj, r * points
        for member in range(members):
            centre, ck, cj, ci = entries_at(addresses, member, count * points)
            factor, o = factors[member], r * width + member
            scatter(centre, at, points, factor, members, D, o, half_d + o)
            # The coupling of point k to the next is that of face k + 1.
            scatter(ck, at, points, -factor, members, K, half_d + o, o + members)
            above = (r + i + 1) * width + member
            scatter(cj, at, points, -factor, members, J, above, half_j + above)
            if ni > 1:
                above = (r + nj) * width + member
                scatter(ci, at, points, -factor, members, L, above, half_i + above)
            if periodic[2]:
                K[o] = -factor * ck[at + points - 1]
            if periodic[1] and j == 0:
                low = (r + i) * width + member
                scatter(cj, at + (nj - 1) * points, points, -factor, members, J, low, half_j + low)
            if ni > 1 and periodic[0] and i == 0:
                scatter(ci, at + (ni - 1) * nj * points, points, -factor, members, L, o, half_i + o)
            if grounded:
                scatter(sums, member * stretch + at, points, factor, members, G, o, half_d + o)
            else:
                sums_of_row(centre, ck, cj, ci, ni, nj, points, periodic, r, sums, member * stretch)
            own = member * stretch + (at if grounded else 0)
            opened = (ni > 1 and not periodic[0], nj > 1 and not periodic[1], points > 1 and not periodic[2])
            if points == 1 and nj == 1 and ni == 1:
                opened = (False, False, True)  # a single cell has walls only
            whole = (opened[0] and (i == 0 or i == ni - 1)) or (opened[1] and (j == 0 or j == nj - 1))
            watch_row(centre, ck, cj, ci, ni > 1, at, points, most_coupling, member * points)
            first, last = (1, points - 1) if opened[2] else (0, points)
            m = member * points
            watch_sums(sums, own, centre, at, deficit, not whole, first, last, points, most_grounding, most_lack, m)
            if not whole and not opened[2]:
                continue
            near = member * stretch + (inner(i, ni, not opened[0]) * nj + inner(j, nj, not opened[1])) * points
            for k in range(0, points, 1 if whole else max(points - 1, 1)):
                e = sums[own + k]
                if abs(e) <= ROUNDING * centre[at + k]:
                    e = 0.0
                if grounded:
                    ground = min(e, sums[near + inner(k, points, not opened[2])])
                    shift[k % 2, r, (k // 2) * members + member] = factor * ground
                    e -= ground
                wall(ck, cj, ci, ni, nj, points, opened, i, j, k, factor * e, member, members, tk, tj, ti)


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
def wall(ck, cj, ci, ni, nj, points, opened, i, j, k, e, member, members, tk, tj, ti):  # type: ignore[no-untyped-def]
    """Share what a cell loses through walls among these, as the faces behind it are to each other."""
    open_i, open_j, open_k = opened
    r = i * nj + j
    at = r * points + k
    half, place = k % 2, (k // 2) * members + member
    after_half, after_place = (k + 1) % 2, ((k + 1) // 2) * members + member
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
        tk[half, r, place] = e * (w0 + equal) / total
    if last_k:
        tk[after_half, r, after_place] = e * (w1 + equal) / total
    if first_j:
        tj[half, r + i, place] = e * (w2 + equal) / total
    if last_j:
        tj[half, r + i + 1, place] = e * (w3 + equal) / total
    if first_i:
        ti[half, r, place] = e * (w4 + equal) / total
    if last_i:
        ti[half, r + nj, place] = e * (w5 + equal) / total


@compiled
def to_colours(vectors, factors, scale, rows, sizes, red, black):  # type: ignore[no-untyped-def]
    """red and black = factor · scale · x for the (B, n) array `vectors`, with one factor a member."""
    members, pad, width = sizes[LEVEL_MEMBERS], sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    points = vectors.shape[1] // sizes[LEVEL_ROWS]
    x, s, half, stride = vectors.reshape(-1), scale.reshape(-1), scale.shape[1] * width, uint64(members)
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
    x, s, half, stride = vectors.reshape(-1), scale.reshape(-1), scale.shape[1] * width, uint64(members)
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
