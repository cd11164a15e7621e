"""Gauss–Seidel by lines, in zebra order."""

from __future__ import annotations

import itertools
import math
from typing import Any, final

from ....operators import Array
from ...separable.couplings import along
from ..level import Level, LevelArrays
from .smoother import Smoother

SINGULAR_PIVOT = 1e-10
"""Pivots below this fraction of the diagonal are those of a line that nothing grounds, and become the diagonal."""


@final
class Lines(Smoother):
    """All cells of a line along one axis at once, every second line first, then the others; afterwards in reverse.

    For couplings that are much stronger along an axis, where smoothing single cells leaves oscillations across it. With
    `axes` of more than one, lines along each in turn (alternating), which smooths whatever the direction of the strong
    couplings, also where it changes from place to place.

    Each line is a tridiagonal system, factorised in the set-up, closed lines with their last cell set apart. Lines are
    solved side by side, step by step along them, so that a sweep has as many steps as a line has cells, 2 products each
    way: short lines and many of them are fast. Storage: 2 numbers a cell and axis, 3 on periodic axes.

    Reference: Wesseling 1992, "An introduction to multigrid methods", section 7.10 (ISBN 978-0-471-93083-9).
    """

    def __init__(self, level: Level, sweeps: int, axes: tuple[int, ...]) -> None:
        super().__init__(level, sweeps)
        self.axes = axes
        self._lines = [[_ColourOfLines(level, a, colour) for colour in _colours(level, a)] for a in axes]

    def before(self, v: LevelArrays, *, zero: bool) -> None:
        """Sweep over the lines of each axis in turn, `sweeps` times."""
        if zero:
            v.inner[...] = 0.0
        for _ in range(self.sweeps):
            for colours in self._lines:
                for lines in colours:
                    lines.solve(v)

    def after(self, v: LevelArrays) -> None:
        """Do the same in reverse."""
        for _ in range(self.sweeps):
            for colours in reversed(self._lines):
                for lines in reversed(colours):
                    lines.solve(v)


def strongest_line(level: Level, sweeps: int) -> Lines:
    """Return the smoother by lines along the axis with the strongest mean coupling on this level."""
    means = level.network.mean_couplings(level.backend)
    return Lines(level, sweeps, (max(level.coupled, key=lambda a: means[a]),))


def alternating_lines(level: Level, sweeps: int) -> Lines:
    """Return the smoother by lines along all axes in turn."""
    return Lines(level, sweeps, level.coupled)


def _colours(level: Level, axis: int) -> list[list[tuple[int, ...]]]:
    """Return the parities across the axis of the lines of either colour; one colour where there is but one line."""
    every = list(itertools.product(*(range(1 if a == axis else min(2, n)) for a, n in enumerate(level.grid))))
    colours = [[parity for parity in every if sum(parity) % 2 == colour] for colour in (0, 1)]
    return [colour for colour in colours if colour]


class _ColourOfLines:
    """The lines of one colour along one axis."""

    def __init__(self, level: Level, axis: int, parities: list[tuple[int, ...]]) -> None:
        self.level, self.axis = level, axis
        self.key = ("lines", axis, sum(parities[0]) % 2)
        self._parts = [_TridiagonalLines(level, axis, parity) for parity in parities]

    def solve(self, v: LevelArrays) -> None:
        """Set the cells of these lines to what the others ask for."""
        self.level.fill_ghosts(v)
        views = v.views.get(self.key)
        if views is None:
            views = v.views[self.key] = [part.views(v) for part in self._parts]
        for part, view in zip(self._parts, views, strict=True):
            part.solve(v, *view)


class _TridiagonalLines:
    """The lines along one axis of one parity across it: LDLᵀ of each, and their couplings with the others."""

    def __init__(self, level: Level, axis: int, parity: tuple[int, ...]) -> None:
        self.level, self.axis, self.parity = level, axis, parity
        part = tuple(slice(None) if a == axis else slice(p, None, 2) for a, p in enumerate(parity))
        self.others = [a for a in level.coupled if a != axis]
        self.across = [t[part] for a in self.others for t in (level.lower[a], level.upper[a])]
        self.n = level.grid[axis]
        self.closed = axis in level.wrapped
        d, below, above = level.diagonal[part], level.lower[axis][part], level.upper[axis][part]
        backend = level.backend
        open_cells = self.n - 1 if self.closed else self.n
        inverse = [self._at(d, 0) * 0.0 for _ in range(self.n)]
        self.below = [self._at(below, i) for i in range(self.n)]
        self.above = [self._at(above, i) for i in range(self.n)]
        pivot = self._at(d, 0)
        for i in range(open_cells):
            pivot = self._at(d, i)
            if i:
                pivot = pivot - self.below[i] * self.above[i - 1] * inverse[i - 1]
            inverse[i] = _safe_inverse(pivot, self._at(d, i), backend)
        self.inverse = inverse
        self.ahead = [self.above[i] * inverse[i] for i in range(open_cells - 1)]
        if self.closed:
            self._close(self._at(d, self.n - 1))

    def _close(self, last: Array) -> None:
        """Eliminate the last cell of closed lines: z solves the open line for its couplings with that cell."""
        n, backend = self.n, self.level.backend
        z = [value * 0.0 for value in self.inverse]
        z[0] = z[0] + self.below[0]
        z[n - 2] = z[n - 2] + self.above[n - 2]
        self._sweep(z, n - 1)
        self.z = z[: n - 1]
        pivot = last - self.above[n - 1] * z[0] - self.below[n - 1] * z[n - 2]
        self.inverse[n - 1] = _safe_inverse(pivot, last, backend)

    def _sweep(self, y: list[Array], count: int) -> None:
        """Solve the first `count` cells of every line in place, out of the hot path."""
        for i in range(1, count):
            y[i] = y[i] + self.below[i] * self.inverse[i - 1] * y[i - 1]
        y[count - 1] = y[count - 1] * self.inverse[count - 1]
        for i in reversed(range(count - 1)):
            y[i] = (y[i] + self.above[i] * y[i + 1]) * self.inverse[i]

    def _at(self, values: Array, i: int) -> Array:
        return values[along(self.axis, slice(i, i + 1))]

    def views(self, v: LevelArrays) -> tuple[Any, ...]:
        """Return what `solve` works on: right-hand side, neighbours across, a total, its slices, and the iterate."""
        grid = self.level.grid
        b = v.b[tuple(slice(None) if a == self.axis else slice(p, None, 2) for a, p in enumerate(self.parity))]

        def part(shifted: int, step: int) -> tuple[slice, ...]:
            index = []
            for a, (p, n) in enumerate(zip(self.parity, grid, strict=True)):
                s = step if a == shifted else 0
                index.append(slice(1 + s, n + 1 + s) if a == self.axis else slice(1 + p + s, n + 1 + s, 2))
            return tuple(index)

        neighbours = [v.x[part(a, step)] for a in self.others for step in (-1, 1)]
        total = v.spare[: math.prod(b.shape)].reshape(b.shape)
        x = v.x[part(self.axis, 0)]
        return b, neighbours, total, [self._at(total, i) for i in range(self.n)], x

    def solve(self, v: LevelArrays, b: Array, neighbours: list[Array], total: Array, y: list[Array], x: Array) -> None:
        """Set x to the solution of the lines for b and the neighbours across."""
        backend, scratch = self.level.backend, v.scratch
        total[...] = b
        for t, values in zip(self.across, neighbours, strict=True):
            backend.add_product(t, values, total, scratch)
        count = self.n - 1 if self.closed else self.n
        inverse = self.inverse
        backend.multiply(inverse[0], y[0], y[0])
        for i in range(1, count):
            backend.add_product(self.below[i], y[i - 1], y[i], scratch)
            backend.multiply(inverse[i], y[i], y[i])
        for i in reversed(range(count - 1)):
            backend.add_product(self.ahead[i], y[i + 1], y[i], scratch)
        if self.closed:
            last = y[self.n - 1]
            backend.add_product(self.above[self.n - 1], y[0], last, scratch)
            backend.add_product(self.below[self.n - 1], y[self.n - 2], last, scratch)
            backend.multiply(inverse[self.n - 1], last, last)
            for z, value in zip(self.z, y, strict=False):
                backend.add_product(z, last, value, scratch)
        x[...] = total


def _safe_inverse(pivot: Array, d: Array, backend: Any) -> Array:
    grounded = abs(pivot) > SINGULAR_PIVOT * abs(d)
    pivot = backend.where(grounded, pivot, d)
    zero = pivot == 0
    return backend.where(zero, 0.0, 1.0 / backend.where(zero, 1.0, pivot))
