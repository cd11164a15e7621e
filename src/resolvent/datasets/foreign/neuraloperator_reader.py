"""Reading neuraloperator's tensor files; `neuraloperator` says what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import families
from ..errors import FormatError
from ..family import FieldSpec
from ..seeding import SPLITS
from .foreign_set import ForeignSet
from .neuraloperator import family_of_files


def siblings(path: Path) -> dict[str, Path]:
    """Return the file of each split that belongs to a file or folder.

    Raises
    ------
    FormatError
        If a folder holds several sets, or none.
    """
    if path.is_file():
        found = family_of_files(path)
        if found is None:
            return {"train": path}
        name, resolution = found
        paths = {split: path.with_name(f"{name}_{split}_{resolution}.pt") for split in SPLITS}
        return {split: file for split, file in paths.items() if file.is_file()}
    sets = {family_of_files(file): file for file in sorted(path.glob("*.pt"))}
    sets.pop(None, None)
    if len(sets) != 1:
        listed = ", ".join(f"{name} at {resolution}" for name, resolution in filter(None, sets))
        raise FormatError(
            f"{path} holds {len(sets)} sets of tensors ({listed or 'none named NAME_train_RES.pt'}): name a file of "
            "the one you mean"
        )
    return siblings(next(iter(sets.values())))


def open_tensors(path: Path) -> ForeignSet:
    """Open a file with its siblings of the other splits, or a folder of one set.

    Raises
    ------
    FormatError
        If a file is no dict with tensors ``x`` and ``y``, or would have to run code to be read.
    ImportError
        Without torch.
    """
    files = siblings(path)
    loaded = {split: _pair(file) for split, file in files.items()}
    shapes = {split: {k: v.shape[1:] for k, v in arrays.items()} for split, arrays in loaded.items()}
    first = next(iter(shapes.values()))
    for split, shape in shapes.items():
        if shape != first:
            raise FormatError(f"{files[split]} holds {shape}, {next(iter(files.values()))} holds {first}")
    counts = [len(arrays["x"]) for arrays in loaded.values()]
    starts = np.concatenate([[0], np.cumsum(counts)])
    blocks = list(loaded.values())
    roles = {"x": "input", "y": "solution"}
    fields = {name: FieldSpec(tuple(shape), roles.get(name, "parameter"), name) for name, shape in first.items()}
    axes, origin = _origin(next(iter(files.values())), tuple(first["x"]))

    def read(name: str, row: int) -> np.ndarray:
        part = int(np.searchsorted(starts, row, side="right")) - 1
        return np.array(blocks[part][name][row - int(starts[part])])

    return ForeignSet(
        path=path,
        format="neuraloperator",
        layout="tensors",
        fields=fields,
        axes=axes,
        attributes={**origin, "files": {split: file.name for split, file in files.items()}},
        split_of=np.concatenate([np.full(n, SPLITS.index(s), np.uint8) for s, n in zip(files, counts, strict=True)]),
        read=read,
        release=lambda: None,
        index=np.arange(int(starts[-1])),
    )


def _origin(path: Path, shape: tuple[int, ...]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return coordinates and origin of what this package exported, which the record beside it tells; nothing of others.

    Frames are channels here, so that times are left out.
    """
    try:
        record = json.loads(path.with_name("provenance.json").read_text(encoding="utf-8"))
        known = path.name in record["files"]
        made = families.get(record["family"], **record["options"]).axes()
        told = {key: str(record[key]) for key in ("title", "equation", "domain", "boundary", "law") if key in record}
    except (OSError, ValueError, TypeError, LookupError):
        return {}, {}
    axes = {name: axis for name, axis in made.items() if name != "t"}
    grid = tuple(len(axis) for axis in axes.values())
    return (axes, told) if known and shape[len(shape) - len(grid) :] == grid else ({}, {})


def _pair(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file: x, y and the parameters."""
    from ._torch import array_of, load_tensors

    content: Any = load_tensors(path)
    if not isinstance(content, Mapping) or not {"x", "y"} <= content.keys():
        found = f"the entries {', '.join(map(str, list(content)[:5]))}" if isinstance(content, Mapping) else "none"
        raise FormatError(f"{path}: expected a dict with the tensors x and y, found {found}")
    named = {"x": content["x"], "y": content["y"]}
    further = content.get("parameters", {})
    named |= further if isinstance(further, Mapping) else {}
    arrays = {name: array_of(value) for name, value in named.items()}
    wrong = [name for name, values in arrays.items() if values is None or values.ndim == 0]
    if wrong:
        raise FormatError(f"{path}: {wrong[0]} is not a tensor with samples along its first axis")
    pairs = {name: values for name, values in arrays.items() if values is not None}
    lengths = {len(values) for values in pairs.values()}
    if len(lengths) != 1:
        raise FormatError(f"{path}: x, y and the parameters hold {sorted(lengths)} samples, expected one number")
    return pairs
