"""The factors of one matrix as preconditioner for others."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...operators import Array, LinearOperator, Props
from .recipe import Recipe

if TYPE_CHECKING:
    from ..direct import Factorisation


@dataclasses.dataclass(frozen=True)
class Factorised(Recipe):
    """M = A⁻¹ by a sparse factorisation: one iteration for its own matrix, few for a matrix close to it.

    Along a sequence of systems that change slowly (an indefinite Helmholtz problem under a frequency sweep, implicit
    time steps) an old factorisation is the strongest preconditioner there is; `Refresh.WHEN_SLOW` or `Refresh.BY_COST`
    say when to factorise again. Fill and cost are those of `Direct`, whose analysis of the pattern is kept.

    Do not use it for a single system (`Direct`), nor for large 3-D problems.

    Parameters
    ----------
    ordering : {"auto", "band", "symmetric", "column"}
        As in `Direct`.
    backend : {"scipy", "mumps", "cholmod", "umfpack"}
        As in `Direct`.

    Raises
    ------
    ValueError
        When built for a singular matrix, or one with NaN or infinity.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import Factorised, GMRES, Refresh, Sequence
    >>> A = sp.diags_array([-1.0, 1.6, -1.0], offsets=[-1, 0, 1], shape=(400, 400)).tocsr()
    >>> steps = Sequence(GMRES(), M=Factorised(), refresh=Refresh.WHEN_SLOW(10))
    >>> [steps.solve(A + 1e-4 * i * sp.eye_array(400), np.ones(400)).iterations < 15 for i in range(4)]
    [True, True, True, True]
    """

    ordering: Literal["auto", "band", "symmetric", "column"] = "auto"
    backend: Literal["scipy", "mumps", "cholmod", "umfpack"] = "scipy"

    def __post_init__(self) -> None:
        from ..direct import Direct

        Direct(ordering=self.ordering, backend=self.backend)  # which checks them

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return Factors(A, self)

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Return the factors of A, with the analysis of M where the pattern is the same."""
        return Factors(A, self, M if isinstance(M, Factors) else None)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims."""
        return A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)


class Factors(LinearOperator):
    """Applies A⁻¹ by triangular solves."""

    def __init__(self, A: LinearOperator, recipe: Factorised, previous: Factors | None = None) -> None:
        from ..direct import Direct, Factorisation

        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        # A copy, because building from it drops its factors, and the old operator may still be in use.
        options = Direct(ordering=recipe.ordering, backend=recipe.backend)
        old = None if previous is None else copy.copy(previous._factors)
        self._factors: Factorisation = Factorisation(options, A, previous=old)
        if self._factors.failure:
            raise ValueError(f"Factorised cannot factorise {A!r}: {self._factors.failure}")
        self._recipe, self._A = recipe, A

    # Factors of C libraries cannot be pickled, but are the same whenever they are computed.
    def __reduce__(self) -> tuple[type[Factors], tuple[LinearOperator, Factorised]]:
        return Factors, (self._A, self._recipe)

    def _matmat(self, X: Array) -> Array:
        return self._solve(X, adjoint=False)

    def _rmatmat(self, X: Array) -> Array:
        return self._solve(X, adjoint=True)

    def _solve(self, X: Array, *, adjoint: bool) -> Array:
        factors = self._factors.adjoint() if adjoint else self._factors
        return np.ascontiguousarray(factors.solve(X), dtype=np.result_type(self.dtype, X.dtype))
