"""Telling numpy arrays and torch tensors apart without importing torch."""

from __future__ import annotations

import sys
from typing import Any


def is_torch(x: Any) -> bool:
    """Whether x is a torch tensor; torch is never imported for the question."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)
