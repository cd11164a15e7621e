"""Bootstrap multigrid of one matrix as an operator."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, final

import numpy as np
import scipy.sparse as sp

from ....operators import Array, LinearOperator, Props, StructureError
from ....operators.workspace import Workspace
from .composite import Composite
from .entries import rounding_of, symmetric_entries
from .hierarchy import PairwiseHierarchy, pairwise_hierarchy
from .null_space import NullSpace
from .ritz import descend, lowest_ritz_vectors
from .search import EARLY, bootstrap, reduction, relaxed

if TYPE_CHECKING:
    from .recipe import BootstrapAMG

DESCENT = 10
"""Steps of LOBPCG: more change the iterations that follow by less than a tenth (benchmarks/bootstrap.py)."""

SLOWER = 1.5
"""Factor by which the cycles that a digit takes may grow with the values of A before an update bootstraps again. The
same factor of the rate itself is never reached by rates above two thirds."""


@final
class BootstrapCycle(LinearOperator):
    """One application of a composite of hierarchies.

    Parameters
    ----------
    A : LinearOperator
        With entries, real, symmetric.
    recipe : BootstrapAMG

    Attributes
    ----------
    rates : tuple of float
        Of the composites as they grew: ‖e_new‖_A/‖e_old‖_A in the last of `inner` steps.
    rate : float
        Of M itself, in the last of five steps.
    smooth_vectors : (n, m) array
        The first guess, what was found, and last the vector in use.
    hierarchies : tuple of PairwiseHierarchy
    operator_complexity : float
        Mean over the hierarchies.
    setup_seconds, setup_work : float
        Wall-clock seconds, and products with A.
    null_space : int
        Dimension of the part of A's null space that was seen at once: of a graph's Laplacian, all of it.
    """

    def __init__(self, A: LinearOperator, recipe: BootstrapAMG) -> None:
        begin = time.perf_counter()
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        self.recipe = recipe
        matrix = symmetric_entries(A, "BootstrapAMG")
        self._kernel = NullSpace(matrix, recipe.first_guess(matrix.shape[0]), rounding_of(A))
        self.null_space = self._kernel.size
        with np.errstate(all="ignore"):
            if recipe.mode in ("collapse", "compose"):
                self._by_bootstrap(matrix)
            else:
                self._from_first_guess(matrix)
        self._rate_when_built = self.rate
        self._finish(begin)

    def renewed(self, A: LinearOperator) -> BootstrapCycle:
        """Return M for other values of A: all interpolation kept, or made anew where the rate has grown by half."""
        begin = time.perf_counter()
        matrix = symmetric_entries(A, "BootstrapAMG")
        composite = self.composite.renewed(matrix)
        kernel = NullSpace(matrix, self.recipe.first_guess(matrix.shape[0]), rounding_of(A))
        history = self._probe(composite, kernel)
        rate = history[-1] if history else 0.0
        if not rate <= self._rate_when_built ** (1.0 / SLOWER):
            return BootstrapCycle(A, self.recipe)
        other = copy.copy(self)
        LinearOperator.__init__(other, A.shape, A.dtype, props=self.recipe.claims(A), grid=A.grid)
        other.composite, other._kernel, other.null_space = composite, kernel, kernel.size
        # The next update compares with the rate of what was built, not with this one, or rates could creep.
        other.rate = rate
        other.setup_work = 2.0 * composite.operator_complexity() + self._cost_of_probe(composite)
        other._finish(begin)
        return other

    def _from_first_guess(self, matrix: sp.csr_array) -> None:
        recipe = self.recipe
        w = relaxed(matrix, recipe.first_guess(matrix.shape[0]), recipe.relax)
        first = self._single(self._built(matrix, w))
        self.rates: tuple[float, ...] = ()
        self.setup_work = 2.0 * recipe.relax + 2.0 * first.operator_complexity()
        X = np.zeros((len(w), 0))
        if recipe.mode == "eigenvector":
            X, work = descend(first, 1, DESCENT, self._kernel, np.random.default_rng(recipe.rng))
            self.setup_work += work
        self._choose(matrix, first, w, X, [w])

    def _by_bootstrap(self, matrix: sp.csr_array) -> None:
        recipe = self.recipe
        found = bootstrap(matrix, recipe, self._kernel, smooth=recipe.smooth and recipe.mode == "compose")
        self.rates, self.setup_work = tuple(found.rates), found.work
        if recipe.mode == "compose":
            self.composite, self.rate = found.composite, found.early
            self.smooth_vectors = np.array(found.vectors).T
            return
        first = Composite(found.composite.hierarchies[:1], "mult", recipe.cycle)
        W = np.array(found.vectors[1:]).T
        _, X = lowest_ritz_vectors(matrix, W, 1)
        self.setup_work += W.shape[1]
        self._choose(matrix, first, found.vectors[0], X, found.vectors)

    def _choose(
        self, matrix: sp.csr_array, first: Composite, w: np.ndarray, X: np.ndarray, vectors: list[np.ndarray]
    ) -> None:
        """Take the hierarchy of the vector found, or the first one if that reduces more."""
        candidates = [(w, first)]
        if X.shape[1]:
            candidates.append((X[:, 0], self._single(self._built(matrix, X[:, 0]))))
            self.setup_work += 2.0 * candidates[-1][1].operator_complexity()
        if self.recipe.smooth:
            candidates = [(v, self._single(c.hierarchies[0].smoothed())) for v, c in candidates]
        steps = EARLY if len(candidates) == 1 else max(EARLY, self.recipe.inner)
        histories = [self._probe(composite, self._kernel, steps) for _, composite in candidates]
        self.setup_work += sum(self._cost_of_probe(composite, steps) for _, composite in candidates)
        # Five steps still reduce what any hierarchy reduces well; the rate after them tells hierarchies apart.
        best = int(np.argmin([history[-1] if history else 0.0 for history in histories]))
        self.composite = candidates[best][1]
        self.rate = histories[best][:EARLY][-1] if histories[best] else 0.0
        vectors = [*vectors, *X.T[:1]]
        self.smooth_vectors = np.array([*vectors, w] if best == 0 and len(vectors) > 1 else vectors).T
        self.rates = self.rates or (self.rate,)

    def _built(self, matrix: sp.csr_array, w: np.ndarray) -> PairwiseHierarchy:
        recipe, rounding = self.recipe, self._kernel.rounding
        return pairwise_hierarchy(matrix, w, sweeps=recipe.sweeps, coarse=recipe.coarse, rounding=rounding)

    def _single(self, hierarchy: PairwiseHierarchy) -> Composite:
        return Composite((hierarchy,), "mult", self.recipe.cycle)

    def _probe(self, composite: Composite, kernel: NullSpace, steps: int = EARLY) -> list[float]:
        x = np.random.default_rng(self.recipe.rng).random(self.shape[0])
        return reduction(composite, x, steps, kernel)[0]

    @staticmethod
    def _cost_of_probe(composite: Composite, steps: int = EARLY) -> float:
        return steps * (composite.cost(zero=False) + 1.0)

    def _finish(self, begin: float) -> None:
        self.hierarchies = self.composite.hierarchies
        self.operator_complexity = self.composite.operator_complexity()
        self._one_sided = self.composite.composition == "mult" and len(self.hierarchies) > 1
        self.not_self_adjoint = self._one_sided
        self._work = Workspace()
        self.setup_seconds = time.perf_counter() - begin

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        self._apply_columns(X, out, backwards=False)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        if Props.VARIABLE in self.props:
            raise StructureError(f"{self!r} is nonlinear and has no adjoint: use cycle='V'")
        self._apply_columns(X, out, backwards=True)

    def _apply_columns(self, X: Array, out: Array, *, backwards: bool) -> None:
        split = X.dtype.kind == "c"
        b, x = (self._work.array(name, (X.shape[0],), np.float64) for name in ("b", "x"))
        for source, target in ((X.real, out.real), (X.imag, out.imag)) if split else ((X, out),):
            for c in range(X.shape[1]):
                b[:] = source[:, c]
                self.composite.improve(b, x, zero=True, backwards=backwards)
                target[:, c] = x

    def _summary(self) -> str:
        count = len(self.hierarchies)
        first = self.hierarchies[0]
        return (
            f"{f'{count} hierarchies' if count > 1 else 'one hierarchy'} of {len(first.levels)} levels, "
            f"{self.recipe.cycle}-cycle, rate {self.rate:.2f}, operator complexity {self.operator_complexity:.2f}"
        )
