"""How a grid is stored as a checkerboard: two colours, each in rows without gaps.

A point (i, j, k) is red where i + j + k is even. Along the last axis every second point of a row has one colour, and
these are stored next to each other, each with the B members of the ensemble innermost. All neighbours of a black point
are red and lie in the red array at the same place of the rows (i ± 1, j) and (i, j ± 1), and at the same place or one
beside it in row (i, j). A half sweep of red-black Gauss–Seidel is therefore a sum of products of contiguous arrays,
which vectorises for one member as well as for sixteen.

Each row ends in one empty place, and one empty row follows the last: neighbours outside of the grid are found there,
with couplings that are zero.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

# Columns of `Checkerboard.table`: the row (i, j) itself, the parity of i + j, the rows of (i, j − 1), (i, j + 1),
# (i − 1, j), (i + 1, j), the row of the next coarser grid along j that it belongs to, and the other one that it is
# interpolated from.
ROW, PARITY, LEFT, RIGHT, BELOW, ABOVE, OWN, OTHER = range(8)


@dataclasses.dataclass(frozen=True)
class Checkerboard:
    """Sizes and row tables of one grid, and of the next coarser one.

    Parameters
    ----------
    grid : (int, int, int)
        Points (n_i, n_j, n_k); leading ones for fewer than three dimensions.
    members : int
        B.
    periodic : (bool, bool, bool)
        Whether an axis closes on itself; such an axis needs an even number of points, or one.
    coarsened : (bool, bool, bool)
        Which axes the next coarser grid halves.
    """

    grid: tuple[int, int, int]
    members: int
    periodic: tuple[bool, bool, bool] = (False, False, False)
    coarsened: tuple[bool, bool, bool] = (True, True, True)

    @property
    def coarse(self) -> tuple[int, int, int]:
        """The next coarser grid."""
        ni, nj, nk = ((n + 1) // 2 if halved else n for n, halved in zip(self.grid, self.coarsened, strict=True))
        return ni, nj, nk

    @property
    def rows(self) -> int:
        """Rows of a colour, without the empty one."""
        return self.grid[0] * self.grid[1]

    @property
    def width(self) -> int:
        """Numbers in a row of one colour, the empty place included."""
        return (self.grid[2] // 2 + 1) * self.members

    @property
    def pad(self) -> int:
        """Numbers before the first row, which is read one place to its left; a multiple of a cache line."""
        return -(-self.members // 16) * 16

    @property
    def size(self) -> int:
        """Numbers in the array of one colour."""
        return self.pad + (self.rows + 1) * self.width + self.pad

    @property
    def natural_width(self) -> int:
        """Numbers in a row of both colours in their natural order."""
        return self.grid[2] * self.members

    @property
    def natural_size(self) -> int:
        """Numbers in an array in natural order, with one empty row at its end."""
        return (self.rows + 1) * self.natural_width

    @property
    def lag(self) -> int:
        """How many rows a sweep that needs all neighbours of a row runs behind the one that fills them."""
        if self.periodic[0] or self.periodic[1]:
            return self.rows
        return self.grid[1] if self.grid[0] > 1 else 1

    @functools.cached_property
    def table(self) -> np.ndarray:
        """The (rows, 8) table of rows."""
        ni, nj, _ = self.grid
        _, ncj, _ = self.coarse
        i, j = (index.ravel() for index in np.meshgrid(np.arange(ni), np.arange(nj), indexing="ij"))
        own, other = parents(nj, halved=self.coarsened[1], periodic=self.periodic[1])
        table = np.empty((self.rows, 8), dtype=np.int64)
        table[:, ROW] = np.arange(self.rows)
        table[:, PARITY] = (i + j) % 2
        for column, step in ((LEFT, -1), (RIGHT, 1)):
            at = _moved(j, step, nj, self.periodic[1])
            table[:, column] = np.where(at < 0, self.rows, i * nj + at)
        for column, step in ((BELOW, -1), (ABOVE, 1)):
            at = _moved(i, step, ni, self.periodic[0])
            table[:, column] = np.where(at < 0, self.rows, at * nj + j)
        table[:, OWN] = i * ncj + own[j]
        table[:, OTHER] = np.where(other[j] < 0, ni * ncj, i * ncj + other[j])
        return table

    @functools.cached_property
    def plane_table(self) -> np.ndarray:
        """The (n_i n_cj, 2) table of rows of the coarser grid along i, for the rows (i, J) that j left."""
        ni, _, _ = self.grid
        nci, ncj, _ = self.coarse
        own, other = parents(ni, halved=self.coarsened[0], periodic=self.periodic[0])
        i, j = (index.ravel() for index in np.meshgrid(np.arange(ni), np.arange(ncj), indexing="ij"))
        return np.stack([own[i] * ncj + j, np.where(other[i] < 0, nci * ncj, other[i] * ncj + j)], axis=1)


def parents(n: int, *, halved: bool, periodic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the coarse cell of each of n fine cells along an axis, and the other one beside it, −1 for none."""
    fine = np.arange(n)
    if not halved:
        return fine, np.full(n, -1)
    coarse = (n + 1) // 2
    own = fine // 2
    other = np.where(fine % 2 == 0, own - 1, own + 1)
    if periodic and coarse > 1:
        return own, other % coarse
    return own, np.where((other < 0) | (other >= coarse), -1, other)


def _moved(at: np.ndarray, step: int, n: int, periodic: bool) -> np.ndarray:
    """Return the neighbours of positions, −1 where there is none."""
    moved = at + step
    if periodic and n > 1:
        return moved % n
    return np.where((moved < 0) | (moved >= n), -1, moved)
