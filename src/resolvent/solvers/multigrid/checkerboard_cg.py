"""Conjugate gradients on the black half of a checkerboard, with the V-cycle fused into its vector updates.

Eliminating the red points from D^(−1/2) A D^(−1/2) leaves S = I − C Cᵀ for the black ones: symmetric, positive definite
where A is, with half the unknowns, and the residual of the red rows is zero throughout. Vectors of the iteration are
in double precision, the preconditioner and the direction p in whatever precision the fields have: q = S p is the
product of the p that is stored, so that its rounding turns the direction a little, and spoils nothing.

Each iteration goes through the finest level three times: (1) r −= α q, y = r in the precision of the preconditioner,
Cᵀ y and its restriction; (2) interpolation, z = y + C x_r and yᵀz; (3) x += α p with what p was, p = z + β p, Cᵀ p,
q = S p and pᵀq. Rows that depend on neighbours run a few rows behind, while these are in cache.
"""

from __future__ import annotations

import numpy as np

from .checkerboard_cycle import (
    begin_restriction,
    finish_restriction,
    interpolate_black,
    restrict_row,
    rolling_rows,
    rolling_starts,
    starts,
    visit,
)
from .checkerboard_fields import (
    BLACK,
    LEVEL_COARSE_WIDTH,
    LEVEL_LAG,
    LEVEL_MEMBERS,
    LEVEL_PAD,
    LEVEL_ROWS,
    LEVEL_TABLE,
    LEVEL_WIDTH,
    RHS_BLACK,
)
from .checkerboard_loops import add_product, add_row, add_square, compiled, helper, step_and_turn_row, subtract_row
from .checkerboard_rows import towards_black, towards_red

RUNNING, DONE, INDEFINITE, NOT_FINITE = range(4)
"""States of a member."""


@helper
def spread_over_row(values, row):  # type: ignore[no-untyped-def]
    """Repeat one number a member along a row."""
    members = values.size
    for place in range(row.size // members):
        for b in range(members):
            row[place * members + b] = values[b]


@helper
def sum_of_row(row, values):  # type: ignore[no-untyped-def]
    """Add up the places of a row, member by member, and clear it."""
    members = values.size
    values[:] = 0.0
    for place in range(row.size // members):
        for b in range(members):
            values[b] += row[place * members + b]
    row[:] = 0.0


@helper
def update_and_restrict(c, f, at, sizes, rows, planes, alpha, q, r, root, norms):  # type: ignore[no-untyped-def]
    """Pass (1); adds the squares of the unscaled residual to `norms`."""
    here, size = at[0], sizes[0]
    members, width, pad, lag = size[LEVEL_MEMBERS], size[LEVEL_WIDTH], size[LEVEL_PAD], size[LEVEL_LAG]
    residual = np.zeros(width + 3 * members, dtype=c.dtype)
    along_k = np.zeros(size[LEVEL_COARSE_WIDTH] + 4 * members, dtype=c.dtype)
    finest = lag * 0  # a number written out would have its function compiled once more
    target = begin_restriction(f, at, sizes, finest)
    count = size[LEVEL_ROWS]
    for step in range(count + lag):
        if step < count:
            o = pad + step * width
            subtract_row(alpha, q, o, r, f, here[RHS_BLACK] + o, width)
            add_square(root, o, r, o, norms, width)
        if step >= lag:
            row = rows[size[LEVEL_TABLE] + step - lag]
            towards_red(c, here, size, row, f, starts(here[RHS_BLACK], size, row), residual, members)
            restrict_row(c, here, size, row, residual, along_k, f, target)
    finish_restriction(c, f, at, sizes, planes, finest)


@helper
def direct_and_multiply(f, at, sizes, rows, fine, alpha, beta, x, p, q, buffer, p_dot_q):  # type: ignore[no-untyped-def]
    """Pass (3): x += α p, p = z + β p and q = S p in double precision; adds p q to `p_dot_q`."""
    here, size = at[0], sizes[0]
    width, pad, lag = size[LEVEL_WIDTH], size[LEVEL_PAD], size[LEVEL_LAG]
    mask, count = rolling_rows(size) - 1, size[LEVEL_ROWS]
    for step in range(count + 2 * lag):
        if step < count:
            o = pad + step * width
            step_and_turn_row(f, here[BLACK] + o, alpha, beta, x, p, o, width)
        if lag <= step < count + lag:
            row = rows[size[LEVEL_TABLE] + step - lag]
            o = pad + ((step - lag) & mask) * width
            towards_red(fine, here, size, row, p, starts(0, size, row), buffer, o)
        if step >= 2 * lag:
            row = rows[size[LEVEL_TABLE] + step - 2 * lag]
            o = pad + (step - 2 * lag) * width
            towards_black(p, o, -1.0, fine, here, size, row, buffer, rolling_starts(mask, size, row), q, o)
            add_product(p, o, q, o, p_dot_q, width)


@compiled
def reduced_cg(  # type: ignore[no-untyped-def]
    c, f, at, sizes, rows, planes, fine, root, x, r, p, q, wanted, maxiter, sweeps, state, iterations, history
):
    """Solve S x = r for all members, from x as it is with its residual in r.

    Parameters
    ----------
    c, at, sizes, rows, planes
        The hierarchy; see `checkerboard_fields`. The finest level is that of the reduced system.
    fine
        The same as c in double precision, of which the couplings of the finest level are used.
    root : colour array
        √d of the black points, in any precision: turns scaled residuals into those of A.
    x, r, q : colour arrays of float64
    p : colour array in the precision of c
    wanted : (B,) array
        Squares of the residual norms to reach.
    state, iterations : (B,) arrays of int64
        What became of each member, and after how many iterations; members whose state is not RUNNING are left alone.
    history : (maxiter + 1, B) array
        Residual norms; rows that were reached are written.

    Returns
    -------
    count : int
        Iterations.
    """
    size = sizes[0]
    members, width = size[LEVEL_MEMBERS], size[LEVEL_WIDTH]
    buffer = np.zeros(rolling_rows(size) * width + 2 * size[LEVEL_PAD], dtype=np.float64)
    small_buffer = np.zeros(rolling_rows(size) * width + 2 * size[LEVEL_PAD], dtype=c.dtype)
    place = np.zeros(width, dtype=np.float64)
    alpha, beta = np.zeros(width), np.zeros(width)
    a, rho, rho_old, curvature, norms = (
        np.zeros(members),
        np.zeros(members),
        np.ones(members),
        np.zeros(members),
        np.zeros(members),
    )
    count = 0
    while True:
        update_and_restrict(c, f, at, sizes, rows, planes, alpha, q, r, root, place)
        sum_of_row(place, norms)
        running = False
        for b in range(members):
            history[count, b] = np.sqrt(norms[b])
            if state[b] == RUNNING:
                iterations[b] = count
                if norms[b] <= wanted[b]:
                    state[b] = DONE
                elif not np.isfinite(norms[b]):
                    state[b] = NOT_FINITE
                else:
                    running = True
        if not running or count >= maxiter:
            for row in range(size[LEVEL_ROWS]):
                add_row(alpha, p, size[LEVEL_PAD] + row * width, x, width)
            return count
        visit(c, f, at, sizes, rows, planes, 1, sweeps)
        interpolate_black(c, f, at, sizes, rows, planes, small_buffer, place)
        sum_of_row(place, rho)
        for b in range(members):
            a[b] = rho[b] / rho_old[b] if count > 0 and state[b] == RUNNING else 0.0
        spread_over_row(a, beta)
        direct_and_multiply(f, at, sizes, rows, fine, alpha, beta, x, p, q, buffer, place)
        sum_of_row(place, curvature)
        for b in range(members):
            a[b] = 0.0
            if state[b] == RUNNING:
                if rho[b] > 0.0 and curvature[b] > 0.0:
                    a[b] = rho[b] / curvature[b]
                    rho_old[b] = rho[b]
                else:
                    state[b] = INDEFINITE if np.isfinite(rho[b] + curvature[b]) else NOT_FINITE
        spread_over_row(a, alpha)
        count += 1
