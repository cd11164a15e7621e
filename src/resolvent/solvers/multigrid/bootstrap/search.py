"""The bootstrap loop: hierarchies until the measured rate meets the target."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from ....operators import StructureError
from .composite import Composite
from .hierarchy import PairwiseHierarchy, pairwise_hierarchy
from .null_space import NullSpace

if TYPE_CHECKING:
    from .recipe import BootstrapAMG

STAGNANT = 0.98
"""An addition whose rate is above this multiple of the best so far gained nothing."""

PATIENCE = 5
"""So many of those in a row end the loop. Two, as published, give up on badly scaled elasticity, where the rate falls
only once there are hierarchies for all rigid body modes, and grows before, as the slow errors come to light."""

UNDERFLOW = 1e-290
"""A-norms below this are zero."""


@dataclasses.dataclass
class Found:
    """What the loop leaves.

    Attributes
    ----------
    composite : Composite
    rates : list of float
        ‖x_new‖_A/‖x_old‖_A of the last step, after each addition.
    vectors : list of (n,) array
        The initial guess, then the error that each composite reduces least, of A-norm one.
    early : float
        The rate of the last composite after `EARLY` steps, to compare with after an update.
    work : float
        Entries read by sweeps, residuals and norms, relative to those of A: products with A.
    """

    composite: Composite
    rates: list[float]
    vectors: list[np.ndarray]
    early: float
    work: float


EARLY = 5
"""Steps after which rates are compared where it must be cheap: collapse against w = 1, and after an update."""


def bootstrap(matrix: sp.csr_array, recipe: BootstrapAMG, kernel: NullSpace, *, smooth: bool) -> Found:
    """Add hierarchies until the rate is at most the target.

    Each is made for the error that the composite so far reduces least: what `inner` applications to A x = 0 leave of
    a random x. Entries of x are uniform in [0, 1), not in (−1, 1) as published: those carry more of a vector of one
    sign, and the rate after as many steps is nearer the asymptotic one.
    """
    n = matrix.shape[0]
    rng = np.random.default_rng(recipe.rng)
    w = relaxed(matrix, recipe.first_guess(n), recipe.relax)
    vectors, work, gained_nothing, early = [w], 2.0 * recipe.relax, 0, 1.0
    rates: list[float] = []
    hierarchies: list[PairwiseHierarchy] = []
    composite = None
    while len(hierarchies) < recipe.k_max:
        built = pairwise_hierarchy(matrix, w, sweeps=recipe.sweeps, coarse=recipe.coarse, rounding=kernel.rounding)
        hierarchies.append(built.smoothed() if smooth else built)
        work += 2.0 * built.operator_complexity()
        composite = Composite(hierarchies, recipe.composition, recipe.cycle)
        history, x = reduction(composite, rng.random(n), recipe.inner, kernel)
        work += len(history) * (composite.cost(zero=False) + 1.0)
        rate = history[-1] if history else 0.0
        best = min(rates, default=np.inf)
        rates.append(rate)
        early = history[min(EARLY, len(history)) - 1] if history else 0.0
        if x is not None:
            w = x
        vectors.append(w)
        if rate <= recipe.target:
            break
        gained_nothing = gained_nothing + 1 if rate > STAGNANT * best else 0
        if gained_nothing == PATIENCE or x is None:
            break
    assert composite is not None
    return Found(composite, rates, vectors, early, work)


def relaxed(matrix: sp.csr_array, w: np.ndarray, sweeps: int) -> np.ndarray:
    """Return what so many symmetric Gauss–Seidel sweeps on A w = 0 make of w."""
    from .cycle_kernels import backward, forward

    diagonal, zero = matrix.diagonal(), np.zeros(len(w))
    inverse = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0.0)
    found = w.copy()
    for _ in range(sweeps):
        for sweep in (forward, backward):
            sweep(matrix.indptr, matrix.indices, matrix.data, inverse, zero, found)
    # A w that is solved for, as with a diagonal matrix, is as good as any.
    return found if np.isfinite(found).all() and found.any() else w


def reduction(
    composite: Composite, x: np.ndarray, steps: int, kernel: NullSpace
) -> tuple[list[float], np.ndarray | None]:
    """Apply the composite to A x = 0 so many times; return the reduction of ‖x‖_A in each, and the last x.

    x has A-norm one, and is renewed so in every step, so that nothing underflows; its part in the null space of A is
    taken out. None where nothing finite and positive is left, as after an exact solve.
    """
    from .cycle_kernels import energy

    A, b = composite.matrix, np.zeros_like(x)
    diagonal = A.diagonal()
    kernel.remove(x)
    norm = _norm(energy(A.indptr, A.indices, A.data, x), x, diagonal, kernel.rounding)
    history: list[float] = []
    if norm <= UNDERFLOW:
        return history, None
    x /= norm
    for _ in range(steps):
        before = x.copy()
        composite.improve(b, x, zero=False)
        kernel.remove(x)
        squared = energy(A.indptr, A.indices, A.data, x)
        norm = _norm(squared, x, diagonal, kernel.rounding) if np.isfinite(squared) else np.nan
        if not np.isfinite(norm):
            return history, before if history else None
        history.append(norm)
        if norm <= UNDERFLOW:
            return history, before
        x /= norm
    return history, x


def _norm(squared: float, x: np.ndarray, diagonal: np.ndarray, rounding: float) -> float:
    """Return ‖x‖_A from xᵀAx, zero where that is rounding.

    Raises
    ------
    StructureError
        If xᵀAx < 0.
    """
    scale = float(x @ (diagonal * x))
    if squared < -rounding * len(x) ** 0.5 * scale:
        raise StructureError(
            f"bootstrap multigrid needs a positive definite matrix, but xᵀAx = {squared:.3g} for an x with "
            f"xᵀDx = {scale:.3g}: use MINRES with another preconditioner, or ILU"
        )
    return float(np.sqrt(squared)) if squared > rounding * scale else 0.0
