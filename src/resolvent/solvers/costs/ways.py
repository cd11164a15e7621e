"""Ways to solve by name, and what they cost by: the entries of the cost model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..direct import Direct
from ..fast_poisson import FastPoisson
from ..krylov.bicgstab import BiCGStab
from ..krylov.cg import CG
from ..krylov.gmres import GMRES
from ..multigrid.multigrid_cg import MultigridCG
from ..preconditioners.amg import AMG
from ..preconditioners.ic import IC
from ..preconditioners.ilu import ILU
from ..preconditioners.ilu0 import ILU0
from ..preconditioners.recipe import Recipe
from ..preconditioners.ssor import SSOR
from ..solver import Solver

WIDEST = 16
"""Most members of an ensemble."""

CACHED_UNKNOWNS = 262_144
"""Unknowns of all members of an ensemble together, as many as are faster than fewer: some 75 bytes each are worked with
in every iteration (the costs in benchmarks/multigrid.py)."""

LONG_ROW = 256
"""Numbers in a row of the grid, all members counted, below which calls for each row cost more than a larger ensemble
loses in the caches: at 64³ four members take much less for each unknown than one (benchmarks/multigrid.py)."""


@dataclasses.dataclass(frozen=True)
class Way:
    """A method with its preconditioner.

    Attributes
    ----------
    name : str
    make : callable
        Options of a `Solver` (rtol, …) -> Solver.
    M : Recipe or None
    sure : bool
        Whether the cost hardly depends on the coefficients: factorisations, and multigrid within its class. What
        others need in iterations was measured for coefficients of one law only.
    iterative : bool
        Whether fewer digits cost less.
    """

    name: str
    make: Callable[..., Solver]
    M: Recipe | None = None
    sure: bool = False
    iterative: bool = True

    def solver(self, **options: Any) -> Solver:
        """Return the method with some options."""
        return self.make(**options)


def _gmres(**options: Any) -> Solver:
    return GMRES(**{"restart": 60} | options)


WAYS: dict[str, Way] = {
    way.name: way
    for way in (
        Way("multigrid", MultigridCG, sure=True),
        Way("direct", Direct, sure=True, iterative=False),
        Way("fft", FastPoisson, sure=True, iterative=False),
        Way("cg+amg", CG, AMG(), sure=True),
        Way("cg+ic", CG, IC()),
        Way("cg+ssor", CG, SSOR()),
        Way("cg+fft", CG, FastPoisson()),
        Way("gmres+ilu", _gmres, ILU()),
        Way("gmres+ilu0", _gmres, ILU0()),
        Way("gmres+amg", _gmres, AMG()),
        Way("bicgstab+ilu0", BiCGStab, ILU0()),
    )
}
"""Named ways to solve."""

TOGETHER = "multigrid, together"
"""Entry of the cost model for multigrid on ensembles, a member."""


def ensemble_width(unknowns: int, dimension: int, whole: int = WIDEST) -> int:
    """Return how many systems are best solved together: a power of two, of which `whole` is a multiple.

    Examples
    --------
    >>> (
    ...     ensemble_width(64**2, 2),
    ...     ensemble_width(256**2, 2),
    ...     ensemble_width(64**3, 3),
    ...     ensemble_width(64**2, 2, whole=12),
    ... )
    (16, 4, 4, 4)
    """
    width, points = WIDEST, unknowns ** (1.0 / dimension)
    while width > 1 and (whole % width or (width * unknowns > CACHED_UNKNOWNS and width * points > LONG_ROW + 0.5)):
        width //= 2
    return width
