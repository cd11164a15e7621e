"""Seconds by method, kind of problem and size: piecewise power laws through measured points."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

VERSION = 1
"""Of the format."""

FORMAT = "resolvent cost model"

PARTS = ("first", "again", "solve", "column")

_LEAST = 1e-7
"""Seconds below which nothing is told apart; keeps logarithms finite."""

_STEEPEST = 3.0
"""Largest power of n beyond the measured sizes: that of a dense factorisation."""

KINDS = (
    "narrow",
    "definite-2d",
    "definite-3d",
    "constant-2d",
    "constant-3d",
    "nonsymmetric-2d",
    "nonsymmetric-3d",
    "indefinite-2d",
    "indefinite-3d",
    "complex-2d",
    "complex-3d",
)
"""Kinds of problems: see `problems`."""


@dataclasses.dataclass(frozen=True)
class Point:
    """What a method took at one size, in seconds.

    Attributes
    ----------
    unknowns : int
    first : float
        Set-up with nothing to reuse.
    again : float
        Set-up for further values of the same structure.
    solve : float
        One right-hand side to a relative residual of 1e-8.
    column : float
        Each further one, given together with the first.
    """

    unknowns: int
    first: float
    again: float
    solve: float
    column: float

    def __post_init__(self) -> None:
        if isinstance(self.unknowns, bool) or not isinstance(self.unknowns, int) or self.unknowns < 1:
            raise ValueError(f"unknowns must be a whole number ≥ 1, got {self.unknowns!r}")
        for name in PARTS:
            value = getattr(self, name)
            number = not isinstance(value, bool) and isinstance(value, int | float)
            if not number or not 0.0 <= value < math.inf:
                raise ValueError(f"{name} must be a number of seconds, got {value!r}")


class Curve:
    """Seconds over the number of unknowns, through points: power laws between them and beyond.

    The values never fall with the size: noise of the measurement that says so is smoothed away.

    Parameters
    ----------
    points : sequence of Point
        Of increasing size.

    Examples
    --------
    >>> curve = Curve([Point(100, 1e-3, 1e-3, 1e-4, 1e-5), Point(10_000, 1e-1, 1e-1, 1e-2, 1e-3)])
    >>> round(curve.part("first", 1000), 6)
    0.01
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = tuple(points)
        sizes = [point.unknowns for point in self.points]
        if not sizes or any(b <= a for a, b in itertools.pairwise(sizes)):
            raise ValueError(f"a curve needs points of increasing size, got {sizes}")
        self._sizes = [math.log(n) for n in sizes]
        self._values = {
            name: [math.log(v) for v in itertools.accumulate((max(getattr(p, name), _LEAST) for p in self.points), max)]
            for name in PARTS
        }

    def part(self, name: str, unknowns: float) -> float:
        """Return the seconds of one part at some size."""
        # Plain lists and bisection: a choice asks some twenty times, and arrays this short take ten times as long.
        x, sizes, values = math.log(max(unknowns, 1.0)), self._sizes, self._values[name]
        if x <= sizes[0]:
            return math.exp(values[0])  # overheads stay where sizes shrink
        right = min(bisect.bisect_left(sizes, x), len(sizes) - 1)
        slope = (values[right] - values[right - 1]) / (sizes[right] - sizes[right - 1]) if right else 1.0
        if x > sizes[-1]:
            slope = min(max(slope, 1.0), _STEEPEST)
        return math.exp(values[right] + slope * (x - sizes[right]))

    def seconds(
        self, unknowns: float, n_systems: float = 1, rhs: float = 1, digits: float = 1.0, *, again: bool = False
    ) -> float:
        """Return seconds a system: a share of the first set-up, renewed ones, and the right-hand sides.

        Parameters
        ----------
        n_systems : float
            Length of a sequence of systems of one structure; infinity for very many.
        rhs : float
            Right-hand sides of each system. With infinity, seconds are those of a right-hand side.
        digits : float
            Digits of accuracy, in units of those of the measurement; 1 for factorisations.
        """
        solve, column = digits * self.part("solve", unknowns), digits * self.part("column", unknowns)
        if math.isinf(rhs):
            return min(solve, column)
        share = 0.0 if math.isinf(n_systems) else 1.0 / max(n_systems, 1)
        setup = share * self.part("first", unknowns) + (1.0 - share) * self.part("again", unknowns)
        return setup + solve + max(rhs - 1, 0) * min(solve, column)


class CostModel:
    """Measured seconds of methods by kind of problem.

    Parameters
    ----------
    curves : mapping
        Kind -> method -> `Curve`.
    machine : mapping
        What was measured on.
    """

    def __init__(self, curves: Mapping[str, Mapping[str, Curve]], machine: Mapping[str, str]) -> None:
        self.curves = {kind: dict(ways) for kind, ways in curves.items()}
        self.machine = dict(machine)

    @property
    def label(self) -> str:
        """Where the figures are from, for reasons that are printed."""
        return f"measured on {self.machine.get('cpu', 'an unknown machine')}"

    def curve(self, kind: str, way: str) -> Curve | None:
        """Return a curve, if there is one."""
        return self.curves.get(kind, {}).get(way)

    def adjusted(self, local: CostModel) -> CostModel:
        """Return this model scaled to another machine by what was measured there, at however few sizes.

        Between common sizes the factor follows a power law, beyond them it stays; methods that were not measured
        keep their figures times the median factor of those that were.
        """
        factors = []
        for kind, ways in local.curves.items():
            for way, curve in ways.items():
                own = self.curve(kind, way)
                if own is not None:
                    factors += [_total(curve, p.unknowns) / _total(own, p.unknowns) for p in curve.points]
        typical = float(np.median(factors)) if factors else 1.0
        return CostModel(
            {
                kind: {way: _scaled(curve, local.curve(kind, way), typical) for way, curve in ways.items()}
                for kind, ways in self.curves.items()
            },
            local.machine,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the model as plain values."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "machine": self.machine,
            "curves": {
                kind: {
                    way: [{"unknowns": p.unknowns} | {k: _short(getattr(p, k)) for k in PARTS} for p in curve.points]
                    for way, curve in ways.items()
                }
                for kind, ways in self.curves.items()
            },
        }

    @classmethod
    def from_json(cls, data: Any) -> CostModel:
        """Return the model that plain values describe.

        Raises
        ------
        ValueError
            If they are not a cost model of this version, saying what is wrong.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise ValueError("it is not a cost model")
        if data.get("version") != VERSION:
            raise ValueError(f"its format is version {data.get('version')!r}, this program reads version {VERSION}")
        machine, curves = data.get("machine"), data.get("curves")
        if not isinstance(machine, Mapping) or not all(isinstance(v, str) for v in machine.values()):
            raise ValueError("it does not name the machine")
        if not isinstance(curves, Mapping) or not all(isinstance(ways, Mapping) for ways in curves.values()):
            raise ValueError("it holds no curves")
        found: dict[str, dict[str, Curve]] = {}
        for kind, ways in curves.items():
            for way, points in ways.items():
                if not isinstance(points, list):
                    raise ValueError(f"the curve {kind}, {way} is no list")
                try:
                    curve = Curve([Point(**point) for point in points])
                except (TypeError, ValueError) as error:
                    raise ValueError(f"the curve {kind}, {way} is damaged: {error}") from error
                found.setdefault(str(kind), {})[str(way)] = curve
        return cls(found, machine)


def _total(curve: Curve, unknowns: float) -> float:
    return curve.part("again", unknowns) + curve.part("solve", unknowns)


def _scaled(curve: Curve, local: Curve | None, typical: float) -> Curve:
    points = []
    for point in curve.points:
        values = {}
        for name in PARTS:
            factor = typical
            if local is not None:
                sizes = [p.unknowns for p in local.points]
                ratios = [local.part(name, n) / curve.part(name, n) for n in sizes]
                factor = math.exp(float(np.interp(math.log(point.unknowns), np.log(sizes), np.log(ratios))))
            values[name] = factor * getattr(point, name)
        points.append(Point(point.unknowns, **values))
    return Curve(points)


def _short(value: float) -> float:
    return float(f"{value:.3g}")
