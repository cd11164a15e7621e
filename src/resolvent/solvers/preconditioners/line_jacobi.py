"""Exact solution along the lines of a grid."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.sparse as sp

from ...operators import Array, LinearOperator, Props, StructureError
from ...operators.sparse import same_pattern
from .entries import host_entries
from .ilu0 import diagonal_positions, factorise
from .recipe import Recipe, is_whole


@dataclasses.dataclass(frozen=True)
class LineJacobi(Recipe):
    """M = T⁻¹, with T the part of A that couples unknowns of one grid line along `axis`.

    For operators whose coupling along one axis is much stronger than along the others: stretched grids, anisotropic
    diffusion, boundary layers, vertical columns of the atmosphere. T is tridiagonal for 5- and 7-point stencils, of
    wider band for others, and is factorised without pivoting. M is self-adjoint and definite where A is.

    Storage: 3 n numbers for tridiagonal lines. An application costs 5 flops an unknown then, the set-up a few times
    that. `update` keeps the positions of the entries while the pattern stays. Do not use it where the coupling is as
    strong along every axis: it gains a constant factor only.

    Parameters
    ----------
    axis : int
        Along which to solve; the last by default, on which the unknowns are numbered one after the other.

    Raises
    ------
    StructureError
        When built for an operator without a grid.
    ValueError
        For an axis that the grid does not have, NaN or infinity among the entries, or a vanishing pivot.

    References
    ----------
    Varga 2000, doi:10.1007/978-3-642-05156-2, section 6.4.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Stencil
    >>> from resolvent.solvers import CG, Jacobi, LineJacobi
    >>> strong, weak = np.full((40, 41), 100.0), np.ones((41, 40))
    >>> A = Stencil.from_transmissibilities((weak, strong))
    >>> [CG().solve(A, np.ones(1600), M=M).iterations for M in (Jacobi(), LineJacobi())]
    [202, 22]
    """

    axis: int = -1

    def __post_init__(self) -> None:
        if not is_whole(self.axis, -9):
            raise ValueError(f"axis must be a whole number, got {self.axis!r}")

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return Lines(A, self)

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Build M for a changed A, with the positions found for the old one if the pattern is the same."""
        return Lines(A, self, previous=M if isinstance(M, Lines) else None)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims."""
        return A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)


class Lines(LinearOperator):
    """The line-Jacobi preconditioner of one matrix, applied by compiled sweeps without any allocation."""

    def __init__(self, A: LinearOperator, recipe: LineJacobi, previous: Lines | None = None) -> None:
        if A.grid is None or A.shape[0] != A.shape[1]:
            raise StructureError(
                f"LineJacobi needs a square operator on a grid, but {A!r} has none: give it one (grid=…), or use "
                "BlockJacobi(blocks=…)"
            )
        dim = len(A.grid)
        if not -dim <= recipe.axis < dim:
            raise ValueError(f"axis {recipe.axis} is not one of the {dim} axes of the grid {A.grid}")
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        self.axis = int(recipe.axis) % dim
        matrix = host_entries(A, "LineJacobi")
        self._pattern: sp.csr_array = matrix
        self._lines: sp.csr_array
        self._diagonal: np.ndarray
        if previous is not None and previous.grid == A.grid and same_pattern(matrix, previous._pattern):
            self._lines, self._diagonal = previous._lines, previous._diagonal
        else:
            self._lines = _coupling_along(matrix, A.grid, self.axis)
            self._diagonal = diagonal_positions(self._lines, "LineJacobi")
        source = self._lines.data
        data = np.where(source > 0, matrix.data[source - 1], matrix.dtype.type(0))
        T = sp.csr_array((data, self._lines.indices, self._lines.indptr), shape=matrix.shape)
        self._data, self._inverse_pivots = factorise(T, self._diagonal, "LineJacobi")

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        from .triangular_kernels import lu_solve

        lu_solve(self._lines.indptr, self._diagonal, self._lines.indices, self._data, self._inverse_pivots, X, out)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        from .triangular_kernels import lu_adjoint_solve

        if Props.SELF_ADJOINT in self.props:
            self._matmat_into(X, out)
            return
        lu_adjoint_solve(
            self._lines.indptr, self._diagonal, self._lines.indices, self._data, self._inverse_pivots, X, out
        )

    def _summary(self) -> str:
        return f"lines along axis {self.axis}"


def _coupling_along(matrix: sp.csr_array, grid: tuple[int, ...], axis: int) -> sp.csr_array:
    """Return where the entries that couple points of one line stand in the data of the matrix, counted from one.

    The whole band is there, with zeros where the matrix has no entry: its factors have no fill then.
    """
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    here, there = np.unravel_index(rows, grid), np.unravel_index(matrix.indices, grid)
    same = np.ones(len(rows), dtype=bool)
    for other in range(len(grid)):
        same &= (other == axis) | (here[other] == there[other])
    width = int(np.abs(here[axis] - there[axis])[same].max(initial=0))
    number = np.moveaxis(np.arange(matrix.shape[0]).reshape(grid), axis, 0)
    i, j = [rows[same]], [matrix.indices[same]]
    for k in range(1, width + 1 if width > 1 else 1):
        i += [number[k:].ravel(), number[:-k].ravel()]
        j += [number[:-k].ravel(), number[k:].ravel()]
    positions = np.zeros(sum(map(len, i)), dtype=np.int64)
    positions[: int(same.sum())] = np.flatnonzero(same) + 1
    band = sp.csr_array(
        sp.coo_array((positions, (np.concatenate(i), np.concatenate(j))), shape=matrix.shape)
    )  # sums duplicates
    band.sort_indices()
    return band
