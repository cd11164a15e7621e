"""Shards of a set for jobs that know nothing of one another: which chunks are whose, and where they lie.

Shard i of N makes the chunks whose number is i modulo N, in a folder of its own with lock, manifest and journal
(`workspace`), so that jobs share no file that is written. Beside ``X.h5`` these are ``X.h5.shards/<i>-of-<N>``. What a
chunk contains depends on neither i nor N: `merging` takes it wherever it was made, and jobs that were submitted again
with another N make only what no other folder has.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..settings import differences
from ..storage.shards import shard_matches
from ..storage.workspace import parts_folder, read_journal, read_manifest
from ..worker import ChunkRecord

if TYPE_CHECKING:
    from ..choosing.replay import Replay

AUTO = "auto"
"""The shard that SLURM gives to a job of an array."""


@dataclasses.dataclass(frozen=True, order=True)
class JobShard:
    """Which part of the chunks a job makes.

    Parameters
    ----------
    index, count : int
        0 ≤ index < count.

    Examples
    --------
    >>> [JobShard(1, 3).has(chunk) for chunk in range(5)]
    [False, True, False, False, True]
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"shard must be i/N with 0 ≤ i < N, counted from 0, got {self}")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def has(self, chunk: int) -> bool:
        """Whether a chunk belongs to this shard."""
        return chunk % self.count == self.index

    def chunks(self, first: int, stop: int) -> range:
        """Return the chunks of this shard from `first` to before `stop`."""
        return range(first + (self.index - first) % self.count, stop, self.count)

    def folder(self, out: Path) -> Path:
        """Return where the shard lies."""
        return shards_folder(out) / f"{self.index:05d}-of-{self.count:05d}"


def shards_folder(out: Path) -> Path:
    """Return the folder of the shards of an output."""
    return out.with_name(out.name + ".shards")


def shards_of(out: Path) -> dict[JobShard, Path]:
    """Return the shards that were begun, in order of N and i."""
    found: dict[JobShard, Path] = {}
    folder = shards_folder(out)
    try:
        paths = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # there are none, or another job has just removed the last
        return found
    for path in paths:
        match = re.fullmatch(r"(\d{5,})-of-(\d{5,})", path.name)
        if match and path.is_dir() and int(match[1]) < int(match[2]):
            found[JobShard(int(match[1]), int(match[2]))] = path
    return dict(sorted(found.items(), key=lambda item: (item[0].count, item[0].index)))


def parts_of_all(out: Path) -> tuple[Path, ...]:
    """Return the folders of all unfinished work on an output: that of an ordinary run, and those of shards."""
    return (parts_folder(out), *shards_of(out).values())


def as_shard(shard: str | tuple[int, int] | JobShard, environment: Mapping[str, str] | None = None) -> JobShard:
    """Return the shard that ``"i/N"``, ``"auto"`` or a pair of numbers means.

    Parameters
    ----------
    environment : mapping, optional
        Where ``auto`` looks; that of the process by default.

    Raises
    ------
    ValueError
        If it is none, or if ``auto`` is not in a job array of consecutive or evenly spaced indices.

    Examples
    --------
    >>> array = {"SLURM_ARRAY_TASK_ID": "12", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "10"}
    >>> str(as_shard("2/4")), str(as_shard("auto", array))
    ('2/4', '2/4')
    """
    if isinstance(shard, JobShard):
        return shard
    if shard == AUTO:
        return _of_array(os.environ if environment is None else environment)
    if isinstance(shard, str):
        match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", shard)
        if match:
            return JobShard(int(match[1]), int(match[2]))
    elif isinstance(shard, tuple) and len(shard) == 2 and all(type(part) is int for part in shard):
        return JobShard(*shard)
    raise ValueError(f"shard must be i/N with 0 ≤ i < N, such as 0/16, or 'auto' in a SLURM job array, got {shard!r}")


def _of_array(environment: Mapping[str, str]) -> JobShard:
    """Return the shard of a job of a SLURM array, by the output variables of sbatch(1)."""
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
    try:
        task, count = (int(environment[name]) for name in names)
        first = int(environment.get("SLURM_ARRAY_TASK_MIN", "0"))
        step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1")) or 1
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"shard 'auto' takes its number from {' and '.join(names)}, which a SLURM job array sets; there is no "
            f"valid {error}: submit with `sbatch --array=0-15 …`, or give i/N"
        ) from error
    index, rest = divmod(task - first, step)
    if rest or not 0 <= index < count:
        raise ValueError(
            f"shard 'auto' needs an array of evenly spaced indices: task {task} is none of {count} from {first} on "
            f"in steps of {step}. To repeat single tasks of an array of N give `--shard $SLURM_ARRAY_TASK_ID/N`"
        )
    return JobShard(index, count)


# What others have made ------------------------------------------------------------------------------------------------


def made_elsewhere(
    out: Path,
    own: Path,
    config: Mapping[str, Any],
    chunks: Collection[int],
    replay: Replay | None = None,
    decided: Collection[int] = (),
) -> dict[int, list[ChunkRecord]]:
    """Return which of some chunks are finished and undamaged in all other folders of an output, by number.

    Their journals are read while they may be written to: a line is there or not yet.

    Parameters
    ----------
    own : Path
        The folder to leave out.
    config : dict
        What is of another configuration is left out, too.
    chunks : collection of int
        Their files are read.
    replay : Replay, optional
        Of a tuned set: a chunk counts only if its decision is known.
    decided : collection of int
        Chunks about which the finished file decides.

    Raises
    ------
    ReplayError
        If a chunk there was decided otherwise than in the replay.
    """
    found: dict[int, list[ChunkRecord]] = {}
    for folder in parts_of_all(out):
        if folder == own:
            continue
        try:
            manifest, journal = read_manifest(folder), read_journal(folder)
        except FileNotFoundError:  # removed at this moment
            continue
        if manifest is None or differences(manifest["config"], config):
            continue
        if replay is not None:
            made = {chunk: decision for chunk, decision in journal.decisions.items() if chunk in journal.records}
            replay.refuse_other(made, folder)
        for chunk, record in journal.records.items():
            known = replay is None or chunk in journal.decisions or chunk in decided
            if known and chunk in chunks and shard_matches(folder / record.shard, record.sha256):
                found.setdefault(chunk, []).append(record)
    return found


# What to run ----------------------------------------------------------------------------------------------------------


def command_for(shard: JobShard, manifest: Mapping[str, Any], n: int | None = None) -> str:
    """Return the command that makes a shard, from the one that began this or another shard of the set.

    It is one that runs by itself: where chunks were made on MPI ranks, which need mpiexec, it makes them without.

    Parameters
    ----------
    n : int, optional
        Samples to ask for; as many as the other command by default.

    Examples
    --------
    >>> manifest = {"n": 100, "sessions": [{"command": "resolvent generate darcy --out d.h5 --shard auto"}]}
    >>> command_for(JobShard(3, 16), manifest)
    'resolvent generate darcy --out d.h5 --shard 3/16'
    >>> command_for(JobShard(3, 16), manifest, n=200)
    'resolvent generate darcy --out d.h5 -n 200 --shard 3/16'
    """
    session = manifest["sessions"][-1] if manifest.get("sessions") else {"command": ""}
    words = shlex.split(str(session["command"]))
    kept = list(_without("--shard", words))
    other_n = n is not None and n != manifest.get("n")
    if len(kept) == len(words) or "generate" not in kept:
        return f"the call that made the others, with {f'n={n} and ' if other_n else ''}shard {str(shard)!r}"
    if session.get("executor") == "mpi":
        kept = list(_without("--executor", kept))
    if other_n:
        kept = [*_without("--n", _without("-n", kept)), "-n", str(n)]
    if kept[0].endswith("__main__.py"):
        kept[:1] = ["python", "-m", __name__.partition(".")[0]]
    elif "/" in kept[0]:
        kept[0] = Path(kept[0]).name
    return f"{shlex.join(kept)} --shard {shard}"


def _without(option: str, words: Iterable[str]) -> Iterator[str]:
    """Yield the words of a command without an option and its value, which may be one word."""
    joined = f"{option}=" if option.startswith("--") else option
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word == option:
            skip = True
        elif not word.startswith(joined):
            yield word
