"""Damped Jacobi iteration."""

from __future__ import annotations

from typing import Final, final

import numpy as np

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

    For complex operators ω is complex, from the mean coefficients of the level: that of those which amplify nothing,
    which reduces high frequencies best. Where the diagonal of a coarse Helmholtz operator nearly vanishes, real damping
    amplifies.
    """

    def __init__(self, level: Level, sweeps: int) -> None:
        super().__init__(level, sweeps)
        omega: complex = OMEGA[len(level.coupled)]
        if level.backend.dtype(level.diagonal).kind == "c":
            omega = _stable_omega(level)
        self._scaling = level.inverse * omega

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


def _stable_omega(level: Level) -> complex:
    """Return the ω that makes |1 − ω λ/d| smallest for high frequencies among those where it is ≤ 1 for all."""
    number, means = level.backend.number, level.network.mean_couplings(level.backend)
    shift = level.network.shift.mean()
    sigma = complex(number(shift.real), number(shift.imag))
    d = 2.0 * sum(means) + sigma
    weights = np.linspace(0.0, 1.0, 33)
    ratios = (4.0 * sum(means) * weights + sigma) / (d if d else 1.0)
    size, angle = np.linspace(0.05, 1.5, 59), np.linspace(-np.pi / 2, np.pi / 2, 121)
    omegas = (size[:, None] * np.exp(1j * angle)).reshape(-1)
    factors = np.abs(1.0 - omegas[:, None] * ratios)
    worst, high = factors.max(axis=1), factors[:, weights >= 0.5].max(axis=1)
    # Amplification comes first, by a weight that leaves nothing else to weigh.
    return complex(omegas[np.argmin(high + 100.0 * np.maximum(worst - 1.0, 0.0))])
