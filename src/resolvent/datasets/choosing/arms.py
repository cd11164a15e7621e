"""What ``tuned`` chooses from: ways to solve that come into question for a family, each made safe by the rule's choice.

An *arm* is a named method. The one that the rule takes (``auto``) is the safe arm: what another arm fails on is solved
by it, so that no sample is lost to a trial.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from ...operators import StructureError
from ..family import Family, LinearFamily, System
from ..methods.strategies import VARIANTS, Method, OneByOne, Request, Rescued, SolveSystems, Together, named
from ..storage.sample_arrays import first_sample

if TYPE_CHECKING:
    from ...solvers.result import Result


_REFUSALS = (ValueError, ArithmeticError, RuntimeError, MemoryError, StructureError, np.linalg.LinAlgError)
"""What methods raise for matrices that they cannot treat; SuperLU and pyamg have no kinds of their own."""


@dataclasses.dataclass(frozen=True)
class Arm:
    """One of the methods to choose from.

    Attributes
    ----------
    name : str
        Of a strategy or a variant.
    method : Method
    seconds : float
        What the packaged costs estimate for a sample; a variant has the estimate of what it varies.
    variant_of : str
        Name of the arm that differs in parameters only; empty for a strategy.
    """

    name: str
    method: Method
    seconds: float = math.nan
    variant_of: str = ""


@dataclasses.dataclass(frozen=True)
class Safeguarded(Method):
    """One method, and another one for the systems that it fails on or refuses.

    Other than `Rescued` it also goes on where the first method raises: a matrix without the structure it needs, a pivot
    that vanishes. A method on trial may do so, one that was asked for should not be replaced silently.

    Parameters
    ----------
    method, rescue : Method
    """

    method: Method
    rescue: Method

    @property
    def window(self) -> int:
        """That of the first method."""
        return self.method.window

    def start(self) -> SolveSystems:
        """Return a function that solves systems, those that fail once more."""
        first, second = self.method.start(), self.rescue.start()

        def solve(systems: Sequence[System]) -> Sequence[Result]:
            nonlocal first
            results: list[Result | None]
            try:
                results = list(first(systems))
            except _REFUSALS:
                first = self.method.start()  # what it carries may be half updated
                results = [None] * len(systems)
            failed = [i for i, r in enumerate(results) if r is None or r.status.name != "CONVERGED"]
            for begin in range(0, len(failed), self.rescue.window):
                some = failed[begin : begin + self.rescue.window]
                for number, result in zip(some, second([systems[i] for i in some]), strict=True):
                    results[number] = result
            return [result for result in results if result is not None]

        return solve


def arms_of(names: Sequence[str], request: Request, seconds: Sequence[float] = ()) -> tuple[Arm, ...]:
    """Return arms for the names of some strategies, the safe one first, and behind them their variants.

    Variants that do not fit the size of a chunk, or that are no different for this size of system, are left out.
    """
    costs = dict.fromkeys(names, math.nan) | dict(zip(names, seconds, strict=False))
    arms = [Arm(name, _method(name, names[0], request), costs[name]) for name in names]
    for variant in VARIANTS:
        base = variant.partition(":")[0]
        if base not in names or named(variant)(request) == named(base)(request):
            continue
        method = _method(variant, names[0], request)
        if request.chunk % method.window == 0:
            arms.append(Arm(variant, method, costs[base], base))
    return tuple(arms)


def arm_method(name: str, rule: str, rtol: float, family: Family, seed: int, chunk: int) -> Method:
    """Return the method of an arm by its name, as in any other run with the same safe arm.

    Raises
    ------
    KeyError
        If this version has no such way.
    """
    A = first_sample(family, seed).system.A
    return _method(name, rule, Request(rtol, A.shape[0], len(family.axes()), chunk, cast(LinearFamily, family), seed))


def _method(name: str, rule: str, request: Request) -> Method:
    method = named(name)(request)
    return method if name == rule else Safeguarded(method, _for_few(named(rule)(request), method.window))


def _for_few(rescue: Method, window: int) -> Method:
    """Return a method for at most so many systems at once: an ensemble for sixteen takes as long for one."""
    if isinstance(rescue, Rescued):
        return dataclasses.replace(rescue, method=_for_few(rescue.method, window))
    if isinstance(rescue, Together) and rescue.members > window:
        return OneByOne(rescue.solver) if window == 1 else dataclasses.replace(rescue, members=window)
    return rescue
