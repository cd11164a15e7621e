"""A matrix prepared for relaxation sweeps."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from ...operators import LinearOperator
from ..preconditioners.entries import host_diagonal, host_entries

Sweep = Literal["forward", "backward", "symmetric"]


def sweep_code(sweep: str) -> int:
    """Return the number by which kernels know a sweep.

    Raises
    ------
    ValueError
        If it is none.
    """
    names = get_args(Sweep)
    if sweep not in names:
        raise ValueError(f"sweep must be one of {', '.join(map(repr, names))}, got {sweep!r}")
    return names.index(sweep)


class RowSweeps:
    """Point relaxation over compressed sparse rows in their order."""

    def __init__(self, A: LinearOperator, omega: float, sweep: Sweep) -> None:
        matrix = host_entries(A, "SOR")
        inverse = 1.0 / host_diagonal(A, "SOR")
        self._arguments: tuple[Any, ...] = (
            matrix.indptr,
            matrix.indices,
            matrix.data,
            inverse,
            inverse.real.dtype.type(omega),
            sweep_code(sweep),
        )
        self.work = matrix.nnz

    def iterate(
        self, b: np.ndarray, x: np.ndarray, y: np.ndarray, norms: np.ndarray, floor: float, limit: float
    ) -> int:
        """Run the kernel of the same name on flat arrays."""
        from .csr_kernels import iterate

        return int(iterate(*self._arguments, b, x, y, norms, floor, limit))
