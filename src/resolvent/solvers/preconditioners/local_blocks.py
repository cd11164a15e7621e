"""A recipe applied to the diagonal block of each MPI rank."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from ...operators import LinearOperator, Props, StructureError
from .recipe import Recipe


@dataclasses.dataclass(frozen=True)
class LocalBlocks(Recipe):
    """Block Jacobi over MPI ranks: each builds `recipe` for the block that its own rows and columns share.

    Costs no communication. Couplings between ranks are left out, so that iterations grow slowly with the number of
    ranks; on one rank it is the recipe itself.

    Parameters
    ----------
    recipe : Recipe
        Such as ``SSOR()`` or ``AMG()``.

    Raises
    ------
    StructureError
        For an operator spread over ranks that has no block of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import as_operator
    >>> from resolvent.solvers import Jacobi
    >>> from resolvent.solvers.preconditioners.local_blocks import LocalBlocks
    >>> LocalBlocks(Jacobi())(as_operator(np.diag([2.0, 4.0]))).diagonal()
    array([0.5 , 0.25])
    """

    recipe: Recipe
    distributed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.recipe, Recipe):
            raise TypeError(f"LocalBlocks takes a recipe such as SSOR(), got {self.recipe!r}")

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for this rank's block of A."""
        return self.recipe(_block_of(A))

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Bring M up to date by the recipe's own update."""
        return self.recipe.update(M, _block_of(A))

    @property
    def renews(self) -> bool:
        """Whether the recipe's update gives what building would give."""
        return self.recipe.renews

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what the recipe claims for the block."""
        return self.recipe.claims(_block_of(A))


def _block_of(A: LinearOperator) -> LinearOperator:
    if A._communicator() is None:
        return A
    block: Any = getattr(A, "block", None)
    if block is None:
        raise StructureError(f"{A!r} is spread over ranks and has no block of its own: use Jacobi() or no recipe")
    found: LinearOperator = block()
    return found
