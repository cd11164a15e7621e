"""The red-black V-cycle on checkerboard arrays, fused.

On the scaled operator D^(−1/2) A D^(−1/2) = [[I, −Cᵀ], [−C, I]] (red first) a half sweep is x_r = b_r + Cᵀ x_b or
x_b = b_b + C x_r. From a zero guess the first red half sweep is x_r = b_r, after the black one the residual is zero at
black points and Cᵀ x_b at the red ones, and what follows the coarse correction needs its values at red points alone.
One V(1, 1)-cycle therefore costs two products with the operator, and on the finest level of the reduced system
(I − C Cᵀ) x_b = b_b, where b_r = 0 and x_r is not wanted, one.
"""

from __future__ import annotations

import numpy as np

from .checkerboard_fields import (
    BETWEEN,
    BLACK,
    LEVEL_COARSE_ROWS,
    LEVEL_COARSE_WIDTH,
    LEVEL_HALVED_K,
    LEVEL_LAG,
    LEVEL_MEMBERS,
    LEVEL_NATURAL_WIDTH,
    LEVEL_PAD,
    LEVEL_PLANE_TABLE,
    LEVEL_PLANES,
    LEVEL_ROWS,
    LEVEL_SPACE,
    LEVEL_TABLE,
    LEVEL_WIDTH,
    LEVEL_WRAPPED,
    NATURAL,
    NATURAL_RHS,
    OTHER_K,
    OWN_I,
    OWN_J,
    OWN_K,
    RED,
    RHS_BLACK,
    RHS_RED,
    SCALE_BLACK,
    SCALE_RED,
)
from .checkerboard_layout import ABOVE, BELOW, LEFT, OTHER, OWN, PARITY, RIGHT, ROW
from .checkerboard_loops import (
    add_fields,
    add_product,
    between,
    compiled,
    fill,
    from_colour,
    helper,
    set_two,
    share,
    to_colour,
)
from .checkerboard_rows import towards_black, towards_red


@helper
def starts(base, sizes, row):  # type: ignore[no-untyped-def]
    """Positions of the row and of its neighbours in a field that begins at `base`."""
    o, width = base + sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    return (
        o + row[ROW] * width,
        o + row[LEFT] * width,
        o + row[RIGHT] * width,
        o + row[BELOW] * width,
        o + row[ABOVE] * width,
    )


@helper
def rolling_starts(mask, sizes, row):  # type: ignore[no-untyped-def]
    """The same in a buffer of mask + 1 rows that is filled round and round."""
    pad, width = sizes[LEVEL_PAD], sizes[LEVEL_WIDTH]
    return (
        pad + (row[ROW] & mask) * width,
        pad + (row[LEFT] & mask) * width,
        pad + (row[RIGHT] & mask) * width,
        pad + (row[BELOW] & mask) * width,
        pad + (row[ABOVE] & mask) * width,
    )


@helper
def rolling_rows(sizes):  # type: ignore[no-untyped-def]
    """Rows of a buffer in which no row is overwritten while one that runs a lag behind needs it: a power of two."""
    count = 2
    while count < 2 * sizes[LEVEL_LAG] + 1 and count < sizes[LEVEL_ROWS] + 1:
        count *= 2
    return count


@helper
def restrict_row(c, at, sizes, row, residual, along_k, f, target):  # type: ignore[no-untyped-def]
    """Add the restriction of a row of red residuals to the rows (i, J) that begin at `target` in f.

    `residual` and `along_k` have a place before the first and two after the last number, zero in `residual`.
    """
    members, width, coarse = sizes[LEVEL_MEMBERS], sizes[LEVEL_WIDTH], sizes[LEVEL_COARSE_WIDTH]
    o = sizes[LEVEL_PAD] + row[ROW] * width
    own = at[OWN_K] + o
    if sizes[LEVEL_HALVED_K]:
        shift = (1 - 2 * row[PARITY]) * members
        set_two(c, own, at[OTHER_K] + o + shift, residual, members, members + shift, along_k, members, coarse)
        if sizes[LEVEL_WRAPPED]:  # what the first or the last point gives to the cell at the other end
            here, there = (coarse - members, 0) if row[PARITY] else (0, coarse - members)
            for b in range(members):
                along_k[members + there + b] += c[at[OTHER_K] + o + here + b] * residual[members + here + b]
    else:
        fill(along_k, members, coarse, 0)
        places = (coarse // members + 1 - row[PARITY]) // 2
        # `from_colour` scales by the weights, which without a coarser k are √d alone.
        from_colour(residual, members, places, members, c, own, along_k, (1 + row[PARITY]) * members)
    first, second = target + row[OWN] * coarse, target + row[OTHER] * coarse
    share(c, at[OWN_J] + row[ROW] * coarse, along_k, members, f, first, second, coarse)


@helper
def interpolate_row(c, at, sizes, row, f, source, along_k, out, o):  # type: ignore[no-untyped-def]
    """Write the scaled interpolation to the red points of a row from the rows (i, J) that begin at `source` in f."""
    members, width, coarse = sizes[LEVEL_MEMBERS], sizes[LEVEL_WIDTH], sizes[LEVEL_COARSE_WIDTH]
    i = sizes[LEVEL_PAD] + row[ROW] * width
    first, second = source + row[OWN] * coarse, source + row[OTHER] * coarse
    between(c, at[OWN_J] + row[ROW] * coarse, f, first, second, along_k, members, coarse)
    if sizes[LEVEL_HALVED_K]:
        if sizes[LEVEL_WRAPPED]:
            for b in range(members):
                along_k[b] = along_k[coarse + b]
                along_k[members + coarse + b] = along_k[members + b]
        shifted = 2 * row[PARITY] * members
        set_two(c, at[OWN_K] + i, at[OTHER_K] + i, along_k, members, shifted, out, o, width)
    else:
        fill(out, o, width, 0)
        places = (coarse // members + 1 - row[PARITY]) // 2
        to_colour(along_k, (1 + row[PARITY]) * members, places, members, c, at[OWN_K] + i, out, o)


@helper
def begin_restriction(f, at, sizes, level):  # type: ignore[no-untyped-def]
    """Clear where rows are restricted to: the field between in space, else the next right-hand side; return where."""
    if sizes[level, LEVEL_SPACE]:
        target, count = at[level, BETWEEN], sizes[level, LEVEL_PLANES]
    else:
        target, count = at[level + 1, NATURAL_RHS], sizes[level, LEVEL_COARSE_ROWS]
    fill(f, target, (count + 1) * sizes[level, LEVEL_COARSE_WIDTH], 0)
    return target


@helper
def finish_restriction(c, f, at, sizes, planes, level):  # type: ignore[no-untyped-def]
    """In space, restrict along i what the rows left in the field between."""
    if not sizes[level, LEVEL_SPACE]:
        return
    coarse, target = sizes[level, LEVEL_COARSE_WIDTH], at[level + 1, NATURAL_RHS]
    fill(f, target, (sizes[level, LEVEL_COARSE_ROWS] + 1) * coarse, 0)
    for p in range(sizes[level, LEVEL_PLANES]):
        entry = planes[sizes[level, LEVEL_PLANE_TABLE] + p]
        o = p * coarse
        first, second = target + entry[0] * coarse, target + entry[1] * coarse
        share(c, at[level, OWN_I] + o, f, at[level, BETWEEN] + o, f, first, second, coarse)


@helper
def begin_interpolation(c, f, at, sizes, planes, level):  # type: ignore[no-untyped-def]
    """In space, interpolate along i into the field between; return where rows are interpolated from."""
    source = at[level + 1, NATURAL]
    if not sizes[level, LEVEL_SPACE]:
        return source
    coarse, target, count = sizes[level, LEVEL_COARSE_WIDTH], at[level, BETWEEN], sizes[level, LEVEL_PLANES]
    fill(f, target + count * coarse, coarse, 0)  # the empty row held what was restricted to nowhere
    for p in range(count):
        entry = planes[sizes[level, LEVEL_PLANE_TABLE] + p]
        o = p * coarse
        first, second = source + entry[0] * coarse, source + entry[1] * coarse
        between(c, at[level, OWN_I] + o, f, first, second, f, target + o, coarse)
    return target


@helper
def enter(c, f, at, sizes, rows):  # type: ignore[no-untyped-def]
    """Scale a natural right-hand side and split it into the two colours."""
    width, pad, members = sizes[LEVEL_WIDTH], sizes[LEVEL_PAD], sizes[LEVEL_MEMBERS]
    natural = sizes[LEVEL_NATURAL_WIDTH]
    points = natural // members
    for r in range(sizes[LEVEL_ROWS]):
        o, n = pad + r * width, at[NATURAL_RHS] + r * natural
        s = rows[sizes[LEVEL_TABLE] + r, PARITY]
        reds = (points + 1 - s) // 2
        to_colour(f, n + s * members, reds, members, c, at[SCALE_RED] + o, f, at[RHS_RED] + o)
        black = n + (1 - s) * members
        to_colour(f, black, points - reds, members, c, at[SCALE_BLACK] + o, f, at[RHS_BLACK] + o)


@helper
def leave(c, f, at, sizes, rows):  # type: ignore[no-untyped-def]
    """Merge the two colours into the natural solution and undo the scaling."""
    width, pad, members = sizes[LEVEL_WIDTH], sizes[LEVEL_PAD], sizes[LEVEL_MEMBERS]
    natural = sizes[LEVEL_NATURAL_WIDTH]
    points = natural // members
    for r in range(sizes[LEVEL_ROWS]):
        o, n = pad + r * width, at[NATURAL] + r * natural
        s = rows[sizes[LEVEL_TABLE] + r, PARITY]
        reds = (points + 1 - s) // 2
        from_colour(f, at[RED] + o, reds, members, c, at[SCALE_RED] + o, f, n + s * members)
        black = n + (1 - s) * members
        from_colour(f, at[BLACK] + o, points - reds, members, c, at[SCALE_BLACK] + o, f, black)


@helper
def relax_black(c, f, at, sizes, rows, source):  # type: ignore[no-untyped-def]
    """x_b = b_b + C x_r with x_r in the field that begins at `source`."""
    width, pad, one = sizes[LEVEL_WIDTH], sizes[LEVEL_PAD], c.dtype.type(1)
    for r in range(sizes[LEVEL_ROWS]):
        row = rows[sizes[LEVEL_TABLE] + r]
        o = pad + r * width
        start = starts(source, sizes, row)
        towards_black(f, at[RHS_BLACK] + o, one, c, at, sizes, row, f, start, f, at[BLACK] + o)


@helper
def relax_red(c, f, at, sizes, rows, line):  # type: ignore[no-untyped-def]
    """x_r = b_r + Cᵀ x_b; `line` is working space for a row, behind one place."""
    width, pad, first = sizes[LEVEL_WIDTH], sizes[LEVEL_PAD], sizes[LEVEL_MEMBERS]
    for r in range(sizes[LEVEL_ROWS]):
        row = rows[sizes[LEVEL_TABLE] + r]
        o = pad + r * width
        towards_red(c, at, sizes, row, f, starts(at[BLACK], sizes, row), line, first)
        add_fields(line, first, f, at[RHS_RED] + o, f, at[RED] + o, width)


@helper
def down(c, f, at, sizes, rows, planes, level, sweeps):  # type: ignore[no-untyped-def]
    """Smooth from a zero guess on a level and restrict the residual to the next."""
    here, size = at[level], sizes[level]
    members, width, pad = size[LEVEL_MEMBERS], size[LEVEL_WIDTH], size[LEVEL_PAD]
    residual = np.zeros(width + 3 * members, dtype=c.dtype)
    along_k = np.zeros(size[LEVEL_COARSE_WIDTH] + 4 * members, dtype=c.dtype)
    enter(c, f, here, size, rows)
    relax_black(c, f, here, size, rows, here[RHS_RED])
    for _ in range(sweeps - 1):
        relax_red(c, f, here, size, rows, along_k)
        relax_black(c, f, here, size, rows, here[RED])
    target = begin_restriction(f, at, sizes, level)
    for r in range(size[LEVEL_ROWS]):
        row = rows[size[LEVEL_TABLE] + r]
        towards_red(c, here, size, row, f, starts(here[BLACK], size, row), residual, members)
        if sweeps > 1:  # x_r is b_r + Cᵀ of the x_b before the last
            o = pad + r * width
            for k in range(width):
                residual[members + k] += f[here[RHS_RED] + o + k] - f[here[RED] + o + k]
        restrict_row(c, here, size, row, residual, along_k, f, target)
    finish_restriction(c, f, at, sizes, planes, level)


@helper
def up(c, f, at, sizes, rows, planes, level, sweeps):  # type: ignore[no-untyped-def]
    """Correct a level by the next coarser one and smooth, in the order adjoint to `down`."""
    here, size = at[level], sizes[level]
    members, width, pad = size[LEVEL_MEMBERS], size[LEVEL_WIDTH], size[LEVEL_PAD]
    along_k = np.zeros(size[LEVEL_COARSE_WIDTH] + 4 * members, dtype=c.dtype)
    line = np.empty(width + members, dtype=c.dtype)
    source = begin_interpolation(c, f, at, sizes, planes, level)
    before = RHS_RED if sweeps == 1 else RED
    for r in range(size[LEVEL_ROWS]):
        row = rows[size[LEVEL_TABLE] + r]
        o = pad + r * width
        interpolate_row(c, here, size, row, f, source, along_k, line, members)
        add_fields(line, members, f, here[before] + o, f, here[RED] + o, width)
    for _ in range(sweeps):
        relax_black(c, f, here, size, rows, here[RED])
        relax_red(c, f, here, size, rows, line)
    leave(c, f, here, size, rows)


@helper
def coarsest(c, f, at, sizes):  # type: ignore[no-untyped-def]
    """Solve on the coarsest level, a single cell; 0 where it is singular, which `SCALE_RED` says by a zero."""
    o = at[SCALE_RED] + sizes[LEVEL_PAD]
    for b in range(sizes[LEVEL_MEMBERS]):
        f[at[NATURAL] + b] = f[at[NATURAL_RHS] + b] * c[o + b] * c[o + b]


@compiled
def visit(c, f, at, sizes, rows, planes, first, sweeps):  # type: ignore[no-untyped-def]
    """One V-cycle from level `first` down and back, from its natural right-hand side to its natural solution."""
    last = at.shape[0] - 1
    for level in range(first, last):
        down(c, f, at, sizes, rows, planes, level, sweeps)
    coarsest(c, f, at[last], sizes[last])
    for level in range(last - 1, first - 1, -1):
        up(c, f, at, sizes, rows, planes, level, sweeps)


@helper
def interpolate_black(c, f, at, sizes, rows, planes, buffer, r_dot_z):  # type: ignore[no-untyped-def]
    """z_b = b_b + C (interpolated x_r) into BLACK; adds b_b z_b to `r_dot_z`, place by place of a row."""
    here, size, one = at[0], sizes[0], c.dtype.type(1)
    members, width, pad, lag = size[LEVEL_MEMBERS], size[LEVEL_WIDTH], size[LEVEL_PAD], size[LEVEL_LAG]
    along_k = np.zeros(size[LEVEL_COARSE_WIDTH] + 4 * members, dtype=c.dtype)
    source = begin_interpolation(c, f, at, sizes, planes, lag * 0)
    mask, count = rolling_rows(size) - 1, size[LEVEL_ROWS]
    for step in range(count + lag):
        if step < count:
            row = rows[size[LEVEL_TABLE] + step]
            interpolate_row(c, here, size, row, f, source, along_k, buffer, pad + (step & mask) * width)
        if step >= lag:
            row = rows[size[LEVEL_TABLE] + step - lag]
            o = pad + (step - lag) * width
            start = rolling_starts(mask, size, row)
            towards_black(f, here[RHS_BLACK] + o, one, c, here, size, row, buffer, start, f, here[BLACK] + o)
            add_product(f, here[RHS_BLACK] + o, f, here[BLACK] + o, r_dot_z, width)
