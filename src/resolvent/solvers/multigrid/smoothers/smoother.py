"""What a smoother is: an iteration on one level, and its adjoint."""

from __future__ import annotations

import abc

from ..level import Level, LevelArrays


class Smoother(abc.ABC):
    """Sweeps on one level, before and after the correction from the next one.

    Where `before` has the effect x ← x + K (b − A x), `after` has x ← x + Kᴴ (b − A x), so that a cycle from zero
    is self-adjoint where A is, and definite where ‖I − K A‖ < 1 in the energy norm.
    """

    def __init__(self, level: Level, sweeps: int) -> None:
        self.level, self.sweeps = level, sweeps

    @abc.abstractmethod
    def before(self, v: LevelArrays, *, zero: bool) -> None:
        """Improve v.x for the right-hand side v.b; with `zero` from x = 0, whatever x holds."""

    @abc.abstractmethod
    def after(self, v: LevelArrays) -> None:
        """Improve v.x by the adjoint."""
