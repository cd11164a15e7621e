"""What kind of problem a system is, as far as choosing a method goes, seen at little cost."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import scipy.sparse as sp

from ..operators import Ensemble, LinearOperator, Props, Stencil, StructureError
from .multigrid.multigrid_cg import fits
from .separable import Couplings, constant_operator
from .separable.couplings import NonFiniteError, along

_PLANE_ENTRIES = 6.0
"""Mean entries a row above which a matrix without a grid is taken for three-dimensional (7-point) or denser."""

_NARROW = 8
"""Half bandwidth up to which a matrix is taken for one-dimensional."""

_EXAMINED = 2_000
"""Unknowns from which the entries of a matrix are looked at for a box: below, a factorisation takes no longer."""

_SYMMETRIC = 1e-10
"""Relative difference of opposite entries beyond which they are not a symmetric pair, whatever rounding did."""

_THIN = 3
"""Points along an axis up to which it does not count as a dimension."""


_STEP = 4.0
"""Ratio of neighbouring coefficients up to which a field counts as smooth: conjugate gradients with fast transforms
take up to 22 iterations at jumps of that size."""

_SMOOTH_UNKNOWNS = 100_000
"""Beyond, multigrid is faster in any case, and looking takes time."""


@dataclasses.dataclass(frozen=True)
class Structure:
    """Kind of a problem.

    Attributes
    ----------
    unknowns : int
        Of one system; of a member where A is an `Ensemble`.
    dimension : int
        1 stands for narrow bands.
    character : {"definite", "indefinite", "nonsymmetric", "complex"}
    box : bool
        A positive definite real operator that links nearest neighbours on a box: `MultigridCG` takes it.
    constant : bool
        Of constant coefficients on a box: `FastPoisson` solves it directly.
    stable : bool
        Factorisations without fill are sure to exist: an M-matrix, or dominant by rows.
    members : int
        Systems that are to be solved together, 1 if A is not an ensemble.
    smooth : bool
        A stencil of moderate size on a box whose coefficient changes little from one point to the next:
        `FastPoisson` is then a good preconditioner.
    """

    unknowns: int
    dimension: int
    character: str
    box: bool = False
    constant: bool = False
    stable: bool = False
    members: int = 1
    smooth: bool = False

    @property
    def kind(self) -> str:
        """Name in the cost model."""
        return "narrow" if self.dimension == 1 else f"{self.character}-{self.dimension}d"

    def __str__(self) -> str:
        traits = [
            "a narrow band" if self.dimension == 1 else f"{self.dimension}-D",
            {"definite": "positive definite", "complex": "complex"}.get(self.character, self.character),
        ]
        if self.constant:
            traits.append("constant coefficients on a box")
        elif self.box:
            traits.append("neighbours on a box")
        return ", ".join(traits)


def structure_of(A: LinearOperator, props: Props, matrix: sp.csr_array | None = None) -> Structure | None:
    """Return the structure of a system, or None where neither a stencil nor entries show it.

    Parameters
    ----------
    A : LinearOperator
    props : Props
        What A claims and its entries prove.
    matrix : csr_array, optional
        Its entries, where they are assembled already. At most a few passes over them are made.
    """
    if isinstance(A, Ensemble):
        first = A.members[0]
        try:
            found = structure_of(first, props, None if isinstance(first, Stencil) else first.to_sparse())
        except StructureError:
            found = None
        if found is None:
            return None
        same = all(fits(member) for member in A.members)
        return dataclasses.replace(found, box=found.box and same, constant=False, members=len(A.members))
    n = A.shape[0]
    real = A.dtype.kind != "c"
    definite = Props.POSITIVE_DEFINITE in props and Props.SINGULAR not in props
    symmetric = bool(props & (Props.SYMMETRIC | Props.SELF_ADJOINT))
    character = "complex" if not real else "definite" if definite else "indefinite" if symmetric else "nonsymmetric"
    stable = Props.M_MATRIX in props
    if isinstance(A, Stencil):
        dimension = _dimension(A.coefficients.shape[1:])
        box = fits(A)
        constant = definite and box and _looks_constant(A) and _constant(A)
        smooth = definite and box and not constant and n <= _SMOOTH_UNKNOWNS and _smooth(A)
        return Structure(n, dimension, character, box, constant, stable, smooth=smooth)
    if matrix is None:
        return None
    if _narrow(matrix):
        return Structure(n, 1, character, stable=stable)
    if character == "nonsymmetric" and not stable:
        stable = _dominant(matrix)
    grid = A.grid or _grid(matrix)
    if grid is None:
        dimension = 2 if matrix.nnz <= _PLANE_ENTRIES * n else 3
        return Structure(n, dimension, character, stable=stable)
    box = constant = False
    if definite and real and stable and n >= _EXAMINED and not A._holds_torch():
        box, constant = _on_box(A, grid, matrix)
    return Structure(n, max(_dimension(grid), 2), character, box, constant, stable)


def nonsymmetric_stencil(A: Stencil) -> bool:
    """Whether a pair of opposite coefficients shows that A is not symmetric; a few passes over them at most."""
    places = {offset: number for number, offset in enumerate(A.offsets)}
    for axis in range(A.coefficients.ndim - 1):
        unit = tuple(int(a == axis) for a in range(A.coefficients.ndim - 1))
        ahead, back = places.get(unit), places.get(tuple(-d for d in unit))
        if A.mirrored or ahead is None or back is None:
            continue
        up = A.coefficients[ahead][along(axis, slice(None, -1))]
        down = A.coefficients[back][along(axis, slice(1, None))]
        if (abs(up - down) > _SYMMETRIC * (abs(up) + abs(down))).any():
            return True
    return False


def _dimension(grid: tuple[int, ...]) -> int:
    return max(sum(n > _THIN for n in grid), 1)


def _looks_constant(A: Stencil) -> bool:
    """Whether three couplings of each direction are alike: rules out varying coefficients without looking at all."""
    c = A.coefficients
    middle = tuple(max(n // 2 - 1, 0) for n in c.shape[1:])
    places = (middle, tuple(max(n // 3 - 1, 0) for n in c.shape[1:]), tuple(min(1, n - 1) for n in c.shape[1:]))
    return all(len({round(float(c[(s, *p)]), 9) for p in places}) == 1 for s in range(1, len(c)))


def _constant(A: LinearOperator) -> bool:
    try:
        constant_operator(Couplings.of(A))
    except (StructureError, NonFiniteError):
        return False
    return True


def _smooth(A: Stencil) -> bool:
    """Whether the diagonal changes by no more than a factor of `_STEP` from one point to the next."""
    d = A.diagonal().reshape(A.coefficients.shape[1:])
    for axis, n in enumerate(d.shape):
        low, high = d[along(axis, slice(0, n - 1))], d[along(axis, slice(1, n))]
        if not ((low <= _STEP * high) & (high <= _STEP * low)).all():
            return False
    return True


def _narrow(matrix: sp.csr_array) -> bool:
    """Whether all entries lie near the diagonal; a few rows tell that of most matrices that are not."""
    n = matrix.shape[0]
    if not n or matrix.nnz > (2 * _NARROW + 1) * n:
        return False
    for row in {0, n // 3, n // 2}:
        columns = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
        if columns.size and int(np.abs(columns - row).max()) > _NARROW:
            return False
    rows = np.repeat(np.arange(n), np.diff(matrix.indptr))
    return bool(np.abs(matrix.indices - rows).max(initial=0) <= _NARROW)


def _dominant(matrix: sp.csr_array) -> bool:
    """Whether no diagonal entry is smaller than the others of its row together, and none is zero."""
    diagonal = np.abs(matrix.diagonal())
    sums = np.asarray(abs(matrix).sum(axis=1)).ravel()
    return bool((diagonal > 0.0).all() and (2.0 * diagonal >= (1.0 - 1e-12) * sums).all())


def _grid(matrix: sp.csr_array) -> tuple[int, ...] | None:
    """Guess the box from the neighbours of the first point and the number of entries, in O(1)."""
    n = matrix.shape[0]
    near = sorted(int(j) for j in matrix.indices[matrix.indptr[0] : matrix.indptr[1]])
    if len(near) not in (3, 4) or near[:2] != [0, 1]:
        return None
    strides = [*near[1:], n]
    if any(b % a for a, b in itertools.pairwise(strides)):
        return None
    grid = tuple(reversed([b // a for a, b in itertools.pairwise(strides)]))
    entries = n + sum(2 * (n // length) * (length - 1) for length in grid)
    return grid if matrix.nnz == entries and math.prod(grid) == n else None


def _on_box(A: LinearOperator, grid: tuple[int, ...], matrix: sp.csr_array) -> tuple[bool, bool]:
    """Whether the entries link neighbours on a box that the fused multigrid takes, and whether they are constant."""
    try:
        couplings = Couplings.of(A, grid)
    except (StructureError, ValueError):
        return False, False
    if any(wrap is not None for wrap in couplings.wrap):
        return False, False
    try:
        constant_operator(couplings)
    except StructureError:
        return True, False
    return True, True
