"""Files in the layouts of PDEBench (Takamoto et al., arXiv 2210.07182), written and read.

Layouts, as its loaders take them; everything is float32 and meshes are indexed "ij":

=========  ==============================================================================================
layout     file
=========  ==============================================================================================
darcy      ``.hdf5`` (a name that ends in ``h5`` is refused by the loaders): ``tensor`` (N, 1, X, Y), the
           pressure; ``nu`` (N, X, Y), the permeability; ``x-coordinate``, ``y-coordinate``; root
           attribute ``beta``, the constant source
line       ``.hdf5``: ``tensor`` (N, T, X), ``x-coordinate``, ``t-coordinate`` (T + 1: one time more than
           frames), root attribute ``beta`` (advection) or ``Nu`` (Burgers)
groups     ``.h5``: groups ``0000``, ``0001``, … each with ``data`` (T, X[, Y[, Z]], C), ``grid/x`` …,
           ``grid/t`` and the attribute ``config`` (YAML); the single loader demands group ``0023``
=========  ==============================================================================================

The first tenth of the samples is what the loaders of single files test with; the loader of several files takes the last
tenth. The samples of our test split are therefore written first, or last.

Parameters belong to a file, not to a sample: a set with several values of ν or β becomes several files in a folder.
PDEBench's Burgers equation is u_t + (u²/2)_x = (ν/π) u_xx, so that its ``Nu`` is π times the ν of `Burgers1D`.

Besides what the loaders read, files hold ``index`` and ``split`` of each sample and attributes that begin with
``resolvent_``, which say where the numbers come from.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import FormatError
from .source import Number, Rounding, Source
from .staging import Job, Staging, writable_name

LOADERS = ("single", "multi")
_FIRST_NEEDED = 24
"""Groups that the single loader needs, since it opens number 0023 to learn the shapes."""
_MOST_GROUPS = 10_000
_HEADER_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A number of a family under its name in PDEBench."""

    number: str
    name: str
    factor: float


PARAMETERS = {
    "advection1d": Parameter("beta", "beta", 1.0),
    "burgers1d": Parameter("nu", "Nu", math.pi),
}
_NAMES = {"darcy2d": "2D_DarcyFlow", "advection1d": "1D_Advection_Sols", "burgers1d": "1D_Burgers_Sols"}


def layout_of(source: Source) -> str:
    """Return the layout for a set.

    Raises
    ------
    FormatError
        If PDEBench has none, saying why and which formats have.
    """
    other = "the_well and neuraloperator hold it"
    if source.times is None:
        if source.family != "darcy2d":
            raise FormatError(
                f"PDEBench's only layout of stationary problems is that of 2-D Darcy flow, −∇·(a∇u) = β, and this is "
                f"{source.family}: {other}"
            )
        if [c.name for c in source.inputs] != ["a"]:
            raise FormatError(
                "PDEBench's layout of Darcy flow has a constant source β, and this set has a source f that varies: "
                f"{other}"
            )
        return "darcy"
    if not source.has_beginnings:
        raise FormatError(f"a trajectory of PDEBench begins with the initial state, which this set lacks: {other}")
    if source.constant_inputs:
        names = ", ".join(channel.name for channel in source.constant_inputs)
        raise FormatError(
            f"PDEBench's layouts of trajectories have no place for fixed fields, and this set has {names}: {other}"
        )
    return "line" if len(source.grid) == 1 and len(source.outputs) == 1 else "groups"


class Part:
    """The samples of one file: all of a set, or those with one value of the parameter."""

    def __init__(self, name: str, rows: np.ndarray, value: float | None) -> None:
        self.name, self.rows, self.value = name, rows, value


def parts_of(source: Source, out: Path, layout: str, loader: str) -> tuple[Path, list[Part]]:
    """Return the folder and the files into which a set goes.

    Raises
    ------
    FormatError
        If one file was asked for, and several are needed.
    ValueError
        For a file name that PDEBench's loaders refuse.
    """
    order = ("test", "train", "valid") if loader == "single" else ("train", "valid", "test")
    rows = source.rows_of(*order)
    ending = ".h5" if layout == "groups" else ".hdf5"
    parameter = PARAMETERS.get(source.family)
    one_file = out.suffix.lower() in (".h5", ".hdf5", ".hdf", ".he5")
    if one_file and out.suffix != ending:
        raise ValueError(
            f"PDEBench's loaders take this set, in the layout {layout!r}, from a file that ends in {ending}, got "
            f"{out.name!r}: call it {out.with_suffix(ending).name}"
        )
    if parameter is None or layout == "groups":
        name = out.name if one_file else _NAMES.get(source.family, writable_name(source.family)) + ending
        value = 1.0 if layout == "darcy" else None
        name = name if one_file or value is None else f"{_NAMES['darcy2d']}_beta{value}{ending}"
        return (out.parent if one_file else out), [Part(name, rows, value)]
    values = source.values(_number(source, parameter), rows) * parameter.factor
    distinct = np.unique(values)
    if one_file and len(distinct) > 1:
        listed = ", ".join(f"{value:.6g}" for value in distinct[:8])
        raise FormatError(
            f"a file of PDEBench has one value of {parameter.name}, and this set has {len(distinct)} ({listed}): give "
            f"a folder, {out.with_suffix('').name}, and each gets its file"
        )
    if one_file:
        return out.parent, [Part(out.name, rows, float(distinct[0]))]
    base = _NAMES[source.family]
    return out, [Part(f"{base}_{parameter.name}{v:.6g}{ending}", rows[values == v], float(v)) for v in distinct]


def _number(source: Source, parameter: Parameter) -> Number:
    found = next((number for number in source.numbers if number.name == parameter.number), None)
    if found is None:
        raise FormatError(f"{source.family} should have a parameter {parameter.number!r} for PDEBench's files")
    return found


def size_of(source: Source, layout: str) -> int:
    """Return the bytes that all files take, roughly."""
    frames = 1 if source.times is None else len(source.times) + 1
    fields = 2 if layout == "darcy" else frames * len(source.outputs)
    overhead = 4096 + 4 * sum(source.shape) if layout == "groups" else 16
    return _HEADER_BYTES + len(source.rows) * (4 * fields * math.prod(source.shape) + overhead)


def write(
    source: Source,
    part: Part,
    path: Path,
    layout: str,
    rounding: Rounding,
    record: Mapping[str, Any],
    tick: Callable[[], None],
) -> None:
    """Write one file, sample by sample.

    Parameters
    ----------
    part : Part
        Which samples.
    path : Path
        A temporary name.
    record : dict
        Provenance, stored as attributes.
    tick : callable
        Called after each sample.
    """
    # 1.8 is what the loaders' h5py reads everywhere.
    with h5py.File(path, "w", libver=("earliest", "v108")) as file:
        for name, value in record.items():
            file.attrs[f"resolvent_{name}"] = value if isinstance(value, int | float | str) else json.dumps(value)
        writer = {"darcy": _write_darcy, "line": _write_line, "groups": _write_groups}[layout]
        for _ in writer(file, source, part, rounding):
            tick()


def _columns(file: h5py.File, source: Source, part: Part, shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in shapes.items():
        file.create_dataset(name, (len(part.rows), *shape), np.float32)
    where = np.searchsorted(source.rows, part.rows)
    file["index"], file["split"] = source.index[where], source.split[where]


def _write_darcy(file: h5py.File, source: Source, part: Part, rounding: Rounding) -> Iterator[None]:
    file.attrs["beta"] = part.value
    _columns(file, source, part, {"tensor": (1, *source.shape), "nu": source.shape})
    for axis, values in source.grid.items():
        file[f"{axis}-coordinate"] = values.astype(np.float32)
    a, u = source.inputs[0], source.outputs[0]
    for i, row in enumerate(part.rows):
        file["nu"][i] = rounding(a.name, source.read(a, row))
        file["tensor"][i, 0] = rounding(u.name, source.read(u, row))
        yield


def _write_line(file: h5py.File, source: Source, part: Part, rounding: Rounding) -> Iterator[None]:
    parameter = PARAMETERS.get(source.family)
    if parameter is not None:
        file.attrs[parameter.name] = part.value
    times = _times(source)
    _columns(file, source, part, {"tensor": (len(times), *source.shape)})
    file["x-coordinate"] = source.grid["x"].astype(np.float32)
    file["t-coordinate"] = np.append(times, 2 * times[-1] - times[-2]).astype(np.float32)
    u = source.outputs[0]
    for i, row in enumerate(part.rows):
        file["tensor"][i] = rounding(u.name, source.states(u, row))
        yield


def _write_groups(file: h5py.File, source: Source, part: Part, rounding: Rounding) -> Iterator[None]:
    times = _times(source)
    for i, row in enumerate(part.rows):
        group = file.create_group(f"{i:04d}")
        states = [rounding(channel.name, source.states(channel, row)) for channel in source.outputs]
        group["data"] = np.stack(states, axis=-1)
        grid = group.create_group("grid")
        for axis, values in (*source.grid.items(), ("t", times)):
            grid[axis] = values.astype(np.float32)
        where = int(np.searchsorted(source.rows, row))
        group.attrs["index"], group.attrs["split"] = int(source.index[where]), int(source.split[where])
        numbers = {n.name: float(source.values(n, np.array([row]))[0]) for n in source.numbers}
        # JSON is YAML.
        group.attrs["config"] = json.dumps({"sim": numbers, "channels": [channel.name for channel in source.outputs]})
        yield


def _times(source: Source) -> np.ndarray:
    """Return the times of the frames, the beginning included."""
    times = np.asarray(source.times, dtype=np.float64)
    return np.concatenate([[0.0], times])


def notes_of(source: Source, parts: list[Part], loader: str) -> list[str]:
    """Return what a user of the files has to know about their splits."""
    notes = []
    for part in parts:
        where = np.searchsorted(source.rows, part.rows)
        tests = int(np.count_nonzero(source.split[where] == 2))
        taken = len(part.rows) // 10
        if tests != taken:
            end = "first" if loader == "single" else "last"
            notes.append(
                f"{part.name}: PDEBench's loader tests with the {end} {taken} samples, and {tests} are in our test "
                f"split, which stand {end}: give it test_ratio={tests / len(part.rows):.4g}, or use `split`"
            )
    return notes


def job(source: Source, out: Path, loader: str, record: Mapping[str, Any]) -> Job:
    """Return what is to be written of a set; the errors are those of `layout_of` and `parts_of`.

    Parameters
    ----------
    out : Path
        A file, or a folder.
    loader : {"single", "multi"}
    record : dict
        Provenance, stored as attributes.
    """
    if loader not in LOADERS:
        raise ValueError(f"loader must be one of {', '.join(LOADERS)}, got {loader!r}")
    layout = layout_of(source)
    folder, parts = parts_of(source, out, layout, loader)
    if layout == "groups":
        _check_groups(parts, loader)

    def write_all(staging: Staging, rounding: Rounding, tick: Callable[[], None]) -> dict[str, Any]:
        for part in parts:
            write(source, part, staging.path(part.name), layout, rounding, record, tick)
        return {"layout": layout, "values": {part.name: part.value for part in parts if part.value is not None}}

    name = f"{parts[0].name}.json" if folder != out else "provenance.json"
    notes = notes_of(source, parts, loader)
    return Job(folder, [part.name for part in parts], name, size_of(source, layout), write_all, notes)


def _check_groups(parts: list[Part], loader: str) -> None:
    for part in parts:
        if loader == "single" and len(part.rows) < _FIRST_NEEDED:
            raise FormatError(
                f"PDEBench's single loader opens group 0023, so it needs {_FIRST_NEEDED} samples, and there are "
                f"{len(part.rows)}: generate more, or write for its multi loader (loader='multi')"
            )
        if len(part.rows) > _MOST_GROUPS:
            raise FormatError(
                f"PDEBench's groups are numbered with four digits, and there are {len(part.rows)} samples: export a "
                "selection, or use the_well"
            )
