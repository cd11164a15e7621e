"""Writing files so that a crash leaves either the old content or the new, never half of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DatasetError, StorageError


def sync_directory(folder: Path) -> None:
    """Make renames and removals inside a folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot, and need not
            raise
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of a closed file survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(temporary: Path, target: Path) -> None:
    """Rename a complete, synchronised temporary file of the same folder tree to its final name."""
    temporary.replace(target)
    sync_directory(target.parent)
    if temporary.parent != target.parent:
        sync_directory(temporary.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a small file by new content."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        put_in_place(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def storage_errors(what: str, path: Path) -> Iterator[None]:
    """Turn the system's errors into a `StorageError` that says what was being done, where, and what to do."""
    try:
        yield
    except DatasetError:
        raise
    except OSError as error:
        raise storage_error(what, path, error) from error


def storage_error(what: str, path: Path, error: OSError) -> StorageError:
    """Return the error to raise for a failure of the file system."""
    advice = {
        errno.ENOSPC: "the disk is full: free some space and run again, finished chunks are kept",
        errno.EDQUOT: "the disk quota is used up: free some space and run again, finished chunks are kept",
        errno.EACCES: "no permission: choose an output you may write",
        errno.EPERM: "no permission: choose an output you may write",
        errno.EROFS: "the file system is read-only: choose another output",
        errno.ENOTDIR: "a part of the path is a file, not a folder: choose another output",
        errno.ENOENT: "the folder does not exist and cannot be made: choose another output",
        errno.EISDIR: "it is a folder: give a file name",
        errno.ENAMETOOLONG: "the name is too long: choose another output",
    }
    reason = error.strerror or str(error)
    wrapped = StorageError(f"cannot {what} {path}: {advice.get(error.errno or 0, reason)}")
    wrapped.errno = error.errno
    return wrapped
