"""BDF2 steps of several trajectories at once: their history, and the definite systems that they solve.

The steps u_1, u_2, … of u_t = F(t, u) from u_0 satisfy α u_j − dt F(t_j, u_j) = r with α = 3/2 and
r = 2u_{j−1} − u_{j−2}/2; the first is one of BDF1, α = 1 and r = u_0, which costs no order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ...operators import Ensemble, LinearOperator
from ..random_fields import FloatArray

if TYPE_CHECKING:
    from ...solvers.prepared_ensemble import PreparedEnsemble

_ORDER: Final = 5
"""States that a guess is extrapolated from. For heat on 64² each of the third to the fifth saves more than half an
iteration of five; beyond, what the tolerance left of errors is amplified by as much as is gained."""


def history(states: Sequence[FloatArray]) -> tuple[float, FloatArray]:
    """Return α and r of the step after some states, the initial one first."""
    if len(states) == 1:
        return 1.0, states[0]
    return 1.5, 2.0 * states[-1] - 0.5 * states[-2]


def extrapolated(states: Sequence[FloatArray], order: int = _ORDER) -> FloatArray:
    """Return the value at the next time of the polynomial through the last `order` states, or as many as there are.

    Examples
    --------
    >>> import numpy as np
    >>> extrapolated([np.array([t**3.0]) for t in range(5)])
    array([125.])
    """
    last = states[-order:]
    k = len(last)
    guess = np.zeros_like(last[-1])
    for j in range(k):
        guess += (-1.0) ** j * math.comb(k, j + 1) * last[k - 1 - j]
    return guess


class DefiniteSteps:
    """Solves the systems of one step after the other, those of all members together, by `MultigridCG`.

    A member that multigrid does not bring to the tolerance is factorised instead.

    Parameters
    ----------
    rtol : float
        Of each system; limited to what is sensible.
    """

    def __init__(self, rtol: float) -> None:
        self.rtol = min(max(rtol, 1e-15), 1e-2)
        self._prepared: PreparedEnsemble | None = None

    def take(self, operators: Sequence[LinearOperator]) -> None:
        """Set up for operators, one a member; without another call they hold for the steps to come."""
        from ...solvers import MultigridCG
        from ...solvers.candidates import TRUST

        ensemble = Ensemble(operators)
        if self._prepared is None:
            self._prepared = MultigridCG(rtol=self.rtol, maxiter=TRUST).prepare(ensemble)
        else:
            self._prepared.update(ensemble)

    def solve(self, b: FloatArray, guess: FloatArray | None = None) -> FloatArray:
        """Solve for the rows of a (members, …) array; a row of zeros costs next to nothing."""
        assert self._prepared is not None
        rows = b.reshape(len(b), -1)
        start = None if guess is None else guess.reshape(rows.shape)
        x: Any = np.empty(rows.shape)
        for number, result in enumerate(self._prepared.solve_members(rows, start)):
            x[number] = result.x
            if not result.converged and np.isfinite(rows[number]).all():
                x[number] = self._factorised(number, rows[number])
        return np.asarray(x.reshape(b.shape))

    def _factorised(self, number: int, b: FloatArray) -> FloatArray:
        from ...solvers import Direct

        assert self._prepared is not None
        member = self._prepared.A.members[number]
        if not np.isfinite(member.diagonal()).all():
            return np.full_like(b, np.nan)
        return np.asarray(Direct(rtol=self.rtol).solve(member, b).x)
