"""The folder of a run: made where it is missing, and never emptied of what somebody else may want."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import CheckpointError
from .checkpoint import LAST


def make_folder(out: Path) -> None:
    """Make a folder with all above it; NotADirectoryError if a file is in the way."""
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out} is a file: give a folder, in which checkpoints, log and card are kept")
    out.mkdir(parents=True, exist_ok=True)


def clear_folder(out: Path, names: Sequence[str], *, replace: bool) -> None:
    """Remove the files of an earlier run if they are to be replaced; otherwise CheckpointError if there are any."""
    there = [name for name in names if (out / name).exists()]
    if there and not replace:
        raise CheckpointError(
            f"{out} holds {', '.join(there)} but no {LAST} to go on from: choose another folder, or resume=False to "
            "replace them"
        )
    for name in there:
        (out / name).unlink()
