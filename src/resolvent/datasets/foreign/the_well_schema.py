"""Whether a file follows the specification of The Well, group by group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..seeding import SPLITS
from .the_well_reader import split_files

Finding = tuple[str, str]
"""What is concerned, and what is wrong with it."""

BOUNDARIES = ("WALL", "OPEN", "PERIODIC")
_GROUPS = ("dimensions", "boundary_conditions", "scalars", "t0_fields", "t1_fields", "t2_fields")
_ROOT = ("dataset_name", "grid_type", "n_spatial_dims", "n_trajectories", "simulation_parameters")
_STATISTICS = ("mean", "std", "mean_delta", "std_delta")


def folder_findings(folder: Path) -> Iterator[Finding]:
    """Yield what is wrong with a folder: its splits, its statistics, and whether its files belong together."""
    files = split_files(folder)
    for split in SPLITS:
        if not files.get(split):
            yield f"data/{split}", "holds no HDF5 file"
    statistics = folder / "stats.yaml"
    if not statistics.is_file():
        yield "stats.yaml", "is missing: the loader cannot normalise"
    else:
        lines = statistics.read_text(encoding="utf-8", errors="replace").splitlines()
        found = {line.partition(":")[0] for line in lines if line[:1].strip()}
        for kind in _STATISTICS:
            if kind not in found:
                yield "stats.yaml", f"lacks {kind}, which normalisation needs"
    first: dict[str, tuple[Any, str]] = {}
    for split, paths in files.items():
        for path in paths:
            where = f"data/{split}/{path.name}"
            with h5py.File(path, "r") as file:
                for what, value in _common(file):
                    other, place = first.setdefault(what, (value, where))
                    if value != other:
                        yield where, f"{what} is {value}, in {place} it is {other}"


def _common(file: h5py.File) -> Iterator[tuple[str, Any]]:
    """Yield what all files of a folder must share."""
    for name in ("dataset_name", "n_spatial_dims"):
        if name in file.attrs:
            yield name, str(file.attrs[name])
    dimensions = file.get("dimensions")
    if dimensions is not None and "spatial_dims" in dimensions.attrs:
        names = [str(name) for name in np.atleast_1d(dimensions.attrs["spatial_dims"])]
        yield "the resolution", [dimensions[n].shape[-1] for n in names if n in dimensions]


def file_findings(file: h5py.File) -> Iterator[Finding]:
    """Yield what is wrong with the structure of one file."""
    for name in _ROOT:
        if name not in file.attrs:
            yield name, "is missing among the root attributes"
    for name in _names(file.attrs.get("simulation_parameters", ())):
        if name not in file.attrs:
            yield name, "is a simulation parameter, but no root attribute"
        if "scalars" in file and name not in file["scalars"]:
            yield f"scalars/{name}", "is missing: it is a simulation parameter"
    missing = [name for name in _GROUPS if name not in file]
    for name in missing:
        yield name, "is missing: the group must exist, if only empty"
    if "dimensions" in missing:
        return
    spatial = _names(file["dimensions"].attrs.get("spatial_dims", ()))
    yield from _dimensions(file, spatial)
    sizes = {n: file["dimensions"][n].shape[-1] for n in (*spatial, "time") if n in file["dimensions"]}
    if "boundary_conditions" not in missing:
        yield from _boundaries(file["boundary_conditions"], sizes)
    trajectories = int(file.attrs.get("n_trajectories", 0))
    if "scalars" not in missing:
        yield from _scalars(file["scalars"], trajectories, sizes)
    for order in range(3):
        if f"t{order}_fields" not in missing:
            yield from _fields(file[f"t{order}_fields"], order, trajectories, spatial, sizes)


def _dimensions(file: h5py.File, spatial: list[str]) -> Iterator[Finding]:
    group = file["dimensions"]
    if not isinstance(group.attrs.get("spatial_dims"), np.ndarray):
        yield "dimensions", "the attribute spatial_dims must be a list of names"
    count = int(file.attrs.get("n_spatial_dims", 0))
    if count != len(spatial) or count < 1:
        yield "dimensions", f"n_spatial_dims is {count}, and spatial_dims names {len(spatial)}"
    for name in ("time", *spatial):
        if name not in group:
            yield f"dimensions/{name}", "is missing"
            continue
        yield from _flags(group[name], f"dimensions/{name}")
        values = np.asarray(group[name][()], dtype=np.float64)
        if not np.isfinite(values).all():
            yield f"dimensions/{name}", "holds coordinates that are not finite"
        elif values.shape[-1] > 1 and not (np.diff(values, axis=-1) > 0).all():
            yield f"dimensions/{name}", "does not increase"


def _boundaries(group: h5py.Group, sizes: dict[str, int]) -> Iterator[Finding]:
    for name, boundary in group.items():
        where = f"boundary_conditions/{name}"
        yield from _flags(boundary, where)
        kind = boundary.attrs.get("bc_type")
        if kind not in BOUNDARIES:
            yield where, f"bc_type is {kind!r}, expected one of {', '.join(BOUNDARIES)}"
        for attribute in ("associated_dims", "associated_fields"):
            if not isinstance(boundary.attrs.get(attribute), np.ndarray):
                yield where, f"the attribute {attribute} must be a list"
        dims = _names(boundary.attrs.get("associated_dims", ()))
        if not dims:
            yield where, "associated_dims names no dimension"
        if "mask" not in boundary:
            yield where, "lacks its mask"
            continue
        mask = boundary["mask"]
        if mask.dtype.kind != "b":
            yield where, f"mask must be boolean, it is {mask.dtype}"
        shape = mask.shape[mask.ndim - len(dims) :] if mask.ndim >= len(dims) else mask.shape
        expected = tuple(sizes.get(name, -1) for name in dims)
        if shape != expected:
            yield where, f"mask has shape {mask.shape}, expected {expected} for {', '.join(dims)}"


def _scalars(group: h5py.Group, trajectories: int, sizes: dict[str, int]) -> Iterator[Finding]:
    yield from _listed(group, "scalars")
    for name in _names(group.attrs.get("field_names", ())):
        if name not in group:
            continue
        yield from _flags(group[name], f"scalars/{name}")
        expected = _leading(group[name], trajectories, sizes)
        if group[name].shape != expected:
            yield f"scalars/{name}", f"has shape {group[name].shape}, its flags say {expected}"


def _fields(
    group: h5py.Group, order: int, trajectories: int, spatial: list[str], sizes: dict[str, int]
) -> Iterator[Finding]:
    where = f"t{order}_fields"
    yield from _listed(group, where)
    for name in _names(group.attrs.get("field_names", ())):
        if name not in group:
            continue
        field = group[name]
        yield from _flags(field, f"{where}/{name}")
        varying = field.attrs.get("dim_varying")
        if not isinstance(varying, np.ndarray) or varying.dtype.kind != "b" or len(varying) != len(spatial):
            yield f"{where}/{name}", f"dim_varying must be {len(spatial)} booleans, it is {varying!r}"
            continue
        space = tuple(sizes.get(d, -1) for d, varies in zip(spatial, varying, strict=True) if varies)
        expected = (*_leading(field, trajectories, sizes), *space, *((len(spatial),) * order))
        if field.shape != expected:
            yield f"{where}/{name}", f"has shape {field.shape}, its flags and the dimensions say {expected}"
        if field.dtype != np.float32:
            yield f"{where}/{name}", f"is {field.dtype}, The Well is float32"


def _leading(dataset: h5py.Dataset, trajectories: int, sizes: dict[str, int]) -> tuple[int, ...]:
    sample = (trajectories,) if dataset.attrs.get("sample_varying") else ()
    return sample + ((sizes.get("time", -1),) if dataset.attrs.get("time_varying") else ())


def _listed(group: h5py.Group, where: str) -> Iterator[Finding]:
    names = group.attrs.get("field_names")
    if not isinstance(names, np.ndarray):
        yield where, "the attribute field_names must be a list, if only empty"
    for name in _names(() if names is None else names):
        if name not in group:
            yield f"{where}/{name}", "is named in field_names, and missing"


def _flags(item: Any, where: str) -> Iterator[Finding]:
    for flag in ("sample_varying", "time_varying"):
        if not isinstance(item.attrs.get(flag), bool | np.bool_):
            yield where, f"lacks the boolean attribute {flag}"


def _names(value: Any) -> list[str]:
    """Return an attribute as a list of names."""
    return [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in np.atleast_1d(value).tolist()]
