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

from .channels import chosen_names, stacked
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
        self.inputs = chosen_names(dataset.fields, inputs, "input", self.grid)
        self.targets = chosen_names(dataset.fields, targets, "solution", self.grid)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self._tensor(self.inputs, i), self._tensor(self.targets, i)

    def _tensor(self, names: list[str], i: int) -> torch.Tensor:
        values = stacked(self.dataset, names, np.array([i]), self.grid)[0]
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__
