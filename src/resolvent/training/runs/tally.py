"""Figures of updates, kept on the device until somebody looks: a GPU waits for each number that the host reads."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
import torch

from .processes import Processes

_PAUSE = 0.25
"""Seconds between two looks on a GPU: rare enough that waiting costs little, often enough for a progress bar."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """What one update gave.

    Attributes
    ----------
    step : int
        Its number, counted from 1.
    loss : float
        Sum over the samples of the batch, in all processes.
    norm : float
        Of the gradient.
    broken : bool
        Whether the loss of any sample, in any process, is not finite.
    row : int
        The first such sample in this process; −1 if there is none.
    """

    step: int
    loss: float
    norm: float
    broken: bool
    row: int


class Tally:
    """Notes figures without waiting for them, and reads all of them at once.

    Parameters
    ----------
    team : Processes
    device : device

    Attributes
    ----------
    prompt : bool
        Whether each update is looked at before it changes parameters. So it is on the host, where looking costs
        nothing, and among several processes, which have to look at the same time.
    stopping : bool
        Whether any process asked to stop, as of the last look.
    """

    def __init__(self, team: Processes, device: torch.device) -> None:
        self.team, self.device = team, device
        self.prompt = device.type == "cpu" or team.count > 1
        self.stopping = False
        self._waiting: list[tuple[int, np.ndarray, torch.Tensor]] = []
        self._looked = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to look."""
        return self.prompt or time.monotonic() - self._looked > _PAUSE

    def note(self, step: int, rows: Sequence[np.ndarray], values: Sequence[torch.Tensor], norm: torch.Tensor) -> None:
        """Keep the losses of the samples of an update, by parts, and the norm of its gradient."""
        total = torch.zeros((), device=self.device)
        for part in values:
            total = total + part.sum()
        if values:
            bad = ~torch.isfinite(torch.cat(list(values)))
            count, place = bad.sum(), bad.int().argmax()
        else:
            count = place = torch.zeros((), device=self.device)
        figures = torch.stack([figure.double() for figure in (total, count, place, norm)])
        self._waiting.append((step, np.concatenate(rows) if rows else np.zeros(0, dtype=int), figures))

    def read(self, stop: bool = False) -> list[Figures]:
        """Return the figures noted since the last time; the only place where the host waits for the device.

        Parameters
        ----------
        stop : bool
            Whether this process wants all of them to stop.
        """
        self._looked = time.monotonic()
        if not self._waiting:
            return []
        steps, rows, figures = zip(*self._waiting, strict=True)
        self._waiting = []
        own, k = torch.stack(figures), len(steps)
        wanted = torch.full((1,), float(stop), dtype=own.dtype, device=self.device)
        shared = self.team.sum(torch.cat([own[:, :2].flatten(), wanted]))
        numbers = torch.cat([shared, own.flatten()]).tolist()
        self.stopping = numbers[2 * k] > 0.0
        found = []
        for i, step in enumerate(steps):
            loss, broken = numbers[2 * i : 2 * i + 2]
            _, mine, place, norm = numbers[2 * k + 1 + 4 * i : 2 * k + 5 + 4 * i]
            found.append(Figures(step, loss, norm, broken > 0.0, int(rows[i][int(place)]) if mine else -1))
        return found
