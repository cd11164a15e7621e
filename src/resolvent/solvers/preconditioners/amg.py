"""Algebraic multigrid, by pyamg."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from ...operators import Array, LinearOperator, Props, StructureError
from ...operators.detect import entries_equal
from .entries import host_entries
from .recipe import Recipe, is_whole, options_equal, options_text

DENSE_COARSE = 500
"""Coarsest levels up to this size are solved by a dense pseudo-inverse, which singular matrices allow; larger ones,
left where coarsening stops early, by a sparse factorisation."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class AMG(Recipe):
    """One multigrid cycle from a zero guess, over a hierarchy that pyamg builds from the entries of A.

    The smoother is symmetric Gauss–Seidel before and after the coarse correction, and restriction is the adjoint of
    interpolation, so that M is self-adjoint and positive definite where A is, and CG may use it. Iteration counts
    hardly grow with the problem size for elliptic equations of second order.

    Storage: operator complexity (printed) times the entries of A, plus interpolation. Each application costs about
    6 × operator complexity products with A for a V-cycle with one sweep. Set-up costs as much as tens of products:
    do not use it for small systems, nor for strongly indefinite ones such as Helmholtz.

    Parameters
    ----------
    method : {"ruge_stuben", "smoothed_aggregation"}
        Classical coarsening, best for scalar equations (real only); or aggregation, with less storage, and the choice
        for systems of equations such as elasticity.
    strength : str or (str, dict), optional
        Strength of connection as pyamg spells it, such as ``("classical", {"theta": 0.5})``.
    cycle : {"V", "W"}
        Shape of the cycle.
    sweeps : int
        Symmetric Gauss–Seidel sweeps before and after each coarse correction.
    near_null_space : (n, q) array, optional
        Vectors that smoothing leaves alone, for smoothed aggregation; the constant by default.

    Raises
    ------
    StructureError
        For an operator without entries, or a complex one with Ruge–Stüben.
    ValueError
        When built for a matrix with NaN or infinity, for zeros, or where the interpolation breaks down.

    References
    ----------
    Ruge & Stüben 1987, doi:10.1137/1.9781611971057.ch4; Vaněk, Mandel & Brezina 1996, doi:10.1007/BF02238511;
    Bell, Olson & Schroder 2022 (pyamg), doi:10.21105/joss.04142.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import AMG, CG
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(1000, 1000))
    >>> [CG().solve(A, np.ones(1000), M=M).iterations for M in (None, AMG())]
    [500, 6]
    """

    method: Literal["ruge_stuben", "smoothed_aggregation"] = "ruge_stuben"
    strength: Any = None
    cycle: Literal["V", "W"] = "V"
    sweeps: int = 1
    near_null_space: Any = None

    def __post_init__(self) -> None:
        if self.method not in ("ruge_stuben", "smoothed_aggregation"):
            raise ValueError(f"method must be 'ruge_stuben' or 'smoothed_aggregation', got {self.method!r}")
        if self.cycle not in ("V", "W"):
            # An F-cycle would not be self-adjoint.
            raise ValueError(f"cycle must be 'V' or 'W', got {self.cycle!r}")
        if not is_whole(self.sweeps, 1):
            raise ValueError(f"sweeps must be a whole number ≥ 1, got {self.sweeps!r}")
        if self.near_null_space is not None and self.method == "ruge_stuben":
            raise ValueError("near_null_space is used by method='smoothed_aggregation' only")

    # Two recipes with other near-null spaces build other preconditioners: whoever compares must see that.
    def __eq__(self, other: object) -> bool:
        return options_equal(self, other)

    def __hash__(self) -> int:
        return hash((type(self), self.method, self.cycle, self.sweeps))

    def __repr__(self) -> str:
        return options_text(self)

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return Cycle(A, self)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims, except that complex aggregation keeps no plain symmetry."""
        kept = Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE
        return A.props & (kept if A.dtype.kind == "c" else kept | Props.SYMMETRIC)


class Cycle(LinearOperator):
    """One cycle of a multigrid hierarchy."""

    def __init__(self, A: LinearOperator, recipe: AMG) -> None:
        if A.dtype.kind == "c" and recipe.method == "ruge_stuben":
            raise StructureError(f"Ruge–Stüben interpolation is real, but {A!r} is complex: use smoothed_aggregation")
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        self.recipe = recipe
        matrix = host_entries(A, "AMG")
        # A copy in double precision: pyamg notes estimates on the matrix, and mixes precisions on coarser levels.
        self._matrix = sp.csr_array(matrix, dtype=np.result_type(matrix.dtype, np.float64), copy=True)
        self._symmetric = Props.SELF_ADJOINT in A.props or entries_equal(self._matrix, self._matrix.conj().T, 1e-14)
        self._build()

    def _build(self) -> None:
        recipe = self.recipe
        smoother = ("gauss_seidel", {"sweep": "symmetric", "iterations": int(recipe.sweeps)})
        options: dict[str, Any] = {"presmoother": smoother, "postsmoother": smoother}
        if recipe.strength is not None:
            options["strength"] = recipe.strength
        if recipe.near_null_space is not None:
            options["B"] = _columns(recipe.near_null_space, self.shape[0]).astype(self._matrix.dtype)
        if not self._matrix.count_nonzero():
            raise ValueError(f"AMG needs a matrix to coarsen, got {self.shape[0]} x {self.shape[1]} zeros")
        hint = "AMG needs a diagonal that outweighs the rest of each row: use ILU or a direct solver"
        with _own_random_state(), np.errstate(all="ignore"):  # what is not finite is reported below
            try:
                hierarchy = self._coarsened(options)
            except (ValueError, np.linalg.LinAlgError) as error:
                raise ValueError(
                    f"pyamg could not build {recipe!r}: {error}. If the options are right: {hint}"
                ) from error
        if not all(np.isfinite(part.data).all() for level in hierarchy.levels for part in _parts(level)):
            raise ValueError(f"{recipe!r} broke down, with NaN or infinity on a coarser level. {hint}")
        self.levels = len(hierarchy.levels)
        self.operator_complexity = float(hierarchy.operator_complexity())
        self._levels = hierarchy.levels
        self._solve_coarsest = _coarsest(sp.csr_array(hierarchy.levels[-1].A), self._symmetric)

    def _coarsened(self, options: dict[str, Any]) -> Any:
        """Return pyamg's hierarchy."""
        import pyamg

        if self.recipe.method == "ruge_stuben":
            return pyamg.ruge_stuben_solver(self._matrix, **options)
        symmetry = "hermitian" if self._symmetric else "nonsymmetric"
        return pyamg.smoothed_aggregation_solver(self._matrix, symmetry=symmetry, **options)

    # Smoothers are closures, which cannot be pickled; the hierarchy is the same whenever it is built.
    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_levels", "_solve_coarsest")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._build()

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        split = X.dtype.kind == "c" and self.dtype.kind != "c"
        for source, target in ((X.real, out.real), (X.imag, out.imag)) if split else ((X, out),):
            for c in range(X.shape[1]):
                b = np.ascontiguousarray(source[:, c], dtype=self._matrix.dtype)
                x = np.zeros_like(b)
                self._cycle(0, x, b)
                target[:, c] = x

    def _cycle(self, depth: int, x: np.ndarray, b: np.ndarray) -> None:
        """Improve x on one level."""
        if depth == self.levels - 1:
            x[:] = self._solve_coarsest(b)
            return
        level = self._levels[depth]
        level.presmoother(level.A, x, b)
        r = level.A @ x
        np.subtract(b, r, out=r)
        coarse_b = level.R @ r
        coarse_x = np.zeros_like(coarse_b)
        for _ in range(2 if self.recipe.cycle == "W" and depth < self.levels - 2 else 1):
            self._cycle(depth + 1, coarse_x, coarse_b)
        x += level.P @ coarse_x
        level.postsmoother(level.A, x, b)

    def _summary(self) -> str:
        return f"{self.recipe.method} AMG, {self.levels} levels, operator complexity {self.operator_complexity:.2f}"


def _columns(near_null_space: Any, n: int) -> np.ndarray:
    """Return the vectors as (n, q) array."""
    vectors = np.asarray(near_null_space)
    if vectors.ndim not in (1, 2) or vectors.shape[0] != n:
        raise ValueError(f"near_null_space must have shape ({n},) or ({n}, q) to fit A, got {vectors.shape}")
    return vectors.reshape(n, -1)


def _parts(level: Any) -> list[Any]:
    """Return the matrices of a level: its own, and the interpolation to it from the next one where there is one."""
    return [getattr(level, name) for name in ("A", "P") if hasattr(level, name)]


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
