"""Kernels that make the network of the next coarser level, and the weights of interpolation along j and i to it.

They work on natural order, in the precision of the preconditioner: there are sums and quotients of positive numbers
only, which lose no more than their last digit. The mathematics is that of `network`; the arrays are described in
`checkerboard_setup`.
"""

from __future__ import annotations

from numba import uint64

from .checkerboard_fields import (
    FACES_I,
    FACES_J,
    FACES_K,
    GROUND,
    LEVEL_CLOSED_I,
    LEVEL_CLOSED_J,
    LEVEL_CLOSED_K,
    LEVEL_HALVED_I,
    LEVEL_HALVED_J,
    LEVEL_HALVED_K,
    LEVEL_I,
    LEVEL_J,
    LEVEL_K,
    LEVEL_MEMBERS,
    LEVEL_SPACE,
    LEVEL_WIDTH,
    OWN_I,
    OWN_J,
)
from .checkerboard_loops import (
    accumulate,
    add_fields,
    compiled,
    copy,
    far_conductance,
    fill,
    helper,
    in_series,
    own_share,
)

INFINITE = 1e30
"""Conductance of a piece of no length; faces are scaled to the order of one."""


@helper
def part_of(network, networks, level, field):  # type: ignore[no-untyped-def]
    """The array of a network that is one of its fields."""
    start, count = networks[level, field]
    return network[start : start + count]


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


@helper
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


@helper
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
            fill(out, target, end + members, 0)


@helper
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


@helper
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
                fill(out, target, inner, 0)


@helper
def weights_leading(t, outer, n, inner, periodic, weights, o_weights):  # type: ignore[no-untyped-def]
    """Own weights (outer, n, inner), from `o_weights` on, of interpolation along the middle axis."""
    for o in range(outer):
        line = o * (n + 1) * inner
        for k in range(n):
            w, pair = o_weights + (o * n + k) * inner, 2 * (k // 2)
            if pair + 1 >= n or (periodic and n == 2):
                fill(weights, w, inner, 1)
                continue
            copy(t, line + (k if k % 2 == 0 else k + 1) * inner, weights, w, inner)
            behind = pair - 1 if k % 2 == 0 else pair + 3
            if periodic:
                behind = behind % n
            half_before(t, line, behind, n, inner, weights, w)
            own_share(t, line + (pair + 1) * inner, weights, w, inner)


@helper
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


@helper
def coarsen(network, networks, c, at, sizes, scratch, row, level):  # type: ignore[no-untyped-def]
    """Make the weights of interpolation along j and i to a level, and the network of the next coarser one."""
    here, size, wide = at[level], sizes[level], sizes[level + 1, LEVEL_WIDTH]
    ni, nj, nk, members, width = size[LEVEL_I], size[LEVEL_J], size[LEVEL_K], size[LEVEL_MEMBERS], size[LEVEL_WIDTH]
    nci, ncj, nck = sizes[level + 1, LEVEL_I], sizes[level + 1, LEVEL_J], sizes[level + 1, LEVEL_K]
    tk, tj = part_of(network, networks, level, FACES_K), part_of(network, networks, level, FACES_J)
    ti, ground = part_of(network, networks, level, FACES_I), part_of(network, networks, level, GROUND)
    # Numba compiles a function anew for each number that is written out in a call.
    none, one = nck * 0, nck * 0 + 1
    inner, start = nck * members, none
    # Rows of k in natural order for faces along j, along i, and the grounding: a level has the latter two or not.
    rows_i = (ni + 1) * nj if ti.size > 0 else 0
    rows_g = ni * nj if ground.size > 0 else 0
    taken = lay_out(scratch, start, ni * nj * (inner + members), ni * (nj + 1) * inner, rows_i * inner, rows_g * inner)
    if size[LEVEL_HALVED_K]:
        coarsen_along_k(tk, ni * nj, members, nk, width, size[LEVEL_CLOSED_K], row, taken[0])
        add_pairs_along_k(tj, ni * (nj + 1), members, nk, width, taken[1])
        add_pairs_along_k(ti, rows_i, members, nk, width, taken[2])
        add_pairs_along_k(ground, rows_g, members, nk, width, taken[3])
    else:
        join(tk, ni * nj, nk + 1, members, width, taken[0])
        join(tj, ni * (nj + 1), nk, members, width, taken[1])
        join(ti, rows_i, nk, members, width, taken[2])
        join(ground, rows_g, nk, members, width, taken[3])
    tk, tj, ti, ground = taken
    middle = scratch.size // 2
    if size[LEVEL_HALVED_J]:
        weights_leading(tj, ni, nj, inner, size[LEVEL_CLOSED_J], c, here[OWN_J])
        start = middle - start
        rows_i, rows_g = rows_i // nj * ncj, rows_g // nj * ncj
        taken = lay_out(
            scratch, start, ni * ncj * (inner + members), ni * (ncj + 1) * inner, rows_i * inner, rows_g * inner
        )
        add_pairs_leading(tk, ni, nj, inner + members, taken[0])
        coarsen_leading(tj, ni, nj, inner, size[LEVEL_CLOSED_J], taken[1])
        add_pairs_leading(ti, rows_i // ncj, nj, inner, taken[2])
        add_pairs_leading(ground, rows_g // ncj, nj, inner, taken[3])
        tk, tj, ti, ground = taken
    else:
        fill(c, here[OWN_J], ni * nj * inner, 1)
    if size[LEVEL_SPACE] and size[LEVEL_HALVED_I]:
        weights_leading(ti, one, ni, ncj * inner, size[LEVEL_CLOSED_I], c, here[OWN_I])
        start = middle - start
        rows_i, rows_g = (nci + 1) * ncj, rows_g // ni * nci
        taken = lay_out(
            scratch, start, nci * ncj * (inner + members), nci * (ncj + 1) * inner, rows_i * inner, rows_g * inner
        )
        add_pairs_leading(tk, one, ni, ncj * (inner + members), taken[0])
        add_pairs_leading(tj, one, ni, (ncj + 1) * inner, taken[1])
        coarsen_leading(ti, one, ni, ncj * inner, size[LEVEL_CLOSED_I], taken[2])
        if rows_g > 0:
            add_pairs_leading(ground, one, ni, ncj * inner, taken[3])
        tk, tj, ti, ground = taken
    elif size[LEVEL_SPACE]:
        fill(c, here[OWN_I], ni * ncj * inner, 1)
    part(tk, nci * ncj, nck + 1, members, wide, part_of(network, networks, level + 1, FACES_K))
    part(tj, nci * (ncj + 1), nck, members, wide, part_of(network, networks, level + 1, FACES_J))
    target = part_of(network, networks, level + 1, GROUND)
    if size[LEVEL_SPACE] and nci == 1:  # a single plane: its walls ground it
        add_fields(ti, none, ti, ncj * inner, ti, none, ncj * inner)
        if rows_g > 0:
            accumulate(ground, none, ti, none, ncj * inner)
        part(ti, ncj, nck, members, wide, target)
        return
    part(ti, rows_i, nck, members, wide, part_of(network, networks, level + 1, FACES_I))
    part(ground, rows_g, nck, members, wide, target)


@helper
def lay_out(scratch, start, count_k, count_j, count_i, count_g):  # type: ignore[no-untyped-def]
    """Four arrays in `scratch`, one after the other."""
    j, i = start + count_k, start + count_k + count_j
    g = i + count_i
    return scratch[start:j], scratch[j:i], scratch[i:g], scratch[g : g + count_g]
