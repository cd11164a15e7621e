"""The levels that pairwise aggregation builds for one smooth vector."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, final

import numpy as np
import scipy.sparse as sp

from ....operators import StructureError
from ....operators.workspace import Workspace
from ..matching import scaled_vector

if TYPE_CHECKING:
    from .cycle_kernels import Levels

MOST_LEVELS = 39
"""Of the released program, BootCMatch."""

STALLED = 1.2
"""A sweep that coarsens by no more lets vertices that are alone join a pair; if that is no better, coarsening ends."""

DENSE = 2_000
"""Coarsest levels up to this size are inverted."""

ROUNDING = 64.0 * float(np.finfo(float).eps)
"""Energies below this multiple of the D-norm are rounding: the vector lies in the null space of A. More where A was
given in single precision."""

SHAPES = ("V", "W", "H", "K")


@dataclasses.dataclass(frozen=True, slots=True)
class Level:
    """One level.

    Attributes
    ----------
    A : (n, n) csr_array
    mass : (n,) array
        pᵀDp of each column p of the interpolation from here to the first level, D being the diagonal of A there.
    place, entry : (n,) arrays
        Interpolation to this level: entry[i] in column place[i] of row i; −1 for none. None on the last level.
    P : (n, m) csr_array
        The same, or what smoothing made of it.
    """

    A: sp.csr_array
    mass: np.ndarray
    place: np.ndarray | None = None
    entry: np.ndarray | None = None
    P: sp.csr_array | None = None


@final
class PairwiseHierarchy:
    """A multigrid hierarchy made for one smooth vector.

    Parameters
    ----------
    levels : tuple of Level
    rounding : float

    Raises
    ------
    StructureError
        If a column p of the interpolation has pᵀAp < 0: A is not positive semi-definite.
    """

    def __init__(self, levels: tuple[Level, ...], rounding: float = ROUNDING) -> None:
        self.levels, self.rounding = levels, rounding
        self._flat: Levels | None = None
        self._work = Workspace()
        self._inverses = [_inverse(level, rounding) for level in levels]
        last = levels[-1]
        self._coarsest = _coarsest(last, rounding) if last.A.shape[0] <= DENSE else np.zeros((0, 0))

    def operator_complexity(self) -> float:
        """Return the entries of all levels, relative to those of the first."""
        return float(sum(level.A.nnz for level in self.levels) / self.levels[0].A.nnz)

    def improve(self, b: np.ndarray, x: np.ndarray, shape: str, *, zero: bool) -> None:
        """Apply one cycle for A x = b to x, (n,) arrays; with `zero`, to a guess of zero."""
        from .cycle_kernels import cycle

        flat = self.flat()
        work = self._work.array("work", (5 * int(flat.rows[-1]),), np.float64)
        state = self._work.array("state", (4, len(flat.rows)), np.float64)
        cycle(flat, work, state, SHAPES.index(shape), zero, b, x)

    def cost(self, shape: str, *, zero: bool) -> float:
        """Return the entries that one cycle reads, relative to those of A."""
        return float(self._entries(0, shape, zero) / self.levels[0].A.nnz)

    def renewed(self, matrix: sp.csr_array) -> PairwiseHierarchy:
        """Return the levels of another matrix of this size with the same interpolation, smoothed anew if it was."""
        levels, A, mass = [], matrix, matrix.diagonal()
        for level in self.levels[:-1]:
            assert level.place is not None and level.entry is not None and level.P is not None
            count = level.P.shape[1]
            if level.P.nnz == np.count_nonzero(level.place >= 0):
                levels.append(dataclasses.replace(level, A=A, mass=mass))
                A = _galerkin(A, level.place, level.entry, count)
                mass = _restricted(level.place, level.entry**2, count, mass)
                continue
            P = _smoothed(A, _tentative(level.place, level.entry, count))
            levels.append(dataclasses.replace(level, A=A, mass=mass, P=P))
            A, mass = _symmetric(P.T @ A @ P), _restricted_mass(mass, P)
        return PairwiseHierarchy((*levels, Level(A, mass)), self.rounding)

    def smoothed(self) -> PairwiseHierarchy:
        """Return the levels with interpolation (I − ω D⁻¹A) P, ω = 4/(3 ‖D⁻¹A‖_∞), and its coarse matrices."""
        levels, A, mass = [], self.levels[0].A, self.levels[0].mass
        for level in self.levels[:-1]:
            P = _smoothed(A, level.P)
            levels.append(dataclasses.replace(level, A=A, mass=mass, P=P))
            A, mass = _symmetric(P.T @ A @ P), _restricted_mass(mass, P)
        return PairwiseHierarchy((*levels, Level(A, mass)), self.rounding)

    def flat(self) -> Levels:
        """Return all levels in one piece, as the kernels take them."""
        if self._flat is None:
            self._flat = self._in_one_piece()
        return self._flat

    # The pieces are made again where they are needed.
    def __reduce__(self) -> tuple[Any, ...]:
        return PairwiseHierarchy, (self.levels, self.rounding)

    def _in_one_piece(self) -> Levels:
        from .cycle_kernels import Levels

        fine, coarse = self.levels[0], self.levels[1:]
        sizes = [level.A.shape[0] for level in coarse]
        index = fine.A.indices.dtype
        return Levels(
            fine.A.indptr,
            fine.A.indices,
            fine.A.data,
            self._inverses[0],
            *_stacked([level.A for level in coarse], index),
            np.concatenate([np.zeros(0), *self._inverses[1:]]),
            np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))).astype(np.int64),
            *_stacked([level.P for level in self.levels[:-1]], index),
            self._coarsest,
        )

    def _entries(self, depth: int, shape: str, zero: bool) -> float:
        """Count the entries of matrices and interpolations that a cycle from this level on reads."""
        from .cycle_kernels import LAST_SWEEPS

        level, last = self.levels[depth], len(self.levels) - 1
        if depth == last:
            return float(self._coarsest.size or 2 * LAST_SWEEPS * level.A.nnz)
        assert level.P is not None
        total: float = (2.0 if zero else 3.0) * level.A.nnz + 2.0 * level.P.nnz + self._entries(depth + 1, shape, True)
        if depth + 1 < last:
            if shape == "W" or (shape == "H" and depth % 2 == 0):
                total += self._entries(depth + 1, shape, False)
            elif shape == "K":
                total += self._entries(depth + 1, shape, True) + 2.0 * self.levels[depth + 1].A.nnz
        return total


def pairwise_hierarchy(
    matrix: sp.csr_array, w: np.ndarray, *, sweeps: int, coarse: int, rounding: float = ROUNDING
) -> PairwiseHierarchy:
    """Build the levels for a matrix and a smooth vector.

    Each level takes `sweeps` matchings in turn, each with the restricted w and the Galerkin matrix of the one before,
    so that a column of the interpolation holds up to 2^sweeps vertices; then PᵀP = I, and P Pᵀw = w but for vertices
    without couplings.

    Parameters
    ----------
    matrix : (n, n) csr_array
        As `symmetric_entries` returns it.
    w : (n,) array
    sweeps : int
    coarse : int
        Size at which to stop.
    rounding : float
    """
    A, mass, w = matrix, matrix.diagonal(), scaled_vector(w, matrix.shape[0])
    levels: list[Level] = []
    while A.shape[0] > coarse and len(levels) < MOST_LEVELS - 1:
        place, entry, count, inner, inner_mass, inner_w = None, None, A.shape[0], A, mass, w
        for _ in range(sweeps):
            step = _sweep(inner, inner_mass, inner_w, rounding)
            if step is None:
                break
            next_place, next_entry, count = step
            inner = _galerkin(inner, next_place, next_entry, count)
            inner_mass = _restricted(next_place, next_entry**2, count, inner_mass)
            inner_w = _restricted(next_place, next_entry, count, inner_w)
            if place is None:
                place, entry = next_place, next_entry
            else:
                entry = np.where(place >= 0, entry * next_entry[place], 0.0)
                place = np.where(place >= 0, next_place[place], -1)
                entry[place < 0] = 0.0
            if count <= coarse:
                break
        if place is None or entry is None:
            break
        levels.append(Level(A, mass, place, entry, _tentative(place, entry, count)))
        A, mass, w = inner, inner_mass, inner_w
        if count == 0:
            break
    return PairwiseHierarchy((*levels, Level(A, mass)), rounding)


def _sweep(
    A: sp.csr_array, mass: np.ndarray, w: np.ndarray, rounding: float
) -> tuple[np.ndarray, np.ndarray, int] | None:
    """Match once; return places, entries and number of columns, or None where that coarsens too little."""
    from ..matching_kernels import edge_weights, suitor
    from .pairwise_kernels import aggregate

    n = A.shape[0]
    diagonal = A.diagonal()
    passive = (w == 0.0) | (diagonal <= rounding * mass)
    weights = np.empty(A.nnz)
    edge_weights(A.indptr, A.indices, A.data, diagonal, passive, w, weights)
    mate = np.empty(n, dtype=np.int64)
    suitor(A.indptr, A.indices, weights, mate)
    place, entry = np.empty(n, dtype=np.int64), np.empty(n)
    w = np.where(passive, 0.0, w)
    for join in (False, True):
        count = aggregate(A.indptr, A.indices, A.data, weights, mate, w, join, place, entry)
        if STALLED * count < n:
            return place, entry, int(count)
    return None


def _galerkin(A: sp.csr_array, place: np.ndarray, entry: np.ndarray, count: int) -> sp.csr_array:
    from .pairwise_kernels import galerkin

    indptr, indices, data = galerkin(A.indptr, A.indices, A.data, place, entry, count)
    return sp.csr_array((data, indices, indptr), shape=(count, count))


def _tentative(place: np.ndarray, entry: np.ndarray, count: int) -> sp.csr_array:
    kept = place >= 0
    indptr = np.concatenate(([0], np.cumsum(kept)))
    return sp.csr_array((entry[kept], place[kept], indptr), shape=(len(place), count))


def _smoothed(A: sp.csr_array, P: Any) -> sp.csr_array:
    """Return (I − ω D⁻¹A) P; rows of isolated vertices stay empty."""
    diagonal = A.diagonal()
    inverse = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0.0)
    bound = float((inverse * np.asarray(abs(A).sum(axis=1)).ravel()).max(initial=0.0))
    found = sp.csr_array(P - (4.0 / (3.0 * bound) if bound > 0.0 else 0.0) * (sp.diags_array(inverse) @ A @ P))
    found.sum_duplicates()
    return found


def _symmetric(A: Any) -> sp.csr_array:
    found = sp.csr_array(0.5 * (A + A.T))
    found.sum_duplicates()
    return found


def _restricted(place: np.ndarray, entry: np.ndarray, count: int, w: np.ndarray) -> np.ndarray:
    kept = place >= 0
    found: np.ndarray = np.bincount(place[kept], weights=entry[kept] * w[kept], minlength=count)
    return found.astype(float)  # of nothing, counts are whole numbers


def _restricted_mass(mass: np.ndarray, P: sp.csr_array) -> np.ndarray:
    found: np.ndarray = P.power(2).T @ mass
    return found


def _inverse(level: Level, rounding: float) -> np.ndarray:
    """Return the reciprocals of the diagonal, zero for vectors that A does not see."""
    diagonal = level.A.diagonal()
    negative = np.flatnonzero(diagonal < -rounding * level.mass)
    if len(negative):
        raise StructureError(
            "bootstrap multigrid needs a positive definite matrix, but a coarse vector p has "
            f"pᵀAp = {diagonal[negative[0]]:.3g}: use MINRES with another preconditioner, or ILU"
        )
    seen = diagonal > rounding * level.mass
    inverse: np.ndarray = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=seen)
    return inverse


def _coarsest(level: Level, rounding: float) -> np.ndarray:
    """Return a symmetric inverse of the last matrix, on the directions that A sees."""
    scale = np.divide(1.0, np.sqrt(level.mass), out=np.zeros_like(level.mass), where=level.mass > 0.0)
    scaled = scale[:, None] * level.A.toarray() * scale
    values, vectors = np.linalg.eigh(scaled)
    if len(values) and values[0] < -len(values) * rounding:
        raise StructureError(
            "bootstrap multigrid needs a positive definite matrix, but its coarsest matrix has the eigenvalue "
            f"{values[0]:.3g}, scaled: use MINRES with another preconditioner, or ILU"
        )
    seen = values > len(values) * rounding
    half = scale[:, None] * (vectors[:, seen] / np.sqrt(values[seen]))
    inverse: np.ndarray = np.ascontiguousarray(half @ half.T)
    return inverse


def _stacked(matrices: list[Any], index: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return matrices by rows, one below the other, column indices as they are."""
    starts = np.concatenate(([0], np.cumsum([m.nnz for m in matrices], dtype=np.int64)))
    indptr = np.concatenate([[0], *(m.indptr[1:] + s for m, s in zip(matrices, starts, strict=False))])
    indices = np.concatenate([np.zeros(0, dtype=index), *(m.indices for m in matrices)])
    data = np.concatenate([np.zeros(0), *(m.data for m in matrices)])
    return indptr.astype(index), indices.astype(index), data
