"""Assembly of −∇·(a∇u) in one pass over the coefficient.

The kernels are compiled on first use, cached on disk, and release the GIL. Positions are unsigned, so that numba adds
no test for negative indices and the compiler vectorises.
"""

from __future__ import annotations

import numba
from numba import uint64

compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@compiled
def harmonic(a, i, j, factor, out, o, n):  # type: ignore[no-untyped-def]
    """out = −factor · the harmonic mean of a at i and at j, the product kept from overflow by dividing first."""
    i, j, o = uint64(i), uint64(j), uint64(o)
    for step in range(n):
        f = uint64(step)
        low, high = a[i + f], a[j + f]
        out[o + f] = -factor * (2.0 * low * (high / (low + high)))


@compiled
def subtract(x, i, out, o, n):  # type: ignore[no-untyped-def]
    """out −= x."""
    i, o = uint64(i), uint64(o)
    for step in range(n):
        f = uint64(step)
        out[o + f] -= x[i + f]


@compiled
def add_multiple(factor, x, i, out, o, n):  # type: ignore[no-untyped-def]
    """out += factor · x."""
    i, o = uint64(i), uint64(o)
    for step in range(n):
        f = uint64(step)
        out[o + f] += factor * x[i + f]


@compiled
def assemble_diffusion(a, grid, border, weight, barrier, added, centre, ci, cj, ck, line):  # type: ignore[no-untyped-def]
    """Write the diagonal and the couplings to the next point along each axis, flat arrays.

    Parameters
    ----------
    a : flat array
        Coefficient on a grid of (n_i + 2 border, …) points, leading ones without a border for fewer dimensions.
    grid : (n_i, n_j, n_k)
        Of the unknowns; n_i and n_j are 1 for fewer dimensions.
    border : (int, int, int)
        1 along an axis where the outermost points of a are nodes on the wall; 0 where walls lie half a cell from the
        outermost unknowns.
    weight : float
        1/h².
    barrier : float
        Transmissibility of a wall half a cell away, in units of that between cells: 2 where u = 0 there, 0 where it is
        insulated.
    added : float
        To the diagonal.
    ci, cj, ck : flat arrays
        Not written along axes of fewer dimensions, which are those with a border of −1.
    line : (n_k,) array
        Working space.
    """
    ni, nj, nk = grid
    width = nk + 2 * max(border[2], 0)
    plane = width * (nj + 2 * max(border[1], 0))
    shift_i, shift_j = plane, width
    for r in range(ni * nj):
        i, j, o = r // nj, r % nj, r * nk
        at = (i + max(border[0], 0)) * plane + (j + max(border[1], 0)) * width + max(border[2], 0)
        for k in range(nk):
            centre[o + k] = added
        harmonic(a, at, at + 1, weight, ck, o, nk - 1)
        ck[o + nk - 1] = 0.0
        subtract(ck, o, centre, o, nk - 1)
        subtract(ck, o, centre, o + 1, nk - 1)
        if border[2] == 1:
            for k, wall in ((0, at - 1), (nk - 1, at + nk)):
                low, high = a[at + k], a[wall]
                centre[o + k] += weight * (2.0 * low * (high / (low + high)))
        else:
            centre[o] += barrier * weight * a[at]
            centre[o + nk - 1] += barrier * weight * a[at + nk - 1]
        for axis in range(2):
            if border[axis] < 0:
                continue
            place, count, shift, step = (i, ni, shift_i, nj * nk) if axis == 0 else (j, nj, shift_j, nk)
            c = ci if axis == 0 else cj
            if place < count - 1:
                harmonic(a, at, at + shift, weight, c, o, nk)
                subtract(c, o, centre, o, nk)
            else:
                for k in range(nk):
                    c[o + k] = 0.0
            if place > 0:
                subtract(c, o - step, centre, o, nk)
            for side in (-1, 1):
                if place != (0 if side < 0 else count - 1):
                    continue
                if border[axis] == 1:
                    harmonic(a, at, at + side * shift, weight, line, 0, nk)
                    subtract(line, 0, centre, o, nk)
                else:
                    add_multiple(barrier * weight, a, at, centre, o, nk)
