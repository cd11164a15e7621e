"""Memory of a worker, from the size of a sample and what its method keeps of a system."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from .choosing.decision import Decision
from .storage.file_format import Layout

_ENSEMBLE = 110
"""Bytes of an unknown and member of `MultigridCG`: measured on 64², 256² and 32³ (coefficients, a hierarchy in single
precision, five vectors and the systems that the window is made of)."""

_FACTOR_2D = 110
"""Bytes of factors by unknown and log₂ of their number, in the plane: SuperLU held 0.5 GB at 512² (`candidates`)."""

_FACTOR_3D = 800
"""Bytes of factors by unknown and the cube root of their number, in space: 1.5 GB at 50 000 (`candidates`)."""

_HIERARCHY = 5.0
"""Entries of an algebraic hierarchy and of what builds it, in entries of the matrix."""

_FILL = 12.0
"""Entries of an incomplete factorisation with its default fill, in entries of the matrix."""

_INTEGRATOR = 40
"""Arrays of the grid in a spectral integrator: four stages, transforms, and coefficients of the exponentials."""


def resident_bytes() -> int:
    """Return the memory of this process, whose libraries a worker loads as well."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 250 * 2**20
    return pages * os.sysconf("SC_PAGE_SIZE")


def worker_bytes(decision: Decision, task: Any, layout: Layout, dimension: int) -> int:
    """Return about how many bytes a worker needs besides its libraries.

    Parameters
    ----------
    task : System or DiscreteProblem
        Of one sample.
    dimension : int
        Of space.
    """
    window = decision.method.window
    samples = (window + 3) * layout.record.itemsize
    if not isinstance(task, tuple):
        points = max(math.prod(column.shape[1:]) for column in layout.fields.values())
        return samples + 3 * layout.record.itemsize + 8 * _INTEGRATOR * points
    A, b = task
    n, item = A.shape[0], b.dtype.itemsize
    entries = _entries(A)
    matrix = entries * (A.dtype.itemsize + 4)
    name = decision.arms[0].name if decision.arms else decision.chosen
    kept = 3.0 * matrix
    if name.startswith("multigrid"):
        kept = float(_ENSEMBLE * n * window)
    elif name.startswith(("direct", "superposition")):
        factors = _FACTOR_3D * n ** (4.0 / 3.0) if dimension > 2 else _FACTOR_2D * n * math.log2(max(n, 2))
        kept = 3.0 * matrix + factors * item / 8.0
    elif "amg" in name or name == "petsc":
        kept = (2.0 + _HIERARCHY) * matrix
    elif "+i" in name:
        kept = (2.0 + _FILL) * matrix
    return int(samples + window * matrix + kept + 40 * n * item)


def _entries(A: Any) -> int:
    from ..operators import Stencil

    if isinstance(A, Stencil):
        return int(A.coefficients.size)
    try:
        return int(A.to_sparse().nnz)
    except (NotImplementedError, TypeError):
        return 7 * int(A.shape[0])
