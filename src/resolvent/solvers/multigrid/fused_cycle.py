"""The red-black V-cycle of `cycles` on checkerboard arrays: the same numbers to round-off, compiled and fused."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from ...operators import Array
from .backend import NumpyBackend
from .checkerboard import CheckerboardHierarchy
from .checkerboard_coarsen import part
from .checkerboard_cycle import visit
from .checkerboard_fields import FACES_I, FACES_J, FACES_K, GROUND, NATURAL, NATURAL_RHS, ROOTS
from .network import Network


class FusedCycle:
    """One V-cycle with red-black Gauss–Seidel, for networks whose grid has two colours.

    Parameters
    ----------
    network : Network
        Of one member, or of B.
    diagonal : (*grid, B) array
        Of the finest level.
    sweeps : int
    precision : dtype
        Of the hierarchy.
    semi : bool
        Leave axes that couple weakly until they no longer do.

    Raises
    ------
    StructureError
        For periodic axes whose number of points is no power of two.
    """

    def __init__(self, network: Network, diagonal: Array, sweeps: int, precision: Any, *, semi: bool) -> None:
        missing = 3 - len(network.grid)
        ni, nj, nk = (1,) * missing + tuple(network.grid)
        closed = (False,) * missing + tuple(network.periodic)
        strengths = [1.0] * 3
        if semi:
            strengths = [0.0] * missing + list(network.mean_couplings(NumpyBackend()))
        B = network.members
        shift = np.asarray(network.shift)
        self.hierarchy = CheckerboardHierarchy(
            (ni, nj, nk),
            B,
            (closed[0], closed[1], closed[2]),
            (strengths[0], strengths[1], strengths[2]),
            precision=precision,
            reduced=False,
            grounded=bool(shift.any()),
            sweeps=sweeps,
        )
        # Numbers of the order of one, so that single precision holds them.
        axes = tuple(range(len(network.grid)))
        largest = np.max(diagonal, axis=axes)
        self._factors = np.where((largest > 0.0) & (largest < np.inf), 1.0 / largest, 1.0)
        sources = [(diagonal, ROOTS, ni * nj, nk), (network.faces[-1], FACES_K, ni * nj, nk + 1)]
        if len(axes) > 1:
            sources.append((network.faces[-2], FACES_J, ni * (nj + 1), nk))
        if len(axes) > 2:
            sources.append((network.faces[-3], FACES_I, (ni + 1) * nj, nk))
        if self.hierarchy.grounded:
            sources.append((shift, GROUND, ni * nj, nk))
        for values, field, rows, points in sources:
            target = self.hierarchy.part(field)
            natural = np.ascontiguousarray(values * self._factors, dtype=precision).reshape(-1)
            part(natural, rows, points, B, target.shape[2], target.reshape(-1))
        self.hierarchy.refill()
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    def apply(self, X: Array, out: Array) -> None:
        """Write M X into `out`: (n, B) arrays, column b for member b; for a single member (n, k) arrays."""
        single = self.hierarchy.constants.dtype == np.float32
        # Residuals far below the range of single precision would be lost.
        size = np.abs(X).max(axis=0, initial=0.0) if single else np.ones(X.shape[1])
        scale = np.where((size > 0.0) & (size < np.inf), size, 1.0)
        if self.hierarchy.members > 1:
            self._visit(X / scale if single else X, self._factors * scale, out)
            return
        for column in range(X.shape[1]):
            part = slice(column, column + 1)
            self._visit(X[:, part] / scale[part] if single else X[:, part], self._factors * scale[part], out[:, part])

    def _visit(self, X: Array, back: Array, out: Array) -> None:
        hierarchy = self.hierarchy
        fields = hierarchy.fields
        work = getattr(self._local, "work", None)
        if work is None:
            work = self._local.work = np.zeros_like(hierarchy.work)
        given, found = fields.at[0, NATURAL_RHS], fields.at[0, NATURAL]
        work[given : given + X.size].reshape(X.shape)[...] = X
        visit(hierarchy.constants, work, fields.at, fields.sizes, fields.rows, fields.planes, 0, hierarchy.sweeps)
        np.multiply(work[found : found + X.size].reshape(X.shape), back, out=out, casting="same_kind")
