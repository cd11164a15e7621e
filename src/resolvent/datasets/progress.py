"""How far a run is, for whoever draws it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from .worker import ChunkRecord


@dataclasses.dataclass(frozen=True)
class Progress:
    """What a `progress` callback is given.

    Attributes
    ----------
    phase : {"generate", "publish", "verify", "export"}
        Making samples, copying finished ones into the file, checking a file, or writing it in a foreign format.
    done, total : int
        Samples.
    resumed : int
        Samples that were there when this phase started.
    rate : float
        Samples a second in this phase; 0 before the first.
    seconds : float
        Since the phase began.
    worst_rho : float
        Largest relative residual so far, of finished chunks.
    failed : int
        Samples not certified so far.
    """

    phase: str
    done: int
    total: int
    resumed: int
    rate: float
    seconds: float
    worst_rho: float
    failed: int


ProgressCallback = Callable[[Progress], None]


class Meter:
    """Turns finished samples and chunks into calls of a progress callback."""

    def __init__(self, callback: ProgressCallback | None, phase: str, resumed: int, total: int) -> None:
        self.callback, self.phase, self.resumed, self.total = callback, phase, resumed, total
        self.worst, self.failed = 0.0, 0
        self._settled, self._pending = resumed, 0
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Time since the phase began."""
        return time.perf_counter() - self._begun

    def note(self, record: ChunkRecord) -> None:
        """Take the certificates of a finished chunk into account."""
        self.worst = record.worst_rho if not record.worst_rho <= self.worst else self.worst
        self.failed += record.failed

    def sample(self) -> None:
        """One more sample of a chunk that is not finished yet."""
        self._pending += 1
        self.report()

    def chunk(self, record: ChunkRecord) -> None:
        """A chunk is finished, together with the samples reported of it."""
        self.note(record)
        self._settled, self._pending = self._settled + record.stop - record.start, 0
        self.report()

    def reached(self, samples: int) -> None:
        """So many samples are done in all."""
        self._settled = samples
        self.report()

    def report(self) -> None:
        """Call the callback, if there is one."""
        if self.callback is None:
            return
        seconds, done = self.seconds, self._settled + self._pending
        rate = (done - self.resumed) / seconds if done > self.resumed and seconds > 0.0 else 0.0
        self.callback(Progress(self.phase, done, self.total, self.resumed, rate, seconds, self.worst, self.failed))
        if done == self.resumed:  # what is said before the work begins, and took time to find out, is no work
            self._begun = time.perf_counter()
