"""Smooth vectors of a matrix, for whoever builds multigrid or a deflation space from it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ....operators import LinearOperator, as_operator
from .composite import Composite
from .entries import symmetric_entries
from .hierarchy import pairwise_hierarchy
from .null_space import NullSpace
from .operator import DESCENT
from .recipe import BootstrapAMG
from .ritz import descend, lowest_ritz_vectors
from .search import bootstrap, relaxed


def near_null_space(A: Any, k: int = 3, recipe: BootstrapAMG | None = None) -> np.ndarray:
    """Return k vectors that relaxation on A x = 0 leaves alone, the smoothest first.

    With ``mode="eigenvector"``, the default: block LOBPCG with the hierarchy of w = 1, about 6 k DESCENT products with
    A, which gives approximate eigenvectors of A y = λ D y. With "collapse" or "compose": the lowest Ritz vectors of the
    errors that composites of 1 … max(k, `k_max`) hierarchies leave, as published; dearer, and rich in what the
    hierarchies so far miss rather than in the very lowest eigenvectors.

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
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import AMG, CG
    >>> from resolvent.solvers.multigrid import near_null_space
    >>> T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(40, 40))
    >>> S = sp.diags_array(np.exp(np.random.default_rng(0).uniform(-2.0, 2.0, 1600)))
    >>> A = S @ sp.kronsum(T, T) @ S
    >>> recipes = [AMG("smoothed_aggregation", near_null_space=B) for B in (None, near_null_space(A, 1))]
    >>> [CG().solve(A, np.ones(1600), M=M).iterations for M in recipes]
    [108, 18]
    """
    return smooth_vectors(as_operator(A), k, recipe)[0]


def smooth_vectors(A: LinearOperator, k: int, recipe: BootstrapAMG | None = None) -> tuple[np.ndarray, float]:
    """Return the vectors of `near_null_space`, and what the search took, in products with A."""
    if int(k) != k or k < 1:
        raise ValueError(f"k must be a whole number ≥ 1, got {k!r}")
    recipe = BootstrapAMG() if recipe is None else recipe
    matrix = symmetric_entries(A, "near_null_space")
    w = recipe.first_guess(matrix.shape[0])
    kernel = NullSpace(matrix, w)
    known = kernel.basis(int(k))
    with np.errstate(all="ignore"):
        if recipe.mode in ("relaxed", "eigenvector"):
            built = pairwise_hierarchy(
                matrix, relaxed(matrix, w, recipe.relax), sweeps=recipe.sweeps, coarse=recipe.coarse
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
