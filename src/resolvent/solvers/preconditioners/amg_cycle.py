"""One cycle of algebraic multigrid as an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from ...operators import Array, LinearOperator, Props, Sparse, StructureError
from ...operators.detect import entries_equal
from .amg_hierarchy import Hierarchy, Level, coarsened
from .entries import host_entries

if TYPE_CHECKING:
    from .amg import AMG

F_SWEEPS = 2
"""Sweeps over the unknowns that are eliminated, for one over the rest, of reduction: Manteuffel, Ruge & Southworth 2018
smooth F-F-C."""


class Cycle(LinearOperator):
    """One cycle of a multigrid hierarchy.

    Parameters
    ----------
    A : LinearOperator
        With entries.
    recipe : AMG
    previous : Cycle, optional
        Whose interpolation and restriction to take over, if it fits.
    """

    def __init__(self, A: LinearOperator, recipe: AMG, previous: Cycle | None = None) -> None:
        if A.dtype.kind == "c" and recipe.method in ("ruge_stuben", "air"):
            raise StructureError(
                f"{recipe.method} interpolation is real, but {A!r} is complex: use smoothed_aggregation"
            )
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        self.recipe = recipe
        self.not_self_adjoint = recipe.method == "air"
        matrix = host_entries(A, "AMG")
        # A copy in double precision: pyamg notes estimates on the matrix, and mixes precisions on coarser levels.
        matrix = sp.csr_array(matrix, dtype=np.result_type(matrix.dtype, np.float64), copy=True)
        # Whether the coarse matrices are self-adjoint; those of reduction, R A P with R ≠ Pᴴ, never are.
        symmetric = not self.not_self_adjoint and (
            Props.SELF_ADJOINT in A.props or entries_equal(matrix, matrix.conj().T, 1e-14)
        )
        self._dtype_within = matrix.dtype
        old: Hierarchy | None = None if previous is None else previous.hierarchy
        # Restriction was made Pᴴ for a self-adjoint matrix only.
        if old is not None and old.levels[0].A.dtype == matrix.dtype and old.symmetric == symmetric:
            self.hierarchy: Hierarchy = old.renewed(matrix, symmetric=symmetric)
        else:
            self.hierarchy = coarsened(matrix, recipe, symmetric=symmetric)
        self.levels = len(self.hierarchy.levels)
        self.operator_complexity = self.hierarchy.operator_complexity()
        self._smoothers = self._prepared(self.hierarchy)
        self._adjoint: tuple[Hierarchy, list[Any]] | None = None

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        self._run(self.hierarchy, self._smoothers, X, out, flipped=False)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        if Props.SELF_ADJOINT in self.props:
            self._matmat_into(X, out)
        else:
            if self._adjoint is None:  # made when first asked for: it doubles the storage
                hierarchy = self.hierarchy.adjoint()
                self._adjoint = hierarchy, self._prepared(hierarchy)
            self._run(*self._adjoint, X, out, flipped=True)
        return out

    def _prepared(self, hierarchy: Hierarchy) -> list[Any]:
        """Return, for each level but the last, the sweeps before the coarse correction and those after."""
        from ..relaxation.sor import SOR
        from ..relaxation.sweeps import Relaxation

        method = self.recipe.smoother or SOR(sweep="symmetric")
        smoothers: list[Any] = []
        for level in hierarchy.levels[:-1]:
            if level.coarse is not None:
                smoothers.append(None)
                continue
            matrix = Sparse(sp.csr_array(level.A), props=Props.SELF_ADJOINT if hierarchy.symmetric else Props.NONE)
            options = (method.omega, method.sweep, method.ordering, method.blocks, "AMG")
            before = Relaxation(matrix, *options, skip_zeros=True)
            smoothers.append((before, before.reversed()))
        return smoothers

    def _run(self, hierarchy: Hierarchy, smoothers: list[Any], X: Array, out: Array, *, flipped: bool) -> None:
        split = X.dtype.kind == "c" and self.dtype.kind != "c"
        for source, target in ((X.real, out.real), (X.imag, out.imag)) if split else ((X, out),):
            for c in range(X.shape[1]):
                b = np.ascontiguousarray(source[:, c], dtype=self._dtype_within)
                x = np.zeros_like(b)
                self._cycle(hierarchy, smoothers, 0, x, b, flipped)
                target[:, c] = x

    def _cycle(
        self, hierarchy: Hierarchy, smoothers: list[Any], depth: int, x: np.ndarray, b: np.ndarray, flipped: bool
    ) -> None:
        """Improve x on one level."""
        if depth == self.levels - 1:
            x[:] = hierarchy.solve_coarsest(b)
            return
        level = hierarchy.levels[depth]
        reduces = level.coarse is not None
        if not reduces:
            smoothers[depth][0].smooth(x, b, int(self.recipe.sweeps))
        elif flipped:
            self._relax_split(level, x, b, flipped)
        r = level.A @ x
        np.subtract(b, r, out=r)
        coarse_b = level.R @ r
        coarse_x = np.zeros_like(coarse_b)
        for _ in range(2 if self.recipe.cycle == "W" and depth < self.levels - 2 else 1):
            self._cycle(hierarchy, smoothers, depth + 1, coarse_x, coarse_b, flipped)
        x += level.P @ coarse_x
        if not reduces:
            smoothers[depth][1].smooth(x, b, int(self.recipe.sweeps))
        elif not flipped:
            self._relax_split(level, x, b, flipped)

    def _relax_split(self, level: Level, x: np.ndarray, b: np.ndarray, flipped: bool) -> None:
        """Jacobi on F and C, whose adjoint goes over C and F."""
        from pyamg.relaxation.relaxation import cf_jacobi, fc_jacobi

        sweeps = int(self.recipe.sweeps)
        assert level.coarse is not None
        C, F = np.flatnonzero(level.coarse), np.flatnonzero(~level.coarse)
        (cf_jacobi if flipped else fc_jacobi)(level.A, x, b, C, F, iterations=sweeps, f_iterations=F_SWEEPS)

    def _summary(self) -> str:
        return f"{self.recipe.method} AMG, {self.levels} levels, operator complexity {self.operator_complexity:.2f}"
