"""The entries of an operator on a structured grid as fields: diagonal, and couplings between neighbours by axis."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import scipy.sparse as sp

from ...operators import LinearOperator, Stencil, StructureError


class NonFiniteError(ValueError):
    """NaN or infinity among the entries of an operator."""


@dataclasses.dataclass(frozen=True)
class Couplings:
    """Entries of A that link a point with itself and with its neighbours on a box.

    Attributes
    ----------
    diagonal : (*grid) array
    upper, lower : tuple of arrays, one an axis
        ``upper[a]`` holds the entries from each point to the next one along axis a, ``lower[a]`` those back: one fewer
        than the grid along that axis. The same object where A is stored as symmetric.
    wrap : tuple of (array, array) or None, one an axis
        Entries from the first to the last point along the axis, and back, where there are any (periodic).
    """

    diagonal: Any
    upper: tuple[Any, ...]
    lower: tuple[Any, ...]
    wrap: tuple[tuple[Any, Any] | None, ...]

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of the box."""
        return tuple(self.diagonal.shape)

    @classmethod
    def of(cls, A: LinearOperator, grid: tuple[int, ...] | None = None) -> Couplings:
        """Take an operator apart.

        Parameters
        ----------
        A : LinearOperator
            A stencil, or any operator with entries.
        grid : tuple of int, optional
            By default that of A, or, where A has none, the one its pattern shows.

        Raises
        ------
        StructureError
            If A has no entries, or some that do not link neighbours on a box.
        ValueError
            If an entry is not finite, or the grid does not fit.
        """
        if not A.shape[0]:
            raise StructureError(f"{A!r} has no unknowns, and so no grid")
        if isinstance(A, Stencil) and (grid is None or grid == A.grid):
            found = _of_stencil(A)
        else:
            matrix = A.to_sparse()
            grid = grid or A.grid or _grid_of_pattern(matrix)
            if math.prod(grid) != A.shape[0] or A.shape[0] != A.shape[1]:
                raise ValueError(f"the grid {grid} has {math.prod(grid)} points, but A is {A.shape[0]} x {A.shape[1]}")
            found = _of_matrix(matrix, grid)
        for values in (found.diagonal, *found.upper, *found.lower):
            if not np.isfinite(values).all():
                raise NonFiniteError(
                    f"finite entries are needed, but {A!r} holds NaN or infinity: check how it was made"
                )
        return found

    def excess(self) -> Any:
        """Return the row sums: what is left of the diagonal for reaction and walls, a field."""
        sums = self.diagonal.copy()
        for a, (up, down) in enumerate(zip(self.upper, self.lower, strict=True)):
            sums[along(a, slice(None, -1))] += up
            sums[along(a, slice(1, None))] += down
            wrap = self.wrap[a]
            if wrap is not None:
                sums[along(a, slice(None, 1))] += wrap[0]
                sums[along(a, slice(-1, None))] += wrap[1]
        return sums

    def scaled(self, d: Any) -> Couplings:
        """Return the entries of D A D for a field d."""

        def pair(values: Any, a: int, first: slice, second: slice) -> Any:
            return values * d[along(a, first)] * d[along(a, second)]

        low, high, start, end = slice(None, -1), slice(1, None), slice(None, 1), slice(-1, None)
        upper = tuple(pair(values, a, low, high) for a, values in enumerate(self.upper))
        same = all(up is down for up, down in zip(self.upper, self.lower, strict=True))
        return Couplings(
            self.diagonal * d * d,
            upper,
            upper if same else tuple(pair(values, a, low, high) for a, values in enumerate(self.lower)),
            tuple(
                None if wrap is None else (pair(wrap[0], a, start, end), pair(wrap[1], a, start, end))
                for a, wrap in enumerate(self.wrap)
            ),
        )


def along(a: int, part: slice) -> tuple[slice, ...]:
    """Index of a part along axis a."""
    return (slice(None),) * a + (part,)


def _of_stencil(A: Stencil) -> Couplings:
    grid = A.coefficients.shape[1:]
    fields = dict(zip(A.offsets, A.coefficients, strict=True))
    zero = np.zeros(grid, dtype=A.dtype)
    upper, lower = [], []
    diagonal = fields.pop((0,) * len(grid), zero)
    for a in range(len(grid)):
        unit = tuple(int(b == a) for b in range(len(grid)))
        opposite = tuple(-d for d in unit)
        up, down = fields.pop(unit, None), fields.pop(opposite, None)
        ahead = None if up is None else up[along(a, slice(None, -1))]
        back = None if down is None else down[along(a, slice(1, None))]
        if A.mirrored:
            ahead = back = ahead if ahead is not None else back
        none = zero[along(a, slice(1, None))]
        upper.append(none if ahead is None else ahead)
        lower.append(none if back is None else back)
    strange = [offset for offset, values in fields.items() if values.any()]
    if strange:
        raise StructureError(f"{A!r} couples points at {strange[0]}, but only nearest neighbours can be diagonalised")
    return Couplings(diagonal, tuple(upper), tuple(lower), (None,) * len(grid))


def _of_matrix(matrix: sp.csr_array, grid: tuple[int, ...]) -> Couplings:
    n, size = len(grid), math.prod(grid)
    upper, lower, wrap = [], [], []
    diagonal = matrix.diagonal().reshape(grid)
    found = np.count_nonzero(diagonal)
    for a, length in enumerate(grid):
        stride = math.prod(grid[a + 1 :])

        def field(offset: int) -> Any:
            values = np.zeros(size, dtype=matrix.dtype)
            if offset < size:
                values[: size - offset] = matrix.diagonal(offset)
            return values.reshape(grid)

        def back(offset: int) -> Any:
            values = np.zeros(size, dtype=matrix.dtype)
            if offset < size:
                values[: size - offset] = matrix.diagonal(-offset)
            return values.reshape(grid)

        upper.append(field(stride)[along(a, slice(None, length - 1))])
        lower.append(back(stride)[along(a, slice(None, length - 1))])
        pair = None
        if length > 2:
            pair = (
                field(stride * (length - 1))[along(a, slice(None, 1))],
                back(stride * (length - 1))[along(a, slice(None, 1))],
            )
            pair = pair if pair[0].any() or pair[1].any() else None
        wrap.append(pair)
        found += sum(np.count_nonzero(v) for v in (upper[-1], lower[-1], *(pair or ())))
    strangers = np.count_nonzero(matrix.data) - found
    if strangers:
        raise StructureError(
            f"{strangers} entries of the matrix do not link neighbours on a grid of {' x '.join(map(str, grid))}: "
            f"fast transforms are for boxes of {n} axes{' in C order: give grid=…' if n > 1 else ''}"
        )
    return Couplings(diagonal, tuple(upper), tuple(lower), tuple(wrap))


def _grid_of_pattern(matrix: sp.csr_array) -> tuple[int, ...]:
    """Return the grid in C order whose neighbours the entries link; StructureError if there is none."""
    size = matrix.shape[0]
    rows = np.repeat(np.arange(size), np.diff(matrix.indptr))
    offsets = [int(d) for d in np.unique(np.abs(matrix.indices - rows)[matrix.data != 0]) if d]
    if len(offsets) <= 6 and (not offsets or offsets[0] == 1):
        for strides in itertools.chain.from_iterable(itertools.combinations(offsets[1:], r) for r in range(3)):
            edges = (1, *strides, size)
            if all(b % a == 0 for a, b in itertools.pairwise(edges)):
                lengths = [b // a for a, b in itertools.pairwise(edges)]
                allowed = {s for s, m in zip(edges, lengths, strict=False)}
                allowed |= {s * (m - 1) for s, m in zip(edges, lengths, strict=False)}
                if set(offsets) <= allowed:
                    return tuple(reversed(lengths))
    raise StructureError(
        f"the entries of a {size} x {size} matrix do not show the grid it belongs to: give grid=…, or use AMG"
    )
