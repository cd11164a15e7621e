"""Putting foreign files in place: all of them or none, and never over something that was there."""

from __future__ import annotations

import dataclasses
import errno
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import FormatError, StorageError
from ..storage.capacity import bytes_text
from ..storage.durable import storage_errors, sync_directory, sync_file
from ..storage.file_format import FORMAT

if TYPE_CHECKING:
    from .source import Rounding


class Staging:
    """A hidden folder where files are made, which are then renamed to their places.

    Until `commit` nothing appears under the final names; what an exception leaves is removed. A killed process leaves
    the hidden folder, whose name ends in ``.tmp``.

    Parameters
    ----------
    folder : Path
        Where the files belong; made if it does not exist.
    names : sequence of str
        Relative names of all files.
    overwrite : bool
        Whether files of these names may be replaced.
    size : int
        Bytes that they will take, roughly.

    Raises
    ------
    StorageError
        If one of the files exists and is not to be replaced, there is no room, or the folder cannot be made.
    FormatError
        If one of them is a dataset of this package, which is never replaced.
    """

    def __init__(self, folder: Path, names: list[str], *, overwrite: bool, size: int = 0) -> None:
        self.folder, self.names = folder, names
        with storage_errors("write", folder):
            self._refuse(overwrite)
            home = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
            if not home.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
            free = shutil.disk_usage(home).free
            if size > free:
                raise _storage(
                    errno.ENOSPC, f"{folder} needs {bytes_text(size)}, {bytes_text(free)} are free; nothing was written"
                )
            self._temporary = home / f".export-{secrets.token_hex(4)}.tmp"
            self._temporary.mkdir()

    def _refuse(self, overwrite: bool) -> None:
        for name in self.names:
            path = self.folder / name
            if path.is_dir():
                raise _storage(errno.EISDIR, f"{path} is a folder, expected a file: choose another output")
            if not path.exists():
                continue
            with path.open("rb") as file:
                if file.read(len(FORMAT)) == FORMAT.encode():
                    raise FormatError(f"{path} is a dataset of this package and stays: choose another output")
            if not overwrite:
                raise _storage(
                    errno.EEXIST, f"{path} exists already: choose another output, or replace it with overwrite=True"
                )

    def path(self, name: str) -> Path:
        """Return where to make a file."""
        path = self._temporary / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def commit(self) -> list[Path]:
        """Synchronise all files, give them their names, and return those."""
        placed = []
        with storage_errors("write", self.folder):
            for name in self.names:
                sync_file(self._temporary / name)
            for name in self.names:
                final = self.folder / name
                final.parent.mkdir(parents=True, exist_ok=True)
                (self._temporary / name).replace(final)
                placed.append(final)
            for folder in {path.parent for path in placed}:
                sync_directory(folder)
        return placed

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)


@dataclasses.dataclass(frozen=True)
class Job:
    """Files to be written in one format.

    Attributes
    ----------
    folder : Path
        Where they belong.
    names : list of str
        Relative names.
    record : str
        Name of the record of their origin.
    size : int
        Bytes that are needed, roughly.
    write : callable
        Makes the files in a staging, rounding numbers and ticking after each sample; returns what to tell about them.
    notes : list of str
        What a user of the files has to know.
    """

    folder: Path
    names: list[str]
    record: str
    size: int
    write: Callable[[Staging, Rounding, Callable[[], None]], dict[str, Any]]
    notes: list[str]


def refuse_file_name(out: Path, format_name: str) -> None:
    """Raise ValueError where a file is named for a format that is a folder."""
    if out.suffix.lower() in (".h5", ".hdf5", ".pt") or out.is_file():
        raise ValueError(f"{format_name} is a folder with a file for each split, got {out}: give the name of a folder")


def _storage(number: int, text: str) -> StorageError:
    error = StorageError(text)
    error.errno = number
    return error


def writable_name(name: str) -> str:
    """Return a name for a foreign dataset, checked.

    Raises
    ------
    ValueError
        If it cannot be a part of a file name.
    """
    if not name or name in (".", "..") or any(c in name for c in "/\\\0\n") or name.startswith("."):
        raise ValueError(f"a dataset name becomes a part of file names and cannot be {name!r}")
    if len(os.fsencode(name)) > 200:
        raise ValueError(f"a dataset name of {len(name)} characters is too long for a file name")
    return name
