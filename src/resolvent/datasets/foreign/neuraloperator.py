"""Tensor files as neuraloperator's ``PTDataset`` reads them (version 2.0).

``NAME_{train,test}_RES.pt``: a dict with the float32 tensors ``x`` and ``y``, the sample first. A validation split, for
which the loader has no name, is ``NAME_valid_RES.pt``. Shapes:

==========================  =========================  ==========================  =======================
set                         x                          y                           channels_squeezed
==========================  =========================  ==========================  =======================
one field to one field      (N, X[, Y[, Z]])           (N, X[, Y[, Z]])            True, the default
1-D trajectory, one field   (N, X)                     (N, T, X)                   True, the default
anything else               (N, C, X[, Y[, Z]])        (N, C, X[, Y[, Z]])         False
==========================  =========================  ==========================  =======================

Channels are the fields in their order: complex fields as real and imaginary part, input numbers as constant fields,
and for trajectories each frame of each field (field by field). The initial state is in x, so y begins after it.

The dict has two further entries, which the loader ignores: ``index`` (N,), the numbers of the samples, and
``parameters``, a dict of (N,) tensors. Files hold tensors only, so that ``torch.load(..., weights_only=True)`` reads
them. The numbers are collected in a file that is mapped into memory and are written from there: memory does not grow
with the set, but the room for a split is needed twice while it is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..seeding import SPLITS
from .source import Rounding, Source
from .staging import Job, Staging, refuse_file_name, writable_name


class Plan:
    """How a set is laid out in tensors.

    Attributes
    ----------
    x_shape, y_shape : tuple of int
        Of one sample.
    squeezed : bool
        Whether the axis of channels is left out.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.numbers = [number for number in source.numbers if number.role == "input"]
        channels = len(source.inputs) + len(self.numbers)
        frames = 1 if source.times is None else len(source.times)
        one_field = channels == 1 and len(source.outputs) == 1
        self.squeezed = one_field and (source.times is None or len(source.grid) == 1)
        grid = source.shape
        if not channels:
            raise ValueError("neuraloperator's tensors need an input, and this set has none: export it as the_well")
        self.x_shape = grid if self.squeezed else (channels, *grid)
        if self.squeezed:
            self.y_shape = grid if source.times is None else (frames, *grid)
        else:
            self.y_shape = (len(source.outputs) * frames, *grid)

    @property
    def channels(self) -> dict[str, list[str]]:
        """Names of what the channels of x and y are."""
        frames = 1 if self.source.times is None else len(self.source.times)
        x = [c.name for c in self.source.inputs] + [number.name for number in self.numbers]
        y = [c.name if frames == 1 else f"{c.name}[t={i}]" for c in self.source.outputs for i in range(frames)]
        return {"x": x, "y": y}

    def pair(self, row: int, rounding: Rounding) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of one sample in float32."""
        source, grid = self.source, self.source.shape
        x = [rounding(c.name, source.read(c, row)) for c in source.inputs]
        for number in self.numbers:
            value = source.values(number, np.array([row]))
            x.append(np.broadcast_to(rounding(number.name, value), grid))
        y = [rounding(c.name, source.read(c, row)).reshape(-1, *grid) for c in source.outputs]
        return np.stack(x).reshape(self.x_shape), np.concatenate(y).reshape(self.y_shape)


def files_of(source: Source, name: str) -> dict[str, str]:
    """Return the file name of each split that has samples."""
    resolution = len(next(iter(source.grid.values())))
    name = writable_name(name)
    return {split: f"{name}_{split}_{resolution}.pt" for split in SPLITS if np.any(source.split == SPLITS.index(split))}


def size_of(plan: Plan) -> int:
    """Return the bytes needed while writing: all files, and the largest of them once more."""
    source = plan.source
    values = math.prod(plan.x_shape) + math.prod(plan.y_shape)
    largest = int(np.bincount(source.split).max())
    return 4 * values * (len(source.rows) + largest) + (1 << 16)


def job(source: Source, out: Path, name: str) -> Job:
    """Return what is to be written of a set.

    Parameters
    ----------
    out : Path
        A folder.
    name : str
        First part of the file names.

    Raises
    ------
    ValueError
        For a file name, or a set without inputs.
    ImportError
        Without torch, naming the command that installs it.
    """
    from ._torch import save_tensors

    refuse_file_name(out, "neuraloperator")
    plan, files = Plan(source), files_of(source, name)

    def write(staging: Staging, rounding: Rounding, tick: Callable[[], None]) -> dict[str, Any]:
        for split, file in files.items():
            rows = source.rows_of(split)
            pairs = (plan.pair(int(row), rounding) for row in rows)
            extra: dict[str, Any] = {"index": source.index[np.searchsorted(source.rows, rows)]}
            extra["parameters"] = {n.name: source.values(n, rows) for n in source.numbers if n not in plan.numbers}
            save_tensors(staging.path(file), len(rows), plan.x_shape, plan.y_shape, pairs, extra, tick)
        return {"channels": plan.channels, "channels_squeezed": plan.squeezed}

    return Job(out, list(files.values()), "provenance.json", size_of(plan), write, notes_of(plan, files))


def notes_of(plan: Plan, files: Mapping[str, str]) -> list[str]:
    """Return what a user of the files has to know."""
    source, notes = plan.source, []
    if not plan.squeezed:
        notes.append("several channels: read with PTDataset(..., channels_squeezed=False)")
    varying = dict.fromkeys(
        n.field for n in source.numbers if n not in plan.numbers and np.ptp(source.values(n, source.rows)) > 0
    )
    if varying:
        notes.append(f"not in x, but in the entry 'parameters': {', '.join(varying)}, which differ between samples")
    if "valid" in files:
        notes.append(f"{files['valid']} holds the validation split, for which the loader has no name")
    notes += [f"no samples for {split}, which the loader demands" for split in ("train", "test") if split not in files]
    return notes


def family_of_files(path: Path) -> tuple[str, str] | None:
    """Return name and resolution in a file name of this format; None for another name."""
    parts = path.stem.rsplit("_", 2)
    if path.suffix != ".pt" or len(parts) != 3 or parts[1] not in SPLITS or not parts[2].isdigit():
        return None
    return parts[0], parts[2]
