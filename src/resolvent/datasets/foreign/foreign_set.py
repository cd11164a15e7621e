"""A dataset in somebody else's format, read like one of ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..family import FieldSpec
from ..seeding import SPLITS

ReadSample = Callable[[str, int], np.ndarray]
"""Field name and sample number to the array of that sample."""


@dataclasses.dataclass(frozen=True, repr=False)
class ForeignSet:
    """Samples of a foreign file or folder, read lazily; made by `open_foreign`.

    Indexing with a number gives one sample as a dict of arrays; with a slice or numbers, several along the first axis.

    Attributes
    ----------
    path : Path
    format : str
        ``pdebench``, ``the_well`` or ``neuraloperator``.
    layout : str
        Which layout of that format, such as ``darcy``.
    fields : dict of str to FieldSpec
        Names as in the file, with shapes and roles: ``parameter`` (numbers), ``input`` (fixed fields) or ``solution``.
    axes : dict of str to array
        Coordinates by name; empty where the format has none and no record of this package lies beside the files.
    attributes : dict
        What the file says of itself.
    split_of : (N,) uint8 array
        0 train, 1 valid, 2 test, as the format's own loader divides them, or as stored.
    index : (n,) int array
        Selected samples, by position in the file.
    """

    path: Path
    format: str
    layout: str
    fields: Mapping[str, FieldSpec]
    axes: Mapping[str, np.ndarray]
    attributes: Mapping[str, Any]
    split_of: np.ndarray
    read: ReadSample
    release: Callable[[], None]
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, which: int | slice | Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """Return one sample, or several stacked along the first axis, as ``{field name: array}``."""
        return {name: self.column(name, which) for name in self.fields}

    def column(self, name: str, which: int | slice | Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Return one field of one or several samples; of all selected ones by default.

        Raises
        ------
        KeyError
            For a name that is not among the fields.
        IndexError
            For a sample that is not there.
        """
        if name not in self.fields:
            raise KeyError(f"{self.path} has no field {name!r}: expected one of {', '.join(self.fields)}")
        try:
            rows = self.index[slice(None) if which is None else which]
        except IndexError:
            raise IndexError(f"sample {which!r} is out of range: there are {len(self)} samples") from None
        if np.ndim(rows) == 0:
            return self.read(name, int(rows))
        samples = [self.read(name, int(row)) for row in rows]
        return np.stack(samples) if samples else np.empty((0, *self.fields[name].shape))

    def names(self, *roles: str) -> list[str]:
        """Return the names of the fields of these roles."""
        return [name for name, spec in self.fields.items() if spec.role in roles]

    def split(self, name: str) -> ForeignSet:
        """Return the selected samples of a split: ``train``, ``valid`` or ``test``."""
        if name not in SPLITS:
            raise ValueError(f"a split is one of {', '.join(SPLITS)}, got {name!r}")
        return self.select(np.flatnonzero(self.split_of[self.index] == SPLITS.index(name)))

    def select(self, which: slice | Sequence[int] | np.ndarray) -> ForeignSet:
        """Return some of the selected samples."""
        return dataclasses.replace(self, index=self.index[which])

    def close(self) -> None:
        """Close the files; reading again opens them again."""
        self.release()

    def __enter__(self) -> ForeignSet:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        part = "" if len(self) == len(self.split_of) else f" of {len(self.split_of)}"
        shapes = ", ".join(f"{name} {spec.shape or ''}".strip() for name, spec in self.fields.items())
        return f"ForeignSet({str(self.path)!r}: {self.format}, {self.layout}, {len(self)}{part} samples of {shapes})"


class OpenFiles:
    """HDF5 files that are opened when they are read, a few at a time."""

    def __init__(self, limit: int = 16) -> None:
        self.limit = limit
        self._files: dict[Path, Any] = {}

    def __call__(self, path: Path) -> Any:
        """Return an open file."""
        import h5py

        if path not in self._files:
            while len(self._files) >= self.limit:
                self._files.pop(next(iter(self._files))).close()
            self._files[path] = h5py.File(path, "r")
        return self._files[path]

    def close(self) -> None:
        """Close all of them."""
        while self._files:
            self._files.popitem()[1].close()


def plain(value: Any) -> Any:
    """Return an attribute of an HDF5 file as numbers, text and lists."""
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.item() if isinstance(value, np.generic) else value
