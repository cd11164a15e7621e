"""Whether a file is what PDEBench's loaders take."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np

from .foreign_set import ForeignSet
from .the_well_schema import Finding

_PARAMETERS = ("beta", "Nu", "rho", "nu", "eta")


def findings(opened: ForeignSet, file: h5py.File) -> Iterator[Finding]:
    """Yield what is wrong with the structure of a file, layout by layout."""
    if opened.layout == "groups":
        yield from _groups(opened, file)
        return
    if opened.path.name.endswith("h5"):
        yield "file", "its name ends in h5, which PDEBench's loader of such files refuses: call it .hdf5"
    for name in opened.fields:
        if file[name].dtype != np.float32:
            yield name, f"is {file[name].dtype}, PDEBench is float32"
    if opened.layout == "darcy" and "beta_from" in opened.attributes:
        yield "beta", "is no root attribute: its value was taken from the file name"
    elif opened.layout in ("darcy", "line") and not any(name in opened.attributes for name in _PARAMETERS):
        yield "file", "says no parameter: expected a root attribute such as beta or Nu"
    shape = next(iter(opened.fields.values())).shape
    if opened.layout == "darcy":
        expected = dict(zip(("x", "y"), ((n,) for n in shape), strict=True))
    else:
        names = ("x", "y", "z")[: len(shape) - 1]
        expected = dict(zip(names, ((n,) for n in shape[1:]), strict=True)) | {"t": (shape[0] + 1,)}
    for axis, wanted in expected.items():
        name = f"{axis}-coordinate"
        if name not in file:
            yield name, "is missing"
        elif file[name].shape != wanted and not (axis == "t" and file[name].shape == shape[:1]):
            yield name, f"has shape {file[name].shape}, expected {wanted}"
        else:
            yield from _coordinates(name, file[name][()])


def _groups(opened: ForeignSet, file: h5py.File) -> Iterator[Finding]:
    names = sorted((name for name in file if name.isdigit()), key=int)
    others = [name for name in file if name not in names]
    if others:
        yield others[0], "is no group of a sample: the loaders take every entry for one"
    if "0023" not in file:
        yield "0023", "is missing: PDEBench's loader of single files opens it to learn the shapes"
    shape, axes = opened.fields["data"].shape, [axis for axis in opened.axes if axis != "t"]
    expected = dict(zip(("t", *axes), shape, strict=False))
    for name in names:
        data = file[name].get("data")
        if data is None or data.shape != shape:
            yield f"{name}/data", f"has shape {None if data is None else data.shape}, the first has {shape}"
            continue
        for axis, n in expected.items():
            found = file[name].get(f"grid/{axis}")
            if found is None or found.shape != (n,):
                yield f"{name}/grid/{axis}", f"expected {n} coordinates, found {None if found is None else found.shape}"
            else:
                yield from _coordinates(f"{name}/grid/{axis}", found[()])


def _coordinates(name: str, values: np.ndarray) -> Iterator[Finding]:
    if not np.isfinite(values).all():
        yield name, "holds coordinates that are not finite"
    elif len(values) > 1 and not (np.diff(values) > 0).all():
        yield name, "does not increase"
