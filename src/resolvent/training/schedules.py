"""Learning rates: functions of the step, so that a resumed run needs nothing but its number."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, get_args

from ..operators.neural.model import check_among, check_whole

Name = Literal["constant", "onecycle", "cosine", "step", "plateau"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """Factor of the learning rate.

    Parameters
    ----------
    name : {"constant", "onecycle", "cosine", "step", "plateau"}
        ``onecycle`` rises from 1/div to 1 during the first `warmup` and falls to 1/(div · final_div), both along a
        cosine; ``cosine`` rises linearly during `warmup` and falls to 0 along a cosine; ``step`` multiplies by `gamma`
        every `period` epochs; ``plateau`` multiplies by `gamma` after `patience` epochs without a better validation
        error.
    per : {"step", "epoch"}
        When it changes. Published MgNO runs have ``onecycle`` by epoch.
    warmup : float
        Part of the run.
    div, final_div : float
        Of ``onecycle``.
    momentum : (float, float) or None
        Of ``onecycle``: the first moment's coefficient where the rate is lowest and where it is highest; None leaves
        it alone.
    gamma, period, patience
        Of ``step`` and ``plateau``.

    Examples
    --------
    >>> schedule = Schedule(name="onecycle", div=25.0, warmup=0.5)
    >>> [round(schedule.factor(done), 7) for done in (0.0, 0.5, 1.0)]
    [0.04, 1.0, 4e-06]
    """

    name: Name = "onecycle"
    per: Literal["step", "epoch"] = "step"
    warmup: float = 0.3
    div: float = 25.0
    final_div: float = 1e4
    momentum: tuple[float, float] | None = (0.95, 0.85)
    gamma: float = 0.5
    period: int = 100
    patience: int = 10

    def __post_init__(self) -> None:
        check_among("schedule", self.name, get_args(Name))
        check_among("per", self.per, ("step", "epoch"))
        if not (isinstance(self.warmup, int | float) and 0.0 <= self.warmup < 1.0):
            raise ValueError(f"warmup is a part of the run, from 0 to below 1, got {self.warmup!r}")
        check_whole("period", self.period)
        check_whole("patience of a schedule", self.patience, 0)
        for name in ("div", "final_div", "gamma"):
            if not (isinstance(getattr(self, name), int | float) and getattr(self, name) > 0.0):
                raise ValueError(f"{name} of a schedule must be a number above 0, got {getattr(self, name)!r}")
        if self.momentum is not None:
            pair = self.momentum
            if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(0.0 <= value < 1.0 for value in pair)):
                raise ValueError(f"momentum is two numbers from 0 to below 1, got {pair!r}")
            object.__setattr__(self, "momentum", tuple(pair))

    def position(self, at: int, total: int) -> float:
        """Return the part of the run at which update or epoch number `at`, from 0, of `total` stands.

        ``onecycle`` begins and ends at its ends; the others, which may be zero there, between them.
        """
        if self.name == "onecycle":
            return at / max(total - 1, 1)
        return (at + 1) / (total + 1)

    def factor(self, done: float, epoch: int = 0, reductions: int = 0) -> float:
        """Return the factor after a part `done` of the run, in `epoch`, after so many reductions by ``plateau``."""
        if self.name == "onecycle":
            low, end = 1.0 / self.div, 1.0 / (self.div * self.final_div)
            return self._rise_and_fall(done, low, 1.0, end)
        if self.name == "cosine":
            if done < self.warmup:
                return done / self.warmup
            return 0.5 * (1.0 + math.cos(math.pi * (done - self.warmup) / (1.0 - self.warmup)))
        if self.name == "step":
            return self.gamma ** (epoch // self.period)
        return self.gamma**reductions

    def beta(self, done: float) -> float | None:
        """Return the coefficient of the first moment; None where it stays as it is."""
        if self.name != "onecycle" or self.momentum is None:
            return None
        return self._rise_and_fall(done, self.momentum[0], self.momentum[1], self.momentum[0])

    def _rise_and_fall(self, done: float, start: float, top: float, end: float) -> float:
        def between(a: float, b: float, part: float) -> float:
            return b + 0.5 * (a - b) * (1.0 + math.cos(math.pi * part))

        if done < self.warmup:
            return between(start, top, done / self.warmup)
        return between(top, end, (done - self.warmup) / (1.0 - self.warmup))


def build_schedule(given: str | dict[str, Any] | Schedule) -> Schedule:
    """Return a schedule from its name, or from a dict with its name and options."""
    if isinstance(given, Schedule):
        return given
    if not isinstance(given, str | dict):
        raise ValueError(f"a schedule is a name, or a mapping with a name and options, got {given!r}")
    options: dict[str, Any] = {"name": given} if isinstance(given, str) else dict(given)
    known = {f.name for f in dataclasses.fields(Schedule)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"a schedule has no option {', '.join(unknown)}: expected some of {', '.join(sorted(known))}")
    return Schedule(**options)
