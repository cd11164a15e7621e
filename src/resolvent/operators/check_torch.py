"""Arrays in and out of operators on torch storage, for `check_operator`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def to_device(x: np.ndarray, device: str) -> torch.Tensor:
    """Return a copy of the array as a tensor on the device."""
    return torch.tensor(x, device=device)


def to_host(y: Any) -> np.ndarray:
    """Return a tensor as a numpy array."""
    array: np.ndarray = y.detach().resolve_conj().cpu().numpy()
    return array
