"""Red-black Gauss–Seidel."""

from __future__ import annotations

import itertools
import math
from typing import Any, final

from ....operators import Array
from ..level import Level, LevelArrays
from .smoother import Smoother


@final
class RedBlack(Smoother):
    """Gauss–Seidel over the cells of even index sum (red), then over the others (black); afterwards black, then red.

    x_p ← (b_p + Σ t_f x_q) / d_p for all cells of one colour at once. Cells of a 3-, 5- or 7-point stencil couple with
    the other colour only, so that two colours are enough; where an odd number of cells is closed to a ring, the two
    cells of one colour that meet there use each other's old value, which keeps the sweep self-adjoint in the energy
    inner product and, for diagonally dominant rows, convergent.

    Cost of a sweep: that of one residual. Storage: one array of half a level. Reference: Trottenberg, Oosterlee &
    Schüller 2001, "Multigrid", section 4.3 (ISBN 978-0-12-701070-0); Stüben & Trottenberg 1982, doi:10.1007/BFb0069928.
    """

    def __init__(self, level: Level, sweeps: int) -> None:
        super().__init__(level, sweeps)
        self._colours = [_parities(level.grid, colour) for colour in (0, 1)]
        self._coefficients = [[self._of_class(parity) for parity in parities] for parities in self._colours]
        # Cells of one colour that couple across the closure of an odd ring read values of a sweep that has not been.
        self._bipartite = not any(level.grid[a] % 2 for a in level.wrapped)

    def before(self, v: LevelArrays, *, zero: bool) -> None:
        """Red, then black, `sweeps` times."""
        if zero and not self._bipartite:
            v.inner[...] = 0.0
        for sweep in range(self.sweeps):
            self._half_sweep(v, 0, zero=zero and sweep == 0)
            self._half_sweep(v, 1, zero=False)

    def after(self, v: LevelArrays) -> None:
        """Black, then red, `sweeps` times."""
        for _ in range(self.sweeps):
            self._half_sweep(v, 1, zero=False)
            self._half_sweep(v, 0, zero=False)

    def _half_sweep(self, v: LevelArrays, colour: int, *, zero: bool) -> None:
        backend = self.level.backend
        views = v.views.get("red_black")
        if views is None:
            views = v.views["red_black"] = [[self._views(v, parity) for parity in p] for p in self._colours]
        if not zero:
            self.level.fill_ghosts(v)
        for (inverse, couplings), (x, b, neighbours, total) in zip(
            self._coefficients[colour], views[colour], strict=True
        ):
            if zero:
                backend.multiply(inverse, b, x)
                continue
            total[...] = b
            for t, values in zip(couplings, neighbours, strict=True):
                backend.add_product(t, values, total, v.scratch)
            backend.multiply(inverse, total, x)

    def _of_class(self, parity: tuple[int, ...]) -> tuple[Array, list[Array]]:
        level = self.level
        part = tuple(slice(p, n, 2) for p, n in zip(parity, level.grid, strict=True))
        couplings = [t[part] for a in level.coupled for t in (level.lower[a], level.upper[a])]
        return level.inverse[part], couplings

    def _views(self, v: LevelArrays, parity: tuple[int, ...]) -> tuple[Any, ...]:
        """Return the cells of one parity: iterate, right-hand side, neighbours in the order of couplings, a total."""
        grid = self.level.grid

        def part(axis: int, step: int) -> tuple[slice, ...]:
            shifts = [1 + p + (step if a == axis else 0) for a, p in enumerate(parity)]
            return tuple(
                slice(s, n + 1 + (step if a == axis else 0), 2)
                for a, (s, n) in enumerate(zip(shifts, grid, strict=True))
            )

        b = v.b[tuple(slice(p, n, 2) for p, n in zip(parity, grid, strict=True))]
        neighbours = [v.x[part(a, step)] for a in self.level.coupled for step in (-1, 1)]
        return v.x[part(0, 0)], b, neighbours, v.spare[: math.prod(b.shape)].reshape(b.shape)


def _parities(grid: tuple[int, ...], colour: int) -> list[tuple[int, ...]]:
    """Return the parities of the cells of one colour, without those of which a short axis has none."""
    every = itertools.product(*(range(min(2, n)) for n in grid))
    return [parity for parity in every if sum(parity) % 2 == colour]
