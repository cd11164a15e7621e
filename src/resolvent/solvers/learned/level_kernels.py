"""Couplings of the levels of a learned cycle, compiled.

Fields are (planes, rows, cells), with one row a plane in two dimensions; couplings have one field for each axis.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from .cycle_kernels import compiled

_njit: Any = numba.njit  # whose annotations do not know all of its options
_finite = _njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nnan", "nsz"})
"""For entries that are known to be finite: only without NaN is a maximum vectorised."""


@compiled
def copy_faces(upper, limit, faces):  # type: ignore[no-untyped-def]
    """Write −upper to `faces`, zero where that is negative or there is no entry; return how many are above `limit`.

    Zeros are positive, so that what is made of equal operators is equal to the last bit.
    """
    planes, rows, cells = upper.shape
    all_planes, all_rows, all_cells = faces.shape
    above = 0
    for k in range(all_planes):
        for j in range(all_rows):
            if k >= planes or j >= rows:
                for i in range(all_cells):
                    faces[k, j, i] = 0.0
                continue
            for i in range(cells):
                value = upper[k, j, i]
                above += value > limit
                faces[k, j, i] = -value if value < 0.0 else 0.0
            for i in range(cells, all_cells):
                faces[k, j, i] = 0.0
    return above


@_finite
def mark_domain(D, T, negligible, fluid):  # type: ignore[no-untyped-def]
    """Write 1 to `fluid` where couplings are more than `negligible` · D, else 0; return by how much they exceed D."""
    planes, rows, cells = D.shape
    y, x = len(T) - 2, len(T) - 1
    excess = -np.inf
    for k in range(planes):
        for j in range(rows):
            for i in range(cells):
                fluid[k, j, i] = T[0, k, j, i] + T[x, k, j, i]
            for i in range(1, cells):
                fluid[k, j, i] += T[x, k, j, i - 1]
            if k > 0:
                for i in range(cells):
                    fluid[k, j, i] += T[0, k - 1, j, i]
            if y > 0:
                for i in range(cells):
                    fluid[k, j, i] += T[y, k, j, i]
            if y > 0 and j > 0:
                for i in range(cells):
                    fluid[k, j, i] += T[y, k, j - 1, i]
            for i in range(cells):
                coupled = fluid[k, j, i]
                excess = max(excess, coupled - D[k, j, i])
                fluid[k, j, i] = 1.0 if coupled > negligible * D[k, j, i] else 0.0
    return excess


@compiled
def coarsen(D, T, fluid, whole, coarse_D, coarse_T, coarse_fluid, coarse_whole):  # type: ignore[no-untyped-def]
    """Write half the Galerkin operator of piecewise constants on 2^dim cells, see `Level.coarser`.

    Coarse fields may have cells beyond the last pairs, which are left as they are. `whole` is what D would be if cells
    were coupled to those of other blocks as to those of their own, D itself on the finest level. Returns the least
    coarse D / whole: the inverse is the square of what transfers multiply an error of the finest level by, over 4.
    """
    least = np.inf
    planes, rows, cells = D.shape
    dim = len(T)
    each = dim - 1  # rows that become one
    for P in range(planes // 2):
        for R in range(rows // each):
            for C in range(cells // 2):
                total, number, within, z_face, y_face, x_face = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                sum_whole = 0.0
                for k in range(2 * P, 2 * P + 2):
                    for j in range(each * R, each * R + each):
                        for i in range(2 * C, 2 * C + 2):
                            total += D[k, j, i] * fluid[k, j, i]
                            number += fluid[k, j, i]
                            sum_whole += whole[k, j, i] * fluid[k, j, i]
                        within += T[dim - 1, k, j, 2 * C]
                        x_face += T[dim - 1, k, j, 2 * C + 1]
                    if dim == 3:
                        within += T[1, k, 2 * R, 2 * C] + T[1, k, 2 * R, 2 * C + 1]
                        y_face += T[1, k, 2 * R + 1, 2 * C] + T[1, k, 2 * R + 1, 2 * C + 1]
                for j in range(each * R, each * R + each):
                    within += T[0, 2 * P, j, 2 * C] + T[0, 2 * P, j, 2 * C + 1]
                    z_face += T[0, 2 * P + 1, j, 2 * C] + T[0, 2 * P + 1, j, 2 * C + 1]
                diagonal = 0.5 * total - within
                inside = number > 0.0 and diagonal > 0.0
                coarse_D[P, R, C] = diagonal if inside else 1.0
                coarse_fluid[P, R, C] = 1.0 if inside else 0.0
                coarse_whole[P, R, C] = 0.25 * sum_whole
                if inside:
                    least = min(least, diagonal / (0.25 * sum_whole))
                coarse_T[0, P, R, C] = 0.5 * z_face
                coarse_T[dim - 1, P, R, C] = 0.5 * x_face
                if dim == 3:
                    coarse_T[1, P, R, C] = 0.5 * y_face
    return least


@compiled
def dense(D, T, A):  # type: ignore[no-untyped-def]
    """Write D^−½ A D^−½ to the lower triangle of A, which holds zeros."""
    planes, rows, cells = D.shape
    dim = len(T)
    for k in range(planes):
        for j in range(rows):
            for i in range(cells):
                n, root = (k * rows + j) * cells + i, 1.0 / math.sqrt(D[k, j, i])
                A[n, n] = 1.0
                if i < cells - 1:
                    A[n + 1, n] = -T[dim - 1, k, j, i] * root / math.sqrt(D[k, j, i + 1])
                if dim == 3 and j < rows - 1:
                    A[n + cells, n] = -T[1, k, j, i] * root / math.sqrt(D[k, j + 1, i])
                if k < planes - 1:
                    A[n + rows * cells, n] = -T[0, k, j, i] * root / math.sqrt(D[k + 1, j, i])
