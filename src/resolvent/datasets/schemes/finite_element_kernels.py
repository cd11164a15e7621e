"""Scattering of element matrices into the entries of a sparse matrix, compiled on first use and cached on disk."""

from __future__ import annotations

import numba

compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@compiled
def add_elements(slots, values, a, data):  # type: ignore[no-untyped-def]
    """data[slots[t, k]] += a[t] · values[k]; a slot of −1 is an entry that is not kept.

    Triangles are added in order, which fixes the last bits.
    """
    for t in range(slots.shape[0]):
        factor = a[t]
        for k in range(slots.shape[1]):
            slot = slots[t, k]
            if slot >= 0:
                data[slot] += factor * values[k]
