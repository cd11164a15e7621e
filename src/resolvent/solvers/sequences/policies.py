"""Which recycle space to give to the next system."""

from __future__ import annotations

import abc
import dataclasses
from collections import deque

import numpy as np

from ...operators import Array, LinearOperator
from ..recycling.orthonormal import orthonormalise, rows_of
from ..recycling.space import RecycleSpace
from ..result import Result
from ..vectors import vectors_for


class SpacePolicy(abc.ABC):
    """Picks the recycle space of each system of a sequence: options only, the spaces are kept by `Sequence`.

    Whatever a policy returns is orthonormalised against the A at hand by the solver: a bad space costs time only.
    """

    window: int = 0
    """How many solutions it looks at."""

    @abc.abstractmethod
    def choose(self, last: RecycleSpace | None, solved: int, solutions: deque[Array]) -> RecycleSpace | None:
        """Return the space for the next system.

        Parameters
        ----------
        last : RecycleSpace or None
            What was kept of earlier solves.
        solved : int
            Systems solved so far.
        solutions : deque of (n, k) arrays
            The last `window` solutions.
        """

    def choose_for(
        self, A: LinearOperator, last: RecycleSpace | None, solved: int, solutions: deque[Array]
    ) -> RecycleSpace | None:
        """Return the space for the system with operator A: for policies that look at it; others `choose`."""
        return self.choose(last, solved, solutions)

    def begin(self, A: LinearOperator) -> tuple[RecycleSpace | None, int]:
        """Return a space for the first system, if there is one before any solve, and the products it took."""
        return None, 0

    def keep(self, last: RecycleSpace | None, result: Result, solved: int) -> RecycleSpace | None:
        """Return what to keep after a solve: by default the space the solver hands on."""
        return result.space if result.space is not None else last


@dataclasses.dataclass(frozen=True)
class Chained(SpacePolicy):
    """The space that the previous solve handed on. The result depends on the order of the systems."""

    def choose(self, last: RecycleSpace | None, solved: int, solutions: deque[Array]) -> RecycleSpace | None:
        """Return the last space."""
        return last


@dataclasses.dataclass(frozen=True)
class Pilot(SpacePolicy):
    """One space for all: chained over the first `systems`, then copied into every solve and updated inside it only.

    After the pilot systems the order of the others does not matter, so that they may be solved in parallel, with the
    same result; in a `Sequence` without comparisons and initial guesses, that is with ``cold_every=None`` and
    ``warm_start=None``. The images of the space are computed for each system, k products.
    """

    systems: int = 3

    def __post_init__(self) -> None:
        if int(self.systems) != self.systems or self.systems < 1:
            raise ValueError(f"systems must be a whole number ≥ 1, got {self.systems!r}")

    def choose(self, last: RecycleSpace | None, solved: int, solutions: deque[Array]) -> RecycleSpace | None:
        """Return the space of the pilot systems."""
        return last

    def keep(self, last: RecycleSpace | None, result: Result, solved: int) -> RecycleSpace | None:
        """Return the new space during the pilot systems, the old one afterwards."""
        return super().keep(last, result, solved) if solved <= self.systems or last is None else last


@dataclasses.dataclass(frozen=True)
class Snapshots(SpacePolicy):
    """The leading k proper orthogonal modes of the last `window` solutions.

    For many right-hand sides whose solutions lie close to a space of low dimension; it knows nothing of what slows
    convergence down, so that harmonic Ritz vectors (`Chained`) are the better default.

    References
    ----------
    Carlberg, Forstall & Tuminaro 2016, doi:10.1137/16M1057693.
    """

    k: int = 10
    window: int = 20

    def __post_init__(self) -> None:
        for name in ("k", "window"):
            value = getattr(self, name)
            if int(value) != value or value < 1:
                raise ValueError(f"{name} must be a whole number ≥ 1, got {value!r}")

    def choose(self, last: RecycleSpace | None, solved: int, solutions: deque[Array]) -> RecycleSpace | None:
        """Return the leading modes of the solutions."""
        if not solutions:
            return None
        v = vectors_for(solutions[0])
        rows = rows_of(solutions, v)
        basis, _ = orthonormalise(rows, v)
        if not len(basis):
            return None
        modes, _, _ = np.linalg.svd(v.gram(basis, rows))
        return RecycleSpace(v.mix(modes[:, : self.k], basis).T)


@dataclasses.dataclass(frozen=True, eq=False)
class Fixed(SpacePolicy):
    """The same vectors for every system, whatever they come from: bootstrap, a neural network, an eigensolver."""

    U: Array

    def choose(self, last: RecycleSpace | None, solved: int, solutions: deque[Array]) -> RecycleSpace | None:
        """Return the given vectors, without their images: each solve computes them, one product for each."""
        return RecycleSpace(self.U)
