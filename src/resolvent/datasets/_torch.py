"""Datasets for torch: pairs of channel-first tensors, read lazily in each loader process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

try:
    import torch
    from torch.utils.data import Dataset as TorchBase
except ImportError as error:
    raise ImportError('reading a dataset as torch tensors needs torch: pip install "resolvent[learn]"') from error

from .reader import Dataset


class TorchDataset(TorchBase[tuple[torch.Tensor, torch.Tensor]]):
    """(input, target) pairs of a dataset; made by `Dataset.torch`, which describes the parameters.

    Attributes
    ----------
    dataset : Dataset
    inputs, targets : list of str
        Field names, in the order of their channels.
    """

    def __init__(self, dataset: Dataset, inputs: Sequence[str], targets: Sequence[str], dtype: str) -> None:
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
        self.dataset = dataset
        self.dtype: torch.dtype = getattr(torch, dtype)
        # The frames of a trajectory are channels, so that its initial state lies on the same grid.
        self.grid = tuple(len(axis) for name, axis in dataset.axes.items() if name != "t")
        dataset.close()  # so that a loader process opens the file for itself
        self.inputs = self._names(inputs, "input")
        self.targets = self._names(targets, "solution")

    def _names(self, names: Sequence[str], role: str) -> list[str]:
        if isinstance(names, str):
            names = [names]
        fields = self.dataset.fields
        chosen = list(names) or [name for name, spec in fields.items() if spec.role == role]
        unknown = [name for name in chosen if name not in fields]
        if unknown or not chosen:
            raise ValueError(f"expected field names among {', '.join(fields)}, got {', '.join(unknown) or 'none'}")
        for name in chosen:
            self._channels(name, np.zeros(fields[name].shape))  # a shape that cannot be a channel fails here
        return chosen

    def _channels(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return a field as (channels, *grid)."""
        if values.dtype.kind == "c":
            return np.concatenate([self._channels(name, values.real), self._channels(name, values.imag)])
        if values.ndim == 0:
            return np.full((1, *self.grid), values)
        if values.shape == self.grid:
            return values[None]
        if values.shape[1:] == self.grid:
            return values
        raise ValueError(
            f"field {name!r} of shape {values.shape} does not lie on the grid {self.grid}: a channel must be a "
            "number, a field on the grid, or several fields along the first axis"
        )

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self._tensor(self.inputs, i), self._tensor(self.targets, i)

    def _tensor(self, names: list[str], i: int) -> torch.Tensor:
        stacked = np.concatenate([self._channels(name, self.dataset.column(name, i)) for name in names])
        return torch.from_numpy(np.ascontiguousarray(stacked)).to(self.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__
