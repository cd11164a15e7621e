"""Where the fields of all levels lie in one flat array, so that one compiled function can go through the levels."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from .checkerboard_layout import Checkerboard

# Fields of a level. Couplings of the scaled operator D^(−1/2) A D^(−1/2), of black points to their neighbours along k,
# j and i, and across a periodic k; the weights with which a red point is interpolated along k, times √d; the weights
# along j and i; 1/√d of both colours; scaled right-hand sides and iterates of both; the unscaled right-hand side and
# solution in natural order; what interpolation along j leaves for that along i.
(WEST, EAST, NORTH, SOUTH, BELOW_FACE, ABOVE_FACE, WRAP) = range(7)
(OWN_K, OTHER_K, OWN_J, OWN_I, SCALE_RED, SCALE_BLACK) = range(7, 13)
(RHS_RED, RHS_BLACK, RED, BLACK, NATURAL_RHS, NATURAL, BETWEEN) = range(13, 20)
FIELDS = 20

WORK = RHS_RED
"""The fields from this on are working space, in a flat array of their own."""

# Arrays of the network of a level, in a flat array of their own: its inverse roots 1/√d, its conductances along k, j
# and i, the walls included, and its grounding; see `checkerboard_setup`.
(ROOTS, FACES_K, FACES_J, FACES_I, GROUND) = range(5)
NETWORK_FIELDS = 5

# Numbers that describe a level.
(
    LEVEL_ROWS,
    LEVEL_WIDTH,
    LEVEL_PAD,
    LEVEL_MEMBERS,
    LEVEL_SPACE,
    LEVEL_WRAPPED,
    LEVEL_LAG,
    LEVEL_COARSE_WIDTH,
    LEVEL_TABLE,
    LEVEL_PLANES,
    LEVEL_PLANE_TABLE,
    LEVEL_HALVED_K,
    LEVEL_NATURAL_WIDTH,
    LEVEL_COARSE_ROWS,
    LEVEL_HALVED_J,
    LEVEL_HALVED_I,
    LEVEL_I,
    LEVEL_J,
    LEVEL_K,
    LEVEL_CLOSED_I,
    LEVEL_CLOSED_J,
    LEVEL_CLOSED_K,
) = range(22)
LEVEL_NUMBERS = 22

ALIGNMENT = 16
"""Numbers to which the fields are aligned: a cache line in single precision."""


@dataclasses.dataclass(frozen=True)
class Fields:
    """Offsets and sizes of the fields of a hierarchy.

    Attributes
    ----------
    at : (levels, FIELDS) array of int64
        Where each field begins.
    sizes : (levels, LEVEL_NUMBERS) array of int64
    rows : (·, 8) array of int64
        The tables of rows of all levels, one after the other.
    planes : (·, 2) array of int64
        The tables for interpolation along i.
    networks : (levels, NETWORK_FIELDS, 2) array of int64
        Where each array of a network begins, and how many numbers it has.
    total_constants, total_work, total_network, total_scratch : int
        Numbers in the flat arrays of constants, of working space, of networks, and of what coarsening leaves between.
    """

    at: np.ndarray
    sizes: np.ndarray
    rows: np.ndarray
    planes: np.ndarray
    networks: np.ndarray
    total_constants: int
    total_work: int
    total_network: int
    total_scratch: int


@functools.lru_cache(maxsize=16)  # otherwise much of the time of one small solve
def arrange(levels: tuple[Checkerboard, ...], *, reduced: bool, grounded: bool) -> Fields:
    """Lay out the fields of all levels, finest first.

    Parameters
    ----------
    levels : tuple of Checkerboard
    reduced : bool
        Whether on the finest level red right-hand sides are zero and only black values are wanted, so that five fields
        of it are left out, and its inverse roots are not part of the network.
    grounded : bool
        Whether the networks have a grounding from the finest level on.
    """
    at = np.zeros((len(levels), FIELDS), dtype=np.int64)
    sizes = np.zeros((len(levels), LEVEL_NUMBERS), dtype=np.int64)
    ends, row, plane = [0, 0], 0, 0
    for number, level in enumerate(levels):
        last = number == len(levels) - 1
        finest = number == 0 and reduced
        ni, _, nk = level.grid
        coarse = level.coarse
        coarse_width = coarse[2] * level.members
        space, between = ni > 1, ni * coarse[1]
        colour = level.size
        counts = dict.fromkeys(range(FIELDS), 0)
        for field in (WEST, EAST, NORTH, SOUTH, BLACK):
            counts[field] = colour
        counts[BELOW_FACE] = counts[ABOVE_FACE] = colour if space else 0
        counts[WRAP] = level.rows * level.members if level.periodic[2] else 0
        if not last:
            counts[OWN_K] = counts[OTHER_K] = colour
            counts[OWN_J] = level.rows * coarse_width
            counts[OWN_I] = between * coarse_width if space else 0
            counts[BETWEEN] = (between + 1) * coarse_width if space else 0
        for field in (RHS_BLACK, RHS_RED, RED, SCALE_RED, SCALE_BLACK):
            counts[field] = 0 if finest else colour
        for field in (NATURAL_RHS, NATURAL):
            counts[field] = 0 if finest else level.natural_size
        if finest:
            counts[RHS_BLACK] = colour
        for field, count in counts.items():
            kind = int(field >= WORK)
            at[number, field] = ends[kind]
            ends[kind] += -(-count // ALIGNMENT) * ALIGNMENT
        sizes[number] = (
            level.rows,
            level.width,
            level.pad,
            level.members,
            space,
            level.periodic[2] and nk > 1,
            level.lag,
            coarse_width,
            row,
            between,
            plane,
            level.coarsened[2],
            level.natural_width,
            coarse[0] * coarse[1],
            level.coarsened[1],
            level.coarsened[0],
            *level.grid,
            *level.periodic,
        )
        row += level.rows
        plane += between
    rows = np.concatenate([level.table for level in levels])
    planes = np.concatenate([level.plane_table for level in levels])
    networks, total_network, scratch = _arrange_networks(levels, reduced=reduced, grounded=grounded)
    return Fields(at, sizes, rows, planes, networks, ends[0], ends[1], total_network, scratch)


def _arrange_networks(levels: Sequence[Checkerboard], *, reduced: bool, grounded: bool) -> tuple[np.ndarray, int, int]:
    """Return where the arrays of networks lie, their numbers, and those of twice what is between two levels."""
    networks = np.zeros((len(levels), NETWORK_FIELDS, 2), dtype=np.int64)
    end = scratch = 0
    for number, level in enumerate(levels):
        ni, nj, _ = level.grid
        # The walls of a single plane ground it.
        grounded = grounded or (number > 0 and ni == 1 and levels[number - 1].grid[0] > 1)
        rows = (ni * nj, ni * nj, ni * (nj + 1), (ni + 1) * nj if ni > 1 else 0, ni * nj if grounded else 0)
        for field, count in enumerate(rows):
            numbers = 0 if field == ROOTS and number == 0 and reduced else 2 * count * level.width
            networks[number, field] = end, numbers
            end += -(-numbers // ALIGNMENT) * ALIGNMENT
        inner = level.coarse[2] * level.members
        scratch = max(scratch, 2 * (sum(rows[1:]) * inner + rows[FACES_K] * level.members))
    return networks, end, scratch
