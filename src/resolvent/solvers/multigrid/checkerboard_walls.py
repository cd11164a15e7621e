"""Kernels that tell the walls, the grounding and the flaws of operators by their row sums.

Rows are parted by the parity of k, with the members innermost; see `checkerboard_setup`. Row sums that are not zero are
walls and reaction, which are told apart as `extraction` says: the reaction of a cell at a wall is that of the nearest
one that touches none. Where every cell of the box touches a wall, they are walls here, and reaction there.
"""

from __future__ import annotations

from numba import uint64

from .checkerboard_fields import (
    LEVEL_CLOSED_I,
    LEVEL_CLOSED_J,
    LEVEL_CLOSED_K,
    LEVEL_I,
    LEVEL_J,
    LEVEL_K,
    LEVEL_MEMBERS,
    LEVEL_ROWS,
    LEVEL_WIDTH,
)
from .checkerboard_loops import accumulate, copy, fill, helper

ROUNDING = 1e-12
"""Row sums below this part of the diagonal are rounding."""


@helper
def opened(sizes):  # type: ignore[no-untyped-def]
    """Which axes end in walls; those of a single cell are along k."""
    ni, nj, points = sizes[LEVEL_I], sizes[LEVEL_J], sizes[LEVEL_K]
    single = ni == 1 and nj == 1 and points == 1
    return (
        ni > 1 and not sizes[LEVEL_CLOSED_I],
        nj > 1 and not sizes[LEVEL_CLOSED_J],
        single or (points > 1 and not sizes[LEVEL_CLOSED_K]),
    )


@helper
def touches_wall(sizes, i, j):  # type: ignore[no-untyped-def]
    """Whether all of a row lies at a wall."""
    along_i, along_j, _ = opened(sizes)
    return (along_i and (i == 0 or i == sizes[LEVEL_I] - 1)) or (along_j and (j == 0 or j == sizes[LEVEL_J] - 1))


@helper
def places(sizes, half):  # type: ignore[no-untyped-def]
    """Numbers of one parity in a row, without the empty place."""
    return (sizes[LEVEL_K] + 1 - half) // 2 * sizes[LEVEL_MEMBERS]


@helper
def sum_row(d, even, odd, along_k, along_j, before, after, sizes, sums, own):  # type: ignore[no-untyped-def]
    """sums = diagonal − faces along k and j."""
    width, members = sizes[LEVEL_WIDTH], sizes[LEVEL_MEMBERS]
    for half in range(2):
        # An even cell lies between its even and its odd face, an odd one between its odd and the next even face.
        first, second = (half * width, width) if half == 0 else (width, members)
        i, j, k = uint64(odd if half else even), uint64(first), uint64(second)
        b, a, o = uint64(before + half * width), uint64(after + half * width), uint64(own + half * width)
        for step in range(places(sizes, half)):
            f = uint64(step)
            sums[o + f] = d[i + f] - ((along_k[j + f] + along_k[k + f]) + (along_j[b + f] + along_j[a + f]))


@helper
def take_faces(faces, before, after, sums, own, n):  # type: ignore[no-untyped-def]
    """sums −= faces before and after."""
    b, a, o = uint64(before), uint64(after), uint64(own)
    for step in range(n):
        f = uint64(step)
        sums[o + f] -= faces[b + f] + faces[a + f]


@helper
def watch_faces(faces, i, sums, o, n, coupling, m):  # type: ignore[no-untyped-def]
    """coupling = the largest −face so far; not-a-number where an entry of the row is not finite, and stays."""
    i, o, m = uint64(i), uint64(o), uint64(m)
    for step in range(n):
        f = uint64(step)
        # Zero but for entries that are not finite.
        v, most = 0.0 * sums[o + f] - faces[i + f], coupling[m + f]
        coupling[m + f] = most if (v <= most) | (most != most) else v


@helper
def watch_sums(sums, own, d, even, odd, deficit, i, j, sizes, grounding, lack):  # type: ignore[no-untyped-def]
    """lack = max(−sums − deficit · d), grounding = max(|sums| − rounding) away from walls; drop what is rounding."""
    width, members, points = sizes[LEVEL_WIDTH], sizes[LEVEL_MEMBERS], sizes[LEVEL_K]
    away, (_, _, along_k) = not touches_wall(sizes, i, j), opened(sizes)
    for half in range(2):
        n, m = places(sizes, half), half * width
        first = members if away and along_k and half == 0 else 0
        last = n - members if away and along_k and half == (points - 1) % 2 else n
        if away:
            most_of_sums(sums, own + m + first, d, (odd if half else even) + first, grounding, m + first, last - first)
        o, k, m = uint64(own + m), uint64(odd if half else even), uint64(m)
        for step in range(n):
            f = uint64(step)
            v, most = -sums[o + f] - deficit * d[k + f], lack[m + f]
            lack[m + f] = v if v > most else most
            # What is not finite stays.
            sums[o + f] = 0.0 if abs(sums[o + f]) <= ROUNDING * d[k + f] else sums[o + f]


@helper
def most_of_sums(sums, o, d, i, most, m, n):  # type: ignore[no-untyped-def]
    """most = the largest |sums| − rounding so far."""
    o, i, m = uint64(o), uint64(i), uint64(m)
    for step in range(n):
        f = uint64(step)
        v = abs(sums[o + f]) - ROUNDING * d[i + f]
        most[m + f] = v if v > most[m + f] else most[m + f]


@helper
def inner(at, n, open_):  # type: ignore[no-untyped-def]
    """The nearest place along an axis that touches no wall."""
    return min(max(at, 1), n - 2) if open_ and n > 2 else at


@helper
def stand_walls(sums, r, sizes, tk, tj, ti, ground, nothing, work):  # type: ignore[no-untyped-def]
    """Turn the sums of a row into walls, and into grounding where there is room for that.

    With grounding, `sums` holds all rows, else this one. `nothing` is a row of zeros, `work` three rows.
    """
    ni, nj, points = sizes[LEVEL_I], sizes[LEVEL_J], sizes[LEVEL_K]
    members, width, odd = sizes[LEVEL_MEMBERS], sizes[LEVEL_WIDTH], sizes[LEVEL_ROWS] * sizes[LEVEL_WIDTH]
    none, no = r * 0, r < 0  # numba compiles a function anew for each constant that is written out in a call
    i, j, own, near = r // nj, r % nj, none, none
    along_i, along_j, along_k = opened(sizes)
    if ground.size > 0:
        own = 2 * r * width
        near = 2 * (inner(i, ni, along_i) * nj + inner(j, nj, along_j)) * width
        for half in range(2):
            copy(sums, own + half * width, ground, half * odd + r * width, places(sizes, half))
    if touches_wall(sizes, i, j):
        for half in range(2):
            e, n = half * width, places(sizes, half)
            share_out(sums, own + e, near + e, r, half, none, n, no, no, sizes, tk, tj, ti, ground, nothing, work)
    if along_k:
        for end in range(min(points, 2)):
            k = end * (points - 1)
            place, inside = k // 2 * members, inner(k, points, along_k)
            e, close = k % 2 * width + place, inside % 2 * width + inside // 2 * members
            share_out(
                sums, own + e, near + close, r, k % 2, place, members, k == 0, k == points - 1,
                sizes, tk, tj, ti, ground, nothing, work,
            )  # fmt: skip


@helper
def share_out(  # type: ignore[no-untyped-def]
    sums, own, near, r, half, place, n, first_k, last_k, sizes, tk, tj, ti, ground, nothing, work
):
    """Share what n cells of a row lose through walls among these, as the faces behind the cells are to each other."""
    ni, nj, members, width = sizes[LEVEL_I], sizes[LEVEL_J], sizes[LEVEL_MEMBERS], sizes[LEVEL_WIDTH]
    i, j = r // nj, r % nj
    open_i, open_j, _ = opened(sizes)
    odd, odd_j, odd_i = ni * nj * width, ni * (nj + 1) * width, (ni + 1) * nj * width
    # Faces of these cells: before and after along k, j and i.
    k0 = half * odd + r * width + place
    k1 = (1 - half) * odd + r * width + place + half * members
    j0 = half * odd_j + (r + i) * width + place
    i0 = half * odd_i + r * width + place
    j1, i1 = j0 + width, i0 + nj * width
    first_j, last_j = open_j and j == 0, open_j and j == nj - 1
    first_i, last_i = open_i and i == 0, open_i and i == ni - 1
    single = first_k and last_k
    total, e, equal = r * 0, uint64(width), uint64(2 * width)
    fill(work, total, n, 0.0)
    if first_k and not single:
        accumulate(tk, k1, work, total, n)
    if last_k and not single:
        accumulate(tk, k0, work, total, n)
    if first_j:
        accumulate(tj, j1, work, total, n)
    if last_j:
        accumulate(tj, j0, work, total, n)
    if first_i:
        accumulate(ti, i1, work, total, n)
    if last_i:
        accumulate(ti, i0, work, total, n)
    walls = 1.0 * (int(first_k) + int(last_k) + int(first_j) + int(last_j) + int(first_i) + int(last_i))
    o, m, g = uint64(own), uint64(near), uint64(half * odd + r * width + place)
    for step in range(n):
        f = uint64(step)
        lost = sums[o + f]
        if ground.size > 0:
            part = min(lost, sums[m + f])
            ground[g + f] = part
            lost -= part
        linked = work[f] > 0.0
        work[e + f] = lost / (work[f] if linked else walls)
        work[equal + f] = 0.0 if linked else 1.0
    if single:
        put_wall(work, width, nothing, total, tk, k0, n)
        put_wall(work, width, nothing, total, tk, k1, n)
        return
    if first_k:
        put_wall(work, width, tk, k1, tk, k0, n)
    if last_k:
        put_wall(work, width, tk, k0, tk, k1, n)
    if first_j:
        put_wall(work, width, tj, j1, tj, j0, n)
    if last_j:
        put_wall(work, width, tj, j0, tj, j1, n)
    if first_i:
        put_wall(work, width, ti, i1, ti, i0, n)
    if last_i:
        put_wall(work, width, ti, i0, ti, i1, n)


@helper
def put_wall(work, width, behind, i, out, o, n):  # type: ignore[no-untyped-def]
    """out = share · (face behind, or one)."""
    i, o, e, equal = uint64(i), uint64(o), uint64(width), uint64(2 * width)
    for step in range(n):
        f = uint64(step)
        out[o + f] = work[e + f] * (behind[i + f] + work[equal + f])
