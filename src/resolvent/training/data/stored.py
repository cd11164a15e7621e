"""Pairs from stored datasets, of this package and of others: whole samples, or successive frames of trajectories."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...datasets.channels import channel_count, chosen_names, stacked
from .geometry import Geometry
from .pairs import SPLITS, STEPS, Batch, Pairs

ASSUMED = "none stored: equidistant points from end to end of the unit box are assumed"
IN_MEMORY = 2 * 2**30
"""Bytes of pairs up to which a set is read once and kept."""


def from_dataset(
    dataset: Any, inputs: Sequence[str], targets: Sequence[str], steps: bool, geometry: Geometry | None
) -> Pairs:
    """Return the pairs of a dataset, with its own split; see `as_pairs`."""
    axes = {name: values for name, values in dataset.axes.items() if name != "t"}
    if axes and geometry is not None:
        raise ValueError(f"{dataset.path} stores the coordinates of its points: leave geometry out")
    assumed = not axes and geometry is None
    if axes:
        geometry = Geometry(tuple(axes.values()), (_periodic(dataset),) * len(axes))
    elif geometry is None:
        geometry = Geometry.unit(_grid_of_tensors(dataset))
    grid = geometry.grid
    frames = len(dataset.axes["t"]) if "t" in dataset.axes else 0
    targets = chosen_names(dataset.fields, targets, "solution", grid)
    inputs = chosen_names(dataset.fields, inputs or _default_inputs(dataset, grid, frames), "input", grid)
    about = _about(dataset, inputs, targets)
    if assumed:
        about["coordinates"] = ASSUMED
    split_of = np.asarray(dataset.split_of[dataset.index] if hasattr(dataset, "split_of") else dataset.column("split"))
    splits = {name: np.flatnonzero(split_of == i) for i, name in enumerate(SPLITS)}
    widths = [sum(channel_count(name, dataset.fields[name], grid) for name in names) for names in (inputs, targets)]
    fingerprint = hashlib.sha256(
        json.dumps([getattr(dataset, "content_sha256", str(dataset.path)), inputs, targets, steps]).encode()
    ).hexdigest()

    def read(rows: np.ndarray) -> Batch:
        ascending, back = np.unique(rows, return_inverse=True)
        x, y = (
            torch.from_numpy(np.ascontiguousarray(stacked(dataset, names, ascending, grid), dtype=np.float32))
            for names in (inputs, targets)
        )
        if len(ascending) == len(rows) and np.array_equal(ascending, rows):
            return x, y
        return x[back], y[back]

    pairs = Pairs(read, widths[0], widths[1], geometry, splits, fingerprint, about)
    if steps:
        pairs = _stepwise(pairs, dataset, inputs, targets, frames, grid)
    if 4 * len(split_of) * (pairs.c_in + pairs.c_out) * int(np.prod(grid)) * (frames if steps else 1) <= IN_MEMORY:
        pairs = _kept(pairs)
    return pairs


def _grid_of_tensors(dataset: Any) -> tuple[int, ...]:
    """Return the grid that input and solution of a set without coordinates share, by the shapes of their samples.

    Equal shapes are those of one field each, without an axis of channels, as the loader of such files takes them.
    """
    x, y = (dataset.fields[next(iter(dataset.names(role)))].shape for role in ("input", "solution"))
    for grid, fits in ((x, x == y and x[:1] != (1,)), (x[1:], x[1:] == y[1:]), (x, y[1:] == x), (y, x[1:] == y)):
        if fits and 1 <= len(grid) <= 3 and min(grid) > 1:
            return tuple(grid)
    raise ValueError(
        f"{dataset.path} stores no coordinates, and samples of shape {x} and {y} have no grid in common: read its "
        "arrays and give them as (x, y)"
    )


def _default_inputs(dataset: Any, grid: tuple[int, ...], frames: int) -> list[str]:
    """Return all inputs, and the parameters that differ between samples: those of trajectories only if numbers.

    Lists of numbers that belong to a trajectory describe its initial state, which is an input itself.
    """
    names = []
    for name, spec in dataset.fields.items():
        numbers = spec.shape == () or (len(spec.shape) == 1 and spec.shape != grid and not frames)
        if spec.role == "input":
            names.append(name)
        elif spec.role == "parameter" and numbers:
            values = dataset.column(name)
            if len(values) and np.any(values != values[0]):
                names.append(name)
    return names


def _stepwise(
    pairs: Pairs, dataset: Any, inputs: list[str], targets: list[str], frames: int, grid: tuple[int, ...]
) -> Pairs:
    """Return pairs of successive frames: the state, then the other inputs, to the next state."""
    if not frames:
        raise ValueError(f"{dataset.path} holds no trajectories, which pairs of successive frames need")
    _check_even(dataset)
    initial = [f"{name}0" for name in targets]
    if any(name not in dataset.fields for name in initial) or any(
        dataset.fields[name].shape != (frames, *grid) for name in targets
    ):
        raise ValueError(f"pairs of successive frames need the initial states {', '.join(initial)} among the fields")
    fixed = [name for name in inputs if name not in initial]

    def whole(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        begin = stacked(dataset, initial, samples, grid)[:, None]
        states = np.stack([dataset.column(name, samples) for name in targets], axis=2)
        beside = stacked(dataset, fixed, samples, grid) if fixed else None
        return np.concatenate([begin, states], axis=1), beside

    def read(rows: np.ndarray) -> Batch:
        samples, k = np.divmod(rows, frames)
        known, back = np.unique(samples, return_inverse=True)
        states, beside = whole(known)
        now = states[back, k]
        if beside is not None:
            now = np.concatenate([now, beside[back]], axis=1)
        arrays = (np.ascontiguousarray(values, dtype=np.float32) for values in (now, states[back, k + 1]))
        x, y = (torch.from_numpy(values) for values in arrays)
        return x, y

    def trajectories(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return whole(np.unique(rows // frames))

    width = sum(channel_count(name, dataset.fields[name], grid) for name in fixed)
    splits = {name: (rows[:, None] * frames + np.arange(frames)).ravel() for name, rows in pairs.splits.items()}
    about = {
        **pairs.about,
        "pairs": STEPS,
        "fields": inputs,
        "inputs": [*targets, *fixed],
        "frames": frames,
    }
    return dataclasses.replace(
        pairs,
        read=read,
        c_in=len(targets) + width,
        c_out=len(targets),
        splits=splits,
        about=about,
        trajectories=trajectories,
    )


def _check_even(dataset: Any) -> None:
    """Raise ValueError unless the frames, the initial state included, are equally far apart in time."""
    gaps = np.diff(np.concatenate([[0.0], np.asarray(dataset.axes["t"], dtype=np.float64)]))
    if np.ptp(gaps) > 1e-6 * gaps.max():
        raise ValueError(f"{dataset.path} has frames at uneven times: one step would stand for different spans")


def _kept(pairs: Pairs) -> Pairs:
    """Return the pairs with all samples in memory."""
    rows = np.concatenate([pairs.splits[name] for name in SPLITS])
    order = np.sort(rows)
    x, y = pairs.batch(order)
    place = np.full(int(order[-1]) + 1 if len(order) else 0, -1)
    place[order] = np.arange(len(order))
    return dataclasses.replace(pairs, read=lambda rows: (x[place[rows]], y[place[rows]]))


def _periodic(dataset: Any) -> bool:
    return "periodic" in str(dataset.attributes.get("boundary", "")).lower()


def _about(dataset: Any, inputs: list[str], targets: list[str]) -> dict[str, Any]:
    attributes = {
        name: str(dataset.attributes[name])
        for name in ("title", "family", "equation", "domain", "boundary", "law", "licence", "seed", "rtol")
        if name in dataset.attributes
    }
    about: dict[str, Any] = {
        "source": str(dataset.path),
        "samples": len(dataset),
        "inputs": inputs,
        "targets": targets,
        **attributes,
    }
    if hasattr(dataset, "content_sha256"):
        about["content_sha256"] = dataset.content_sha256
        about["certified"] = int(np.sum(dataset.certificates.get("certified", np.zeros(0))))
    return about
