"""Successive over-relaxation."""

from __future__ import annotations

import dataclasses
from typing import final

import numpy as np

from ...operators import Array, LinearOperator, StructureError
from ..monitor import Monitor
from ..preconditioners.recipe import is_number
from ..solver import Solver
from ..status import Status
from .sweeps import RowSweeps, Sweep, sweep_code

STRETCH = 256
"""Most sweeps between two looks of the monitor."""
PATIENCE = 100.0


@final
@dataclasses.dataclass(frozen=True)
class SOR(Solver):
    """x_i ← x_i + ω (b − A x)_i / a_ii, one unknown after the other, each with the newest values of the others."""

    omega: float = 1.0
    sweep: Sweep = "forward"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (is_number(self.omega) and 0.0 < self.omega < 2.0):
            raise ValueError(f"omega must lie between 0 and 2, both excluded, got {self.omega!r}")
        sweep_code(self.sweep)

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if M is not None:
            raise StructureError("SOR takes no preconditioner: leave M out, or use CG or GMRES with it")
        if A._holds_torch():
            raise StructureError(f"SOR sweeps on the host, but {A!r} is on torch storage: use another method")

    def _setup(self, A: LinearOperator) -> RowSweeps | str:
        if not np.isfinite(A.to_sparse().data).all():
            return "A holds NaN or infinity"  # a status, as for every solver
        return RowSweeps(A, self.omega, self.sweep)

    def _run(self, state: RowSweeps | str, b: Array, x: Array, monitor: Monitor) -> None:
        r = np.empty_like(b)
        monitor.start(x, r, keep_best=True)
        if isinstance(state, str):
            monitor.retire(np.ones(1, dtype=bool), Status.NONFINITE, x, state)
            return
        y, norms = np.empty_like(x), np.empty(STRETCH + 1)
        size, first = 1, 1
        best, idle = np.inf, 0
        patience = PATIENCE + 20.0 / (2.0 - self.omega)
        while monitor.running:
            size = 1 if monitor.watched else min(2 * size, STRETCH)
            most = min(size, monitor.maxiter - monitor.iteration) + first
            count = state.iterate(
                b.reshape(-1),
                x.reshape(-1),
                y.reshape(-1),
                norms[:most],
                float(monitor.floor[0]),
                float(monitor.limit[0]),
            )
            if count % 2 == 0:
                x, y = y, x
            found = norms[first:count]
            if len(found):
                monitor.record(found[:-1, None])
                monitor.step(found[-1:].copy(), x, r)
                place = int(np.argmin(found))
                idle, best = (
                    (len(found) - 1 - place, found[place]) if found[place] < best else (idle + len(found), best)
                )
                if idle >= patience:
                    monitor.retire(np.ones(1, dtype=bool), Status.STAGNATED, x)
            x, y, first = y, x, 0

    lockstep = False
