"""Shards: what a worker writes.

A shard holds consecutive samples as a one-dimensional array of records in NumPy's ``.npy`` format, readable with
``numpy.load(path)``. Its record type comes from `file_format.Layout`. Samples are written one by one, each to its
place in whatever order they are made, so that a worker holds one of them in memory; the file is then synchronised and
renamed, and its SHA-256 goes into the journal: taken while writing where samples come in the order of the file, and
from the file where they do not. HDF5 appears only where one process writes the finished file: a full disk or a kill
can then never leave an HDF5 library in a state from which it does not recover.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from io import BufferedWriter, BytesIO
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import FormatError
from .durable import put_in_place, storage_errors
from .file_format import hash_file

_BUFFER = 1 << 20


class ShardWriter:
    """Writes records into a shard that appears under its name only when it is complete.

    Parameters
    ----------
    path : Path
        Final name. The temporary file lies beside it.
    dtype : numpy dtype
        Record type.
    count : int
        Number of records that will be written.
    timing_offset : int
        Where the times start in a record; what precedes them is written first, see `write`.

    Raises
    ------
    StorageError
        When the disk is full or the folder is gone; the temporary file is removed.
    """

    def __init__(self, path: Path, dtype: np.dtype, count: int, timing_offset: int) -> None:
        self.path, self.count, self.dtype = path, count, dtype
        self.written: set[int] = set()
        self._in_order = True
        self._timing_offset = timing_offset
        # A task that outlived its run must not write into the file of its successor, on whatever host.
        self._temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        self._sha256 = hashlib.sha256()
        with storage_errors("write", path):
            self._raw = self._temporary.open("wb", buffering=0)
            self._file = BufferedWriter(self._raw, _BUFFER)
        header = _header(dtype, count)
        self._data = len(header)
        self._write(header)

    def write(self, position: int, record: np.ndarray, stop_clock: Callable[[np.ndarray], None]) -> None:
        """Write one record to its place, counted from 0.

        `stop_clock(record)` is called between its content and its times, and fills in the time of writing.
        """
        if not 0 <= position < self.count or position in self.written:
            raise RuntimeError(f"shard {self.path.name} has no free place {position} of {self.count} for a record")
        self._in_order = self._in_order and position == len(self.written)
        if not self._in_order:
            with storage_errors("write", self.path):
                self._file.seek(self._data + position * self.dtype.itemsize)
        content = memoryview(record.reshape(1).view(np.uint8))  # type: ignore[arg-type]
        self._write(content[: self._timing_offset])
        stop_clock(record)
        self._write(content[self._timing_offset :])
        self.written.add(position)

    def commit(self) -> str:
        """Synchronise the file, give it its name and return its SHA-256."""
        if len(self.written) != self.count:
            raise RuntimeError(
                f"shard {self.path.name} was announced with {self.count} records, got {len(self.written)}"
            )
        with storage_errors("write", self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            sha256 = self._sha256.hexdigest() if self._in_order else hash_file(self._temporary)
            put_in_place(self._temporary, self.path)
        return sha256

    def discard(self) -> None:
        """Remove what was written, unless it was committed."""
        self._raw.close()  # without flushing the buffer, which a full disk would refuse again
        self._temporary.unlink(missing_ok=True)

    def _write(self, content: bytes | memoryview) -> None:
        if self._in_order:
            self._sha256.update(content)
        with storage_errors("write", self.path):
            self._file.write(content)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.discard()


def _header(dtype: np.dtype, count: int) -> bytes:
    buffer = BytesIO()
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_2_0(buffer, description)
    return buffer.getvalue()


def shard_matches(path: Path, sha256: str) -> bool:
    """Whether a shard is there and has the content that its journal line states."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def read_shard(
    path: Path, dtype: np.dtype, sha256: str, rows: range, block_bytes: int = 1 << 22
) -> Iterator[np.ndarray]:
    """Yield the records of some rows in blocks of bounded size, and check the whole file on the way.

    Parameters
    ----------
    path : Path
    dtype : numpy dtype
        The record type expected.
    sha256 : str
        Of the file, from the journal.
    rows : range
        Consecutive rows to yield.

    Raises
    ------
    FormatError
        If the file is not what the journal says; raised at the latest after the last block.
    """
    digest = hashlib.sha256()
    damaged = FormatError(
        f"shard {path} is not what the journal says: it was altered or damaged. Run the same command again: "
        "the shard is made afresh"
    )
    with path.open("rb") as file:
        try:
            if np.lib.format.read_magic(file) != (2, 0):
                raise damaged
            shape, _, found = np.lib.format.read_array_header_2_0(file)
        except ValueError as error:
            raise damaged from error
        if found != dtype or len(shape) != 1 or shape[0] < rows.stop:
            raise damaged
        data = file.tell()
        file.seek(0)
        digest.update(file.read(data))
        per_block = max(1, block_bytes // dtype.itemsize)
        for first in range(0, shape[0], per_block):
            count = min(per_block, shape[0] - first)
            content = file.read(count * dtype.itemsize)
            if len(content) != count * dtype.itemsize:
                raise damaged
            digest.update(content)
            wanted = slice(max(rows.start - first, 0), max(rows.stop - first, 0))
            block = np.frombuffer(content, dtype=dtype)[wanted]
            if block.size:
                yield block
        digest.update(file.read())
    if digest.hexdigest() != sha256:
        raise damaged
