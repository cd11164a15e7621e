"""An application of a learned cycle, compiled: one call from the residual to the correction.

Fields are lines of numbers, one a plane of cells: the planes of a box, the rows of a square. Rows of `stride` numbers,
two more than cells, are strung together in a line; the two hold zeros, as do a plane before the first and one behind
the last of a vector and, in a box, a row before and behind those of each plane. So a stencil has no branches at the
boundary, and its inner loop is as long as a line. The entries of S lie as (plane, offset, line): a pass over them is
one over contiguous memory.

S multiplies r on the way down and S' what comes up, each by the same stored numbers, whatever their rounding: so B is
symmetric, and at least E, to the rounding of its sums.

Planes are worked on as soon as what they need is there, so that vectors stay in the cache between passes.
"""

from __future__ import annotations

from typing import Any

import numba
from numba import uint64

_njit: Any = numba.njit  # whose annotations do not know all of its options
_options = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
compiled = _njit(**_options)
"""Contraction lets a product and a sum become one instruction; no other freedom is given."""
helper = _njit(**_options, no_cpython_wrapper=True, no_cfunc_wrapper=True)
inlined = _njit(**_options, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)
"""For what only compiled functions call. Positions are unsigned, so that no test for negative ones is added."""

PLANES, ROWS, CELLS, HALO, BLOCKS, OFFSETS, STENCILS, FIELDS, VECTORS = range(9)
"""Columns of the table of levels: extents, rows of zeros at either end of a plane, blocks of stencils and how many
offsets each has, and where entries of stencils, fields and vectors begin. In two dimensions the planes are rows."""


@inlined
def line_length(level):  # type: ignore[no-untyped-def]
    """Numbers of a plane in a field."""
    return level[ROWS] * (level[CELLS] + 2)


@inlined
def vector_row(level, number, k, j):  # type: ignore[no-untyped-def]
    """Position of the first cell of row j in plane k of a vector of a level."""
    stride = level[CELLS] + 2
    plane = (level[ROWS] + 2 * level[HALO]) * stride
    size = (level[PLANES] + 2) * plane
    return level[VECTORS] + number * size + (k + 1) * plane + (j + level[HALO]) * stride + 1


@inlined
def field_row(level, number, k, j):  # type: ignore[no-untyped-def]
    """Position of the first cell of row j in plane k of a field of a level."""
    line = line_length(level)
    return level[FIELDS] + (number * level[PLANES] + k) * line + j * (level[CELLS] + 2)


@helper
def nine(K, i, j, k, m, turned, x, p, q, r, out, n):  # type: ignore[no-untyped-def]
    """out += Σ K x over three offsets on each of three rows: K at i, j, k and x at p, q, r.

    Offsets are m apart. `turned` is 1 for the transposed stencil: entries and x are then those of the cells behind.
    """
    real, sign, far = x.dtype.type, 1 - 2 * turned, 2 * m - turned
    i1, i2, i3 = uint64(i + turned), uint64(i + m), uint64(i + far)
    j1, j2, j3 = uint64(j + turned), uint64(j + m), uint64(j + far)
    k1, k2, k3 = uint64(k + turned), uint64(k + m), uint64(k + far)
    p1, p2, p3 = uint64(p - sign), uint64(p), uint64(p + sign)
    q1, q2, q3 = uint64(q - sign), uint64(q), uint64(q + sign)
    r1, r2, r3 = uint64(r - sign), uint64(r), uint64(r + sign)
    for step in range(n):
        f = uint64(step)
        first = real(K[i1 + f]) * x[p1 + f] + real(K[i2 + f]) * x[p2 + f] + real(K[i3 + f]) * x[p3 + f]
        second = real(K[j1 + f]) * x[q1 + f] + real(K[j2 + f]) * x[q2 + f] + real(K[j3 + f]) * x[q3 + f]
        third = real(K[k1 + f]) * x[r1 + f] + real(K[k2 + f]) * x[r2 + f] + real(K[k3 + f]) * x[r3 + f]
        out[f] += first + second + third


@helper
def five(K, i, j, k, m, turned, x, p, q, r, out, n):  # type: ignore[no-untyped-def]
    """out += Σ K x over three offsets on a row, K at j and x at q, and one on each of two others."""
    real, sign = x.dtype.type, 1 - 2 * turned
    i, k, p, r = uint64(i), uint64(k), uint64(p), uint64(r)
    j1, j2, j3 = uint64(j + turned), uint64(j + m), uint64(j + 2 * m - turned)
    q1, q2, q3 = uint64(q - sign), uint64(q), uint64(q + sign)
    for step in range(n):
        f = uint64(step)
        row = real(K[j1 + f]) * x[q1 + f] + real(K[j2 + f]) * x[q2 + f] + real(K[j3 + f]) * x[q3 + f]
        out[f] += real(K[i + f]) * x[p + f] + row + real(K[k + f]) * x[r + f]


@helper
def two(K, i, k, x, p, r, out, n):  # type: ignore[no-untyped-def]
    """out += Σ K x over one offset on each of two rows."""
    i, k, p, r = uint64(i), uint64(k), uint64(p), uint64(r)
    real = x.dtype.type
    for step in range(n):
        f = uint64(step)
        out[f] += real(K[i + f]) * x[p + f] + real(K[k + f]) * x[r + f]


@helper
def stencil_line(level, block, k, K, V, turned, out):  # type: ignore[no-untyped-def]
    """Write a plane of S s, or of S' s where `turned` is 1, into `out`; s is the vector `block` + `turned`."""
    line, stride, offsets = line_length(level), level[CELLS] + 2, level[OFFSETS]
    plane = (level[ROWS] + 2 * level[HALO]) * stride
    x, n = vector_row(level, block + turned, k, 0), line - 2
    m, here = line, level[STENCILS] + (block * level[PLANES] + k) * offsets * line
    # Where a stencil is turned, entries come from the planes behind. Beyond the boundary x is zero: any will do.
    before = here - offsets * line * turned * (k > 0)
    behind = here + offsets * line * turned * (k < level[PLANES] - 1)
    sign = 1 - 2 * turned
    first, last = (behind, before) if turned else (before, behind)
    p, r = x - sign * plane, x + sign * plane
    for step in range(n):
        out[uint64(step)] = 0
    if level[HALO] == 0:
        if offsets == 9:
            nine(K, first, here + 3 * m, last + 6 * m, m, turned, V, p, x, r, out, n)
        else:
            five(K, first, here + m, last + 4 * m, m, turned, V, p, x, r, out, n)
        return
    up = turned * stride  # entries of the rows behind
    if offsets == 27:
        for part, i, y in ((0, first, p), (9 * m, here, x), (18 * m, last, r)):
            i += part
            a, b = y - sign * stride, y + sign * stride
            nine(K, i + up, i + 3 * m, i + 6 * m - up, m, turned, V, a, y, b, out, n)
    else:
        five(K, first, here + 2 * m, last + 6 * m, m, turned, V, p, x, r, out, n)
        two(K, here + m + up, here + 5 * m - up, V, x - sign * stride, x + sign * stride, out, n)


@helper
def multiply_line(factor, x, out, o, n):  # type: ignore[no-untyped-def]
    """out = factor · x from the start of x on."""
    o, factor = uint64(o), out.dtype.type(factor)
    for step in range(n):
        f = uint64(step)
        out[o + f] = factor * x[f]


@helper
def combine_line(d, i, s, j, factor, x, n):  # type: ignore[no-untyped-def]
    """s = d · s + factor · x."""
    i, j, factor = uint64(i), uint64(j), s.dtype.type(factor)
    for step in range(n):
        f = uint64(step)
        s[j + f] = d[i + f] * s[j + f] + factor * x[f]


@helper
def gather_row(fine, i, s, j, add, out, n):  # type: ignore[no-untyped-def]
    """out = or += fine · s."""
    i, j, zero = uint64(i), uint64(j), out.dtype.type(0)
    for step in range(n):
        f = uint64(step)
        begin = out[f] if add else zero
        out[f] = begin + fine[i + f] * s[j + f]


@helper
def restrict(level, below, k, F, V, row):  # type: ignore[no-untyped-def]
    """Write coarse · P'(fine · s) of the planes k and k + 1 into the first vector of the level below."""
    blocks, cells = level[BLOCKS], level[CELLS]
    each = 1 + level[HALO]
    for J in range(level[ROWS] // each):
        for dk in range(2):
            for j in range(each * J, each * J + each):
                i, s = field_row(level, blocks + 1, k + dk, j), vector_row(level, blocks, k + dk, j)
                gather_row(F, i, V, s, dk + j > each * J, row, cells)
        i, o = uint64(field_row(below, below[BLOCKS] + 2, k // 2, J)), uint64(vector_row(below, 0, k // 2, J))
        for step in range(cells // 2):
            f = uint64(step)
            V[o + f] = F[i + f] * (row[f + f] + row[f + f + uint64(1)])


@helper
def interpolate(level, below, k, F, V, row):  # type: ignore[no-untyped-def]
    """Replace s by c · s + fine · P(coarse · u) in plane k, u the first vector of the level below."""
    blocks, cells = level[BLOCKS], level[CELLS]
    each = 1 + level[HALO]
    for j in range(level[ROWS]):
        if j % each == 0:
            u = uint64(vector_row(below, 0, k // 2, j // each))
            i = uint64(field_row(below, below[BLOCKS] + 2, k // 2, j // each))
            for step in range(cells // 2):
                f = uint64(step)
                value = F[i + f] * V[u + f]
                row[f + f] = value
                row[f + f + uint64(1)] = value
        c, fine = uint64(field_row(level, blocks, k, j)), uint64(field_row(level, blocks + 1, k, j))
        s = uint64(vector_row(level, blocks, k, j))
        for step in range(cells):
            f = uint64(step)
            V[s + f] = F[c + f] * V[s + f] + F[fine + f] * row[f]


@helper
def load(level, k, scale, factor, r, V):  # type: ignore[no-untyped-def]
    """Write plane k of factor · scale · r into the first vector; scale and r have the cells of the operator alone."""
    planes, rows, cells = scale.shape
    if k >= planes:
        return
    for j in range(rows):
        i, o = uint64((k * rows + j) * cells), uint64(vector_row(level, 0, k, j))
        flat = scale.reshape(-1)
        for step in range(cells):
            f = uint64(step)
            V[o + f] = flat[i + f] * (factor * r[i + f])


@helper
def store(level, k, scale, factor, V, out):  # type: ignore[no-untyped-def]
    """Write factor · scale · z of plane k of the first vector into `out`; return how many z are not finite."""
    planes, rows, cells = scale.shape
    spoilt = 0
    if k >= planes:
        return spoilt
    for j in range(rows):
        o, i = uint64((k * rows + j) * cells), uint64(vector_row(level, 0, k, j))
        flat = scale.reshape(-1)
        for step in range(cells):
            f = uint64(step)
            out[o + f] = flat[o + f] * (factor * V[i + f])
        for step in range(cells):
            z = V[i + uint64(step)]
            spoilt += z - z != 0.0
    return spoilt


@helper
def go_down(level, below, units, K, F, V, row, first, scale, factor, r):  # type: ignore[no-untyped-def]
    """Write all S s of a level, and the residual of the level below; on the first level load r too."""
    planes, blocks, n = level[PLANES], level[BLOCKS], line_length(level) - 2
    for step in range(-1, planes + blocks - 1):
        if first and step + 1 < planes:
            load(level, step + 1, scale, factor, r, V)
        for block in range(blocks):
            k = step - block
            if 0 <= k < planes:
                stencil_line(level, block, k, K, V, 0, row)
                multiply_line(units[block], row, V, vector_row(level, block + 1, k, 0), n)
        k = step - blocks + 1
        if k > 0 and k % 2 == 1:
            restrict(level, below, k - 1, F, V, row)


@helper
def go_up(level, below, units, K, F, V, row, first, scale, factor, out):  # type: ignore[no-untyped-def]
    """Replace the first vector of a level by its correction; on the first level store it in `out` too.

    Returns how many of those stored are not finite.
    """
    spoilt = 0
    planes, blocks, n = level[PLANES], level[BLOCKS], line_length(level) - 2
    for step in range(planes + blocks):
        if step < planes:
            interpolate(level, below, step, F, V, row)
        for block in range(blocks - 1, -1, -1):
            k = step - blocks + block
            if 0 <= k < planes:
                stencil_line(level, block, k, K, V, 1, row)
                combine_line(F, field_row(level, block, k, 0), V, vector_row(level, block, k, 0), units[block], row, n)
        k = step - blocks
        if first and k >= 0:
            spoilt += store(level, k, scale, factor, V, out)
    return spoilt


@helper
def solve_coarsest(level, inverse, V, row):  # type: ignore[no-untyped-def]
    """Replace the first vector by `inverse` times it."""
    planes, rows, cells = level[PLANES], level[ROWS], level[CELLS]
    n = planes * rows * cells
    for i in range(n):
        row[i] = 0
    for k in range(planes):
        for j in range(rows):
            p = vector_row(level, 0, k, j)
            for x in range(cells):
                value, i = V[p + x], (k * rows + j) * cells + x
                for other in range(n):
                    row[other] += inverse[i, other] * value
    for k in range(planes):
        for j in range(rows):
            p = vector_row(level, 0, k, j)
            for x in range(cells):
                V[p + x] = row[(k * rows + j) * cells + x]


@compiled
def apply_cycle(table, units, K, F, V, row, inverse, scale, into, r, outof, out):  # type: ignore[no-untyped-def]
    """Write outof · scale · B (into · scale · r) into `out`; return how many of its entries are not finite.

    Whatever is not finite on the way ends there, since no product of it is: then borders of V may hold NaN.

    Parameters
    ----------
    table : (levels, 9) int array
    units : (levels, blocks) array
        By which entries of the stencils are to be multiplied.
    K, F, V : arrays
        Entries of all stencils; fields of all levels, which are diagonals from the outside in, D^½ and, below the
        finest, D^−½ g; room for vectors, whose borders are zero.
    row : array
        Room for a line, and for the coarsest vector.
    inverse : (n, n) array
        Of the coarsest system.
    scale : (planes, rows, cells) array
    r, out : (n,) arrays
    """
    last, spoilt = len(table) - 1, 0
    for depth in range(last):
        go_down(table[depth], table[depth + 1], units[depth], K, F, V, row, depth == 0, scale, into, r)
    if last == 0:
        for k in range(scale.shape[0]):
            load(table[0], k, scale, into, r, V)
    solve_coarsest(table[last], inverse, V, row)
    if last == 0:
        for k in range(scale.shape[0]):
            spoilt += store(table[0], k, scale, outof, V, out)
    for depth in range(last - 1, -1, -1):
        spoilt += go_up(table[depth], table[depth + 1], units[depth], K, F, V, row, depth == 0, scale, outof, out)
    return spoilt


@compiled
def largest_bits(bits, mask):  # type: ignore[no-untyped-def]
    """Return the largest of the numbers without their signs: that of |x|, for the bits of floating point numbers x.

    Their order is that of their bits, above all of which are those of infinity and NaN; a maximum of integers is
    vectorised, one of numbers that may be NaN is not.
    """
    found = bits.dtype.type(0)
    for step in range(bits.size):
        found = max(found, bits[uint64(step)] & mask)
    return found
