"""Reading files in the layouts of PDEBench; `pdebench` says what they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import FormatError
from ..family import FieldSpec
from .foreign_set import ForeignSet, OpenFiles, plain

_COORDINATES = ("x", "y", "z", "t")
_FLOW = ("density", "pressure", "Vx", "Vy", "Vz")


def recognises(file: h5py.File) -> bool:
    """Whether an HDF5 file has one of PDEBench's layouts."""
    return "tensor" in file or "density" in file or bool(_groups(file))


def open_file(path: Path) -> ForeignSet:
    """Open a file.

    Raises
    ------
    FormatError
        If it lacks what every file of its layout has, naming it.
    """
    files = OpenFiles()
    try:
        file = files(path)
        if "tensor" in file:
            shape = file["tensor"].shape
            if len(shape) == 4:
                return _darcy(path, file, files)
            if len(shape) == 3:
                return _line(path, file, files)
            raise FormatError(f"{path}: tensor has {len(shape)} axes, PDEBench's has 4 (Darcy) or 3 (1-D in time)")
        if "density" in file:
            return _flow(path, file, files)
        return _grouped(path, file, files)
    except BaseException:
        files.close()
        raise


def _darcy(path: Path, file: h5py.File, files: OpenFiles) -> ForeignSet:
    shape = file["tensor"].shape
    if "nu" not in file or file["nu"].shape != (shape[0], *shape[2:]):
        found = f"of shape {file['nu'].shape}" if "nu" in file else "missing"
        raise FormatError(f"{path}: expected nu of shape {(shape[0], *shape[2:])} beside tensor {shape}, it is {found}")
    if shape[1] != 1:
        raise FormatError(f"{path}: tensor has {shape[1]} frames, PDEBench's Darcy layout has one")
    grid = tuple(shape[2:])
    attributes = _attributes(file)
    if "beta" not in attributes:
        named = re.search(r"beta(\d+(?:\.\d+)?(?:e-?\d+)?)", path.name)
        if named:
            attributes |= {"beta": float(named[1]), "beta_from": "the file name"}
    fields = {
        "nu": FieldSpec(grid, "input", "permeability"),
        "tensor": FieldSpec(grid, "solution", "pressure"),
    }

    def read(name: str, row: int) -> np.ndarray:
        stored = files(path)[name]
        return np.asarray(stored[row, 0] if name == "tensor" else stored[row])

    return _set(path, "darcy", file, files, fields, ("x", "y"), attributes, read)


def _line(path: Path, file: h5py.File, files: OpenFiles) -> ForeignSet:
    shape = file["tensor"].shape
    fields = {"tensor": FieldSpec(tuple(shape[1:]), "solution", "states by time, the initial one first")}

    def read(name: str, row: int) -> np.ndarray:
        return np.asarray(files(path)[name][row])

    opened = _set(path, "line", file, files, fields, ("t", "x"), _attributes(file), read)
    # One time more than frames is stored.
    axes = {name: axis[: shape[1]] if name == "t" else axis for name, axis in opened.axes.items()}
    return ForeignSet(**{**opened.__dict__, "axes": axes})


def _flow(path: Path, file: h5py.File, files: OpenFiles) -> ForeignSet:
    shape = file["density"].shape
    names = [name for name in _FLOW if name in file]
    wrong = [name for name in names if file[name].shape != shape]
    if wrong:
        raise FormatError(f"{path}: {wrong[0]} has shape {file[wrong[0]].shape}, density has {shape}")
    fields = {name: FieldSpec(tuple(shape[1:]), "solution", f"{name} by time") for name in names}

    def read(name: str, row: int) -> np.ndarray:
        return np.asarray(files(path)[name][row])

    order = ("t", *_COORDINATES[: len(shape) - 2])
    opened = _set(path, "flow", file, files, fields, order, _attributes(file), read)
    axes = {name: axis[: shape[1]] if name == "t" else axis for name, axis in opened.axes.items()}
    return ForeignSet(**{**opened.__dict__, "axes": axes})


def _grouped(path: Path, file: h5py.File, files: OpenFiles) -> ForeignSet:
    groups = _groups(file)
    first = file[groups[0]]
    shape = first["data"].shape
    fields = {"data": FieldSpec(tuple(shape), "solution", "states by time, the initial one first, channels last")}
    grid = first.get("grid", {})
    axes = {name: np.asarray(grid[name][()]) for name in ("t", "x", "y", "z") if name in grid}
    attributes = _attributes(file) | {f"first_{name}": plain(value) for name, value in first.attrs.items()}

    def read(name: str, row: int) -> np.ndarray:
        return np.asarray(files(path)[groups[row]][name][()])

    stored = [file[group].attrs.get("split") for group in groups]
    split = None if None in stored else np.asarray(stored, dtype=np.uint8)
    return ForeignSet(
        path=path,
        format="pdebench",
        layout="groups",
        fields=fields,
        axes=axes,
        attributes=attributes,
        split_of=_first_tenth(len(groups)) if split is None else split,
        read=read,
        release=files.close,
        index=np.arange(len(groups)),
    )


def _groups(file: h5py.File) -> list[str]:
    """Return the names of the groups that hold a sample, in the order of their numbers."""
    names = [n for n in file if isinstance(file.get(n), h5py.Group) and "data" in file[n] and n.isdigit()]
    return sorted(names, key=int)


def _set(
    path: Path,
    layout: str,
    file: h5py.File,
    files: OpenFiles,
    fields: Mapping[str, FieldSpec],
    order: tuple[str, ...],
    attributes: dict[str, Any],
    read: Any,
) -> ForeignSet:
    n = file[next(iter(fields))].shape[0]
    axes = {name: np.asarray(file[f"{name}-coordinate"][()]) for name in order if f"{name}-coordinate" in file}
    stored = np.asarray(file["split"][()], dtype=np.uint8) if "split" in file else None
    split = stored if stored is not None and stored.shape == (n,) else _first_tenth(n)
    return ForeignSet(
        path=path,
        format="pdebench",
        layout=layout,
        fields=fields,
        axes=axes,
        attributes=attributes,
        split_of=split,
        read=read,
        release=files.close,
        index=np.arange(n),
    )


def _first_tenth(n: int) -> np.ndarray:
    """Return the division of PDEBench's loaders of single files: test with the first tenth, train with the rest."""
    split = np.zeros(n, dtype=np.uint8)
    split[: n // 10] = 2
    return split


def _attributes(file: h5py.File) -> dict[str, Any]:
    return {name: plain(value) for name, value in file.attrs.items()}
