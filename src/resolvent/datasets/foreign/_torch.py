"""Files of torch tensors: written without holding them in memory, read without running what they contain."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

try:
    import torch
except ImportError as error:
    raise ImportError('files of torch tensors need torch: pip install "resolvent[learn]"') from error

from ..errors import FormatError

Pairs = Iterator[tuple[np.ndarray, np.ndarray]]


def save_tensors(
    path: Path,
    n: int,
    x_shape: tuple[int, ...],
    y_shape: tuple[int, ...],
    pairs: Pairs,
    extra: Mapping[str, Any],
    tick: Callable[[], None],
) -> None:
    """Write ``x`` and ``y`` of n samples, and further arrays, as a dict of tensors.

    Parameters
    ----------
    pairs : iterator of (x, y)
        One sample after the other, float32.
    extra : mapping
        Arrays, or mappings of arrays, by name.
    tick : callable
        Called after each sample.
    """
    raw = {name: path.with_suffix(f".{name}.raw") for name in ("x", "y")}
    try:
        x_all = np.memmap(raw["x"], np.float32, "w+", shape=(n, *x_shape))
        y_all = np.memmap(raw["y"], np.float32, "w+", shape=(n, *y_shape))
        for i, (x, y) in enumerate(pairs):
            x_all[i], y_all[i] = x, y
            tick()
        content: dict[str, Any] = {"x": torch.from_numpy(x_all), "y": torch.from_numpy(y_all)}
        torch.save(content | {name: _tensors(value) for name, value in extra.items()}, path)
    finally:
        for file in raw.values():
            file.unlink(missing_ok=True)


def _tensors(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _tensors(item) for name, item in value.items()}
    return torch.from_numpy(np.ascontiguousarray(value))


def load_tensors(path: Path) -> Any:
    """Return what a file holds, its numbers left on the disk until they are used.

    Raises
    ------
    FormatError
        If it is no file of tensors, or would have to run code to be read.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise FormatError(
            f"{path} holds Python objects, which are not read because reading them can run code: store tensors"
        ) from error
    except (RuntimeError, ValueError, EOFError, KeyError, AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        first = str(error).strip().splitlines()[0].partition(". ")[0] if str(error).strip() else type(error).__name__
        raise FormatError(f"{path} cannot be read as a file of torch tensors: {first}") from error


def array_of(value: Any) -> np.ndarray | None:
    """Return a tensor as an array that shares its memory; None for anything else."""
    return np.asarray(value.detach().numpy()) if isinstance(value, torch.Tensor) else None
