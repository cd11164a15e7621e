"""Pairs of inputs and targets, from arrays, from datasets of this package and from other people's."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from .. import datasets
from ..datasets.channels import channel_count, chosen_names, stacked
from ..operators.neural.model import check_whole
from .errors import NonFiniteError
from .geometry import Geometry

SPLITS = ("train", "valid", "test")
STEPS = "successive frames"
IN_MEMORY = 2 * 2**30
"""Bytes of pairs up to which a set is read once and kept."""

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Inputs and targets of a set on one grid, read in batches.

    Attributes
    ----------
    read : callable
        Sample numbers to (x, y), float32 tensors (n, channels, *grid) on the host.
    c_in, c_out : int
        Channels.
    geometry : Geometry
        Of the grid.
    splits : dict of str to (n,) int array
        Sample numbers of ``train``, ``valid`` and ``test``; disjoint.
    fingerprint : str
        Changes when the set does.
    about : dict
        Where it comes from, as plain values, for the model card.
    trajectories : callable or None
        Of pairs of successive frames: their numbers to the trajectories (n, frames + 1, channels, *grid) that they are
        of, each once, with the inputs (n, channels, *grid) that do not change in time, or None.
    unlabelled : (n,) int array
        Samples without a label: their targets are not-a-number throughout.
    """

    read: Callable[[np.ndarray], Batch]
    c_in: int
    c_out: int
    geometry: Geometry
    splits: Mapping[str, np.ndarray]
    fingerprint: str
    about: dict[str, Any]
    trajectories: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]] | None = None
    unlabelled: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, dtype=int))

    def batch(self, rows: np.ndarray) -> Batch:
        """Return the pairs of some samples; NonFiniteError names the first that is not finite."""
        x, y = self.read(rows)
        for what, values in (("input", x), ("target", y)):
            if not bool(torch.isfinite(values).all()):
                bad = ~torch.isfinite(values).flatten(1).all(dim=1)
                if what == "target" and len(self.unlabelled):
                    bad &= torch.as_tensor(~np.isin(rows, self.unlabelled))
                    if not bool(bad.any()):
                        continue
                raise NonFiniteError(
                    f"the {what} of sample {int(rows[int(bad.nonzero()[0])])} of {self.about['source']} is not finite: "
                    "leave it out, or generate it again"
                )
        return x, y

    def strided(self, stride: int) -> Pairs:
        """Return the set on every `stride`-th point, or on cells of so many a side where points are cell centres."""
        if stride == 1:
            return self
        check_whole("stride", stride)
        geometry, cells = _coarser(self.geometry, stride)
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[geometry.dim - 1]
        every = tuple(slice(None) if cell else slice(None, None, stride) for cell in cells)

        def coarse(values: torch.Tensor) -> torch.Tensor:
            if any(cells):
                values = pool(values, tuple(stride if cell else 1 for cell in cells))
            return values[(slice(None), slice(None), *every)]

        def read(rows: np.ndarray) -> Batch:
            x, y = self.read(rows)
            return coarse(x), coarse(y)

        return dataclasses.replace(self, read=read, geometry=geometry)


def _coarser(geometry: Geometry, stride: int) -> tuple[Geometry, list[bool]]:
    """Return the geometry of every stride-th point, and of cells `stride` wide; and which axes have cells."""
    cells = [places == "centres" for places in geometry.positions]
    points = geometry.subsampled(stride) if not all(cells) else geometry
    axes, ends = list(points.axes), list(points.ends)
    for i, axis in enumerate(geometry.axes):
        if not cells[i]:
            continue
        if len(axis) % stride or len(axis) < 2 * stride:
            raise ValueError(
                f"{len(axis)} cells cannot be joined {stride} by {stride}: choose a stride that divides them, and "
                "leaves two cells"
            )
        axes[i], ends[i] = axis.reshape(-1, stride).mean(axis=1), geometry.ends[i]
    return Geometry(tuple(axes), geometry.periodic, tuple(ends)), cells


def as_pairs(
    data: Any,
    y: Any = None,
    *,
    inputs: Sequence[str] = (),
    targets: Sequence[str] = (),
    steps: bool = False,
    geometry: Geometry | None = None,
    fractions: tuple[float, float] = (0.1, 0.0),
    unlabelled: bool = False,
    seed: int = 0,
) -> Pairs:
    """Return pairs from whatever holds them.

    Parameters
    ----------
    data : array, tuple, dict, path, Dataset or ForeignSet
        Arrays ``(x, y)`` or ``{"x": …, "y": …}`` of shapes (n, channels, *grid), where one of them, or on a line both,
        may lack the axis of channels; or a dataset of this package or in a foreign format, or its path.
    y : array, optional
        Targets, where `data` is the array of inputs.
    inputs, targets : sequence of str
        Fields of a dataset. By default all inputs, with the parameters that vary and are numbers, and all solutions.
    steps : bool
        Make pairs of successive frames of trajectories instead of one pair (initial state, all frames).
    geometry : Geometry, optional
        Of arrays; points from end to end of the unit box by default.
    fractions : (float, float)
        Parts of arrays for validation and test; datasets bring their own split.
    unlabelled : bool
        Whether targets that are not-a-number throughout, in arrays, stand for samples without a label. They go into
        the training split, for losses that need no labels.
    seed : int
        Of that split.

    Raises
    ------
    ValueError
        For shapes that do not fit, and for unknown or unsuitable fields.
    """
    if isinstance(data, Pairs):
        return data
    if y is not None:
        data = (data, y)
    if isinstance(data, Mapping):
        if not {"x", "y"} <= set(data):
            raise ValueError(f"a mapping of arrays needs the keys 'x' and 'y', got {sorted(map(str, data))}")
        data = (data["x"], data["y"])
    if isinstance(data, tuple | list) and len(data) == 2:
        return _from_arrays(data[0], data[1], geometry, fractions, seed, unlabelled)
    if isinstance(data, str | Path):
        from ..datasets.foreign.recognition import foreign_format

        data = datasets.open_foreign(data) if foreign_format(Path(data)) is not None else datasets.open(data)
    if isinstance(data, datasets.Dataset | datasets.ForeignSet):
        return _from_dataset(data, inputs, targets, steps)
    raise TypeError(
        f"expected arrays (x, y), a dict with 'x' and 'y', a dataset or its path, got {type(data).__name__}"
    )


def _from_arrays(
    x: Any, y: Any, geometry: Geometry | None, fractions: tuple[float, float], seed: int, unlabelled: bool
) -> Pairs:
    tensors = []
    for name, values in (("x", x), ("y", y)):
        # A copy of arrays: they may be read-only, and change later.
        tensor = torch.as_tensor(values if isinstance(values, torch.Tensor) else np.array(values)).detach().cpu()
        if tensor.is_complex():
            raise ValueError(f"{name} is complex: give real and imaginary part as two channels")
        if tensor.ndim < 2 or len(tensor) == 0:
            raise ValueError(f"{name} needs the shape (samples, channels, *grid), got {tuple(tensor.shape)}")
        tensors.append(tensor.to(torch.float32))
    x, y = tensors
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} samples and y has {len(y)}")
    grid = _common_grid(tuple(x.shape), tuple(y.shape), geometry)
    x, y = (values.reshape(len(values), -1, *grid) for values in (x, y))
    n, (valid, test) = len(x), fractions
    order = np.random.default_rng(seed).permutation(n)
    missing = y.isnan().flatten(1).all(1).numpy() if unlabelled else np.zeros(n, dtype=bool)
    if not missing.all():  # those with labels last, where validation and test take theirs from
        order = order[np.argsort(~missing[order], kind="stable")]
    n_valid, n_test = (max(1, round(part * n)) if part else 0 for part in (valid, test))
    if n_valid + n_test >= n:
        raise ValueError(f"{n} samples are too few for parts {valid} and {test} of them beside the training set")
    cuts = np.split(order, [n - n_valid - n_test, n - n_test])
    digest = hashlib.sha256(np.ascontiguousarray(x).tobytes())
    digest.update(np.ascontiguousarray(y).tobytes())
    return Pairs(
        read=lambda rows: (x[rows], y[rows]),
        c_in=x.shape[1],
        c_out=y.shape[1],
        geometry=geometry or Geometry.unit(grid),
        splits={name: np.sort(rows) for name, rows in zip(SPLITS, cuts, strict=True)},
        fingerprint=digest.hexdigest(),
        about={"source": "arrays", "samples": n},
        unlabelled=np.flatnonzero(missing),
    )


def _common_grid(x: tuple[int, ...], y: tuple[int, ...], geometry: Geometry | None) -> tuple[int, ...]:
    """Return the grid of two arrays, whose channel axes may be missing."""
    if geometry is not None:
        grid = tuple(geometry.grid)
        for name, shape in (("x", x), ("y", y)):
            if shape[1:] != grid and shape[2:] != grid:
                raise ValueError(f"{name} of shape {shape} does not lie on the grid {grid} of the geometry")
        return grid
    if x[1:] == y[1:] and 3 <= len(x) <= 4 and x[1] > 1:
        raise ValueError(
            f"arrays of shape {x} can be {x[1]} channels on a grid {x[2:]} or one on {x[1:]}: give x[:, None] and "
            "y[:, None] for the latter, or a geometry"
        )
    if x[2:] == y[2:] and 3 <= len(x) == len(y) <= 5:
        return x[2:]
    if x[1:] == y[1:] and len(x) == 2:
        return x[1:]
    for longer, shorter in ((x, y), (y, x)):
        if longer[2:] == shorter[1:] and len(shorter) <= 4:
            return shorter[1:]
    raise ValueError(
        f"x of shape {x} and y of shape {y} have no grid in common: give (samples, channels, *grid) for both"
    )


def _from_dataset(dataset: Any, inputs: Sequence[str], targets: Sequence[str], steps: bool) -> Pairs:
    axes = {name: values for name, values in dataset.axes.items() if name != "t"}
    if not axes:
        raise ValueError(f"{dataset.path} stores no coordinates of its grid: read its arrays and give them as (x, y)")
    grid = tuple(len(axis) for axis in axes.values())
    frames = len(dataset.axes["t"]) if "t" in dataset.axes else 0
    targets = chosen_names(dataset.fields, targets, "solution", grid)
    inputs = chosen_names(dataset.fields, inputs or _default_inputs(dataset, grid, frames), "input", grid)
    geometry = Geometry(tuple(axes.values()), (_periodic(dataset),) * len(grid))
    about = _about(dataset, inputs, targets)
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
