"""Pairs of inputs and targets, from arrays, from datasets of this package and from other people's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ... import datasets
from .arrays import from_arrays
from .geometry import Geometry
from .pairs import Pairs
from .stored import from_dataset


def as_pairs(
    data: Any,
    y: Any = None,
    *,
    inputs: Sequence[str] = (),
    targets: Sequence[str] = (),
    steps: bool = False,
    geometry: Geometry | None = None,
    fractions: tuple[float, float] | None = None,
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
        Of arrays, and of datasets without coordinates; points from end to end of the unit box by default.
    fractions : (float, float), optional
        Parts of arrays for validation and test, (0.1, 0.0) by default; datasets bring their own split.
    unlabelled : bool
        Whether targets that are not-a-number throughout, in arrays, stand for samples without a label. They go into
        the training split, for losses that need no labels.
    seed : int
        Of that split.

    Raises
    ------
    ValueError
        For shapes that do not fit, for unknown or unsuitable fields, and for options of another kind of data.
    """
    of_fields = {"inputs": len(inputs) > 0, "targets": len(targets) > 0, "steps": steps}
    of_arrays = {"fractions": fractions is not None, "unlabelled": unlabelled}
    if isinstance(data, Pairs):
        _refuse(of_fields | of_arrays | {"y": y is not None, "geometry": geometry is not None}, "pairs that are made")
        return data
    if y is not None:
        if isinstance(data, str | Path | datasets.Dataset | datasets.ForeignSet):
            _refuse({"y": True}, "a dataset", f" ({getattr(data, 'path', data)})")
        if isinstance(data, Mapping):
            _refuse({"y": True}, "a mapping, which brings its own")
        data = (data, y)
    if isinstance(data, Mapping):
        if not {"x", "y"} <= set(data):
            raise ValueError(f"a mapping of arrays needs the keys 'x' and 'y', got {sorted(map(str, data))}")
        data = (data["x"], data["y"])
    if isinstance(data, tuple | list) and len(data) == 2:
        _refuse(of_fields, "arrays")
        return from_arrays(data[0], data[1], geometry, fractions or (0.1, 0.0), seed, unlabelled)
    if isinstance(data, str | Path):
        from ...datasets.foreign.recognition import foreign_format

        data = datasets.open_foreign(data) if foreign_format(Path(data)) is not None else datasets.open(data)
    if isinstance(data, datasets.Dataset | datasets.ForeignSet):
        _refuse(of_arrays, "a dataset", f" ({data.path})")
        return from_dataset(data, inputs, targets, steps, geometry)
    raise TypeError(
        f"expected arrays (x, y), a dict with 'x' and 'y', a dataset or its path, got {type(data).__name__}"
    )


_BELONGS = {
    "inputs": "chooses among the fields of a dataset",
    "targets": "chooses among the fields of a dataset",
    "steps": "divides the trajectories of a dataset",
    "fractions": "divides arrays, and datasets bring their own split",
    "unlabelled": "is about rows of arrays",
    "geometry": "says where the points of arrays lie",
    "y": "goes with an array of inputs",
}


def _refuse(given: Mapping[str, bool], kind: str, which: str = "") -> None:
    """Raise ValueError if an option is given that does not belong to a kind of data."""
    for name, there in given.items():
        if there:
            raise ValueError(f"{name} {_BELONGS[name]}, and the data are {kind}{which}: leave {name} out")
