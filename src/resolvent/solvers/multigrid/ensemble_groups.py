"""Ensembles solved by several threads, each with some of the members."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from ...operators import Array, LinearOperator
from ...operators.threads import run_in_parts
from .ensemble_state import EnsembleState, Outcome

GROUP = 30_000
"""Unknowns of a group that pay for a thread: solving them takes milliseconds, to wake a thread 40 µs (`threads`)."""


class EnsembleGroups:
    """Members in as many groups as there are threads for; one group outside of the main thread.

    Parameters
    ----------
    members : sequence of LinearOperator
    precision : dtype
    sweeps : int
    """

    def __init__(self, members: Sequence[LinearOperator], precision: Any, sweeps: int) -> None:
        groups = min(_threads(), len(members), len(members) * members[0].shape[0] // GROUP)
        self._bounds = np.linspace(0, len(members), max(groups, 1) + 1).astype(int)
        self._states = [EnsembleState(part, precision, sweeps) for part in self._parts(members)]

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self._states)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays that are kept."""
        return sum(state.nbytes for state in self._states)

    def renew(self, members: Sequence[LinearOperator]) -> None:
        """Take as many other operators."""
        parts = self._parts(members)

        def kernel(start: int, stop: int) -> None:
            for group in range(start, stop):
                self._states[group].renew(parts[group])

        run_in_parts(kernel, self.groups, self.groups)

    def solve(self, b: Array, x: Array, tolerances: np.ndarray, norms: np.ndarray, maxiter: int) -> Outcome:
        """See `EnsembleState.solve`."""
        outcomes: list[Outcome | None] = [None] * self.groups
        parts = [slice(*pair) for pair in zip(self._bounds[:-1], self._bounds[1:], strict=True)]

        def kernel(start: int, stop: int) -> None:
            with np.errstate(all="ignore"):  # which holds for one thread
                for group in range(start, stop):
                    part = parts[group]
                    outcomes[group] = self._states[group].solve(
                        b[part], x[part], tolerances[part], norms[part], maxiter
                    )

        run_in_parts(kernel, self.groups, self.groups)
        return _joined([outcome for outcome in outcomes if outcome is not None])

    def _parts(self, members: Sequence[LinearOperator]) -> list[Sequence[LinearOperator]]:
        return [members[start:stop] for start, stop in zip(self._bounds[:-1], self._bounds[1:], strict=True)]


def _threads() -> int:
    return numba.get_num_threads() if threading.current_thread() is threading.main_thread() else 1


def _joined(outcomes: list[Outcome]) -> Outcome:
    if len(outcomes) == 1:
        return outcomes[0]
    return Outcome(
        np.concatenate([o.norms for o in outcomes]),
        np.concatenate([o.iterations for o in outcomes]),
        [history for o in outcomes for history in o.histories],
        [status for o in outcomes for status in o.status],
        [reason for o in outcomes for reason in o.reasons],
        sum(o.products for o in outcomes),
        sum(o.cycles for o in outcomes),
    )
