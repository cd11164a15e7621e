"""Dividing the unknowns into subdomains: boxes of a grid, or ranges of the numbering."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from .recipe import is_whole


def owners(n: int, grid: tuple[int, ...] | None, parts: Any) -> np.ndarray:
    """Return the number of the subdomain of each unknown, an (n,) array.

    Parameters
    ----------
    n : int
        Unknowns.
    grid : tuple of int, optional
        Their shape as a field, in C order.
    parts : int, tuple of int, or (n,) array of int
        How many: boxes of about equal sides if there is a grid, else ranges of the numbering. A tuple says how many
        along each axis of the grid; an array is the answer itself, numbered from zero without gaps.

    Examples
    --------
    >>> owners(16, (4, 4), 4).reshape(4, 4)
    array([[0, 0, 1, 1],
           [0, 0, 1, 1],
           [2, 2, 3, 3],
           [2, 2, 3, 3]])
    >>> owners(5, None, 2)
    array([0, 0, 0, 1, 1])
    """
    if isinstance(parts, np.ndarray):
        if parts.shape != (n,) or parts.dtype.kind not in "iu":
            raise ValueError(f"subdomains as an array need {n} whole numbers, got shape {parts.shape}, {parts.dtype}")
        counts = np.bincount(parts) if n and parts.min() >= 0 else np.zeros(1)
        if not counts.all():
            raise ValueError("subdomains must be numbered 0, 1, 2, … without gaps")
        return parts.astype(np.intp)
    extents = (n,) if grid is None else grid
    if isinstance(parts, numbers.Integral):
        along = _divided(extents, int(parts))
    else:
        along = tuple(int(p) for p in parts)
        if len(along) != len(extents):
            raise ValueError(f"subdomains {along} need an operator on a grid of {len(along)} axes, got {extents}")
    if any(p > max(extent, 1) for p, extent in zip(along, extents, strict=True)):
        raise ValueError(f"{' x '.join(map(str, along))} subdomains do not fit into a grid {extents}: take fewer")
    number = np.zeros(extents, dtype=np.intp)
    for axis, (p, extent) in enumerate(zip(along, extents, strict=True)):
        shape = [1] * len(extents)
        shape[axis] = extent
        number = number * p + (np.arange(extent) * p // max(extent, 1)).reshape(shape)
    return number.reshape(-1)


def check_parts(parts: Any, name: str) -> None:
    """Raise ValueError unless `parts` is a number of subdomains, numbers along axes, or an array of owners."""
    if isinstance(parts, np.ndarray):
        return
    numbers_given = (parts,) if isinstance(parts, numbers.Integral) else parts
    if not isinstance(numbers_given, Sequence) or not numbers_given or not all(is_whole(p, 1) for p in numbers_given):
        raise ValueError(f"{name} must be a whole number ≥ 1, a tuple of them, or an array of owners, got {parts!r}")


def piecewise_constants(n_or_grid: int | tuple[int, ...], parts: Any) -> np.ndarray:
    """Return the (n, k) basis of functions that are one on one subdomain and zero elsewhere.

    Parameters
    ----------
    n_or_grid : int or tuple of int
        Number of unknowns, or their shape as a field.
    parts : int, tuple of int, or (n,) array
        As for `owners`.

    Examples
    --------
    >>> piecewise_constants(4, 2)
    array([[1., 0.],
           [1., 0.],
           [0., 1.],
           [0., 1.]])
    """
    grid = tuple(int(s) for s in n_or_grid) if isinstance(n_or_grid, tuple) else None
    n = int(np.prod(n_or_grid))
    check_parts(parts, "parts")
    owner = owners(n, grid, parts)
    U = np.zeros((n, int(owner.max(initial=-1)) + 1))
    U[np.arange(n), owner] = 1.0
    return U


def grown(matrix: sp.csr_array, owner: np.ndarray, overlap: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the unknowns of each subdomain with `overlap` layers of neighbours in the graph of the matrix.

    Returns
    -------
    starts : (s + 1,) array
        Subdomain i has the unknowns ``index[starts[i] : starts[i + 1]]``, in ascending order.
    index : array
    """
    n = matrix.shape[0]
    ones = np.ones(n, dtype=bool)
    member = sp.csr_array((ones, owner, np.arange(n + 1)), shape=(n, int(owner.max(initial=-1)) + 1))
    if overlap:
        graph = sp.csr_array((np.ones(matrix.nnz, dtype=bool), matrix.indices, matrix.indptr), shape=matrix.shape)
        graph = graph + graph.T
        for _ in range(overlap):
            member = member + sp.csr_array(graph @ member)
    columns = sp.csc_array(member)
    columns.sort_indices()
    return columns.indptr.astype(np.int64), columns.indices.astype(np.int64)


def _divided(extents: tuple[int, ...], parts: int) -> tuple[int, ...]:
    """Divide a box into `parts` boxes: each prime factor, the largest first, along the longest sides there are."""
    along = [1] * len(extents)
    factors, rest, p = [], parts, 2
    while rest > 1:
        while rest % p == 0:
            factors.append(p)
            rest //= p
        p += 1 if p * p <= rest else max(rest - p, 1)
    for factor in sorted(factors, reverse=True):
        longest = max(range(len(extents)), key=lambda axis: extents[axis] / along[axis])
        along[longest] *= factor
    return tuple(along)
