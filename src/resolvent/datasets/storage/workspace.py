"""The parts folder of an unfinished set: lock, manifest, journal and shards.

While ``X.h5`` is being generated, ``X.h5.parts/`` holds

``lock``
    Locked (flock) by the process at work, so that a second one is refused; the system releases it however that
    process ends.
``manifest.json``
    Configuration, solver decision, number of samples requested and sessions; replaced atomically, and written
    before the first chunk.
``journal.jsonl``
    One line for each finished chunk, appended and synchronised after its shard is in place: index range, shard,
    SHA-256, times. Of a tuned set, also one for each decision about a chunk, before the chunk starts. A line torn by a
    crash is ignored and cut off.
``shard-….npy``
    Finished chunks (`shards`).
``….tmp``
    Unfinished files; those of a dead run are removed when the next one starts.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import logging
import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from ..choosing.chunk_decision import ChunkDecision
from ..errors import FormatError, OutputLockedError, StorageError
from ..worker import ChunkRecord
from .durable import storage_errors, sync_directory, write_atomically
from .journal import Journal, line_of, parse_journal
from .shards import shard_matches

logger = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
_JOURNAL = "journal.jsonl"
_LOCK = "lock"
_FORMAT = "resolvent parts 1"

_TRIES = 100
"""How often a folder may vanish while it is entered: other jobs remove theirs, and no path vanishes for ever."""


def parts_folder(out: Path) -> Path:
    """Return where the unfinished parts of an output lie."""
    return out.with_name(out.name + ".parts")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a parts folder, or None if it has none.

    Raises
    ------
    FormatError
        If it cannot be read as one.
    """
    path = folder / _MANIFEST
    if not path.exists():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest.pop("format") != _FORMAT:
            raise ValueError("unknown format")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(
            f"{path} is not a manifest that this version can read ({error}): remove {folder} to start afresh"
        ) from error
    return dict(manifest)


def is_part_of_parts(path: Path) -> bool:
    """Whether a path is that of a manifest or a journal."""
    return path.name in (_MANIFEST, _JOURNAL)


def read_journal(folder: Path) -> Journal:
    """Return what the journal of a parts folder holds, without touching it; nothing if there is none."""
    path = folder / _JOURNAL
    return parse_journal(path.read_bytes() if path.exists() else b"")


class Workspace:
    """Exclusive access to the parts folder of an output, as a context manager.

    On leaving, a folder without any finished chunk is removed, so that a failed start leaves nothing behind.

    Parameters
    ----------
    out : Path
        The file that the parts will become.
    folder : Path, optional
        That of a shard, see `sharding`.

    Raises
    ------
    OutputLockedError
        If another process works on the same output.
    StorageError
        If the folder cannot be made or holds foreign files.
    """

    def __init__(self, out: Path, folder: Path | None = None) -> None:
        self.out = out
        self.folder = parts_folder(out) if folder is None else folder
        self.records: dict[int, ChunkRecord] = {}
        self.decisions: dict[int, ChunkDecision] = {}
        self.manifest: dict[str, Any] | None = None
        self._lock: int | None = None
        self._journal: int | None = None

    def __enter__(self) -> Workspace:
        with storage_errors("work in", self.folder):
            self._refuse_foreign_files()
            self._acquire()
            try:
                for stale in self.folder.glob("*.tmp"):
                    logger.info("removing %s, which an interrupted run left unfinished", stale)
                    stale.unlink()
                self.manifest = read_manifest(self.folder)
                self.reread()
                self._remove_unknown_shards()
            except BaseException:
                self._release()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self._lock is not None:
                self.reread()
                if not self.records:
                    self.clear()
        except OSError as problem:
            logger.warning("could not remove %s: %s", self.folder, problem)
        finally:
            self._release()

    # Lock ------------------------------------------------------------------------------------------------------------

    def _acquire(self) -> None:
        for tried in itertools.count(1):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            except (FileNotFoundError, FileExistsError):
                # The folder, or that of all shards, was removed by a process that has just finished.
                if tried == _TRIES:
                    raise
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, 200).decode(errors="replace").strip()
                os.close(descriptor)
                raise OutputLockedError(
                    f"{self._what()} is being generated by another process ({holder or 'unknown'}): wait for it, or "
                    "choose another output"
                ) from None
            try:
                current = (self.folder / _LOCK).stat().st_ino == os.fstat(descriptor).st_ino
            except FileNotFoundError:
                current = False
            if current:
                break
            os.close(descriptor)  # the lock file was removed between opening and locking it
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
        self._lock = descriptor

    def _what(self) -> str:
        return str(self.out if self.folder == parts_folder(self.out) else self.folder)

    def _release(self) -> None:
        for descriptor in (self._journal, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._journal = self._lock = None

    # Manifest --------------------------------------------------------------------------------------------------------

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replace the manifest."""
        self.manifest = manifest
        content = json.dumps({"format": _FORMAT, **manifest}, indent=1, ensure_ascii=False)
        with storage_errors("write", self.folder / _MANIFEST):
            write_atomically(self.folder / _MANIFEST, content.encode())

    # Journal ---------------------------------------------------------------------------------------------------------

    def append(self, record: ChunkRecord) -> None:
        """Enter a finished chunk, durably."""
        self._append(line_of(record))
        self.records[record.chunk] = record

    def decide(self, *decisions: ChunkDecision) -> None:
        """Enter how chunks will be made, durably, before they start."""
        self._append(b"".join(map(line_of, decisions)))
        self.decisions |= {decision.chunk: decision for decision in decisions}

    def _append(self, lines: bytes) -> None:
        with storage_errors("write", self.folder / _JOURNAL):
            if self._journal is None:
                self._journal = os.open(self.folder / _JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                sync_directory(self.folder)
            end = os.fstat(self._journal).st_size
            try:
                if os.write(self._journal, lines) != len(lines):
                    raise OSError(28, os.strerror(28))
                os.fsync(self._journal)
            except OSError:
                os.ftruncate(self._journal, end)
                raise

    def reread(self) -> None:
        """Take records and decisions from the journal on disk, and cut off a torn end."""
        path = self.folder / _JOURNAL
        content = path.read_bytes() if path.exists() else b""
        found = parse_journal(content)
        if found.whole != len(content):
            logger.warning("the last line of %s was torn by a crash: its chunk is made again", path)
            os.truncate(path, found.whole)
        for number in found.damaged:
            logger.warning("line %d of %s is damaged: its chunk is made again", number, path)
        self.records, self.decisions = found.records, found.decisions

    def _remove_unknown_shards(self) -> None:
        """Remove shards that were finished but not entered: their run was killed in between."""
        known = {record.shard for record in self.records.values()}
        self._remove(path.name for path in list(self.folder.glob("shard-*.npy")) if path.name not in known)

    def check_shards(self) -> None:
        """Drop the records of shards that are missing or differ from their hash: they are made again."""
        for chunk, record in list(self.records.items()):
            if not shard_matches(self.folder / record.shard, record.sha256):
                logger.warning("%s is missing or damaged: chunk %d is made again", self.folder / record.shard, chunk)
                del self.records[chunk]

    # Cleaning --------------------------------------------------------------------------------------------------------

    def _is_ours(self, name: str) -> bool:
        return name in (_LOCK, _MANIFEST, _JOURNAL) or name.endswith((".npy", ".tmp"))

    def _refuse_foreign_files(self) -> None:
        try:
            foreign = [entry.name for entry in os.scandir(self.folder) if not self._is_ours(entry.name)]
        except (FileNotFoundError, NotADirectoryError):
            return
        if foreign:
            raise StorageError(
                f"{self.folder} holds files that are not parts of a set ({', '.join(sorted(foreign)[:3])}): move them, "
                "or choose another output"
            )

    def forget(self) -> None:
        """Remove manifest, journal and shards, and keep the lock."""
        if self._journal is not None:
            os.close(self._journal)
            self._journal = None
        # The journal goes first: without it the shards are nothing but leftovers.
        self._remove(entry.name for entry in sorted(os.scandir(self.folder), key=_journal_first) if entry.name != _LOCK)
        self.records, self.decisions, self.manifest = {}, {}, None

    def clear(self) -> None:
        """Remove the folder with all its parts, and give up the lock.

        The lock file goes last, so that nobody enters before; from then on the folder may be another run's.
        """
        self.forget()
        self._remove([_LOCK])
        with suppress(OSError):
            self.folder.rmdir()
            if self.folder != parts_folder(self.out):
                self.folder.parent.rmdir()  # the last shard takes the folder of all with it
        self._release()

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self.folder / name).unlink(missing_ok=True)


def _journal_first(entry: os.DirEntry[str]) -> bool:
    return entry.name != _JOURNAL
