"""Gauss–Seidel in the order of the cells."""

from __future__ import annotations

import math
from typing import final

import numpy as np

from ....operators import StructureError
from ..backend import NumpyBackend
from ..level import Level, LevelArrays
from .smoother import Smoother


@final
class GaussSeidel(Smoother):
    """Gauss–Seidel through the cells in C order, backwards afterwards; numpy only, compiled.

    One cell after the other, so that it can neither use several cells at once nor a device; it passes over the arrays
    once where red-black passes four times, and smooths nearly as well. Across periodic boundaries the values from
    before the sweep are used at both ends, so that backward is the adjoint of forward there too.

    Storage: the couplings of each cell side by side, 2d numbers.
    """

    def __init__(self, level: Level, sweeps: int) -> None:
        super().__init__(level, sweeps)
        if not isinstance(level.backend, NumpyBackend):
            raise StructureError(
                "smoother='gauss_seidel' goes from cell to cell on the host, but the hierarchy is on torch storage: "
                "use smoother='red_black'"
            )
        cells, dim = level.cells, len(level.grid)
        members = level.network.members
        sides = [t for a in range(dim) for t in (level.lower[a], level.upper[a])]
        self._couplings = np.ascontiguousarray(np.stack([t.reshape(cells, members) for t in sides], axis=1))
        self._inverse = np.ascontiguousarray(level.inverse.reshape(cells, members))
        padded = [n + 2 for n in level.grid]
        strides = [math.prod(padded[a + 1 :]) for a in range(dim)]
        self._steps = np.array([step for stride in strides for step in (-stride, stride)])
        self._grid = np.array((1,) * (3 - dim) + level.grid)
        self._strides = np.array([0] * (3 - dim) + strides)

    def before(self, v: LevelArrays, *, zero: bool) -> None:
        """Sweep forwards `sweeps` times."""
        if zero:
            v.inner[...] = 0.0
        self._sweep(v, backward=False)

    def after(self, v: LevelArrays) -> None:
        """Sweep backwards `sweeps` times."""
        self._sweep(v, backward=True)

    def _sweep(self, v: LevelArrays, *, backward: bool) -> None:
        from .gauss_seidel_kernels import sweep

        k = v.b.shape[-1]
        x, b = v.x.reshape(-1, k), v.b.reshape(-1, k)
        for _ in range(self.sweeps):
            self.level.fill_ghosts(v)
            sweep(self._couplings, self._inverse, self._steps, self._grid, self._strides, b, x, backward)
