"""Noticing that a matrix of another library was changed in place."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import scipy.sparse as sp


def fingerprint(A: Any) -> int | None:
    """Return a checksum of the values and the pattern of a numpy or scipy matrix, None for anything else. O(nnz).

    Our own operators count versions; a foreign matrix says nothing when ``A.data[...] = ...`` changes it. The checksum
    (CRC-32 over every byte, at each solve) is the price; wrap the matrix in `Sparse`, which has a version, to save it.
    """
    if isinstance(A, np.ndarray):
        parts = [A]
    elif sp.issparse(A):
        names = ("data", "indices", "indptr", "row", "col", "offsets")
        parts = [part for name in names if isinstance(part := getattr(A, name, None), np.ndarray)]
        if any(part.dtype == object for part in parts):  # lists of lists
            return None
    else:
        return None
    # The same arrays mean another matrix in another format: those of A by rows are those of Aᵀ by columns.
    kind = f"{getattr(A, 'format', 'dense')} {A.shape} {A.dtype.str} {getattr(A, 'blocksize', '')}"
    total = zlib.crc32(kind.encode())
    for part in parts:
        total = zlib.crc32(np.ascontiguousarray(part).data, total)
    return total
