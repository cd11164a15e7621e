"""Diagonal scaling."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ...operators import Diagonal, LinearOperator, Props
from .entries import host_diagonal
from .recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Jacobi(Recipe):
    """Diagonal scaling, M = D⁻¹ with D the diagonal of A.

    Costs one multiplication an unknown and stores one vector. It evens out a diagonal that varies over decades, and
    on a matrix with constant diagonal changes nothing but the scale. For a self-adjoint A with positive diagonal it
    is self-adjoint and positive definite, so that CG and MINRES may use it.

    Raises
    ------
    ValueError
        When built for a matrix with a zero, infinite or not-a-number on the diagonal.
    StructureError
        For an operator that does not know its diagonal.

    References
    ----------
    van der Sluis 1969, doi:10.1007/BF02165096: among all diagonal scalings nearly the best.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import as_operator
    >>> from resolvent.solvers import Jacobi
    >>> Jacobi()(as_operator(np.diag([2.0, 4.0]))).diagonal()
    array([0.5 , 0.25])
    """

    distributed: ClassVar[bool] = True

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A, on the storage of A."""
        M = Diagonal(1.0 / host_diagonal(A, "Jacobi"), grid=A.grid)
        return M.to_torch(A.device) if A._holds_torch() else M

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: building it costs one division an unknown."""
        return self(A).props
