"""Damped Jacobi iteration."""

from __future__ import annotations

from typing import Final, final

from ..level import Level, LevelArrays
from .smoother import Smoother

OMEGA: Final = {0: 1.0, 1: 2 / 3, 2: 4 / 5, 3: 6 / 7}
"""By the number of axes: what reduces high frequencies of the Laplacian best, to 1/3, 3/5 and 5/7 (Trottenberg,
Oosterlee & Schüller 2001, section 2.1). ω < 1 converges where the diagonal dominates: D⁻¹A ≤ 2."""


@final
class DampedJacobi(Smoother):
    """x ← x + ω D⁻¹ (b − A x), which is its own adjoint.

    All cells at once: the same numbers whatever the order, and the fewest kernels on a device; but a sweep of red-black
    Gauss–Seidel costs as much and smooths twice as well. Cost of a sweep: a residual and two passes; without the
    residual for the first from zero.
    """

    def __init__(self, level: Level, sweeps: int) -> None:
        super().__init__(level, sweeps)
        self._scaling = level.inverse * OMEGA[len(level.coupled)]

    def before(self, v: LevelArrays, *, zero: bool) -> None:
        """Relax `sweeps` times."""
        if zero:
            self.level.backend.multiply(self._scaling, v.b, v.inner)
        for _ in range(self.sweeps - zero):
            self.level.residual(v)
            self.level.backend.add_product(self._scaling, v.r, v.inner, v.scratch)

    def after(self, v: LevelArrays) -> None:
        """Relax `sweeps` times."""
        self.before(v, zero=False)
