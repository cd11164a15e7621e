"""Fields of a dataset side by side as the channels of one array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .family import FieldSpec


def channel_count(name: str, spec: FieldSpec, grid: tuple[int, ...]) -> int:
    """Return how many channels a field takes on a grid.

    Raises
    ------
    ValueError
        If it is neither numbers, nor a field on the grid, nor several fields along the first axis.
    """
    parts = 2 if spec.kind == "complex" else 1
    if spec.shape in ((), grid):
        return parts
    if spec.shape[1:] == grid or len(spec.shape) == 1:
        return parts * spec.shape[0]
    raise ValueError(
        f"field {name!r} of shape {spec.shape} does not lie on the grid {grid}: a channel must be a "
        "number, a field on the grid, or several of either along the first axis"
    )


def as_channels(values: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Return the values of one field in n samples as (n, channels, *grid).

    A number is a constant channel, a complex field two (real, imaginary), the frames of a trajectory are one each.

    Examples
    --------
    >>> as_channels(np.array([1.0, 2.0]), (2,)).tolist()
    [[[1.0, 1.0]], [[2.0, 2.0]]]
    """
    if values.dtype.kind == "c":
        return np.concatenate([as_channels(values.real, grid), as_channels(values.imag, grid)], axis=1)
    n, shape = len(values), values.shape[1:]
    if shape == grid:
        return values[:, None]
    if shape[1:] == grid:
        return values
    return np.broadcast_to(values.reshape(n, -1, *(1 for _ in grid)), (n, int(np.prod(shape)), *grid))


def stacked(dataset: Any, names: Sequence[str], rows: Any, grid: tuple[int, ...]) -> np.ndarray:
    """Read fields of some samples as one (n, channels, *grid) array."""
    return np.concatenate([as_channels(dataset.column(name, rows), grid) for name in names], axis=1)


def chosen_names(fields: Mapping[str, FieldSpec], names: Sequence[str], role: str, grid: tuple[int, ...]) -> list[str]:
    """Return the named fields, by default all of a role; ValueError for unknown ones and what cannot be channels."""
    names = [names] if isinstance(names, str) else names
    chosen = list(names) or [name for name, spec in fields.items() if spec.role == role]
    unknown = [name for name in chosen if name not in fields]
    if unknown or not chosen:
        raise ValueError(f"expected field names among {', '.join(fields)}, got {', '.join(unknown) or 'none'}")
    for name in chosen:
        channel_count(name, fields[name], grid)
    return chosen
