"""Reading files and folders in the format of The Well; `the_well` says what that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import FormatError
from ..family import FieldSpec
from ..seeding import SPLITS
from .foreign_set import ForeignSet, OpenFiles, plain

_ENDINGS = (".h5", ".hdf5")


def recognises(file: h5py.File) -> bool:
    """Whether an HDF5 file is one of The Well's."""
    return "dimensions" in file and "t0_fields" in file


def split_files(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each split of a folder, in the order of their names."""
    data = folder / "data" if (folder / "data").is_dir() else folder
    return {s: sorted(p for p in (data / s).glob("*") if p.suffix in _ENDINGS) for s in SPLITS if (data / s).is_dir()}


def open_well(path: Path) -> ForeignSet:
    """Open a folder with its splits, or one file.

    Raises
    ------
    FormatError
        If a group or attribute that reading needs is missing, or the files do not belong together.
    """
    by_split = split_files(path) if path.is_dir() else {"train": [path]}
    parts = [(split, file) for split, found in by_split.items() for file in found]
    if not parts:
        raise FormatError(f"{path}: expected HDF5 files in data/train, data/valid or data/test, found none")
    files = OpenFiles()
    try:
        return _open(path, parts, files)
    except (KeyError, AttributeError, TypeError, ValueError, OSError) as error:
        files.close()
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path} lacks what every file of The Well has ({error})") from error


def _open(path: Path, parts: list[tuple[str, Path]], files: OpenFiles) -> ForeignSet:
    first = files(parts[0][1])
    fields, where = _fields(first)
    counts, splits = [], []
    for split, name in parts:
        file = files(name)
        found, _ = _fields(file)
        if {n: s.shape for n, s in found.items()} != {n: s.shape for n, s in fields.items()}:
            raise FormatError(f"{name} and {parts[0][1]} hold different fields, and belong to one folder")
        counts.append(int(file.attrs["n_trajectories"]))
        splits.append(np.full(counts[-1], SPLITS.index(split), dtype=np.uint8))
    starts = np.concatenate([[0], np.cumsum(counts)])

    def read(name: str, row: int) -> np.ndarray:
        part = int(np.searchsorted(starts, row, side="right")) - 1
        file = files(parts[part][1])
        return _sample(file, file[where[name]], row - int(starts[part]), fields[name])

    dimensions = first["dimensions"]
    names = [str(name) for name in dimensions.attrs["spatial_dims"]]
    time = np.asarray(dimensions["time"][()])
    axes = {"t": time[0] if time.ndim == 2 else time}
    return ForeignSet(
        path=path,
        format="the_well",
        layout=f"{len(names)}-D",
        fields=fields,
        axes=axes | {name: np.asarray(dimensions[name][()]) for name in names},
        attributes={name: plain(value) for name, value in first.attrs.items()},
        split_of=np.concatenate(splits),
        read=read,
        release=files.close,
        index=np.arange(int(starts[-1])),
    )


def _fields(file: h5py.File) -> tuple[dict[str, FieldSpec], dict[str, str]]:
    """Return what a file holds, and where."""
    dimensions = file["dimensions"]
    sizes = [dimensions[str(name)].shape[-1] for name in dimensions.attrs["spatial_dims"]]
    frames = dimensions["time"].shape[-1]
    fields, where = {}, {}
    for name in map(str, file["scalars"].attrs["field_names"]):
        varying = bool(file["scalars"][name].attrs["time_varying"])
        fields[name] = FieldSpec((frames,) if varying else (), "parameter", "scalar")
        where[name] = f"scalars/{name}"
    if dimensions["time"].attrs["sample_varying"]:
        fields["time"], where["time"] = FieldSpec((frames,), "parameter", "times of the frames"), "dimensions/time"
    for order in range(3):
        group = file[f"t{order}_fields"]
        for name in map(str, group.attrs["field_names"]):
            varying = bool(group[name].attrs["time_varying"])
            shape = (*((frames,) if varying else ()), *sizes, *((len(sizes),) * order))
            text = plain(group[name].attrs.get("description", f"tensor field of order {order}"))
            fields[name] = FieldSpec(shape, "solution" if varying else "input", str(text))
            where[name] = f"t{order}_fields/{name}"
    return fields, where


def _sample(file: h5py.File, dataset: h5py.Dataset, row: int, spec: FieldSpec) -> np.ndarray:
    """Return one sample, spread over the axes along which it is stored once."""
    values = np.asarray(dataset[row] if dataset.attrs["sample_varying"] else dataset[()])
    varying: Any = dataset.attrs.get("dim_varying")
    if varying is not None and not np.all(varying):
        first = int(bool(dataset.attrs["time_varying"]))
        for axis, varies in enumerate(varying):
            if not varies:
                values = np.expand_dims(values, first + axis)
    return np.array(np.broadcast_to(values, spec.shape))
