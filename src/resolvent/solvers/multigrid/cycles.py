"""Multigrid cycles: V, W, F, and full multigrid."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal, final

import numpy as np

from ...operators import Array
from .level import Level, LevelArrays
from .levels import Levels
from .smoothers import Smoother

Shape = Literal["V", "W", "F"]

POWER_STEPS = 10
DAMPED_TO = 1.5
"""Largest eigenvalue of ω M A that a W-cycle lets a coarse level have. It must stay below 2, and ten steps of the power
method see most of it."""


class Work:
    """Work arrays of all levels for k columns of one dtype."""

    def __init__(self, levels: Levels, k: int, dtype: np.dtype) -> None:
        self.key = (k, dtype)
        self.levels: list[LevelArrays] = [level.arrays(k, dtype) for level in levels.levels]
        self.between: list[list[Array]] = [transfer.between(k, dtype) for transfer in levels.transfers]


@final
class Cycles:
    """Cycles over one hierarchy, for fields of shape (*grid, k): k = B columns, or any k where B = 1.

    A V-cycle visits the next level once, a W-cycle twice, an F-cycle first by an F- and then by a V-cycle. V and W are
    self-adjoint, where the smoother's `after` is the adjoint of `before`; F and full multigrid are not.

    Since coarse operators keep the stencil of the fine one instead of being PᵀAP, M A can have eigenvalues above 1, at
    high contrast above 2. A V-cycle is definite all the same. The second visit of a W-cycle is definite only for
    eigenvalues below 2; where they are larger, each visit is damped to that end, member by member.

    Cost of a V-cycle with one sweep of Gauss–Seidel: three residuals and two transfers on each level, which with full
    coarsening is 4/3 (2-D) or 8/7 (3-D) of that on the finest. A W-cycle visits level l 2^l times, and so costs 2 (2-D)
    or 4/3 (3-D) times the finest level, but L times where each of L levels has half of the cells of the one above; its
    set-up ten cycles on each level but the finest. Storage: 5 vectors on each level, kept between cycles, for each
    thread. Nothing is brought to the host within a cycle.

    Parameters
    ----------
    levels : Levels
    smoother : callable
        Makes the smoother of a level.
    shape : {"V", "W", "F"}
    previous : Cycles, optional
        Cycles that are no longer needed, or not at the same time in one thread: work arrays are shared where they fit.
    """

    def __init__(
        self,
        levels: Levels,
        smoother: Callable[[Level], Smoother],
        shape: Shape = "V",
        previous: Cycles | None = None,
    ) -> None:
        self.levels, self.shape, self._make = levels, shape, smoother
        self.smoothers: tuple[Smoother, ...] = tuple(smoother(level) for level in levels.levels[:-1])
        shared = previous is not None and previous._fits(self)
        self._local: threading.local = previous._local if previous is not None and shared else threading.local()
        self._damping: list[Array | None] = [None] * len(levels.levels)
        self._transposed: Cycles | None = None
        if shape == "W" and levels.symmetric and levels.dtype.kind == "f":
            for depth in range(len(self.smoothers) - 1, 0, -1):
                self._damping[depth] = self._stable_damping(depth)

    def _fits(self, other: Cycles) -> bool:
        def layout(cycles: Cycles) -> Any:
            return cycles.levels.backend.device, [level.grid for level in cycles.levels.levels]

        return layout(self) == layout(other) and [type(s) for s in self.smoothers] == [type(s) for s in other.smoothers]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    def apply(
        self,
        b: Array,
        out: Array,
        *,
        scale: tuple[Array, Array] | None = None,
        dtype: Any = None,
        adjoint: bool = False,
        full: bool = False,
    ) -> None:
        """Set `out` to the outcome of one cycle from a zero guess for the right-hand side b: M b.

        Parameters
        ----------
        b, out : (*grid, k) arrays
        scale : two (1, k) arrays, optional
            Columns are multiplied by the first before and by the second after: to fit a shorter number format.
        dtype : dtype, optional
            To work in; by default that of b.
        adjoint : bool
            Visit the levels of an F-cycle in the order that belongs to the transpose of M.
        full : bool
            Full multigrid instead: b is restricted to all levels; the solution on the coarsest is interpolated to each
            finer level in turn, and improved there by one cycle, an F-cycle instead of a V-cycle, whose rate would not
            do. In two dimensions the algebraic error is then below that of a discretisation of second order, in three
            several times that; for 1.8 (2-D) or 1.3 (3-D) V-cycles.
        """
        work = self._work(int(b.shape[-1]), self.levels.backend.dtype(b) if dtype is None else np.dtype(dtype))
        v = work.levels[0]
        if scale is None:
            v.b[...] = b
        else:
            self.levels.backend.multiply(b, scale[0], v.b)
        if full:
            self._full(work)
        else:
            self._visit(0, work, zero=True, shape="adjoint F" if adjoint and self.shape == "F" else self.shape)
        if scale is None:
            out[...] = v.inner
        else:
            self.levels.backend.multiply(v.inner, scale[1], out)

    def transposed(self) -> Cycles:
        """Return the cycles whose M is the transpose of this one, except for the order of visits of F-cycles."""
        if self.levels.symmetric:
            return self
        if self._transposed is None:
            self._transposed = Cycles(self.levels.transposed(), self._make, self.shape)
        return self._transposed

    def improve(self, b: Array, x: Array) -> None:
        """Improve x by one cycle: x + M (b − A x), with the operator of the finest level for A."""
        work = self._work(int(b.shape[-1]), self.levels.backend.dtype(b))
        work.levels[0].b[...] = b
        work.levels[0].inner[...] = x
        self._visit(0, work, zero=False, shape=self.shape)
        x[...] = work.levels[0].inner

    def _full(self, work: Work) -> None:
        last, shape = len(self.smoothers), "F" if self.shape == "V" else self.shape
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

    def _work(self, k: int, dtype: np.dtype) -> Work:
        work: Work | None = getattr(self._local, "work", None)
        if work is None or work.key != (k, dtype):
            work = self._local.work = Work(self.levels, k, dtype)
        return work

    def _visit(self, depth: int, work: Work, *, zero: bool, shape: str) -> None:
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
        if shape == "V" or depth + 1 == len(self.smoothers):
            self._visit(depth + 1, work, zero=True, shape="V")
        else:
            self._visit_twice(depth + 1, work, shape)
        transfer.interpolate(below.inner, v.inner, between, v.scratch, add=True)
        smoother.after(v)

    def _visit_twice(self, depth: int, work: Work, shape: str) -> None:
        first, second = {"W": ("W", "W"), "F": ("F", "V"), "adjoint F": ("V", "adjoint F")}[shape]
        self._visit(depth, work, zero=True, shape=first)
        omega = self._damping[depth]
        if omega is None:
            self._visit(depth, work, zero=False, shape=second)
            return
        v = work.levels[depth]
        v.inner[...] *= omega
        if "before" not in v.views:
            v.views["before"] = v.inner * 1
        before = v.views["before"]
        before[...] = v.inner
        self._visit(depth, work, zero=False, shape=second)
        v.inner[...] -= before
        v.inner[...] *= omega
        v.inner[...] += before

    def _stable_damping(self, depth: int) -> Array | None:
        """Return ω ≤ 1 for each member with which ω M A of this level stays clear of 2; None where all are 1.

        The largest eigenvalue λ of M A by the power method, as Rayleigh quotients in the energy inner product.
        """
        level, backend, members = self.levels.levels[depth], self.levels.backend, self.levels.members
        work = Work(self.levels, members, self.levels.dtype)
        v = work.levels[depth]
        start = np.random.default_rng(0).standard_normal((*level.grid, 1)) * np.ones(members)
        x = backend.cast(start, self.levels.dtype)
        axes = tuple(range(len(level.grid)))
        largest = x.sum(axes) * 0.0
        for _ in range(POWER_STEPS):
            v.inner[...] = x
            v.b[...] = 0.0
            level.residual(v)
            v.b[...] = -v.r
            energy = (v.b * x).sum(axes)
            b = v.b * 1
            self._visit(depth, work, zero=True, shape="W")
            quotient = (b * v.inner).sum(axes) / backend.where(energy > 0.0, energy, float("inf"))
            largest = backend.where(quotient > largest, quotient, largest)
            x = v.inner / backend.where(quotient > 0.0, quotient, 1.0)
        if not bool((largest > DAMPED_TO).any()):
            return None
        return backend.where(largest > DAMPED_TO, DAMPED_TO / largest, 1.0)
