"""Structural checks of an assembled diffusion operator: does the matrix have the form its equation gives it?

They use the entries alone (and, where given, the coefficient), not the code that assembled them, so that a misplaced
index shows. The checks are exact properties of the scheme, not heuristics: each holds up to rounding or not at all.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from ..random_fields import FloatArray

# Row sums and differences of transposed entries are sums of a handful of terms of the size of the diagonal.
_ROUNDING = 64 * np.finfo(np.float64).eps


class Check(NamedTuple):
    """Outcome of one structural check."""

    name: str
    passed: bool
    detail: str


class _Entries(NamedTuple):
    """Nonzero off-diagonal entries, the diagonal, and which of the entries link neighbours of the grid."""

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    values: FloatArray
    diagonal: FloatArray
    neighbours: npt.NDArray[np.bool_]


def structural_checks(
    A: Any, grid: tuple[int, ...], *, coefficient: FloatArray | None = None, h: float | None = None
) -> list[Check]:
    """Check a matrix that should discretise −∇·(a∇u) on a structured grid with u = 0 on the boundary.

    Parameters
    ----------
    A : LinearOperator, sparse matrix or array of shape (n, n)
        Real; a `LinearOperator` must have `to_sparse`.
    grid : tuple of int
        Shape of the unknowns as a field, C order; its product is n.
    coefficient : array of shape grid, optional
        The coefficient a at the unknowns, for the check ``face coefficients``.
    h : float, optional
        Grid spacing, needed with `coefficient`.

    Returns
    -------
    checks : list of Check
        In this order: ``finite``; ``pattern`` (every unknown is coupled to all its grid neighbours and to nothing
        else); ``symmetry``; ``diagonal`` (positive); ``M-matrix signs`` (off-diagonal entries ≤ 0);
        ``interior row sums`` (zero where no neighbour is missing: constants are in the kernel); ``boundary row sums``
        (positive elsewhere); ``smallest eigenvalue`` (a positive lower bound follows from the entries); and, with a
        coefficient, ``face coefficients`` (−h²A_ij lies between a_i and a_j, as every mean of the two does).

    Raises
    ------
    ValueError
        If A is not square or does not fit the grid.

    Notes
    -----
    Cost: a few passes over the entries, without an eigenvalue solver. For the symmetric part S of A, with
    r = S·1,

        xᵀSx = Σ_{i<j} (−S_ij)(x_i − x_j)² + Σ_i r_i x_i² ≥ t xᵀLx + min(0, min r) xᵀx,

    where t is the smallest of the −S_ij between neighbours and the r_i per missing neighbour, and L the same form
    with all weights 1, whose smallest eigenvalue is Σ_j 4 sin²(π/(2(n_j + 1))). The bound is stated in the detail.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.datasets.evidence.structural_checks import structural_checks
    >>> line = sp.diags_array([-np.ones(3), 2 * np.ones(4), -np.ones(3)], offsets=[-1, 0, 1])
    >>> square = sp.kronsum(line, line)
    >>> all(check.passed for check in structural_checks(square, (4, 4)))
    True
    >>> [check.name for check in structural_checks(square, (2, 8)) if not check.passed]
    ['pattern', 'boundary row sums', 'smallest eigenvalue']
    """
    matrix = sp.csr_array(A.to_sparse() if hasattr(A, "to_sparse") else A)
    size = math.prod(grid)
    if matrix.shape != (size, size):
        raise ValueError(f"the grid {grid} has {size} unknowns, so A must be {size} x {size}, got shape {matrix.shape}")
    if matrix.dtype.kind == "c":
        raise ValueError("these checks are for real diffusion operators, got a complex matrix")
    matrix = matrix.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(matrix.data))
    if bad.size:
        # Every other check compares numbers, which NaN would pass or fail at random.
        return [Check("finite", False, f"{bad.size} entries are not finite")]
    entries = _split(matrix, grid, np.arange(size))
    missing = _missing_neighbours(grid)
    scale: FloatArray = np.abs(entries.diagonal) + np.bincount(entries.rows, np.abs(entries.values), minlength=size)
    sums = entries.diagonal + np.bincount(entries.rows, entries.values, minlength=size)
    difference = matrix - matrix.T
    # Exactly symmetric, as it should be: the symmetric part is then already taken apart.
    symmetric = _split(0.5 * (matrix + matrix.T), grid, np.arange(size)) if difference.nnz else entries
    checks = [
        Check("finite", True, "all entries are finite"),
        _pattern(entries, np.ones(grid, dtype=bool)),
        _symmetry(difference.tocoo(), scale),
        _all_true("diagonal", entries.diagonal > 0, entries.diagonal, "positive"),
        _all_true("M-matrix signs", entries.values <= 0, entries.values, "off-diagonal entries ≤ 0"),
        _all_true("interior row sums", (np.abs(sums) <= _ROUNDING * scale)[missing == 0], sums[missing == 0], "zero"),
        _all_true("boundary row sums", (sums > _ROUNDING * scale)[missing > 0], sums[missing > 0], "positive"),
        _smallest_eigenvalue(symmetric, grid, missing),
    ]
    if coefficient is not None:
        if h is None or coefficient.shape != grid:
            raise ValueError(f"the coefficient needs the shape {grid} and the spacing h, got {coefficient.shape}, {h}")
        checks.append(_face_coefficients(entries, coefficient.ravel(), h))
    return checks


def masked_checks(A: Any, inside: npt.NDArray[np.bool_], anchored: npt.NDArray[np.bool_]) -> list[Check]:
    """Check a matrix that should discretise −∇·(a∇u) on part of a structured grid.

    Parameters
    ----------
    A : LinearOperator, sparse matrix or array of shape (n, n)
        Real; a `LinearOperator` must have `to_sparse`.
    inside : array of bool, shape grid
        Which points are unknowns, n of them, numbered in C order.
    anchored : array of bool, shape grid
        Which of them are next to a place where u is prescribed.

    Returns
    -------
    checks : list of Check
        ``finite``, ``pattern``, ``symmetry``, ``diagonal`` and ``M-matrix signs`` as in `structural_checks`;
        ``interior row sums`` (zero where not anchored: insulated walls leave constants in the kernel); ``boundary row
        sums`` (positive where anchored); ``definite`` (every connected part has an anchored point: with the signs and
        row sums above A is then irreducibly diagonally dominant part by part, hence positive definite).

    Raises
    ------
    ValueError
        If A does not fit the mask.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.datasets.evidence.structural_checks import masked_checks
    >>> A = sp.csr_array(np.array([[2.0, -1.0], [-1.0, 1.0]]))
    >>> mask = np.array([True, True, False])
    >>> all(check.passed for check in masked_checks(A, mask, np.array([True, False, False])))
    True
    """
    matrix = sp.csr_array(A.to_sparse() if hasattr(A, "to_sparse") else A).astype(np.float64)
    place = np.flatnonzero(inside)
    if matrix.shape != (place.size, place.size):
        raise ValueError(f"the mask has {place.size} unknowns, so A must be square of that size, got {matrix.shape}")
    if not np.isfinite(matrix.data).all():
        return [Check("finite", False, "an entry is not finite")]
    entries = _split(matrix, inside.shape, place)
    scale: FloatArray = np.abs(entries.diagonal) + np.bincount(entries.rows, np.abs(entries.values), place.size)
    sums = entries.diagonal + np.bincount(entries.rows, entries.values, minlength=place.size)
    walls = anchored.ravel()[place]
    parts, part = connected_components(matrix, directed=False)
    held = np.bincount(part[walls], minlength=parts) > 0
    return [
        Check("finite", True, "all entries are finite"),
        _pattern(entries, inside),
        _symmetry((matrix - matrix.T).tocoo(), scale),
        _all_true("diagonal", entries.diagonal > 0, entries.diagonal, "positive"),
        _all_true("M-matrix signs", entries.values <= 0, entries.values, "off-diagonal entries ≤ 0"),
        _all_true("interior row sums", (np.abs(sums) <= _ROUNDING * scale)[~walls], sums[~walls], "zero"),
        _all_true("boundary row sums", (sums > _ROUNDING * scale)[walls], sums[walls], "positive"),
        Check("definite", bool(held.all()), f"{held.sum()} of {parts} connected parts reach a place of given u"),
    ]


def _split(matrix: sp.csr_array, grid: tuple[int, ...], place: npt.NDArray[np.int64]) -> _Entries:
    """Take a matrix apart; `place` is where on the grid the unknowns lie."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    kept = (rows != matrix.indices) & (matrix.data != 0)
    rows, columns, values = rows[kept], matrix.indices[kept].astype(np.int64), matrix.data[kept]
    offset, low = np.abs(place[columns] - place[rows]), np.minimum(place[rows], place[columns])
    neighbours = np.zeros(rows.size, dtype=bool)
    stride = math.prod(grid)
    for n in grid:
        stride //= n
        # One step along this axis, unless it starts at the last point and wraps into the next line.
        neighbours |= (offset == stride) & ((low // stride) % n != n - 1)
    return _Entries(rows, columns, values, matrix.diagonal(), neighbours)


def _missing_neighbours(grid: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Number of neighbours beyond the boundary, for every unknown; two along an axis of one point."""
    missing = np.zeros(grid, dtype=np.int64)
    for axis in range(len(grid)):
        line = np.moveaxis(missing, axis, 0)
        line[0] += 1
        line[-1] += 1
    return missing.ravel()


def _pattern(entries: _Entries, inside: npt.NDArray[np.bool_]) -> Check:
    strangers = np.flatnonzero(~entries.neighbours)
    if strangers.size:
        i, j = int(entries.rows[strangers[0]]), int(entries.columns[strangers[0]])
        detail = f"{strangers.size} entries link unknowns that are not neighbours, first ({i}, {j})"
        return Check("pattern", False, detail)
    lines = [np.moveaxis(inside, axis, 0) for axis in range(inside.ndim)]
    expected = sum(2 * int((line[1:] & line[:-1]).sum()) for line in lines)
    found = entries.values.size
    return Check("pattern", found == expected, f"{found} couplings between neighbours, expected {expected}")


def _symmetry(difference: sp.coo_array, scale: FloatArray) -> Check:
    excess = np.abs(difference.data) > _ROUNDING * np.minimum(scale[difference.row], scale[difference.col])
    worst = float(np.abs(difference.data).max(initial=0.0))
    return Check("symmetry", not excess.any(), f"max |A − Aᵀ| = {worst:.2e}, row sums of |A| up to {scale.max():.2e}")


def _all_true(name: str, good: npt.NDArray[np.bool_], values: FloatArray, expected: str) -> Check:
    bad = np.flatnonzero(~good)
    if bad.size:
        worst = values[bad[np.argmax(np.abs(values[bad]))]]
        return Check(name, False, f"expected {expected}; {bad.size} of {good.size} are not, such as {worst:.3e}")
    return Check(name, True, f"{expected}, all {good.size}")


def _smallest_eigenvalue(entries: _Entries, grid: tuple[int, ...], missing: npt.NDArray[np.int64]) -> Check:
    sums = entries.diagonal + np.bincount(entries.rows, entries.values, minlength=missing.size)
    t = min(-float(entries.values.max(initial=-np.inf)), float((sums / np.maximum(missing, 1))[missing > 0].min()))
    if not _pattern(entries, np.ones(grid, dtype=bool)).passed or t <= 0:
        return Check("smallest eigenvalue", False, "no positive lower bound: entries of the wrong place or sign")
    unit = sum(4.0 * math.sin(math.pi / (2 * (n + 1))) ** 2 for n in grid)
    bound = t * unit + min(0.0, float(sums.min()))
    if bound <= 0:
        return Check("smallest eigenvalue", False, f"no positive lower bound: a row sum is {sums.min():.3e}")
    return Check("smallest eigenvalue", True, f"at least {bound:.3e}")


def _face_coefficients(entries: _Entries, a: FloatArray, h: float) -> Check:
    face = -entries.values[entries.neighbours] * h**2
    i, j = entries.rows[entries.neighbours], entries.columns[entries.neighbours]
    low, high = np.minimum(a[i], a[j]), np.maximum(a[i], a[j])
    good = (face >= low * (1 - _ROUNDING)) & (face <= high * (1 + _ROUNDING))
    return _all_true("face coefficients", good, face, "each between the coefficients of its two cells")
