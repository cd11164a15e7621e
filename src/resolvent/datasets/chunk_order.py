"""In which order a worker solves the samples of a chunk, and what it keeps of having looked at all of them.

The chunk is the window of the ordering, whole even where the set ends inside of it, so that the order, and with it all
that is carried from system to system, is the same however long the set is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .choosing.judgement import same_matrix
from .discrete_problem import DiscreteProblem
from .family import Family, Inputs
from .methods.strategies import Method
from .ordering import ORDERINGS, order
from .storage.file_format import Layout
from .storage.sample_arrays import drawn_inputs, working_inputs

KEPT_BYTES = 1 << 26
"""Inputs of a chunk up to which they are kept from the ordering until their turn; larger ones are drawn again."""

Lap = Callable[[str], float]
"""Books the time since the last call on a stage."""


class DrawnChunk(Sequence[dict[str, np.ndarray]]):
    """The inputs of all samples of a chunk, in working precision, drawn when they are asked for.

    Parameters
    ----------
    family : Family
    layout : Layout
    seed : int
    first, size : int
        The border of the chunk, and its samples.
    lap : callable
        Books time: what is drawn once is ``draw``, what will be drawn again is ``sort``.
    """

    def __init__(self, family: Family, layout: Layout, seed: int, first: int, size: int, lap: Lap) -> None:
        self._family, self._layout, self._seed, self._first, self._size = family, layout, seed, first, size
        self._lap = lap
        inputs = (layout.fields[name] for name in layout.names("parameter", "input"))
        held = sum(column.dtype.itemsize * int(np.prod(column.shape, dtype=np.int64)) for column in inputs)
        self._keeps = held * size <= KEPT_BYTES
        self._kept: dict[int, tuple[dict[str, np.ndarray], float]] = {}

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, position: Any) -> Any:
        if not 0 <= position < self._size:
            raise IndexError(position)
        return working_inputs(self._drawn(self._first + int(position)), self._layout)

    def _drawn(self, index: int) -> dict[str, np.ndarray]:
        if index in self._kept:
            return self._kept[index][0]
        self._lap("sort")
        stored = drawn_inputs(self._family, self._layout, self._seed, index)
        seconds = self._lap("draw" if self._keeps else "sort")
        if self._keeps:
            self._kept[index] = stored, seconds
        return stored

    def take(self, index: int) -> tuple[dict[str, np.ndarray], float]:
        """Return the inputs of a sample as they are stored, and the seconds booked for drawing them before.

        They are not kept any longer.
        """
        if index in self._kept:
            return self._kept.pop(index)
        return drawn_inputs(self._family, self._layout, self._seed, index), 0.0


class _Some(Sequence[dict[str, np.ndarray]]):
    """Samples with some of their arrays only."""

    def __init__(self, samples: DrawnChunk, names: set[str]) -> None:
        self._samples, self._names = samples, names

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, position: Any) -> Any:
        return {name: array for name, array in self._samples[position].items() if name in self._names}


def chunk_order(name: str, drawn: DrawnChunk, family: Family, layout: Layout, method: Method) -> list[int]:
    """Return the positions of a chunk's samples in the order in which to solve them.

    Samples are compared by the inputs that enter the matrix; by all of them where none does, and where solutions are
    what is compared.

    Parameters
    ----------
    method : Method
        Solves the pilot systems of orderings that need some, started afresh.
    """
    if name == "none" or len(drawn) < 3:
        return list(range(len(drawn)))

    def posed(inputs: Inputs) -> DiscreteProblem | None:
        try:
            return family.pose(inputs)
        except ValueError:
            return None

    def solve(positions: list[int]) -> list[np.ndarray | None]:
        problems = [posed(drawn[position]) for position in positions]
        systems = [problem.task for problem in problems if problem is not None]
        step, window = method.start(), method.window
        solved = iter([r for begin in range(0, len(systems), window) for r in step(systems[begin : begin + window])])
        results = [None if problem is None else next(solved) for problem in problems]
        return [None if r is None or r.status.name != "CONVERGED" else np.asarray(r.x).ravel() for r in results]

    def enters_matrix(array: str) -> bool:
        mixed = posed({**one, array: other[array]})
        return mixed is None or reference is None or not same_matrix(reference.task.A, mixed.task.A)

    samples: Sequence[dict[str, np.ndarray]] = drawn
    if not ORDERINGS[name].needs_solutions:
        one, other = drawn[0], drawn[1]
        reference = posed(one)
        names = {array for array in one if enters_matrix(array)}
        samples = _Some(drawn, names) if names else drawn
    return [int(position) for position in order(samples, name, solve=solve)]
