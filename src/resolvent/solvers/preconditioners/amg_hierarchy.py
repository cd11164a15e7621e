"""The levels of algebraic multigrid: built by pyamg, or renewed for other values with the interpolation there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from .recipe import is_number

if TYPE_CHECKING:
    from .amg import AMG

DENSE_COARSE = 500
"""Coarsest levels up to this size are solved by a dense pseudo-inverse, which singular matrices allow; larger ones,
left where coarsening stops early, by a sparse factorisation."""

MEASURE: dict[str, tuple[str, dict[str, Any]]] = {
    "ruge_stuben": ("classical", {}),
    "smoothed_aggregation": ("symmetric", {}),
    "root_node": ("symmetric", {}),
    "air": ("classical", {"norm": "min"}),
}
"""What a number given as `strength` is a threshold of: the measure that pyamg takes for each method by default."""

HINT = "AMG needs a diagonal that outweighs the rest of each row: use ILU or a direct solver"


@dataclasses.dataclass(frozen=True, slots=True)
class Level:
    """One level: its matrix, and what leads to the next; the last has no P and R.

    Attributes
    ----------
    A : (n, n) sparse matrix
    P, R : (n, m) and (m, n) sparse matrix
        Interpolation from, and restriction to, the next level.
    coarse : (n,) bool array
        Which unknowns are those of the next level; known for reduction (AIR) only.
    """

    A: Any
    P: Any = None
    R: Any = None
    coarse: np.ndarray | None = None


class Hierarchy:
    """All levels, and the inverse of the last.

    Parameters
    ----------
    levels : tuple of Level
    symmetric : bool
        Whether the matrices of all levels are self-adjoint, so that the coarsest inverse is so exactly.

    Raises
    ------
    ValueError
        If NaN or infinity came up on the way down.
    """

    def __init__(self, levels: tuple[Level, ...], *, symmetric: bool) -> None:
        parts = [part for level in levels for part in (level.A, level.P) if part is not None]
        if not all(np.isfinite(part.data).all() for part in parts):
            raise ValueError(f"AMG broke down, with NaN or infinity on a coarser level. {HINT}")
        self.levels, self.symmetric = levels, symmetric
        self.solve_coarsest = _coarsest(sp.csr_array(levels[-1].A), symmetric)

    def operator_complexity(self) -> float:
        """Return the entries of all levels, relative to those of the first."""
        return float(sum(level.A.nnz for level in self.levels) / self.levels[0].A.nnz)

    def renewed(self, matrix: sp.csr_array, *, symmetric: bool) -> Hierarchy:
        """Return the levels of another matrix of this size: the same P and R, Galerkin products R A P anew."""
        levels, A = [], _rows(matrix)
        with np.errstate(all="ignore"):  # what is not finite is refused above
            for level in self.levels[:-1]:
                levels.append(dataclasses.replace(level, A=A))
                A = _rows(level.R @ A @ level.P)
        return Hierarchy((*levels, Level(A)), symmetric=symmetric)

    def adjoint(self) -> Hierarchy:
        """Return the levels whose cycle, with adjoint smoothers in the opposite order, is the adjoint of this one's."""
        levels = tuple(
            Level(_adjoint(level.A), _adjoint(level.R), _adjoint(level.P), level.coarse) for level in self.levels
        )
        return Hierarchy(levels, symmetric=self.symmetric)

    # The coarsest inverse may be a method of SuperLU, which cannot be pickled.
    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.levels, self.symmetric)


def coarsened(matrix: sp.csr_array, recipe: AMG, *, symmetric: bool) -> Hierarchy:
    """Let pyamg build the levels.

    Raises
    ------
    ValueError
        For a matrix of zeros, for options that pyamg does not know, and where coarsening breaks down.
    """
    if not matrix.count_nonzero():
        raise ValueError(f"AMG needs a matrix to coarsen, got {matrix.shape[0]} x {matrix.shape[1]} zeros")
    options: dict[str, Any] = {"presmoother": None, "postsmoother": None}  # the cycle has its own
    if is_number(recipe.strength):
        measure, more = MEASURE[recipe.method]
        options["strength"] = (measure, {**more, "theta": float(recipe.strength)})
    elif recipe.strength is not None:
        options["strength"] = recipe.strength
    if recipe.near_null_space is not None:
        options["B"] = _columns(recipe.near_null_space, matrix.shape[0]).astype(matrix.dtype)
    if recipe.method in ("smoothed_aggregation", "root_node"):
        options["symmetry"] = "hermitian" if symmetric else "nonsymmetric"
    with _own_random_state(), np.errstate(all="ignore"):
        try:
            *found, last = _builder(recipe.method)(matrix, **options).levels
        except (ValueError, np.linalg.LinAlgError) as error:
            raise ValueError(f"pyamg could not build {recipe!r}: {error}. If the options are right: {HINT}") from error
    splits = recipe.method == "air"
    levels = [
        Level(_rows(one.A), _rows(one.P), _rows(one.R), np.array(one.splitting, dtype=bool) if splits else None)
        for one in found
    ]
    return Hierarchy((*levels, Level(_rows(last.A))), symmetric=symmetric)


def _builder(method: str) -> Any:
    import pyamg

    builders = {
        "ruge_stuben": pyamg.ruge_stuben_solver,
        "smoothed_aggregation": pyamg.smoothed_aggregation_solver,
        "root_node": pyamg.rootnode_solver,
        "air": pyamg.air_solver,
    }
    return builders[method]


def _columns(near_null_space: Any, n: int) -> np.ndarray:
    """Return the vectors as (n, q) array."""
    vectors = np.asarray(near_null_space)
    if vectors.ndim not in (1, 2) or vectors.shape[0] != n:
        raise ValueError(f"near_null_space must have shape ({n},) or ({n}, q) to fit A, got {vectors.shape}")
    return vectors.reshape(n, -1)


def _unpickled(levels: tuple[Level, ...], symmetric: bool) -> Hierarchy:
    return Hierarchy(levels, symmetric=symmetric)


def _rows(matrix: Any) -> Any:
    """Return a matrix as compressed rows, sorted, which is how sweeps go through them.

    Blocks of pyamg's would save little here, and SciPy sorts them in Python.
    """
    converted = matrix.tocsr()
    converted.sum_duplicates()
    return converted


def _adjoint(matrix: Any) -> Any:
    return None if matrix is None else matrix.conj().T.tocsr()


def _coarsest(matrix: sp.csr_array, symmetric: bool) -> Any:
    """Return a function that solves with the coarsest matrix, in the least-squares sense where it is singular."""
    n = matrix.shape[0]
    if n <= DENSE_COARSE:
        # Singular values below this are rounding: the coarse matrix of a pure Neumann problem has one.
        rtol = 100.0 * n * np.finfo(np.float64).eps
        inverse = np.linalg.pinv(matrix.toarray(), rtol=rtol, hermitian=symmetric)
        return inverse.__matmul__
    try:
        return spla.splu(matrix.tocsc()).solve
    except RuntimeError:  # exactly singular
        return scipy.linalg.pinv(matrix.toarray()).__matmul__


@contextmanager
def _own_random_state() -> Iterator[None]:
    """Give pyamg, which draws from numpy's global generator, the same numbers every time, and put the state back."""
    state = np.random.get_state()  # noqa: NPY002 - it is the global state that has to be protected
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
