"""Timing methods on model problems: what the packaged model and a calibration are made from."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...operators import Array, Ensemble, LinearOperator
from ..fixed_threads import fixed_threads
from .model import CostModel, Curve, Point
from .problems import problem
from .stored import describe_machine
from .ways import TOGETHER, WAYS, ensemble_width

COLUMNS = 4
"""Right-hand sides given together."""

_BRIEF, _MOST = 0.2, 25
"""Small sizes are repeated for that many seconds, but not more often: their times are the noisiest."""

_DEFINITE = ("direct", "multigrid", TOGETHER, "cg+amg", "cg+ic", "cg+ssor", "cg+fft")
_NONSYMMETRIC = ("direct", "gmres+ilu", "gmres+ilu0", "gmres+amg", "bicgstab+ilu0")

PLAN: dict[str, tuple[str, ...]] = {
    "narrow": ("direct",),
    "definite-2d": _DEFINITE,
    "definite-3d": _DEFINITE,
    "constant-2d": ("fft",),
    "constant-3d": ("fft",),
    "nonsymmetric-2d": _NONSYMMETRIC,
    "nonsymmetric-3d": _NONSYMMETRIC,
    "indefinite-2d": ("direct",),
    "indefinite-3d": ("direct",),
    "complex-2d": ("direct",),
    "complex-3d": ("direct",),
}
"""What is measured."""

FULL: dict[str, tuple[int, ...]] = {
    "": (256, 4096, 65_536, 524_288),
    "2d": (8, 16, 32, 64, 128, 256, 512),
    "3d": (6, 8, 12, 16, 24, 32, 48, 64),
}
"""Sizes for the model of the package: points a side."""

SHORT: dict[str, tuple[int, ...]] = {"": (4096,), "2d": (16, 64, 128, 256), "3d": (8, 16, 32)}
"""Sizes for a calibration, which scales the model of the package."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """One point of a curve, as it was measured."""

    kind: str
    way: str
    point: Point


def steps(sizes: Mapping[str, Sequence[int]] = FULL) -> int:
    """Return how many points `measurements` yields at most."""
    return sum(len(ways) * len(sizes[kind.partition("-")[2]]) for kind, ways in PLAN.items())


def measurements(
    sizes: Mapping[str, Sequence[int]] = FULL, *, patience: float = 6.0, repeats: int = 5
) -> Iterator[Measured | None]:
    """Time all methods on one thread and yield the points one by one; None where one would take too long.

    Parameters
    ----------
    sizes : mapping
        ``"2d"``, ``"3d"`` and ``""`` (narrow) -> points a side.
    patience : float
        Seconds that a size may be expected to take for all repeats; a method is not tried at sizes beyond.
    repeats : int
        The least of which is taken, since what else a machine does only adds; one where a solve takes long.
    """
    with fixed_threads(1):
        for kind, ways in PLAN.items():
            for way in ways:
                yield from _curve(kind, way, sizes[kind.partition("-")[2]], patience, repeats)


def _curve(kind: str, way: str, sides: Sequence[int], patience: float, repeats: int) -> Iterator[Measured | None]:
    measure_point(kind, way, sides[0], 1)  # compiles what is not compiled yet
    expected = 0.0
    for number, side in enumerate(sides):
        if expected > patience:
            yield None
            continue
        start = time.perf_counter()
        point = measure_point(kind, way, side, 1)
        spent = time.perf_counter() - start
        if spent * repeats <= patience:
            often = min(int(_BRIEF / spent), _MOST)
            point = measure_point(kind, way, side, max(repeats, often))
        yield Measured(kind, way, point)
        if number + 1 < len(sides):
            dimension = int(kind.partition("-")[2][:1] or 1)
            expected = spent * (sides[number + 1] / side) ** (1.2 * dimension)


def measure_point(kind: str, way: str, side: int, repeats: int) -> Point:
    """Return the least times of one method at one size."""
    if way == TOGETHER:
        return _measure_ensemble(kind, side, repeats)
    made, rng = WAYS[way], np.random.default_rng(0)
    systems = [problem(kind, side, number) for number in range(2)]
    (A, b), (other, _) = systems
    columns = np.column_stack([b, rng.standard_normal((b.size, COLUMNS - 1))])
    first, again, one, many = [], [], [], []
    for _ in range(repeats):
        seconds, prepared = _timed(lambda: made.solver().prepare(A, made.M))
        first.append(seconds)
        seconds, _ = _timed(lambda p=prepared: p.update(other))
        again.append(seconds)
        one.append(_timed(lambda p=prepared: p.solve(b))[0])
        many.append(_timed(lambda p=prepared: p.solve(columns))[0])
    solve = min(one)
    column = max((min(many) - solve) / (COLUMNS - 1), 0.0)
    return Point(A.shape[0], min(first), min(again), solve, column)


def _measure_ensemble(kind: str, side: int, repeats: int) -> Point:
    A, b = problem(kind, side, 0)
    width = ensemble_width(A.shape[0], len(A.grid or (1,)))
    members = [problem(kind, side, number)[0] for number in range(width)]
    turned: list[LinearOperator] = [*members[1:], members[0]]
    right: Array = np.stack([b] * width)
    first, again, one = [], [], []
    for _ in range(repeats):
        seconds, prepared = _timed(lambda: WAYS["multigrid"].solver().prepare(Ensemble(members)))
        first.append(seconds / width)
        seconds, _ = _timed(lambda p=prepared: p.update(Ensemble(turned)))
        again.append(seconds / width)
        one.append(_timed(lambda p=prepared: p.solve_members(right))[0] / width)
    solve = min(one)
    return Point(A.shape[0], min(first), min(again), solve, solve)


def _timed(action: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def fitted(found: Sequence[Measured], **extra: str) -> CostModel:
    """Return the model through measured points, naming this machine."""
    points: dict[str, dict[str, list[Point]]] = {}
    for measured in found:
        points.setdefault(measured.kind, {}).setdefault(measured.way, []).append(measured.point)
    curves = {kind: {way: Curve(of) for way, of in ways.items()} for kind, ways in points.items()}
    return CostModel(curves, describe_machine(extra))
