"""A learned initial guess: one application of a learned preconditioner to the right-hand side."""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import final

from ...operators import Array, LinearOperator
from ..sequences.guesses import Guess, scaled
from ..vectors import vectors_for
from .recipe import Learned


@final
@dataclasses.dataclass(frozen=True, eq=False)
class LearnedGuess(Guess):
    """x₀ = ξ M b with M by a trained network and ξ as in `Scaled`, so that ‖b − A x₀‖ ≤ ‖b‖ whatever M is.

    It needs no earlier solution. For networks that are not used as the preconditioner too: with an `SPDCycle` as M, the
    first step of the iteration does the same. Preparing the network is paid for every operator.

    Parameters
    ----------
    learned : Learned

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Stencil
    >>> from resolvent.solvers import CG, Sequence
    >>> from resolvent.solvers.learned import Learned, LearnedGuess, SPDCycle
    >>> A = Stencil.from_transmissibilities([np.ones((17, 16)), np.ones((16, 17))])
    >>> steps = Sequence(CG(), warm_start=LearnedGuess(Learned(SPDCycle(dim=2), "any", (8, 64))))
    >>> steps.solve(A, np.ones(256)).status.name
    'CONVERGED'
    """

    learned: Learned

    @property
    def window(self) -> int:
        """None."""
        return 0

    def start(self, A: LinearOperator, b: Array, solutions: deque[Array]) -> tuple[Array, int]:
        """Return the scaled correction, and one product a column."""
        M = self.learned(A)
        u = vectors_for(b, A._communicator()).empty_like(b)
        M._matmat_into(b, u)
        return scaled(A, b, u, vectors_for(b, A._communicator())), b.shape[1]
