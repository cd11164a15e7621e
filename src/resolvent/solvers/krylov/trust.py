"""Whether a preconditioner that may vary is still asked: failures in a row, and a look at what it gains."""

from __future__ import annotations

import numpy as np

from ...operators import Props
from ..monitor import Monitor

PATIENCE = 3
"""Failures running after which M is not asked any more."""

WINDOW = 20
"""Steps between two looks at what M gains."""

SLOW = 0.5
"""A residual that has not fallen by this factor within a window raises the question."""


class Trust:
    """What a flexible method remembers of the preconditioner, for each right-hand side.

    Three failures running end its use. So does a poor gain: an operator that is no inverse at all, such as a network
    that was not trained, gives directions that are fine in themselves, along which the error falls by next to nothing.
    Where the residual has not halved within 20 steps, one step is made with the residual itself; if that lowers the
    squared energy norm of the error by more than the 20 steps did on average, M is given up. Only an M that claims to
    vary is looked at so; a fixed one keeps the iterates of CG.
    """

    def __init__(self, r_norm: np.ndarray, monitor: Monitor) -> None:
        self._monitor = monitor
        self._varies = monitor.M is not None and Props.VARIABLE in monitor.M.props
        self._steps = 0
        # By rows: failures running, decrease since the last look, norm of the residual then.
        self.columns = np.stack([np.zeros_like(r_norm), np.zeros_like(r_norm), r_norm])
        monitor.extra["fallbacks"] = monitor.extra["abandoned"] = 0

    @property
    def lost(self) -> np.ndarray:
        """Where M is not asked any more, (k,)."""
        lost: np.ndarray = self.columns[0] >= PATIENCE
        return lost

    def probes(self, r_norm: np.ndarray) -> np.ndarray:
        """Return where this step is made without M, to see what that gains, (k,)."""
        if not self._varies or self._steps < WINDOW:
            return np.zeros(len(r_norm), dtype=bool)
        probes: np.ndarray = ~self.lost & (r_norm > SLOW * self.columns[2])
        return probes

    def learn(self, useless: np.ndarray, probing: np.ndarray, decrease: np.ndarray, r_norm: np.ndarray) -> None:
        """Take in one step: where M failed, where it was not asked, by how much the squared error fell."""
        failures, gained, _ = self.columns
        asked = ~self.lost & ~probing
        failures[asked] = np.where(useless, failures + 1.0, 0.0)[asked]
        gave_up = asked & self.lost
        if any(probing):
            worse = probing & (decrease * WINDOW > gained)
            failures[worse] = PATIENCE
            gave_up = gave_up | worse
        self._monitor.extra["fallbacks"] += int((useless & ~probing).sum())
        if self._monitor.M is not None:
            self._monitor.extra["abandoned"] += int(gave_up.sum())
        gained += np.where(np.isfinite(decrease), decrease, 0.0)
        self._steps += 1
        if self._steps > WINDOW:
            self._steps, gained[...], self.columns[2] = 0, 0.0, r_norm
