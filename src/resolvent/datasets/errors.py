"""Errors of dataset generation and reading. Each says what was expected, what was found and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DatasetError(Exception):
    """Base of every error about a dataset; the message is for a person."""


class FormatError(DatasetError, ValueError):
    """A file is not a dataset of this package, is damaged, or was written by a newer version."""


class ConfigurationMismatch(DatasetError, ValueError):  # noqa: N818 - it is a finding, and reads as one
    """An output already holds samples of another configuration.

    Attributes
    ----------
    differences : dict
        ``{key: (found, requested)}`` with dotted keys such as ``family.resolution``.
    """

    def __init__(self, where: str, differences: Mapping[str, tuple[Any, Any]]) -> None:
        super().__init__(where, dict(differences))
        self.where = where
        self.differences = dict(differences)

    def __str__(self) -> str:
        rows = [f"  {key}: {old!r} there, {new!r} requested" for key, (old, new) in self.differences.items()]
        return "\n".join(
            [
                f"{self.where} holds samples of another configuration:",
                *rows,
                "Request the same to continue, choose another output, or discard what is there with overwrite=True.",
            ]
        )


class CertificationError(DatasetError):
    """A sample failed its certificate, and failures were to be refused.

    Attributes
    ----------
    index, seed : int
        The sample and the root seed: together with the family they reproduce it.
    status : str
        How the solver ended, or ``INADMISSIBLE`` when the problem could not be assembled.
    rho, tolerance : float
        Relative residual in float64, and the largest one accepted.
    detail : str
        Further explanation, possibly empty.
    """

    def __init__(self, index: int, seed: int, status: str, rho: float, tolerance: float, detail: str = "") -> None:
        super().__init__(index, seed, status, rho, tolerance, detail)
        self.index, self.seed, self.status = index, seed, status
        self.rho, self.tolerance, self.detail = rho, tolerance, detail

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return (
            f"sample {self.index} of seed {self.seed} is not certified: relative residual {self.rho:.3e}, at most "
            f"{self.tolerance:.1e} accepted, solver status {self.status}{detail}. Finished chunks are kept, its own is "
            "not written. Use another solver or, for trajectories, a finer grid; loosen rtol; or store "
            "such samples marked with on_failure='flag'."
        )


class ReplayError(DatasetError, ValueError):
    """A tuned set cannot be repeated as asked: it is of another configuration, too short, or was not tuned."""


class DiscretisationError(DatasetError):
    """A family assembles matrices that contradict its equation; the message names the failed checks."""


class SampleError(DatasetError):
    """A family broke its contract for one sample: wrong names, shapes or values; the message names the sample."""


class WorkerLostError(DatasetError):
    """A worker process died; finished chunks are kept and the same call resumes."""


class ShardsMissingError(DatasetError):
    """Chunks of a set are in none of its shards, or damaged there.

    Attributes
    ----------
    chunks : tuple of int
    shards : tuple of str
        Those that have to be made, as ``i/N``.
    commands : tuple of str
        What makes them.
    """

    def __init__(
        self, chunks: tuple[int, ...], shards: tuple[str, ...], commands: tuple[str, ...], what: str = "missing"
    ) -> None:
        super().__init__(chunks, shards, commands, what)
        self.chunks, self.shards, self.commands, self.what = chunks, shards, commands, what

    def __str__(self) -> str:
        listed = ", ".join(map(str, self.chunks[:8])) + (", …" if len(self.chunks) > 8 else "")
        which = f"chunk {listed} is" if len(self.chunks) == 1 else f"{len(self.chunks)} chunks ({listed}) are"
        if not self.commands:
            return f"{which} {self.what}: run the command that made the others again, then merge"
        shown = [f"  {command}" for command in self.commands[:8]]
        if len(self.commands) > 8:
            shown.append(f"  … and for shards {', '.join(self.shards[8:40])}{', …' if len(self.shards) > 40 else ''}")
        return "\n".join([f"{which} {self.what}; nothing was published. Make them, then merge again:", *shown])


class OutputLockedError(DatasetError):
    """Another process is generating into the same output."""


class StorageError(DatasetError, OSError):
    """The output cannot be written: no permission, no space, not a directory, …

    ``errno`` is that of the system's error.
    """


class GenerationInterrupted(KeyboardInterrupt):
    """Ctrl-C arrived; what was finished is on disk and the same call resumes.

    Attributes
    ----------
    done, total : int
        Samples on disk and samples requested.
    out : str
        The output file that a resumed run will complete.
    """

    def __init__(self, done: int, total: int, out: str) -> None:
        super().__init__(done, total, out)
        self.done, self.total, self.out = done, total, out

    def __str__(self) -> str:
        if not self.done:
            return f"interrupted before the first chunk of {self.out} was finished; nothing is left behind"
        return f"interrupted: {self.done} of {self.total} samples of {self.out} are on disk; the same call resumes"
