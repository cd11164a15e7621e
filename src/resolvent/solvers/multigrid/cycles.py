"""Multigrid cycles: V, W, F, and full multigrid."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, final

import numpy as np

from ...operators import Array
from .level import Level, LevelArrays
from .levels import Levels
from .smoothers import Smoother

Shape = Literal["V", "W", "F"]


class _Work:
    """Work arrays of all levels for k columns of one dtype."""

    def __init__(self, levels: Levels, k: int, dtype: np.dtype) -> None:
        # The right-hand side of the finest level is the caller's.
        self.key = (k, dtype)
        self.levels: list[LevelArrays] = [level.arrays(k, dtype) for level in levels.levels]
        self.between: list[list[Array]] = [transfer.between(k, dtype) for transfer in levels.transfers]


@final
class Cycles:
    """Cycles over one hierarchy, for fields of shape (*grid, k): k = B columns, or any k where B = 1.

    A V-cycle visits the next level once, a W-cycle twice, an F-cycle once by an F- and once by a V-cycle. V and W are
    self-adjoint, where the smoother's `after` is the adjoint of `before`; F and full multigrid are not.

    Cost of a V-cycle with one sweep of Gauss–Seidel: three residuals and two transfers on each level, which with full
    coarsening is 4/3 (2-D) or 8/7 (3-D) of that on the finest. A W-cycle visits level l 2^l times, and so costs 2 (2-D)
    or 4/3 (3-D) times the finest level, but L times where each of L levels has half of the cells of the one above.
    Storage: 5 vectors on each level, kept between cycles, for each thread.

    Parameters
    ----------
    levels : Levels
    smoother : callable
        Makes the smoother of a level.
    """

    def __init__(self, levels: Levels, smoother: Callable[[Level], Smoother]) -> None:
        self.levels = levels
        self.smoothers: Sequence[Smoother] = tuple(smoother(level) for level in levels.levels[:-1])
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    def apply(self, b: Array, out: Array, shape: Shape = "V") -> None:
        """Set `out` to the outcome of one cycle from a zero guess for the right-hand side b: M b."""
        work = self._start(b)
        self._visit(0, work, zero=True, shape=shape)
        out[...] = work.levels[0].inner

    def improve(self, b: Array, x: Array, shape: Shape = "V") -> None:
        """Improve x by one cycle: x + M (b − A x)."""
        work = self._start(b)
        work.levels[0].inner[...] = x
        self._visit(0, work, zero=False, shape=shape)
        x[...] = work.levels[0].inner

    def full(self, b: Array, out: Array, shape: Shape = "V") -> None:
        """Set `out` to the outcome of full multigrid.

        b is restricted to all levels; the solution on the coarsest is interpolated to each finer level in turn, and
        improved there by one cycle.
        """
        work = self._start(b)
        last = len(self.smoothers)
        for depth, transfer in enumerate(self.levels.transfers):
            fine, coarse = work.levels[depth : depth + 2]
            transfer.restrict(fine.b, coarse.b, work.between[depth], fine.scratch)
        # Cycles overwrite the right-hand sides below them.
        sides = [v.b * 1 for v in work.levels[1:]]
        self._visit(last, work, zero=True, shape=shape)
        for depth in reversed(range(last)):
            fine, coarse = work.levels[depth : depth + 2]
            transfer = self.levels.transfers[depth]
            transfer.interpolate(coarse.inner, fine.inner, work.between[depth], fine.scratch, add=False)
            if depth:
                fine.b[...] = sides[depth - 1]
            self._visit(depth, work, zero=False, shape=shape)
        out[...] = work.levels[0].inner

    def _start(self, b: Array) -> _Work:
        k, dtype = int(b.shape[-1]), self.levels.backend.dtype(b)
        work: _Work | None = getattr(self._local, "work", None)
        if work is None or work.key != (k, dtype):
            work = self._local.work = _Work(self.levels, k, dtype)
        work.levels[0].b[...] = b
        return work

    def _visit(self, depth: int, work: _Work, *, zero: bool, shape: Shape) -> None:
        levels, v = self.levels, work.levels[depth]
        level = levels.levels[depth]
        if depth == len(self.smoothers):
            levels.backend.multiply(level.inverse, v.b, v.inner)
            return
        smoother, transfer, between = self.smoothers[depth], levels.transfers[depth], work.between[depth]
        smoother.before(v, zero=zero)
        level.residual(v)
        below = work.levels[depth + 1]
        transfer.restrict(v.r, below.b, between, v.scratch)
        self._visit(depth + 1, work, zero=True, shape=shape)
        if shape != "V" and depth + 1 < len(self.smoothers):
            self._visit(depth + 1, work, zero=False, shape="W" if shape == "W" else "V")
        transfer.interpolate(below.inner, v.inner, between, v.scratch, add=True)
        smoother.after(v)
