"""One way to solve the systems of a sequence."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..preconditioners.recipe import Recipe
from ..sequences import Guess, Refresh, Sequence, SpacePolicy
from ..solver import Solver

RARE = 0.1
"""Share of solves that are taken to rebuild M, before anything is known, where a policy does not say."""


@dataclasses.dataclass(frozen=True)
class Arm:
    """Everything that `Sequence` takes, as a value: a method, a preconditioner, and what to keep between systems.

    Parameters
    ----------
    solver : Solver
    M : Recipe or None
        Operators are refused: one that was built for the first system is no choice for the others.
    refresh : Refresh, optional
        When to rebuild M, ``Refresh.ON_CHANGE`` by default.
    warm_start : {None, "previous", "scaled", "projected"} or Guess
    spaces : SpacePolicy, optional
    cold_every, max_age : int or None
        See `Sequence`.
    name : str
        How it is printed and found again; made of the options by default.

    Raises
    ------
    TypeError, ValueError
        For what `Sequence` would refuse.

    Examples
    --------
    >>> from resolvent.solvers import CG, IC, Refresh
    >>> from resolvent.solvers.tuning import Arm
    >>> print(Arm(CG(), IC(drop_tol=1e-3), refresh=Refresh.EVERY(10)))
    CG + IC(drop_tol=0.001), Refresh.EVERY(10)
    """

    solver: Solver
    M: Recipe | None = None
    refresh: Refresh | None = None
    warm_start: str | Guess | None = None
    spaces: SpacePolicy | None = None
    cold_every: int | None = 25
    max_age: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.M is not None and not isinstance(self.M, Recipe):
            raise TypeError(f"M of an arm must be a recipe such as IC() or None, got {self.M!r}")
        self.sequence()  # which looks at all else
        if not self.name:
            object.__setattr__(self, "name", self._described())

    def sequence(self) -> Sequence:
        """Return a sequence that solves in this way, with nothing solved yet."""
        return Sequence(
            self.solver,
            self.M,
            refresh=self.refresh,
            warm_start=self.warm_start,
            spaces=self.spaces,
            cold_every=self.cold_every,
            max_age=self.max_age,
        )

    @property
    def settling(self) -> int:
        """How many solves come before one that is like the later ones: one where solves leave something behind."""
        return int(self.solver.recycles or self.warm_start is not None or self.renewal < 1.0)

    @property
    def renewal(self) -> float:
        """Share of solves that are expected to rebuild M, where A changes from system to system."""
        if self.M is None or self.refresh is None or self.refresh.name in ("ON_CHANGE", "ALWAYS"):
            return 1.0
        if self.refresh.name == "RESCALED":
            return 0.0
        return 1.0 / self.refresh.number if self.refresh.name == "EVERY" else RARE

    def _described(self) -> str:
        parts = [" + ".join(_short(part) for part in (self.solver, self.M) if part is not None)]
        if self.refresh is not None:
            parts.append(repr(self.refresh))
        for name in ("warm_start", "spaces", "cold_every", "max_age"):
            value, default = getattr(self, name), type(self).__dataclass_fields__[name].default
            if value != default:
                parts.append(f"{name}={value!r}")
        return ", ".join(parts)

    def __str__(self) -> str:
        return self.name


def _short(part: Any) -> str:
    """Return a method or recipe with the options that differ from the default; tolerances are those of all arms."""
    shown = [
        f"{field.name}={getattr(part, field.name)!r}"
        for field in dataclasses.fields(part)
        if field.name not in ("rtol", "atol", "maxiter") and _differs(getattr(part, field.name), field)
    ]
    return type(part).__name__ + (f"({', '.join(shown)})" if shown else "")


def _differs(value: Any, field: Any) -> bool:
    if field.default is dataclasses.MISSING:
        return True
    try:
        return bool(value != field.default)
    except ValueError:  # an array
        return True
