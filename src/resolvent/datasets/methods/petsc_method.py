"""Solving each system by PETSc, on one rank or with its rows spread over all ranks of ``mpiexec``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..family import System
from .strategies import Method, SolveSystems

if TYPE_CHECKING:
    from ...solvers.result import Result


@dataclasses.dataclass(frozen=True)
class PETScRanks(Method):
    """One system after the other, each by PETSc: set up afresh, so that a sample depends on no other one.

    Real matrices that claim to be positive definite are solved by CG with BoomerAMG, all others are factorised by
    MUMPS: complex ones in real-equivalent form. On several ranks each has a slab of rows; the sums of inner products
    and the smoother then depend on their number, so that solutions agree within the tolerance and not in every bit.

    It pays for systems that one core takes seconds for: 3-D grids from about 64³ on.

    Parameters
    ----------
    rtol : float
        Relative residual to reach.
    strength : float
        Threshold of BoomerAMG for strong couplings; 0.25 for the plane and 0.5 for space are hypre's advice.
    """

    rtol: float
    strength: float = 0.25

    def start(self) -> SolveSystems:
        """Return a function that solves systems over the ranks of the session, see `petsc_ranks`."""
        from .petsc_ranks import solve_over_ranks

        def solve(systems: Sequence[System]) -> Sequence[Result]:
            return [solve_over_ranks(A, b, self.rtol, self.strength) for A, b in systems]

        return solve
