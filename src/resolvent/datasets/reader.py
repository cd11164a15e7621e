"""Reading datasets: lazily, in slices, from any number of processes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import h5py
import numpy as np

from . import families
from .choosing.chunk_decision import ChunkDecision, Share, shares, stored_decisions
from .errors import FormatError
from .family import Family, FieldSpec
from .identity import refuse_foreign
from .seeding import SPLITS
from .storage.file_format import FORMAT, FORMAT_VERSION, ROLE_GROUPS

if TYPE_CHECKING:
    from ._torch import TorchDataset

_T = TypeVar("_T")

_inherited: list[h5py.File] = []
"""Files a forked child inherited from its parent: kept, because closing them would touch the parent's locks."""


def open_dataset(path: str | Path) -> Dataset:
    """Open a dataset file for reading.

    Parameters
    ----------
    path : path
        Of an HDF5 file made by `generate`.

    Returns
    -------
    dataset : Dataset

    Raises
    ------
    FileNotFoundError
        If there is no such file; an unfinished set beside it is pointed out.
    FormatError
        If it is not a dataset of this package, is cut short or damaged, or was written by a newer version.
    """
    return Dataset(path)


class Dataset:
    """A dataset file, or a selection of its samples.

    Indexing with a number gives one sample as a dict of arrays; with a slice or an array of numbers, several along the
    first axis. Nothing is read before it is asked for. The object can be pickled and used in forked or spawned
    processes: each opens the file for itself.

    Parameters
    ----------
    path : path
    rows : (k,) int array, optional
        The samples selected; all of them by default.

    Attributes
    ----------
    path : Path
    config : dict
        All that determines the samples.
    attributes : dict
        Root attributes: title, equation, domain, boundary, law, licence, …
    fields : dict of str to FieldSpec
        The stored arrays of a sample.
    indices : (k,) int array
        Numbers of the selected samples.
    """

    def __init__(self, path: str | Path, rows: np.ndarray | None = None) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._pid = 0
        with _opened(self.path) as file:
            self.attributes, self.config = _header(self.path, file)
            self.fields = _field_specs(self.path, file, self.attributes)
        self.total = int(self.attributes["n_samples"])
        self.indices = np.arange(self.total) if rows is None else np.asarray(rows, dtype=np.int64)

    # Samples ---------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, which: int | slice | Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """Return one sample, or several stacked along the first axis, as ``{field name: array}``."""
        rows = self._rows(which)
        return {name: self._read(self._path_of(name), rows) for name in self.fields}

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return (self[i] for i in range(len(self)))

    def column(self, name: str, which: int | slice | Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Return one field (``u``) or any per-sample dataset (``certificate/rho_stored``) of the selected samples."""
        return self._read(self._path_of(name), self._rows(slice(None) if which is None else which))

    @property
    def certificates(self) -> dict[str, np.ndarray]:
        """The certificate columns of the selected samples."""
        return self._group("certificate")

    @property
    def timing(self) -> dict[str, np.ndarray]:
        """Seconds of each stage, for each selected sample."""
        return self._group("timing")

    def select(self, which: slice | Sequence[int] | np.ndarray) -> Dataset:
        """Return a dataset of some of these samples."""
        rows = self._rows(which)
        return self._with_rows(np.asarray(rows))

    def split(self, name: str) -> Dataset:
        """Return the selected samples of a split: ``train``, ``valid`` or ``test``."""
        if name not in SPLITS:
            raise ValueError(f"a split is one of {', '.join(SPLITS)}, got {name!r}")
        return self._with_rows(self.indices[self.column("split") == SPLITS.index(name)])

    # About the set ---------------------------------------------------------------------------------------------------

    @property
    def axes(self) -> dict[str, np.ndarray]:
        """Grid coordinates by name, in the order of the fields' axes."""
        group = self.file["axes"]
        return {str(name): group[str(name)][()] for name in group.attrs["order"]}

    @property
    def statistics(self) -> dict[str, dict[str, Any]]:
        """Mean, std, min, max, count, samples and skipped of each field over the train split of the whole set."""
        group = self.file["statistics"]
        return {name: {what: group[name][what][()].item() for what in group[name]} for name in self.fields}

    @property
    def provenance(self) -> dict[str, Any]:
        """Family card, solver decisions and the record of every session: versions, machine, command, date."""
        return dict(json.loads(self.file["provenance"].asstr()[()]))

    @property
    def chunks(self) -> dict[str, np.ndarray]:
        """Columns of the chunk table: index ranges, seconds by stage, workers."""
        return {name: values[()] for name, values in self.file["chunks"].items()}

    @property
    def decisions(self) -> dict[int, ChunkDecision]:
        """Method and reason of each chunk of a tuned set, by its number; empty for others."""
        return stored_decisions(self.provenance)

    @property
    def shares(self) -> tuple[Share, ...]:
        """What each method did for a tuned set, and what it took; empty for others."""
        decisions = self.decisions
        return shares(decisions, self.chunks, int(self.config["chunk"])) if decisions else ()

    @property
    def content_sha256(self) -> str:
        """Digest of parameters, inputs, solutions and certificates: equal for equal content, whenever it was made.

        For which runs it is the same is said at `generate`: not for two runs that were tuned.
        """
        return str(self.file["content_sha256"][()].decode())

    def family(self) -> Family:
        """Return the family with the options that made this set.

        Raises
        ------
        KeyError, ValueError
            If it is not a registered family of this version.
        """
        options = {key: value for key, value in self.config["family"].items() if key != "family"}
        return families.get(self.config["family"]["family"], **options)

    def torch(
        self, split: str | None = None, inputs: Sequence[str] = (), targets: Sequence[str] = (), dtype: str = "float32"
    ) -> TorchDataset:
        """Return a torch dataset of (input, target) pairs of channel-first tensors.

        Parameters
        ----------
        split : {"train", "valid", "test"}, optional
            All selected samples by default.
        inputs, targets : sequence of str
            Fields stacked as channels; all input fields and all solution fields by default.
        dtype : {"float32", "float64"}
            Of the tensors.

        Returns
        -------
        dataset : torch.utils.data.Dataset
            Items are ``(x, y)`` of shapes ``(channels, *grid)``. A number is a constant channel, a complex field
            two channels (real, imaginary).

        Raises
        ------
        ImportError
            Without torch, naming the command that installs it.
        """
        from ._torch import TorchDataset

        return TorchDataset(self if split is None else self.split(split), inputs, targets, dtype)

    # File ------------------------------------------------------------------------------------------------------------

    @property
    def file(self) -> h5py.File:
        """The open HDF5 file of this process."""
        if self._file is not None and self._pid != os.getpid():
            _inherited.append(self._file)
            self._file = None
        if self._file is None:
            self._file = _opened(self.path)
            self._pid = os.getpid()
        return self._file

    def close(self) -> None:
        """Close the file; reading reopens it."""
        if self._file is not None and self._pid == os.getpid():
            self._file.close()
        self._file = None

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def __repr__(self) -> str:
        part = "" if len(self) == self.total else f" of {self.total}"
        shapes = ", ".join(f"{name} {spec.shape or ''}".strip() for name, spec in self.fields.items())
        return f"Dataset({str(self.path)!r}: {self.attributes['family']}, {len(self)}{part} samples of {shapes})"

    # Reading ---------------------------------------------------------------------------------------------------------

    def _with_rows(self, rows: np.ndarray) -> Dataset:
        other = object.__new__(Dataset)
        other.__dict__.update(self.__getstate__(), indices=rows)
        return other

    def _path_of(self, name: str) -> str:
        if name in self.fields:
            return f"{ROLE_GROUPS[self.fields[name].role]}/{name}"
        if name not in self.file or not isinstance(self.file[name], h5py.Dataset) or self.file[name].shape == ():
            known = ", ".join((*self.fields, "index", "split", "certificate/…", "timing/…", "digests/…"))
            raise KeyError(f"{self.path} has no per-sample dataset {name!r}: expected one of {known}")
        return name

    def _rows(self, which: Any) -> Any:
        """Return a sample number or an array of them, from positions among the selected samples."""
        if isinstance(which, slice):
            return self.indices[which]
        positions = np.asarray(which)
        if positions.dtype.kind == "b" and positions.shape != self.indices.shape:
            raise IndexError(f"a mask needs one entry for each of the {len(self)} samples, got shape {positions.shape}")
        if positions.size == 0:
            return self.indices[:0]
        if positions.dtype.kind not in "iub" or positions.ndim > 1:
            raise TypeError(
                f"samples are selected by a number, a slice or a list of numbers, got {which!r}; column(name) reads a "
                "field of all samples"
            )
        try:
            return self.indices[positions]
        except IndexError:
            raise IndexError(f"sample {which!r} is out of range: there are {len(self)} samples") from None

    def _read(self, path: str, rows: Any) -> np.ndarray:
        dataset = self.file[path]
        if np.ndim(rows) == 0:
            return np.asarray(dataset[int(rows)], dtype=dataset.dtype)
        out = np.empty((len(rows), *dataset.shape[1:]), dtype=dataset.dtype)
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        for start, stop in zip((0, *breaks), (*breaks, len(rows)), strict=True):
            if stop > start:  # a run of consecutive samples is one read
                out[start:stop] = dataset[int(rows[start]) : int(rows[stop - 1]) + 1]
        return out

    def _group(self, group: str) -> dict[str, np.ndarray]:
        return {name: self._read(f"{group}/{name}", self.indices) for name in self.file[group]}


def _opened(path: Path) -> h5py.File:
    """Open an HDF5 file for reading, or say what is wrong with it."""
    if not path.exists():
        parts = path.with_name(path.name + ".parts")
        shards = path.with_name(path.name + ".shards")
        unfinished = f"; {parts} holds an unfinished set: generate it again to resume" if parts.is_dir() else ""
        unfinished = f"; {shards} holds shards of it: merge them" if shards.is_dir() else unfinished
        raise FileNotFoundError(f"there is no dataset {path}{unfinished}")
    refuse_foreign(path)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "truncated" in str(error):
            raise FormatError(f"{path} is cut short: copy or generate it again ({error})") from error
        if isinstance(error, PermissionError):
            raise
        raise FormatError(f"{path} is damaged: it cannot be read as HDF5 ({error})") from error


def _header(path: Path, file: h5py.File) -> tuple[dict[str, Any], dict[str, Any]]:
    def read() -> tuple[dict[str, Any], dict[str, Any]]:
        attributes = {name: _plain(value) for name, value in file.attrs.items()}
        if attributes.get("format") != FORMAT:
            raise FormatError(
                f"{path} is an HDF5 file but not a dataset of this package: expected the root attribute "
                f"format = {FORMAT!r}, found {attributes.get('format')!r}"
            )
        if int(attributes["format_version"]) > FORMAT_VERSION:
            raise FormatError(
                f"{path} has format version {attributes['format_version']}, this version reads up to {FORMAT_VERSION}: "
                "upgrade resolvent"
            )
        return attributes, json.loads(attributes.pop("config"))

    return _guarded(path, read)


def _field_specs(path: Path, file: h5py.File, attributes: Mapping[str, Any]) -> dict[str, FieldSpec]:
    def read() -> dict[str, FieldSpec]:
        specs = {}
        n = int(attributes["n_samples"])
        paths = {name: group + "/" + name for group in ROLE_GROUPS.values() if group in file for name in file[group]}
        roles = {group: role for role, group in ROLE_GROUPS.items()}
        for name in attributes["fields"]:
            dataset = file[paths[name]]
            texts = {key: str(dataset.attrs[key]) for key in ("description", "units", "kind")}
            specs[name] = FieldSpec(tuple(dataset.shape[1:]), roles[paths[name].partition("/")[0]], **texts)
        for name in ("index", "split", "digests/sample", *paths.values()):
            if file[name].shape[0] != n:
                raise FormatError(f"{path} is damaged: {name} has {file[name].shape[0]} samples, expected {n}")
        return specs

    return _guarded(path, read)


def _guarded(path: Path, read: Callable[[], _T]) -> _T:
    """Call `read`, turning what a damaged file can cause in HDF5 into a FormatError."""
    try:
        return read()
    except FormatError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError, AttributeError, TypeError) as error:
        raise FormatError(f"{path} is damaged: its structure cannot be read ({error})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
