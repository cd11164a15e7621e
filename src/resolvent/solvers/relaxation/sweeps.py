"""A matrix prepared for relaxation sweeps: what solves and smoothes."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple, final

import numpy as np

from ...operators import Array, LinearOperator, Stencil
from ...operators.stencil_layout import flat_terms
from ...operators.workspace import Workspace
from ..preconditioners.entries import host_diagonal
from ..preconditioners.ordering import Ordering
from ..preconditioners.splitting import split
from ..preconditioners.ssor import Sweep, sweep_code
from .storage import Blocks, Checkerboard, Points, Rows

SYMMETRIC = sweep_code("symmetric")

CHUNK = (16, 1024)
"""Least and most points of a stencil that are summed at once: long enough for loops over them, short enough for the
first-level cache. One line of the grid where that lies between, so that only the neighbour along it is waited for."""


@final
class Relaxation:
    """Sweeps x_i ← x_i + ω (b − A x)_i / a_ii over the unknowns of A, or over blocks of them.

    Made by ``SOR(…).smoother(A)``; see there for the options.

    Attributes
    ----------
    permutation : (n,) int array or None
        Which unknown comes at each place; None where they come in the order of A.
    colours : int
        Number of colours, 0 without colouring.
    nnz : int
        Entries that a sweep reads.
    """

    def __init__(
        self,
        A: LinearOperator,
        omega: float,
        sweep: Sweep,
        ordering: Ordering,
        blocks: Any,
        method: str = "SOR",
        *,
        skip_zeros: bool = False,
    ) -> None:
        self.shape, self.dtype = A.shape, A.dtype
        self.permutation: np.ndarray | None = None
        self.colours = 0
        self._code = sweep_code(sweep)
        self._work = Workspace()
        self._scratch: tuple[tuple[str, int], ...] = ()
        if not entries_finite(A):
            raise ValueError(f"{method} needs finite entries, but {A!r} holds NaN or infinity: check how it was made")
        if isinstance(A, Stencil) and blocks is None and _matrix_free(A, ordering):
            self._storage: NamedTuple = self._stencil(A, omega, ordering, method)
            self.nnz = A.shape[0] * len(self._storage.starts)
            return
        parts = split(A, ordering, blocks, method, skip_zeros=skip_zeros)
        self.permutation, self.colours, self.nnz = parts.permutation, parts.colours, parts.matrix.nnz
        rows = (parts.matrix.indptr, parts.matrix.indices, parts.matrix.data)
        real = parts.matrix.data.real.dtype.type(omega)
        if parts.inverse is not None:
            self._storage = Rows(*rows, parts.inverse, real)
        else:
            self._storage = Blocks(*rows, parts.starts, parts.offsets, parts.entries, real, None)
            self._scratch = (("work", parts.widest),)

    def reversed(self) -> Relaxation:
        """Return the sweeps the other way round, which are the adjoint ones where A is self-adjoint."""
        if self._code == SYMMETRIC:
            return self
        other = copy.copy(self)
        other._code, other._work = 1 - self._code, Workspace()
        return other

    def smooth(self, x: Array, b: Array, sweeps: int = 1) -> None:
        """Improve x in place by so many sweeps for A x = b.

        Parameters
        ----------
        x, b : (n,) or (n, k) arrays
            x of the dtype of the result, C-contiguous or not.
        sweeps : int

        Raises
        ------
        ValueError
            For shapes that do not fit.
        TypeError
            If x cannot hold the result.
        """
        n = self.shape[0]
        if x.shape != b.shape or x.shape[:1] != (n,) or x.ndim > 2:
            raise ValueError(f"x and b must both have shape ({n},) or ({n}, k), got {x.shape} and {b.shape}")
        if not np.can_cast(np.result_type(self.dtype, b.dtype), x.dtype, "same_kind"):
            raise TypeError(f"x has dtype {x.dtype}, but the sweeps give {np.result_type(self.dtype, b.dtype)}")
        from .sweep_kernels import smooth

        kernel: Any = smooth
        storage = self._with_scratch(x.dtype)
        for c in range(x.size // n if n else 0):
            column = x if x.ndim == 1 else x[:, c]
            right = np.ascontiguousarray(self.arranged(b if b.ndim == 1 else b[:, c]), dtype=x.dtype)
            given = self.arranged(column)
            now = np.ascontiguousarray(given)
            kernel(storage, self._code, right, now, sweeps)
            if now is not column:
                self.restore(now, column)

    def iterate(
        self, b: np.ndarray, x: np.ndarray, y: np.ndarray, norms: np.ndarray, floor: float, limit: float
    ) -> int:
        """Run `sweep_kernels.iterate` on flat arrays in the order of the sweeps."""
        from .sweep_kernels import iterate

        kernel: Any = iterate
        return int(kernel(self._with_scratch(x.dtype), self._code, b, x, y, norms, floor, limit))

    def arranged(self, x: np.ndarray) -> np.ndarray:
        """Return a vector in the order of the sweeps; itself where that is the order of A."""
        return x if self.permutation is None else x[self.permutation]

    def restore(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write a vector in the order of the sweeps into `out` in the order of A."""
        if self.permutation is None:
            out[...] = x
        else:
            out[self.permutation] = x

    def _with_scratch(self, dtype: Any) -> Any:
        """Return the storage with work arrays of this thread."""
        arrays = {name: self._work.array(name, (size,), dtype) for name, size in self._scratch}
        return self._storage._replace(**arrays) if arrays else self._storage

    def _stencil(self, A: Stencil, omega: float, ordering: Ordering, method: str) -> Points | Checkerboard:
        grid = A.coefficients.shape[1:]
        inverse = 1.0 / host_diagonal(A, method)
        starts, shifts = flat_terms(A.offsets, grid, mirrored=A.mirrored)
        terms = (starts, shifts, A.coefficients.reshape(-1), inverse, inverse.real.dtype.type(omega))
        if ordering == "red_black":
            self.colours = 2
            parities = np.indices(grid[:-1]).sum(axis=0).reshape(-1) % 2 if len(grid) > 1 else np.zeros(1, dtype=int)
            return Checkerboard(*terms, parities.astype(np.int64), grid[-1])
        chunk = min(max(grid[-1] if len(grid) > 1 else CHUNK[1], CHUNK[0]), CHUNK[1], max(A.shape[0], 1))
        before, after = (-chunk < shifts) & (shifts < 0), (shifts > 0) & (shifts < chunk)
        self._scratch = (("old", chunk), ("new", chunk))
        return Points(*terms, shifts[before], starts[before], shifts[after], starts[after], None, None)


def entries_finite(A: LinearOperator) -> bool:
    """Whether all entries of A are numbers; a stencil is not assembled for that."""
    entries = A.coefficients if isinstance(A, Stencil) else A.to_sparse().data
    return bool(np.isfinite(entries).all())


def _matrix_free(A: Stencil, ordering: Ordering) -> bool:
    odd = all(sum(offset) % 2 for offset in A.offsets if any(offset))
    return ordering == "natural" or (ordering == "red_black" and odd)
