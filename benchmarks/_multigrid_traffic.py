"""The bytes that an iteration of `MultigridCG` has to move, from its passes, and what memory gives.

Every array that a pass goes through is counted once when it is read and once when it is written; rows that a pass comes
back to a few rows later are taken to be in cache, and so are buffers of a few rows. The lines that a processor fetches
before it overwrites them are left out, here as in the copy that memory is measured with. Where a whole ensemble stays
in cache, the achieved figure may well be above that of memory.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

DOUBLE = 8


def transfer(level: Any) -> tuple[int, int]:
    """Return numbers moved by the restriction of a level and by the interpolation to it, colour rows left out."""
    ni, nj, _ = level.grid
    nci, ncj, nck = level.coarse
    coarse_width = nck * level.members
    weights_j = ni * nj * coarse_width
    target = nci * ncj * coarse_width
    weights_k = 2 * level.size  # of the row's own coarse point and of the other one
    if ni == 1:
        # Cleared, read and written; interpolation reads it.
        return weights_k + weights_j + 3 * target, weights_k + weights_j + target
    between = ni * ncj * coarse_width
    # What the rows leave is cleared, added to, and restricted along i with as many weights.
    down = weights_k + weights_j + 3 * between + 2 * between + 3 * target
    up = target + 2 * between + between + weights_j + weights_k
    return down, up


def bytes_of_passes(hierarchy: Any) -> dict[str, int]:
    """Return the bytes of the three passes over the finest level and of the cycle below it, for one sweep."""
    single = hierarchy.work.itemsize
    finest = hierarchy.levels[0]
    C, faces = finest.size, 6 if finest.grid[0] > 1 else 4
    down, up = transfer(finest)
    passes = {
        # r read and written, q read; y written, √d and couplings read
        "update, restrict": DOUBLE * 3 * C + single * ((2 + faces) * C + down),
        # y and couplings read, z written
        "interpolate, smooth": single * ((2 + faces) * C + up),
        # z read; p read and written; x read and written, couplings in double precision read, q written
        "direction, product": single * 3 * C + DOUBLE * (3 + faces) * C,
    }
    below = 0
    for level in hierarchy.levels[1:-1]:
        C, natural = level.size, level.natural_size
        faces = 6 if level.grid[0] > 1 else 4
        down, up = transfer(level)
        # Down: scaled and split into colours, the black half sweep, the residual of the red points.
        below += natural + 4 * C + (3 + faces) * C + (1 + faces) * C + down
        # Up: corrected at the red points, both half sweeps, scaled and merged.
        below += 2 * C + up + 2 * (3 + faces) * C + 4 * C + natural
    return passes | {"coarser levels": single * below}


def copy_bandwidth(megabytes: int = 128) -> float:
    """Return bytes a second, read and written, of a copy that no cache holds; the best of several."""
    source = np.ones(megabytes * 2**20 // DOUBLE)
    target = np.zeros_like(source)
    best = np.inf
    for _ in range(7):
        start = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - start)
    return 2.0 * source.nbytes / best
