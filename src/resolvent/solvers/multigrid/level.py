"""One level of a multigrid hierarchy: the couplings of its cells as arrays, and products with them."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from ...operators import Array
from ..separable.couplings import along
from .backend import Backend
from .network import Network


class LevelArrays:
    """Iterate, right-hand side, residual and scratch of one level for k columns of one dtype.

    Attributes
    ----------
    x : (*(grid + 2), k) array
        The iterate inside a rim of ghost cells, which are zero behind walls and copies on periodic axes.
    inner : (*grid, k) view
        x without the rim.
    b, r : (*grid, k) arrays
    scratch, spare : flat arrays of n k entries
    views : dict
        Of the parts of these arrays that a smoother works on, which are formed once.
    """

    def __init__(self, grid: tuple[int, ...], k: int, dtype: np.dtype, backend: Backend, b: Array | None) -> None:
        self.x = backend.zeros((*(n + 2 for n in grid), k), dtype)
        self.inner = self.x[(slice(1, -1),) * len(grid)]
        self.b = backend.empty((*grid, k), dtype) if b is None else b
        self.r = backend.empty((*grid, k), dtype)
        self.scratch = backend.empty((int(np.prod(grid)) * k,), dtype)
        self.spare = backend.empty((int(np.prod(grid)) * k,), dtype)
        self.shifted = [
            (self._neighbours(a, 0, len(grid)), self._neighbours(a, 2, len(grid))) for a in range(len(grid))
        ]
        self.views: dict[Any, Any] = {}

    def _neighbours(self, a: int, start: int, dim: int) -> Array:
        inner = slice(1, -1)
        return self.x[tuple(slice(start, start - 2 or None) if c == a else inner for c in range(dim))]


@final
class Level:
    """The operator of one level: row p is d_p x_p − Σ lower_p x_below − Σ upper_p x_above.

    Attributes
    ----------
    grid : tuple of int
    lower, upper : tuple of (*grid, B) arrays, one an axis
        Couplings to the previous and the next cell along the axis, ≥ 0. Those with walls meet zeros.
    diagonal, inverse : (*grid, B) arrays
        d and 1/d, 0 where d is 0.
    periodic : tuple of bool
    """

    def __init__(self, network: Network, backend: Backend, diagonal: Array | None = None) -> None:
        self.backend, self.grid, self.periodic = backend, network.grid, network.periodic
        self.network = network
        pairs = [network.couplings(a) for a in range(len(self.grid))]
        self.lower, self.upper = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
        self.diagonal = network.diagonal() if diagonal is None else diagonal
        zero = self.diagonal == 0
        self.inverse = backend.where(zero, 0.0, 1.0 / backend.where(zero, 1.0, self.diagonal))
        self.wrapped = tuple(a for a, n in enumerate(self.grid) if self.periodic[a] and n > 1)
        self.coupled = tuple(a for a, n in enumerate(self.grid) if n > 1)

    def transposed(self) -> Level:
        """Return the level with the transposed operator."""
        return Level(self.network.transposed(), self.backend, self.diagonal)

    @property
    def cells(self) -> int:
        """Unknowns of one member."""
        return self.network.cells

    def arrays(self, k: int, dtype: np.dtype, b: Array | None = None) -> LevelArrays:
        """Return work arrays for k columns."""
        return LevelArrays(self.grid, k, dtype, self.backend, b)

    def fill_ghosts(self, v: LevelArrays) -> None:
        """Copy the cells across each periodic boundary into the rim of x."""
        for a in self.wrapped:
            v.x[along(a, slice(None, 1))] = v.x[along(a, slice(-2, -1))]
            v.x[along(a, slice(-1, None))] = v.x[along(a, slice(1, 2))]

    def residual(self, v: LevelArrays) -> None:
        """Set r to b − A x: 4d + 2 passes over the level."""
        self.fill_ghosts(v)
        backend = self.backend
        backend.multiply(self.diagonal, v.inner, v.r)
        backend.subtract(v.b, v.r, v.r)
        for a in self.coupled:
            below, above = v.shifted[a]
            backend.add_product(self.lower[a], below, v.r, v.scratch)
            backend.add_product(self.upper[a], above, v.r, v.scratch)
