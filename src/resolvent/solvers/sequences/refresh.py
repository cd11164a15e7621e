"""When to rebuild a preconditioner or a factorisation along a sequence of systems."""

from __future__ import annotations

import dataclasses
from typing import ClassVar


@dataclasses.dataclass(frozen=True, slots=True)
class Age:
    """What is known about the preconditioner in use when a changed system arrives.

    Attributes
    ----------
    solves : int
        Systems solved with it, the one it was built for included.
    first, last : int
        Iterations of the first of them and of the last.
    build_seconds, first_seconds, last_seconds : float
        Wall-clock seconds to build it, and of the first and the last solve.
    changes : int
        How often A has changed since it was built, the change at hand included.
    """

    solves: int
    first: int
    last: int
    build_seconds: float
    first_seconds: float
    last_seconds: float
    changes: int = 0


@dataclasses.dataclass(frozen=True)
class Refresh:
    """When to rebuild: a value, one of

    - ``Refresh.ALWAYS``: before every solve, also for the same A, as randomised preconditioners may want;
    - ``Refresh.ON_CHANGE``: whenever A has changed;
    - ``Refresh.EVERY(n)``: at every n-th change of A;
    - ``Refresh.WHEN_SLOW(factor)``: when the last solve took at least `factor` times the iterations of the first one
      after the last rebuild (2 by default);
    - ``Refresh.BY_COST``: when the last solve took longer than the first one after the last rebuild by more than a
      rebuild takes, or the excess so far adds up to that. It depends on measured times, so that a repeated run may
      decide otherwise;
    - ``Refresh.RESCALED``: never, but the old M is used as S M S with S = (diag A_old / diag A)^½. Right for smooth
      coefficients, wrong where they jump.

    Whatever the value, a solve that fails with a preconditioner of another A is repeated with a fresh one, and a
    changed pattern, shape or dtype starts anew.

    Examples
    --------
    >>> from resolvent.solvers import Refresh
    >>> Refresh.EVERY(5)
    Refresh.EVERY(5)
    >>> Refresh.WHEN_SLOW() == Refresh.WHEN_SLOW(2.0)
    True
    """

    name: str
    number: float = 0.0

    ALWAYS: ClassVar[Refresh]
    ON_CHANGE: ClassVar[Refresh]
    BY_COST: ClassVar[Refresh]
    RESCALED: ClassVar[Refresh]

    @classmethod
    def EVERY(cls, n: int) -> Refresh:  # noqa: N802 - a value like ON_CHANGE, only with a number
        """Rebuild at every n-th change of A."""
        if int(n) != n or n < 1:
            raise ValueError(f"Refresh.EVERY needs a whole number ≥ 1, got {n!r}")
        return cls("EVERY", int(n))

    @classmethod
    def WHEN_SLOW(cls, factor: float = 2.0) -> Refresh:  # noqa: N802 - as above
        """Rebuild when iterations have grown by `factor` since the last rebuild."""
        if not factor > 1.0:
            raise ValueError(f"Refresh.WHEN_SLOW needs a factor > 1, got {factor!r}")
        return cls("WHEN_SLOW", float(factor))

    def due(self, age: Age, changed: bool, excess: float) -> bool:
        """Return whether to rebuild before a solve.

        Parameters
        ----------
        age : Age
            Of the preconditioner in use.
        changed : bool
            Whether A differs from the one solved last.
        excess : float
            Seconds lost so far: the sum over its solves of what they took beyond the first.
        """
        if self.name == "ALWAYS":
            return True
        if not changed or self.name == "RESCALED":
            return False
        if self.name == "EVERY":
            return age.changes >= self.number
        if self.name == "WHEN_SLOW":
            return age.last >= self.number * max(age.first, 1)
        if self.name == "BY_COST":
            return excess >= age.build_seconds
        return True

    def __repr__(self) -> str:
        return f"Refresh.{self.name}" + (f"({self.number:g})" if self.number else "")


for _name in ("ALWAYS", "ON_CHANGE", "BY_COST", "RESCALED"):
    setattr(Refresh, _name, Refresh(_name))
