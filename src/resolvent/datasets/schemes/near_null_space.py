"""Aggregation multigrid that is told what a family's equation leaves alone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, final

from ...operators import LinearOperator, Props
from ...solvers.preconditioners.recipe import Recipe
from ..family import LinearFamily

if TYPE_CHECKING:
    from ...solvers import AMG


@final
@dataclasses.dataclass(frozen=True)
class FamilyAggregation(Recipe):
    """Smoothed aggregation with the near null space of a family, interpolation kept from sample to sample.

    The vectors are made where they are needed: the recipe is as small and as printable as the family.

    Parameters
    ----------
    family : LinearFamily
        One whose `near_null_space` returns vectors, such as the rigid body modes of elasticity.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Elasticity2D
    >>> from resolvent.datasets.schemes.near_null_space import FamilyAggregation
    >>> from resolvent.solvers import CG
    >>> family = Elasticity2D(resolution=24)
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> CG().solve(A, b, M=FamilyAggregation(family)).iterations < 40
    True
    """

    family: LinearFamily

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return self._recipe()(A)

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Return M for a changed A with the interpolation of the old one."""
        return self._recipe().update(M, A)

    @property
    def renews(self) -> bool:
        """It keeps parts of the old M."""
        return False

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim."""
        return self._recipe().claims(A)

    def _recipe(self) -> AMG:
        from ...solvers import AMG

        modes = self.family.near_null_space()
        return AMG(method="smoothed_aggregation", near_null_space=modes, reuse="interpolation")
