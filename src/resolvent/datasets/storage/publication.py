"""Making one self-contained HDF5 file of finished chunks.

The HDF5 library writes the structure only: groups, attributes, small tables, and the per-sample datasets allocated but
empty. Their numbers are then written to their places by ordinary positioned writes, in blocks of bounded size. A full
disk is so an ordinary error with nothing left behind (inside the HDF5 library it can end the interpreter), and memory
does not grow with the set.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import FormatError
from ..family import Family
from ..seeding import SPLITS, SplitAssigner
from ..worker import ChunkRecord, content_digests
from .durable import put_in_place, storage_errors, sync_file
from .file_format import (
    FORMAT,
    FORMAT_VERSION,
    STAGES,
    USER_BLOCK,
    Column,
    ContentDigest,
    Layout,
    hash_file,
    user_block,
)
from .shards import read_shard
from .statistics import RunningStatistics

logger = logging.getLogger(__name__)

_BLOCK_BYTES = 1 << 22
_STRUCTURE_BYTES = 1 << 20
"""Upper bound of what HDF5 writes for the structure, apart from axes, tables and provenance."""

Block = Mapping[str, np.ndarray]
"""Some consecutive samples: arrays by path."""


def publish(
    out: Path,
    temporary: Path,
    *,
    family: Family,
    layout: Layout,
    n: int,
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    attributes: Mapping[str, Any],
    blocks: Iterator[Block],
    chunks: Mapping[str, np.ndarray],
    on_samples: Callable[[int], None] | None = None,
) -> str:
    """Write the dataset file and put it in place; return its content digest.

    Parameters
    ----------
    out, temporary : Path
        Final name, and where the file is built (same file system).
    blocks : iterator of Block
        All samples 0 … n − 1 in order, in blocks.
    chunks : dict
        Columns of the chunk table.
    on_samples : callable, optional
        Called with the number of samples written so far.

    Raises
    ------
    StorageError
        When the file cannot be written; nothing is left of it.
    FormatError
        When a block is not what its shard or file announced.
    """
    try:
        with storage_errors("write", out):
            tables = (*family.axes().values(), *chunks.values())
            size = len(json.dumps(provenance).encode()) + sum(np.asarray(table).nbytes for table in tables)
            _reserve(temporary, _STRUCTURE_BYTES + 2 * size)
            offsets = _write_structure(temporary, family, layout, n, config, provenance, attributes, chunks)
            content = _write_numbers(temporary, layout, n, config, blocks, offsets, on_samples)
            _read_back(temporary, n, content)
            _seal(temporary)
            put_in_place(temporary, out)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return content


def _reserve(temporary: Path, size: int) -> None:
    """Fail now, and with an ordinary error, if there is no room even for the structure."""
    with temporary.open("wb") as file:
        file.write(bytes(size))
        file.flush()
        os.fsync(file.fileno())


def _write_structure(
    temporary: Path,
    family: Family,
    layout: Layout,
    n: int,
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    attributes: Mapping[str, Any],
    chunks: Mapping[str, np.ndarray],
) -> dict[str, tuple[int, np.dtype]]:
    """Write the file without its numbers; return offset and type of each dataset still to fill."""
    with h5py.File(temporary, "w", userblock_size=USER_BLOCK, libver=("earliest", "v108"), track_order=False) as file:
        file.attrs.update({"format": FORMAT, "format_version": FORMAT_VERSION, "n_samples": n, **attributes})
        file.attrs["config"] = json.dumps(config, ensure_ascii=False)
        file.attrs["fields"] = list(layout.fields)
        file["provenance"] = json.dumps(provenance, ensure_ascii=False, indent=1)
        axes = file.create_group("axes")
        axes.attrs["order"] = list(family.axes())
        for name, axis in family.axes().items():
            axes[name] = np.asarray(axis, dtype="<f8")
        table = file.create_group("chunks")
        for name, values in chunks.items():
            table[name] = values
        empty: dict[str, h5py.Dataset] = {}
        for column in layout.columns:
            dataset = _allocate(file, column.path, (n, *column.shape), column.dtype)
            dataset.attrs.update({"description": column.description, "units": column.units, "kind": column.kind})
            empty[column.path] = dataset
        file["split"].attrs["names"] = list(SPLITS)
        for name, column in layout.fields.items():
            kinds = {"mean": "<c16" if column.dtype.kind == "c" else "<f8"}
            kinds |= dict.fromkeys(("std", "min", "max"), "<f8") | dict.fromkeys(("count", "samples", "skipped"), "<i8")
            for what, kind in kinds.items():
                path = f"statistics/{name}/{what}"
                empty[path] = _allocate(file, path, (), np.dtype(kind))
        empty["content_sha256"] = _allocate(file, "content_sha256", (), np.dtype("S64"))
        return {path: (int(ds.id.get_offset()), ds.dtype) for path, ds in empty.items()}


def _allocate(file: h5py.File, path: str, shape: tuple[int, ...], dtype: np.dtype) -> h5py.Dataset:
    """Make a contiguous dataset whose space is set aside but not written."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.CONTIGUOUS)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    group, _, name = path.rpartition("/")
    parent = file.require_group(group) if group else file
    space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
    kind = h5py.h5t.py_create(dtype, logical=True)
    return h5py.Dataset(h5py.h5d.create(parent.id, name.encode(), kind, space, dcpl=plist))


def _write_numbers(
    temporary: Path,
    layout: Layout,
    n: int,
    config: Mapping[str, Any],
    blocks: Iterator[Block],
    offsets: Mapping[str, tuple[int, np.dtype]],
    on_samples: Callable[[int], None] | None,
) -> str:
    splits = SplitAssigner(config["splits"])
    statistics = {name: RunningStatistics() for name in layout.fields}
    content = ContentDigest()
    descriptor = os.open(temporary, os.O_WRONLY)
    try:
        done = 0
        for block in blocks:
            index = np.asarray(block["index"])
            if not np.array_equal(index, np.arange(done, done + len(index))):
                raise FormatError(f"expected samples from {done} on, found {index[:3]}…: run the same command again")
            split = splits.take(len(index))
            for column in layout.columns:
                values = split if column.path == "split" else block[column.path]
                values = np.ascontiguousarray(values, dtype=column.dtype)
                row = column.dtype.itemsize * int(np.prod(column.shape, dtype=np.int64))
                _write_at(descriptor, values, offsets[column.path][0] + done * row)
            for name, column in layout.fields.items():
                for values in np.asarray(block[column.path])[split == 0]:
                    statistics[name].add(values)
            content.add(block["digests/sample"])
            done += len(index)
            if on_samples is not None:
                on_samples(done)
        if done != n:
            raise FormatError(f"expected {n} samples, found {done}: run the same command again")
        late: dict[str, Any] = {"content_sha256": content.hexdigest().encode()}
        for name, running in statistics.items():
            late |= {f"statistics/{name}/{what}": value for what, value in running.summary().items()}
        for path, value in late.items():
            offset, dtype = offsets[path]
            _write_at(descriptor, np.asarray(value).astype(dtype), offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return content.hexdigest()


def _write_at(descriptor: int, values: np.ndarray, offset: int) -> None:
    """Write all bytes of an array at a position; a short write is continued, so that a full disk raises."""
    content = memoryview(values.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    while content:
        written = os.pwrite(descriptor, content, offset)
        content, offset = content[written:], offset + written


def _read_back(temporary: Path, n: int, content: str) -> None:
    """Check through HDF5 that the numbers are where the library looks for them."""
    with h5py.File(temporary, "r") as file:
        if not np.array_equal(file["index"][:], np.arange(n)) or file["content_sha256"][()].decode() != content:
            raise FormatError(
                f"{temporary} does not read back as written: HDF5 {h5py.version.hdf5_version} reports other offsets "
                "than expected; please report this with the version"
            )


def _seal(temporary: Path) -> None:
    """Put the hash of the file into its user block."""
    digest = hash_file(temporary, USER_BLOCK)
    descriptor = os.open(temporary, os.O_WRONLY)
    try:
        os.pwrite(descriptor, user_block(digest), 0)
    finally:
        os.close(descriptor)
    sync_file(temporary)


# Where blocks come from -----------------------------------------------------------------------------------------------


def blocks_of_shards(folder: Path, layout: Layout, records: Sequence[tuple[ChunkRecord, int, int]]) -> Iterator[Block]:
    """Yield blocks of finished chunks: of each record the samples from the first number to before the second."""
    for record, start, stop in records:
        rows = range(start - record.start, stop - record.start)
        blocks = read_shard(folder / record.shard, layout.record, record.sha256, rows, _BLOCK_BYTES)
        yield from ({name: block[name] for name in layout.record.names or ()} for block in blocks)


def blocks_of_file(path: Path, layout: Layout, n: int) -> Iterator[Block]:
    """Yield blocks of the first n samples of a published file, each number checked against its digest."""
    per_block = max(1, _BLOCK_BYTES // layout.record.itemsize)
    stored = [column for column in layout.columns if column.path != "split"]
    with h5py.File(path, "r") as file:
        for first in range(0, n, per_block):
            rows = slice(first, min(first + per_block, n))
            block = {column.path: file[column.path][rows] for column in stored}
            for row, index in enumerate(block["index"]):
                _check_digests(path, layout.content, block, row, int(index))
            yield block


def _check_digests(path: Path, columns: Sequence[Column], block: Block, row: int, index: int) -> None:
    digests = content_digests(columns, {column.path: block[column.path][row] for column in columns})
    for name, digest in digests.items():
        if digest != block[f"digests/{name}"][row].tobytes():
            raise FormatError(f"{path}: {name} of sample {index} is not as it was written; `verify` lists all damage")


def chunk_table(records: Sequence[ChunkRecord]) -> dict[str, np.ndarray]:
    """Return the chunk table of finished chunks as columns."""
    table: dict[str, np.ndarray] = {
        name: np.array([getattr(record, name) for record in records], dtype="<i8")
        for name in ("chunk", "start", "stop", "failed", "iterations", "pid")
    }
    for name in ("worst_rho", "peak_mib"):
        table[name] = np.array([getattr(record, name) for record in records], dtype="<f8")
    for stage in (*STAGES, "sort", "setup", "wall"):
        # What an older version journaled knew of no set-up.
        table[f"seconds_{stage}"] = np.array([record.seconds.get(stage, 0.0) for record in records], dtype="<f8")
    table["host"] = np.array([record.host.encode() for record in records], dtype="S64")
    table["shard_sha256"] = np.array([record.sha256.encode() for record in records], dtype="S64")
    return table


def extended_table(path: Path, table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the chunk table of a published file followed by another one; what an older one lacks is 0 there."""
    with h5py.File(path, "r") as file:
        old = {name: column[()] for name, column in file["chunks"].items()}
    rows = len(old["chunk"])
    return {
        name: np.concatenate([old.get(name, np.zeros(rows, dtype=values.dtype)), values])
        for name, values in table.items()
    }
