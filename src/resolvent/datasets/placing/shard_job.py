"""Making one shard of a set: the entry point of a job that shares its work with others through a file system alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..family import Family
from ..pipeline import leading, requested_run
from .sharding import JobShard, as_shard


@dataclasses.dataclass(frozen=True)
class FinishedShard:
    """What a job has made.

    Attributes
    ----------
    out : Path
        The file that all shards together will become, by `merge`.
    shard : JobShard
    chunks, samples : int
        Chunks and samples of the shard.
    new : int
        Samples made by this call: the others were there, in this folder or in that of another shard.
    """

    out: Path
    shard: JobShard
    chunks: int
    samples: int
    new: int

    def __str__(self) -> str:
        return (
            f"{self.out}: shard {self.shard} is complete, {self.samples} samples in {self.chunks} chunks, {self.new} "
            f"of them made now; `resolvent merge {self.out}` puts the shards together"
        )


def generate_shard(
    family: Family | str, n: int, shard: str | tuple[int, int] | JobShard, *, out: str | Path, **options: Any
) -> FinishedShard:
    """Make the chunks of one shard of a set, for `merge` to put together: one job of an array.

    Shard i of N makes the chunks whose number is i modulo N, in a folder of its own beside `out`. Jobs may run at any
    time, on any machines that see this folder, together or one after the other; each may be killed and called again,
    and makes only what neither it nor another shard has. After `merge` the file has the content checksum of one
    uninterrupted run. If `out` is a finished file with fewer samples, the shards extend it.

    The structure of the matrix is checked by every shard before its first chunk; the discretisation error is estimated
    by shard 0 alone, so that one number exists of it.

    Parameters
    ----------
    family, n, out
        As for `generate`.
    shard : "i/N", "auto" or (i, N)
        From 0. ``auto`` takes it from the job array of SLURM (SLURM_ARRAY_TASK_ID, _COUNT, _MIN and _STEP).
    **options
        All others of `generate`, the same for all shards. ``overwrite`` is not among them. ``solver="tuned"`` needs a
        `replay`, because it decides about a chunk by all chunks before it.

    Returns
    -------
    finished : FinishedShard

    Raises
    ------
    ValueError
        For an invalid shard, and for a tuned set that is no replay.
    OutputLockedError
        If another process makes the same shard.
    ConfigurationMismatch, GenerationInterrupted, …
        As `generate`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from resolvent import datasets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     out = Path(folder) / "darcy.h5"
    ...     for shard in ("0/2", "1/2"):
    ...         finished = datasets.generate_shard("darcy", 6, shard, out=out, chunk=2, solver="direct")
    ...     len(datasets.merge(out)), finished.samples
    (6, 2)
    """
    if "overwrite" in options:
        raise TypeError("generate_shard has no overwrite, since it cannot know what other jobs need: remove the output")
    chosen = as_shard(shard)
    with leading(options.get("solver")) as leads:
        if leads:
            run = requested_run(family, n, out=out, shard=chosen, **options)
            return FinishedShard(Path(out), chosen, *run.make_shard())
    return FinishedShard(Path(out), chosen, 0, 0, 0)
