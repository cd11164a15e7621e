"""Families whose sample is a trajectory, made by a time integrator of their own.

A `TransientFamily` draws inputs like any other, and then marches by itself: there is no solver to be chosen, so
``solver`` is ``"none"``. Its certificate has the common columns with the same
meaning, and one more for each number of *evidence* that the family announces; rho is the largest of them, and at most
the accepted ``rtol``. What the evidence is depends on the kind of integrator:

- spectral: the difference to a trajectory with half the step, the energy in the top third of the retained modes, the
  drift of the mean, the energy that the nonlinear term makes (`spectral`);
- advection: the difference to the exact solution;
- wave: the drift of the discrete energy;
- implicit: the largest relative residual of the nonlinear equations over all steps.

A *judge* turns solution fields into these numbers. It is made together with the trajectory, and made anew from the
stored inputs and the stored number of steps by `verify`, which so repeats the evidence for what is in the file.

Frames are stored at the times ``axes()["t"]``, the first axis of every solution field; the initial state is an input.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from .discrete_problem import DiscreteProblem, Fields, Measured, rounding_error
from .family import Family, Inputs
from .methods.strategies import SAFETY, Method, SolveSystems

if TYPE_CHECKING:
    from ..solvers.status import Status

Judge = Callable[[Fields], dict[str, float]]
"""Solution fields to evidence numbers, each 0 for a perfect trajectory."""


class March(NamedTuple):
    """A trajectory with the evidence about it.

    Attributes
    ----------
    solution : dict
        Fields by name, in double precision.
    steps : int
        Time steps from beginning to end.
    judge : Judge
    evidence : dict of str to float
        What the judge says of the solution.
    """

    solution: dict[str, np.ndarray]
    steps: int
    judge: Judge
    evidence: dict[str, float]

    @property
    def rho(self) -> float:
        """The largest number of the evidence."""
        return _largest(self.evidence)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransientFamily(Family):
    """A family of trajectories, certified by evidence of its own."""

    evidence: ClassVar[Mapping[str, str]]
    """Names and meanings of the certificate's further columns."""
    at_rest: ClassVar[tuple[str, ...]] = ()
    """Solution fields that are zero at the beginning; that of another field ``u`` is the input ``u0``."""
    values_per_unknown: ClassVar[int] = 100
    """Values that a step updates in the time that a sparse solver needs for one unknown, roughly."""

    stores_steps: ClassVar[bool] = False
    """Whether the option `frames` is the number of steps, so that more of them are smaller ones."""

    @abc.abstractmethod
    def steps(self, inputs: Inputs) -> int:
        """Return the number of steps to begin with, by the stated rule; raise ValueError for inadmissible inputs."""

    @abc.abstractmethod
    def march(self, inputs: Inputs, aim: float) -> March:
        """Make the trajectory, with `steps` or, where evidence is above `aim` and more help, more of them."""

    def march_together(self, several: Sequence[Inputs], aim: float) -> list[March]:
        """Make the trajectories of several samples; each is, up to rounding, the one that it is alone."""
        return [self.march(inputs, aim) for inputs in several]

    def members(self, chunk: int) -> int:
        """Return how many trajectories are best made together, a whole part of a chunk."""
        return 1

    @abc.abstractmethod
    def judge(self, inputs: Inputs, steps: int) -> Judge:
        """Return what judges a trajectory of so many steps."""

    def integrator(self) -> str:
        """Return in a clause how a step is made, and what makes that the right way."""
        return "steps of the family's own time integrator"

    def checks(self, inputs: Inputs, solution: Fields) -> Sequence[tuple[str, bool, str]]:
        """Return (name, passed, detail) of properties that the equation gives every solution."""
        return ()

    def pose(self, inputs: Inputs) -> DiscreteProblem:
        """Return the problem of one sample; raise ValueError if its inputs are not admissible."""
        return TransientProblem(self, inputs)

    def refined(self) -> Self:
        """Return the family with half the spacing; with half the step too, where all steps are stored."""
        finer = super().refined()
        changes: dict[str, Any] = {"frames": 2 * vars(self)["frames"]} if self.stores_steps else {}
        return dataclasses.replace(finer, **changes)

    def own_method(self, rtol: float, chunk: int = 1) -> Method:
        """Return the method that marches; there is no choice."""
        return Marching(rtol, self.members(chunk))


class TransientProblem(DiscreteProblem):
    """One trajectory to be made.

    Parameters
    ----------
    family : TransientFamily
    inputs : dict
        In working precision.
    """

    def __init__(self, family: TransientFamily, inputs: Inputs) -> None:
        self.family, self.inputs = family, inputs
        self.steps = family.steps(inputs)

    @property
    def task(self) -> TransientProblem:
        """The problem itself."""
        return self

    @property
    def work(self) -> int:
        """Points times steps, in unknowns of a sparse system."""
        points = math.prod(len(axis) for name, axis in self.family.axes().items() if name != "t")
        return max(points * self.steps // self.family.values_per_unknown, 1)

    def expand(self, x: Any) -> dict[str, np.ndarray]:
        """Return the fields of a `March`."""
        return dict(x.solution)

    def measure(self, x: Any, stored: Fields) -> Measured:
        """Judge a `March`, and what is stored of it."""
        if all(np.array_equal(stored[name], field) for name, field in x.solution.items()):
            return Measured(x.rho, x.rho, 0.0, x.evidence)
        rounding = rounding_error(_joined(x.solution), _joined({name: stored[name] for name in x.solution}))
        return Measured(x.rho, _largest(x.judge(stored)), rounding, x.evidence)

    def rho(self, stored: Fields, iterations: int) -> float:
        """Judge stored fields of so many steps."""
        return _largest(self.family.judge(self.inputs, iterations)(stored))

    def difference(self, new: Fields, stored: Fields) -> float:
        """Return ‖u_new − u_stored‖₂/‖u_stored‖₂."""
        return rounding_error(_joined(stored), _joined({name: new[name] for name in stored}))

    def checks(self, stored: Fields | None = None) -> Sequence[tuple[str, bool, str]]:
        """Return the family's checks; without a solution, one is made."""
        solution = self.family.march(self.inputs, math.inf).solution if stored is None else stored
        return self.family.checks(self.inputs, solution)


class Outcome(NamedTuple):
    """What `Marching` returns of a trajectory, in the terms of a solver's result."""

    x: March
    iterations: int
    status: Status


@dataclasses.dataclass(frozen=True)
class Marching(Method):
    """The family's own integrator.

    Parameters
    ----------
    rtol : float
        Largest rho accepted; like a solver, the integrator aims at `SAFETY` of it.
    members : int
        Trajectories made together. Stored with a set, like that of `Together`.
    """

    rtol: float
    members: int = 1

    def __repr__(self) -> str:
        # It is stored with sets as their method: one at a time is printed as it always was.
        return f"Marching(rtol={self.rtol!r}{f', members={self.members}' if self.members > 1 else ''})"

    @property
    def window(self) -> int:
        """As many as there are members."""
        return self.members

    def start(self) -> SolveSystems:
        """Return a function that makes the trajectories of a window."""
        from ..solvers.status import Status

        def march(problems: Sequence[Any]) -> Sequence[Any]:
            outcomes: list[Outcome] = []
            if not problems:
                return outcomes
            family = problems[0].family
            for made in family.march_together([problem.inputs for problem in problems], SAFETY * self.rtol):
                failed = Status.MAXITER if math.isfinite(made.rho) else Status.NONFINITE
                outcomes.append(Outcome(made, made.steps, Status.CONVERGED if made.rho <= self.rtol else failed))
            return outcomes

        return march


def march_by_halving(
    simulate: Callable[[int], tuple[dict[str, np.ndarray], dict[str, float]]],
    steps: int,
    aim: float,
    *,
    doublings: int = 4,
) -> March:
    """March with growing numbers of steps until the difference to half the step is small enough.

    Each trajectory with half the step is the evidence about the one before, and the next candidate: nothing is made
    twice. Without doubling the cost is that of three trajectories.

    Parameters
    ----------
    simulate : callable
        Number of steps to solution fields and further evidence of them.
    steps : int
        To begin with.
    aim : float
    doublings : int
        At most. Other evidence above the aim, which smaller steps do not improve, is no reason for one.
    """
    solution, _ = simulate(steps)
    for remaining in range(doublings, -1, -1):
        finer, further = simulate(2 * steps)
        judge = _against(finer, further)
        evidence = judge(solution)
        if remaining == 0 or evidence["step_halving"] <= aim:
            break
        solution, steps = finer, 2 * steps
    return March(solution, steps, judge, evidence)


def judge_by_halving(simulate: Callable[[int], tuple[dict[str, np.ndarray], dict[str, float]]], steps: int) -> Judge:
    """Return the judge that `march_by_halving` gives a trajectory of so many steps."""
    return _against(*simulate(2 * steps))


def _against(reference: Fields, further: Mapping[str, float]) -> Judge:
    return lambda solution: {"step_halving": worst_frame(solution, reference), **further}


def worst_frame(solution: Fields, reference: Fields) -> float:
    """Return the largest ‖u(t) − v(t)‖₂ over the frames, relative to the largest ‖v(t)‖₂; NaN stays."""
    worst = 0.0
    for name, v in reference.items():
        frames = v.reshape(len(v), -1)
        difference = np.linalg.norm(np.asarray(solution[name]).reshape(frames.shape) - frames, axis=1).max()
        size = np.linalg.norm(frames, axis=1).max()
        worst = float(np.maximum(worst, difference / size if size > 0.0 else difference))
    return worst


def check_times(name: str, frames: int, final_time: float) -> None:
    """Raise ValueError unless there is a frame to store and a time to reach."""
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < 1:
        raise ValueError(f"{name} needs at least 1 frame, got {frames!r}")
    if not 0.0 < final_time < math.inf:
        raise ValueError(f"{name} needs a positive final_time, got {final_time!r}")


def frame_times(frames: int, final_time: float) -> np.ndarray:
    """Return the times of the stored frames: equidistant, the initial state left out."""
    return final_time * np.arange(1, frames + 1) / frames


def _largest(evidence: Mapping[str, float]) -> float:
    return float(np.max(list(evidence.values())))  # NaN stays


def _joined(fields: Fields) -> np.ndarray:
    return np.concatenate([np.asarray(field).ravel() for field in fields.values()])
