"""Folders in the format of The Well (Ohana et al., arXiv 2412.00568), version 1.2 of its package.

One HDF5 file a split, ``data/{train,valid,test}/NAME.hdf5``, and ``stats.yaml`` with statistics of the training split.
All numbers are float32. Root attributes: ``dataset_name``, ``grid_type``, ``n_spatial_dims``, ``n_trajectories``,
``simulation_parameters`` (names; each is a root attribute and a scalar too). Groups:

=======================  =================================================================================
group                    content
=======================  =================================================================================
``dimensions``           attribute ``spatial_dims``; ``time`` (T,) or (N, T); one dataset a dimension
``boundary_conditions``  for each dimension a group: ``bc_type`` (WALL, OPEN, PERIODIC),
                         ``associated_dims``, ``associated_fields`` and a ``mask``
``scalars``              attribute ``field_names``; datasets () or (N,)
``t0_fields``            attribute ``field_names``; numbers at each point, (N[, T], X[, Y[, Z]])
``t1_fields``            the same for vectors, with D components last
``t2_fields``            tensors; none here, but the group must exist
=======================  =================================================================================

Every dataset and every boundary has the booleans ``sample_varying`` and ``time_varying``, fields also ``dim_varying``.

A stationary problem has two forms. ``fields``: its inputs are fields that do not vary in time, its solution is a
trajectory of one frame, to be read with ``n_steps_input=0, n_steps_output=1``. The trainer of The Well always has an
input frame; for it there is the form ``limit``: two frames, zero at time 0 and the solution, the limit for long times,
at time 1, which stands for infinity. A family of single time steps has the old and the new state as its two frames.

Complex fields are two fields, components named ``u_x``, ``u_y`` one vector field ``u``. Parameters that differ between
samples are in ``simulation_parameters`` too; their root attribute is the list of their values if there are at most 16,
and smallest and largest value otherwise.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import FormatError
from ..seeding import SPLITS
from .source import Channel, Rounding, Source
from .staging import Job, Staging, refuse_file_name, writable_name
from .the_well_statistics import FrameStatistics, statistics_text

STEADY = ("fields", "limit")
_MOST_VALUES = 16
_HEADER_BYTES = 1 << 17
_TEXT = h5py.string_dtype()


@dataclasses.dataclass(frozen=True)
class WellField:
    """One dataset of ``t0_fields`` or ``t1_fields``: a channel, or one channel a component."""

    name: str
    channels: tuple[Channel, ...]
    time_varying: bool

    @property
    def order(self) -> int:
        """Order of the tensor at each point."""
        return 0 if len(self.channels) == 1 else 1


class Plan:
    """How a set appears in The Well.

    Attributes
    ----------
    fields : list of WellField
        Those that vary in time first.
    times : (T,) array, or (N, T) by row of the source
    begins : bool
        Whether the state at the beginning is the first frame.
    form : str
        ``trajectory``, ``step``, ``fields`` or ``limit``.
    """

    def __init__(self, source: Source, steady: str) -> None:
        self.source = source
        stepped = source.times is None and all(source.initial(c) for c in source.outputs)
        if source.times is not None:
            self.form, self.begins = "trajectory", source.has_beginnings
        elif stepped:
            self.form, self.begins = "step", True
        else:
            self.form, self.begins = steady, steady == "limit"
        constant = source.constant_inputs if self.begins else source.inputs
        self.fields = [*_vectors(source, source.outputs, True), *_vectors(source, constant, False)]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return (1 if self.source.times is None else len(self.source.times)) + self.begins

    def times(self, rows: np.ndarray) -> np.ndarray:
        """Return the times of the frames: (T,), or (N, T) where they differ between samples."""
        source = self.source
        if self.form == "trajectory":
            times = np.asarray(source.times, dtype=np.float64)
            return np.concatenate([[0.0], times]) if self.begins else times
        step = next((number for number in source.numbers if number.name == "dt"), None)
        if self.form != "step" or step is None:
            return np.arange(self.frames, dtype=np.float64)
        lengths = source.values(step, rows)
        pairs = np.stack([np.zeros_like(lengths), lengths], axis=1)
        return pairs[0] if np.ptp(lengths) == 0.0 else pairs

    def read(self, field: WellField, row: int) -> np.ndarray:
        """Return one sample of a field in float64: ([T,] *grid[, D])."""
        parts = [self._read(channel, field.time_varying, row) for channel in field.channels]
        return parts[0] if field.order == 0 else np.stack(parts, axis=-1)

    def _read(self, channel: Channel, time_varying: bool, row: int) -> np.ndarray:
        if not time_varying:
            return self.source.read(channel, row)
        if self.begins:
            return self.source.states(channel, row)
        return self.source.read(channel, row).reshape(-1, *self.source.shape)


def _vectors(source: Source, channels: tuple[Channel, ...], time_varying: bool) -> list[WellField]:
    """Group channels that are the components of one vector."""
    names, fields = {c.name: c for c in channels}, []
    dimensions = list(source.grid)
    for channel in channels:
        base, _, axis = channel.name.rpartition("_")
        components = [f"{base}_{dimension}" for dimension in dimensions]
        if base and len(dimensions) > 1 and axis in dimensions and all(name in names for name in components):
            if axis == dimensions[0]:
                fields.append(WellField(base, tuple(names[name] for name in components), time_varying))
        else:
            fields.append(WellField(channel.name, (channel,), time_varying))
    return fields


def files_of(source: Source, name: str) -> dict[str, str]:
    """Return the relative file of each split that has samples."""
    name = writable_name(name)
    return {split: f"data/{split}/{name}.hdf5" for split in SPLITS if np.any(source.split == SPLITS.index(split))}


def size_of(source: Source, steady: str) -> int:
    """Return the bytes that all files take, roughly."""
    plan = Plan(source, steady)
    values = sum(len(f.channels) * (plan.frames if f.time_varying else 1) for f in plan.fields)
    return 3 * _HEADER_BYTES + 4 * len(source.rows) * values * math.prod(source.shape)


def job(source: Source, out: Path, name: str, steady: str, record: Mapping[str, Any]) -> Job:
    """Return what is to be written of a set.

    Parameters
    ----------
    out : Path
        A folder.
    name : str
        Of the dataset.
    steady : {"fields", "limit"}
        Form of a stationary problem.
    record : dict
        Provenance, stored as attributes.

    Raises
    ------
    ValueError
        For another form, or a file name.
    FormatError
        If the folder holds files of another set, which the loader would take for ours.
    """
    if steady not in STEADY:
        raise ValueError(f"steady must be one of {', '.join(STEADY)}, got {steady!r}")
    refuse_file_name(out, "the_well")
    plan, files = Plan(source, steady), files_of(source, name)
    for split in SPLITS:
        others = [p.name for p in (out / "data" / split).glob("*.h*5") if f"data/{split}/{p.name}" != files.get(split)]
        if others:
            raise FormatError(
                f"{out / 'data' / split} holds {others[0]}, which is of another set: choose another folder"
            )

    def write(staging: Staging, rounding: Rounding, tick: Callable[[], None]) -> dict[str, Any]:
        statistics = {field.name: FrameStatistics() for field in plan.fields}
        for split, file in files.items():
            rows = source.rows_of(split)
            with h5py.File(staging.path(file), "w", libver=("earliest", "v110")) as opened:
                _write_structure(opened, plan, rows, name, record)
                for i, row in enumerate(rows):
                    for field in plan.fields:
                        values = plan.read(field, row)
                        opened[f"t{field.order}_fields/{field.name}"][i] = rounding(field.name, values)
                        if split == "train":
                            statistics[field.name].add(values, vector=field.order == 1, frames=field.time_varying)
                    tick()
        staging.path("stats.yaml").write_text(statistics_text(statistics, plan.fields), encoding="utf-8")
        return {"form": plan.form}

    names = [*files.values(), "stats.yaml"]
    return Job(out, names, "provenance.json", size_of(source, steady), write, notes_of(source, plan, files))


def _write_structure(file: h5py.File, plan: Plan, rows: np.ndarray, name: str, record: Mapping[str, Any]) -> None:
    """Write everything but the numbers of the fields."""
    source = plan.source
    numbers = {number.name: source.values(number, rows) for number in source.numbers}
    everywhere = {number.name: source.values(number, source.rows) for number in source.numbers}
    file.attrs["dataset_name"], file.attrs["grid_type"] = name, "cartesian"
    file.attrs["n_spatial_dims"], file.attrs["n_trajectories"] = len(source.grid), len(rows)
    file.attrs["simulation_parameters"] = _texts(list(numbers))
    for key, value in record.items():
        file.attrs[f"resolvent_{key}"] = value if isinstance(value, int | float | str) else json.dumps(value)
    origin = file.create_group("resolvent")
    origin["index"] = source.index[np.searchsorted(source.rows, rows)]

    dimensions = file.create_group("dimensions")
    dimensions.attrs["spatial_dims"] = _texts(list(source.grid))
    times = plan.times(rows)
    _flagged(dimensions, "time", times.astype(np.float32), sample=times.ndim == 2, time=True)
    for axis, coordinates in source.grid.items():
        _flagged(dimensions, axis, coordinates.astype(np.float32), sample=False, time=False)

    boundaries = file.create_group("boundary_conditions")
    kind = source.boundary_type()
    moving = [field.name for field in plan.fields if field.time_varying]
    for axis, coordinates in source.grid.items():
        mask = np.zeros(len(coordinates), dtype=bool)
        mask[[0, -1]] = True
        group = boundaries.create_group(f"{axis}_{kind}")
        group.attrs["bc_type"] = kind.upper()
        group.attrs["associated_dims"], group.attrs["associated_fields"] = _texts([axis]), _texts(moving)
        group.attrs["sample_varying"], group.attrs["time_varying"] = False, False
        group["mask"] = mask

    scalars = file.create_group("scalars")
    scalars.attrs["field_names"] = _texts(list(numbers))
    for key, values in numbers.items():
        distinct = np.unique(everywhere[key])
        constant = len(distinct) == 1
        shown = distinct if len(distinct) <= _MOST_VALUES else distinct[[0, -1]]
        file.attrs[key] = float(distinct[0]) if constant else shown
        stored = np.float32(distinct[0]) if constant else values.astype(np.float32)
        _flagged(scalars, key, stored, sample=not constant, time=False)

    for order in range(3):
        group = file.create_group(f"t{order}_fields")
        fields = [field for field in plan.fields if field.order == order]
        group.attrs["field_names"] = _texts([field.name for field in fields])
        for field in fields:
            shape = (len(rows), *((plan.frames,) if field.time_varying else ()), *source.shape)
            dataset = group.create_dataset(field.name, shape + (len(field.channels),) * order, np.float32)
            dataset.attrs["sample_varying"], dataset.attrs["time_varying"] = True, field.time_varying
            dataset.attrs["dim_varying"] = np.ones(len(source.grid), dtype=bool)
            dataset.attrs["description"] = "; ".join(channel.description for channel in field.channels)


def _flagged(group: h5py.Group, name: str, values: Any, *, sample: bool, time: bool) -> None:
    dataset = group.create_dataset(name, data=values)
    dataset.attrs["sample_varying"], dataset.attrs["time_varying"] = sample, time


def _texts(values: list[str]) -> np.ndarray:
    """Return an attribute that is a list of text, also when it is empty."""
    return np.array(values, dtype=_TEXT)


def notes_of(source: Source, plan: Plan, files: Mapping[str, str]) -> list[str]:
    """Return what a user of the folder has to know."""
    notes = []
    if plan.form == "fields":
        notes.append("stationary: read with n_steps_input=0, n_steps_output=1; the trainer needs steady='limit'")
    if plan.form == "limit":
        notes.append("stationary: frame 0 is zero, frame 1 the solution; time 1 stands for the limit of long times")
    if plan.form == "trajectory" and not plan.begins:
        notes.append("the initial state is a constant field, the first frame is later")
    missing = [split for split in SPLITS if split not in files]
    if missing:
        notes.append(f"no samples for {' and '.join(missing)}")
    return notes
