"""Chebyshev iteration on the upper part of the spectrum."""

from __future__ import annotations

from typing import final

from ..level import Level, LevelArrays
from .smoother import Smoother

LARGEST = 2.0
"""Bound for the eigenvalues of D⁻¹A by Gershgorin, which oscillations on a grid reach; no estimate is needed."""

RATIO = 4.0
"""Upper over lower end of the interval that is smoothed: below it lies what the next level represents (Adams, Brezina,
Hu & Tuminaro 2003, doi:10.1016/S0021-9991(03)00194-3, take 4 to 30)."""


@final
class ChebyshevSmoother(Smoother):
    """The polynomial of degree 2 `sweeps` in D⁻¹A that is smallest on [1/2, 2], its own adjoint.

    For axes whose couplings have no direction in which to sweep, and for devices, where all cells work at once and no
    colours are needed: 2 residuals and 6 passes a sweep, one residual less from zero. Storage: one more vector.
    """

    def __init__(self, level: Level, sweeps: int) -> None:
        super().__init__(level, sweeps)
        high, low = LARGEST, LARGEST / RATIO
        centre, radius = 0.5 * (high + low), 0.5 * (high - low)
        rho = radius / centre
        self._steps = [(0.0, 1.0 / centre)]
        for _ in range(2 * sweeps - 1):
            rho, old = 1.0 / (2.0 * centre / radius - rho), rho
            self._steps.append((rho * old, 2.0 * rho / radius))

    def before(self, v: LevelArrays, *, zero: bool) -> None:
        """Apply the polynomial."""
        level, backend = self.level, self.level.backend
        if "direction" not in v.views:
            v.views["direction"] = backend.empty(v.r.shape, backend.dtype(v.r))
        direction = v.views["direction"]
        if zero:
            v.inner[...] = 0.0
        for step, (momentum, length) in enumerate(self._steps):
            if zero and step == 0:
                backend.multiply(level.inverse, v.b, v.r)
            else:
                level.residual(v)
                backend.multiply(level.inverse, v.r, v.r)
            v.r *= length
            if step:
                direction *= momentum
                direction += v.r
            else:
                direction[...] = v.r
            v.inner[...] += direction

    def after(self, v: LevelArrays) -> None:
        """Apply the polynomial."""
        self.before(v, zero=False)
