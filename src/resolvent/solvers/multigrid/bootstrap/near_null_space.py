"""Smooth vectors of a matrix, for whoever builds multigrid or a deflation space from it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ....operators import LinearOperator, as_operator
from .composite import Composite
from .entries import rounding_of, symmetric_entries
from .hierarchy import pairwise_hierarchy
from .null_space import NullSpace
from .operator import DESCENT
from .recipe import BootstrapAMG
from .ritz import descend, lowest_ritz_vectors
from .search import bootstrap, relaxed


def near_null_space(A: Any, k: int = 3, recipe: BootstrapAMG | None = None) -> np.ndarray:
    """Return k vectors that relaxation on A x = 0 leaves alone, the smoothest first.

    By default they are approximate eigenvectors of A y = λ D y, from ten steps of block LOBPCG with one hierarchy as
    preconditioner, about 60 k products with A. With a recipe of mode "collapse" or "compose" they are the lowest Ritz
    vectors of the errors that composites of 1 … max(k, `k_max`) hierarchies leave: the published bootstrap, ten times
    dearer, and no better in any use that was measured (``benchmarks/bootstrap.py``).

    Give them to aggregation: ``AMG("smoothed_aggregation", near_null_space=B)``, pyamg's ``B=``, or PETSc's GAMG,
    ``PETScAMG("gamg", near_null_space=B)``; or deflate them, see `Deflation`, `RecycleSpace` and `Bootstrapped`. For
    aggregation k vectors make coarse levels of k unknowns an aggregate, so that a cycle costs more: for scalar
    equations with aggregates of five, k = 6 multiplies the entries by ten.

    For symmetric positive definite A, semi-definite included: the part of its null space that w = 1 shows is left out
    of what is found, and its constants are put in front, at most k.

    Parameters
    ----------
    A : operator or matrix
        Real, with entries.
    k : int
    recipe : BootstrapAMG, optional
        Options of the search.

    Returns
    -------
    B : (n, ≤ k) array
        With BᵀDB = I but for vectors of the null space; fewer where fewer were found.

    Raises
    ------
    StructureError, ValueError
        As `BootstrapAMG`.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Elasticity2D
    >>> from resolvent.solvers import AMG, CG, near_null_space
    >>> family = Elasticity2D(resolution=24)
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> spaces = (None, family.near_null_space(), near_null_space(A, 3), near_null_space(A, 6))
    >>> [CG().solve(A, b, M=AMG("smoothed_aggregation", near_null_space=B)).iterations for B in spaces]
    [46, 14, 13, 8]
    """
    return smooth_vectors(as_operator(A), k, recipe)[0]


def smooth_vectors(A: LinearOperator, k: int, recipe: BootstrapAMG | None = None) -> tuple[np.ndarray, float]:
    """Return the vectors of `near_null_space`, and what the search took, in products with A."""
    if int(k) != k or k < 1:
        raise ValueError(f"k must be a whole number ≥ 1, got {k!r}")
    recipe = BootstrapAMG() if recipe is None else recipe
    matrix = symmetric_entries(A, "near_null_space")
    w = recipe.first_guess(matrix.shape[0])
    kernel = NullSpace(matrix, w, rounding_of(A))
    known = kernel.basis(int(k))
    with np.errstate(all="ignore"):
        if recipe.mode in ("relaxed", "eigenvector"):
            built = pairwise_hierarchy(
                matrix,
                relaxed(matrix, w, recipe.relax),
                sweeps=recipe.sweeps,
                coarse=recipe.coarse,
                rounding=kernel.rounding,
            )
            found, work = descend(
                Composite((built,), "mult", recipe.cycle), int(k), DESCENT, kernel, np.random.default_rng(recipe.rng)
            )
        else:
            wider = dataclasses.replace(recipe, k_max=max(int(k), recipe.k_max), target=0.0)
            errors = bootstrap(matrix, wider, kernel, smooth=False)
            _, found = lowest_ritz_vectors(matrix, np.array(errors.vectors[1:]).T, int(k))
            work = errors.work + len(errors.vectors)
    return np.ascontiguousarray(np.concatenate((known, found), axis=1)[:, : int(k)]), work
