"""Which method a requested solver comes to, and why."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, cast

from ..family import Family, LinearFamily
from ..methods.strategies import NONE, SAFETY, STRATEGIES, VARIANTS, Method, OneByOne, Request, is_named, named
from ..storage.sample_arrays import first_sample
from ..transient import TransientFamily
from .arms import Arm, arms_of
from .judgement import judge

if TYPE_CHECKING:
    from ...solvers.candidates import Estimate
    from ...solvers.solver import Solver


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a requested solver came to, and why: recorded before the first chunk and never reconsidered.

    Attributes
    ----------
    requested : str
        ``auto``, ``tuned``, the name of a strategy or variant, or the printed form of a solver.
    chosen : str
        The name of a strategy or variant, ``tuned``, or the same printed form.
    why : str
    method : Method
        With ``tuned`` that of the safe arm, which `auto` would take.
    estimates : tuple of Estimate
        What the strategies that came into question were estimated to take for a sample, the chosen one first; empty
        where nothing was to be decided.
    arms : tuple of Arm
        What ``tuned`` chooses from for each chunk, the safe one first; empty otherwise.
    """

    requested: str
    chosen: str
    why: str
    method: Method
    estimates: tuple[Estimate, ...] = ()
    arms: tuple[Arm, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.chosen}: {self.why}", f"{'safe arm' if self.arms else 'method':<11} {self.method!r}"]
        lines += [f"{'arms' if not i else '':<11} {arm.name}" for i, arm in enumerate(self.arms)]
        lines += [f"{'estimate' if not i else '':<11} {estimate}" for i, estimate in enumerate(self.estimates)]
        return "\n".join(lines)


def decide(
    solver: str | Method | Solver,
    rtol: float,
    family: Family,
    seed: int,
    chunk: int = 64,
    *,
    rule: str | None = None,
) -> Decision:
    """Resolve a requested solver for a family.

    ``auto`` decides by the structure of the first two systems and by the cost model stored with the package: nothing is
    timed, and no calibration of a user enters, so that every run and every machine decides alike. The number of samples
    does not enter either, since a set may grow. ``tuned`` starts from the same estimates, and leaves the decision to
    each chunk.

    Parameters
    ----------
    rule : str, optional
        The safe arm of a tuned set that was begun, should the rule have changed since.

    Raises
    ------
    ValueError
        For an unknown strategy name, or any solver where a family marches by itself.
    """
    own = family.own_method(rtol, chunk)
    if own is not None:
        if solver not in ("auto", NONE):
            raise ValueError(f"{family.name} marches by itself: leave solver out, or give {NONE!r}, got {solver!r}")
        return Decision(NONE, NONE, _marching(family, own), own)
    if solver == NONE:
        raise ValueError(f"{family.name} has linear systems to be solved: leave solver out, or name one, got {NONE!r}")
    if isinstance(solver, Method):
        return Decision(repr(solver), repr(solver), "requested", solver)
    if not isinstance(solver, str):
        return _decide_for_solver(solver, rtol)
    if solver not in ("auto", "tuned") and not is_named(solver):
        names = ", ".join(repr(name) for name in ("auto", "tuned", *STRATEGIES, *VARIANTS))
        raise ValueError(f"solver must be one of {names}, a Solver or a Method, got {solver!r}")
    found = first_sample(family, seed)
    request = Request(rtol, found.system.A.shape[0], len(family.axes()), chunk, cast(LinearFamily, family), seed)
    if solver not in ("auto", "tuned"):
        return Decision(solver, solver, "requested", named(solver)(request))
    judged = judge(family, seed, found, SAFETY * rtol)
    if solver == "auto":
        method = named(judged.chosen)(request)
        return Decision(solver, judged.chosen, judged.why, method, judged.estimates)
    seconds = {e.way: e.seconds for e in judged.estimates}
    ways = dict.fromkeys((judged.chosen if rule is None else rule, judged.chosen, *seconds))
    arms = arms_of(tuple(ways), request, [seconds.get(way, math.nan) for way in ways])
    why = f"each chunk by what earlier chunks took; to start with {arms[0].name}, by rule: {judged.why}"
    return Decision(solver, solver, why, arms[0].method, judged.estimates, arms)


def _marching(family: Family, own: Method) -> str:
    """Return why there is nothing to be decided about a family of trajectories."""
    how = family.integrator() if isinstance(family, TransientFamily) else "a method of its own"
    together = f"; {own.window} samples together" if own.window > 1 else ""
    return f"no solver to choose, the family marches by itself: {how}{together}"


def _decide_for_solver(solver: Any, rtol: float) -> Decision:
    from ...solvers.solver import Solver

    if not isinstance(solver, Solver):
        raise TypeError(f"solver must be a name, a Solver or a Method, got {solver!r} of type {type(solver).__name__}")
    if solver.rtol > SAFETY * rtol:  # the tolerance of the set rules
        solver = dataclasses.replace(solver, rtol=SAFETY * rtol)
    return Decision(repr(solver), repr(solver), "requested", OneByOne(solver))
