"""Errors of training: each says what was expected, what came and what to do."""

from __future__ import annotations


class TrainingError(Exception):
    """Base of the errors below."""


class NonFiniteError(TrainingError, ValueError):
    """Data, a loss or a gradient is not finite; the last good checkpoint is kept."""


class CheckpointError(TrainingError, ValueError):
    """A file is not a checkpoint, is cut short or damaged, or belongs to another model, configuration or dataset."""


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C arrived; a checkpoint was written and the same call resumes.

    Attributes
    ----------
    epoch, epochs : int
        Epochs finished, and asked for.
    out : str or None
        The folder with the checkpoint; None if nothing is kept.
    """

    def __init__(self, epoch: int, epochs: int, out: str | None) -> None:
        super().__init__(epoch, epochs, out)
        self.epoch, self.epochs, self.out = epoch, epochs, out

    def __str__(self) -> str:
        kept = "nothing was kept: give `out` a folder" if self.out is None else f"{self.out} resumes by the same call"
        return f"interrupted after {self.epoch} of {self.epochs} epochs; {kept}"
