"""Data parallelism over processes: who am I, which samples are mine, and sums over all."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.distributed as dist


@dataclasses.dataclass(frozen=True)
class Processes:
    """The processes of a run.

    Attributes
    ----------
    rank, count : int
        Number of this one, and of all.
    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, rows: np.ndarray) -> np.ndarray:
        """Return every count-th of the samples of a batch, beginning with this process's number."""
        return rows[self.rank :: self.count]

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over all processes."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def any(self, mine: bool, device: torch.device) -> bool:
        """Whether something is true in any process."""
        if self.count == 1:
            return mine
        return bool(self.sum(torch.tensor(float(mine), device=device)) > 0.0)


@contextmanager
def processes(wanted: bool, device: torch.device) -> Iterator[tuple[Processes, str | None]]:
    """Yield the processes of a run, and a warning if data parallelism was asked for and is not there.

    torchrun says in the environment how many there are. An existing process group is used and left alone.
    """
    if not wanted:
        yield Processes(), None
    elif dist.is_available() and dist.is_initialized():
        yield Processes(dist.get_rank(), dist.get_world_size()), None
    elif not dist.is_available() or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield Processes(), "ddp: no other processes, training in this one: start it by torchrun --nproc-per-node N"
    else:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield Processes(dist.get_rank(), dist.get_world_size()), None
        finally:
            dist.destroy_process_group()
