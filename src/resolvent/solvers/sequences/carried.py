"""Arrays of earlier systems, fitted to the system at hand."""

from __future__ import annotations

import numpy as np

from ...operators import Array
from ...operators.arrays import is_torch


def carried(u: Array, b: Array) -> Array | None:
    """Return u in the dtype of b, its real part where b is real; None if it is in other storage.

    A complex right-hand side makes a system with a real A complex for once: what it leaves serves real ones after it.
    """
    if is_torch(u) != is_torch(b) or (is_torch(b) and u.device != b.device):
        return None
    if u.dtype == b.dtype:
        return u
    if is_torch(b):
        u = u.real if u.is_complex() and not b.is_complex() else u
        return u.to(b.dtype).contiguous()
    u = u.real if u.dtype.kind == "c" and b.dtype.kind != "c" else u
    return np.ascontiguousarray(u, dtype=b.dtype)
