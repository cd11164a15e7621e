"""The dataset file: its specification, and the columns that a family's samples have in it.

File format, version 1
----------------------
A dataset is one HDF5 file, readable by any HDF5 library since 1.8; nothing in it needs this package. The first axis of
every per-sample dataset is the sample, N long. All of these are contiguous and little-endian, so that one sample of a
field is one run of bytes.

**User block.** The first 512 bytes are text, ignored by HDF5 libraries: a line ``resolvent dataset``, a line
``sha256 of the bytes from 512 on: <64 hexadecimal digits>``, then zeros. `h5repack` and a change of the file remove or
invalidate it; the digests below then still certify every number.

**Root attributes.** ``format`` = ``resolvent dataset``, ``format_version`` = 1, ``n_samples``, ``family``, ``title``,
``equation``, ``domain``, ``boundary``, ``law`` (of the inputs), ``licence``, ``seed``, ``code_version``, ``created``
(UTC) and ``config`` (JSON: everything that determines the samples).

=============================  ==============  ======================================================================
dataset                        shape           content
=============================  ==============  ======================================================================
``index``                      (N,) int64      number of the sample in the random stream, 0 … N−1
``split``                      (N,) uint8      0 train, 1 valid, 2 test
``params/<name>``              (N, …)          parameters, always float64 (or complex128, int64, bool)
``inputs/<name>``              (N, …)          input fields, in the precision of the set
``solution/<name>``            (N, …)          solution fields, in the precision of the set
``certificate/rho_float64``    (N,) float64    ‖b − A u‖₂/‖b‖₂ of the solution before storing
``certificate/rho_stored``     (N,) float64    the same for the solution as stored, A and b from the stored inputs
``certificate/rounding_error`` (N,) float64    ‖u_stored − u‖₂/‖u‖₂, 0 in double precision
``certificate/tolerance``      (N,) float64    largest rho_float64 accepted
``certificate/iterations``     (N,) int64      of the solver
``certificate/status``         (N,) S16        how the solver ended, such as ``CONVERGED``
``certificate/certified``      (N,) bool       rho_float64 ≤ tolerance
``certificate/<evidence>``     (N,) float64    of trajectories only: what rho is the largest of, before storing
``digests/<group>/<name>``     (N, 32) uint8   SHA-256 of one sample of one of the columns above, from ``params`` on
``digests/sample``             (N, 32) uint8   SHA-256 of the sample
``timing/<stage>``             (N,) float64    seconds: draw, assemble, solve, certify, write
``axes/<name>``                (points,)       grid coordinates; the order of the fields' axes is attribute ``order``
``statistics/<name>/<what>``   ()              mean, std, min, max, count, samples, skipped over the train split
``chunks/<name>``              (chunks,)       one entry a unit of work: index range, seconds by stage, worker, digest;
                                               ``seconds_setup``, a part of ``seconds_solve``, is not in older files
``provenance``                 () string       JSON: family card, solver choice, evidence about the discretisation, and
                                               versions, machine, command and date of every session; of a tuned set
                                               also ``tuning``: ``arms`` (name to method) and ``decisions`` (a list of
                                               [chunk, arm, reason])
``content_sha256``             () S64          SHA-256 of the set's content, hexadecimal
=============================  ==============  ======================================================================

For trajectories, rho is no residual but the largest of the evidence numbers, see `transient`; ``iterations`` are time
steps, and the solution fields begin with an axis of times.

Fields carry the attributes ``description``, ``units`` and ``kind``; the group of a field is its role.

**Digests.** A column's header is the ASCII text ``<path> <numpy dtype string> <shape of one sample>`` and a newline,
for example ``inputs/a <f8 (64, 64)``. The digest of one sample of a column is the SHA-256 of the header and of the
bytes of the sample in C order. The digest of a sample is the SHA-256 of its index (8 bytes, little-endian) and of its
column digests in alphabetical order of their paths. The content digest of the set is the SHA-256 of the line
``resolvent content 1`` and of the digests of its samples in order of their index. Times, host and date enter none of
them: on one machine with one set of versions, a repeated, resumed or extended run has the same content digest,
whatever the number of workers. With ``solver="tuned"`` times decide which method makes a chunk, so that holds for a
replay of its decisions only, see `generate`.

**Not compressed.** Double-precision fields of lognormal coefficients and their solutions shrink by a fifth only, at a
thirtieth of the writing speed. ``h5repack -f SHUF -f GZIP=1`` compresses a finished file, which stays readable here;
for two-phase coefficients that is worth it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import FormatError
from ..family import Family, FieldSpec

FORMAT = "resolvent dataset"
FORMAT_VERSION = 1
USER_BLOCK = 512
ROLE_GROUPS = {"parameter": "params", "input": "inputs", "solution": "solution"}
STAGES = ("draw", "assemble", "solve", "certify", "write")
"""Stages with one time a sample; the chunk table has ``sort``, ``wall`` and ``setup``, a part of ``solve``, besides."""
DIGEST_BYTES = 32
_HASH_LINE = b"sha256 of the bytes from 512 on: "
_BLOCK = 1 << 20
_LARGEST_SAMPLE = (1 << 31) - 1
"""Bytes of an element of a numpy array."""


@dataclasses.dataclass(frozen=True)
class Column:
    """One per-sample dataset of the file.

    Attributes
    ----------
    path : str
        Such as ``inputs/a``.
    shape : tuple of int
        Of one sample.
    dtype : numpy dtype
        Little-endian.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype
    description: str
    units: str = "1"
    kind: str = "real"

    @property
    def name(self) -> str:
        """The path without its group."""
        return self.path.rpartition("/")[2]

    def digest(self, value: np.ndarray) -> bytes:
        """Return the SHA-256 of one sample of this column."""
        array = np.ascontiguousarray(value, dtype=self.dtype)
        header = f"{self.path} {self.dtype.str} {tuple(self.shape)}\n".encode()
        return hashlib.sha256(header + array.tobytes()).digest()


CERTIFICATE = (
    Column("certificate/rho_float64", (), np.dtype("<f8"), "relative residual of the solution before storing"),
    Column("certificate/rho_stored", (), np.dtype("<f8"), "relative residual of the solution as stored"),
    Column("certificate/rounding_error", (), np.dtype("<f8"), "relative change of the solution by storing"),
    Column("certificate/tolerance", (), np.dtype("<f8"), "largest rho_float64 accepted"),
    Column("certificate/iterations", (), np.dtype("<i8"), "iterations of the solver", kind="integer"),
    Column("certificate/status", (), np.dtype("S16"), "how the solver ended", kind="text"),
    Column("certificate/certified", (), np.dtype("?"), "whether rho_float64 is within the tolerance", kind="boolean"),
)


class Layout:
    """The columns of a family's samples in one storage precision.

    Parameters
    ----------
    family : Family
    dtype : {"float64", "float32"}
        Precision of real and complex inputs and solutions.

    Attributes
    ----------
    fields : dict of str to Column
        By bare name, in the family's order.
    evidence : tuple of Column
        Columns that the family's certificates have besides the common ones.
    content : tuple of Column
        What the digests cover: fields and certificate, sorted by path.
    record : numpy dtype
        One sample with its digests and, last, its times: the element type of a shard.
    """

    def __init__(self, family: Family, dtype: str) -> None:
        self.fields = {name: _field_column(name, spec, dtype) for name, spec in family.fields().items()}
        self.specs = dict(family.fields())
        self.evidence = tuple(
            Column(f"certificate/{name}", (), np.dtype("<f8"), meaning) for name, meaning in family.evidence.items()
        )
        columns = (*self.fields.values(), *CERTIFICATE, *self.evidence)
        self.content = tuple(sorted(columns, key=lambda column: column.path))
        self.digests = tuple(
            Column(f"digests/{path}", (DIGEST_BYTES,), np.dtype("u1"), f"SHA-256 of {path}", kind="integer")
            for path in (*(column.path for column in self.content), "sample")
        )
        self.timing = tuple(Column(f"timing/{s}", (), np.dtype("<f8"), f"{s} time", "s") for s in STAGES)
        self.index = Column("index", (), np.dtype("<i8"), "number of the sample in the random stream", kind="integer")
        self.split = Column("split", (), np.dtype("u1"), "0 train, 1 valid, 2 test", kind="integer")
        stored = (self.index, *self.content, *self.digests, *self.timing)
        _refuse_large_sample(stored)
        self.record = np.dtype([(column.path, column.dtype, column.shape) for column in stored])
        self.timing_offset: int = self.record.fields[f"timing/{STAGES[0]}"][1]  # type: ignore[index]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Every per-sample dataset of the file."""
        return (self.index, self.split, *self.content, *self.digests, *self.timing)

    def names(self, *roles: str) -> list[str]:
        """Return the names of the fields of these roles."""
        return [name for name, spec in self.specs.items() if spec.role in roles]


def _refuse_large_sample(columns: Sequence[Column]) -> None:
    """Raise ValueError for a sample larger than an array element can be."""
    size = sum(column.dtype.itemsize * math.prod(map(int, column.shape)) for column in columns)
    if size > _LARGEST_SAMPLE:
        largest = max(columns, key=lambda column: column.dtype.itemsize * math.prod(map(int, column.shape)))
        shape = " × ".join(map(str, largest.shape))
        raise ValueError(
            f"one sample would take {size / 2**30:.4g} GiB ({largest.path} alone is {shape}), at most 2 GiB can be "
            "stored: lower the resolution"
        )


def _field_column(name: str, spec: FieldSpec, dtype: str) -> Column:
    if spec.role not in ROLE_GROUPS:
        raise ValueError(f"field {name!r} has role {spec.role!r}, expected one of {', '.join(ROLE_GROUPS)}")
    if "/" in name or name in (".", ""):
        raise ValueError(f"a field name becomes a dataset name in HDF5 and cannot be {name!r}")
    single = dtype == "float32" and spec.role != "parameter"
    kinds = {"real": "<f8", "complex": "<c16", "integer": "<i8", "boolean": "?"}
    if single:
        kinds |= {"real": "<f4", "complex": "<c8"}
    if spec.kind not in kinds:
        raise ValueError(f"field {name!r} has kind {spec.kind!r}, expected one of {', '.join(kinds)}")
    path = f"{ROLE_GROUPS[spec.role]}/{name}"
    return Column(path, tuple(spec.shape), np.dtype(kinds[spec.kind]), spec.description, spec.units, spec.kind)


def sample_digest(index: int, digests: Mapping[str, bytes]) -> bytes:
    """Return the digest of a sample from those of its content columns, keyed by path."""
    return hashlib.sha256(int(index).to_bytes(8, "little") + b"".join(digests[p] for p in sorted(digests))).digest()


class ContentDigest:
    """Accumulates the content digest of a set from the digests of its samples, in index order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(b"resolvent content 1\n")

    def add(self, sample_digests: np.ndarray) -> None:
        """Add the (k, 32) digests of the next samples."""
        self._hash.update(np.ascontiguousarray(sample_digests, dtype=np.uint8).tobytes())

    def hexdigest(self) -> str:
        """Return the digest of all samples added so far."""
        return self._hash.hexdigest()


def hash_file(path: str | Path, offset: int = 0) -> str:
    """Return the SHA-256 of a file from byte `offset` on, read in blocks of a megabyte."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        file.seek(offset)
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def user_block(file_sha256: str) -> bytes:
    """Return the 512 bytes that precede the HDF5 data of a published file."""
    return (FORMAT.encode() + b"\n" + _HASH_LINE + file_sha256.encode() + b"\n").ljust(USER_BLOCK, b"\0")


def stored_file_sha256(path: str | Path) -> str | None:
    """Return the hash that a file states about itself, or None if it has no user block of ours.

    Raises
    ------
    FormatError
        If the block is there but not as it was written.
    """
    with Path(path).open("rb") as file:
        block = file.read(USER_BLOCK)
    if block.startswith(b"\x89HDF\r\n\x1a\n"):
        return None
    start = len(FORMAT) + 1 + len(_HASH_LINE)
    try:
        text = block[start : start + 64].decode("ascii")
    except UnicodeDecodeError:
        text = ""
    if block != user_block(text):
        raise FormatError(f"the first {USER_BLOCK} bytes of {path} are not as written: the file was altered or damaged")
    return text
