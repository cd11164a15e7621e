"""A Kronecker product of operators, never formed."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import scipy.sparse as sp

from .base import Array, LinearOperator
from .kronecker_factors import (
    Order,
    apply_factors,
    checked_factors,
    outer_product,
    product_claims,
    result_type,
    shapes_of,
    torch_factors,
    update_factors,
    vector_grid,
)
from .props import Props
from .workspace import Workspace


class Kronecker(LinearOperator):
    """A_1 ⊗ A_2 ⊗ … ⊗ A_d for any number of factors, applied factor by factor.

    Factor k acts on axis k of the field X: for two factors ``(A ⊗ B) vec(X) = vec(A X Bᵀ)``, vec row by row.

    Parameters
    ----------
    *factors : matrices or operators
        Anything `as_operator` takes, square or not, real or complex, all on numpy or all on one torch device.
    order : {"C", "F"}
        How vectors flatten the field: row by row (the matrix is ``numpy.kron(A, B)``), or column by column as in
        Fortran and MATLAB (``numpy.kron(B, A)``). With "F" the operator has no `grid`, so that a field cannot be
        flattened the wrong way by accident.
    props : Props
        Claims besides those that follow from the factors.

    Attributes
    ----------
    factors : tuple of LinearOperator
        As they were given: factor k belongs to axis k. Their `update` is noticed.
    axes : tuple of LinearOperator
        The factors in the order in which C-ordered memory holds them.

    Notes
    -----
    A product with k columns costs 2 n k Σ_j m_j flops for square factors, by BLAS on C-ordered memory without
    transposition, and one scratch vector (two from three factors on). Storage: the factors.

    See Also
    --------
    resolvent.solvers.KroneckerSolver : solves, and gives log-determinant and eigenvalues.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Kronecker
    >>> A, B = np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0, 2.0]])
    >>> K = Kronecker(A, B)
    >>> K.shape
    (2, 6)
    >>> X = np.arange(6.0).reshape(2, 3)
    >>> np.allclose(K @ X.ravel(), (A @ X @ B.T).ravel())
    True
    """

    def __init__(self, *factors: Any, order: Order = "C", props: Props = Props.NONE) -> None:
        made = checked_factors(factors, order, square=False, kind="Kronecker product")
        self.factors, self.order = made, order
        self.axes = made if order == "C" else made[::-1]
        rows, columns = (math.prod(f.shape[side] for f in made) for side in (0, 1))
        super().__init__(
            (rows, columns),
            result_type(made),
            props=product_claims(made) | props,
            grid=vector_grid(made, order),
            device=made[0].device,
        )
        self._work = Workspace()

    def _parts(self) -> tuple[LinearOperator, ...]:
        return self.factors

    def _holds_torch(self) -> bool:
        return self.factors[0]._holds_torch()

    def _matmat(self, X: Array) -> Array:
        if self._holds_torch():
            return torch_factors(self.axes, X)
        out = np.empty((self.shape[0], X.shape[1]), dtype=X.dtype)
        apply_factors(self.axes, X, out, self._work)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        if self._holds_torch():
            out[...] = torch_factors(self.axes, X)
        else:
            apply_factors(self.axes, X, out, self._work)

    def _rmatmat(self, X: Array) -> Array:
        if self._holds_torch():
            return torch_factors(self.axes, X, adjoint=True)
        out = np.empty((self.shape[1], X.shape[1]), dtype=X.dtype)
        apply_factors(self.axes, X, out, self._work, adjoint=True)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        if self._holds_torch():
            out[...] = torch_factors(self.axes, X, adjoint=True)
        else:
            apply_factors(self.axes, X, out, self._work, adjoint=True)

    def is_adjoint_of(self, other: LinearOperator) -> bool:
        """Whether `other` has, axis by axis, the factors whose adjoints these are."""
        if not isinstance(other, Kronecker) or len(other.axes) != len(self.axes):
            return super().is_adjoint_of(other)
        pairs = zip(self.axes, other.axes, strict=True)
        return all(a.is_adjoint_of(b) or b.is_adjoint_of(a) for a, b in pairs)

    def diagonal(self) -> Array:
        """Return the main diagonal: for square factors the outer product of theirs."""
        if all(f.shape[0] == f.shape[1] for f in self.factors):
            return outer_product([f.diagonal() for f in self.axes], self._holds_torch())
        position = np.arange(min(self.shape))
        rows = np.unravel_index(position, [f.shape[0] for f in self.axes])
        columns = np.unravel_index(position, [f.shape[1] for f in self.axes])
        d: Array = 1.0
        for factor, i, j in zip(self.axes, rows, columns, strict=True):
            d = d * factor.to_dense()[i, j]
        return d

    def trace(self) -> Any:
        """Return the sum of the diagonal: for square factors the product of their traces."""
        if self.shape[0] != self.shape[1]:
            raise ValueError(f"a trace needs a square operator, got {self.shape[0]} x {self.shape[1]}")
        if any(f.shape[0] != f.shape[1] for f in self.factors):
            return self.diagonal().sum()
        return math.prod(f.diagonal().sum() for f in self.factors)

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as CSR: as many as the product of those of the factors."""
        return sp.csr_array(functools.reduce(sp.kron, (f.to_sparse() for f in self.axes)))

    def to_dense(self) -> Array:
        """Return the entries as a dense array."""
        return outer_product([f.to_dense() for f in self.axes], self._holds_torch())

    def update(self, **values: Any) -> None:
        """Give factors new entries: ``update(factors=(A, None, C))``, None for one that stays as it is."""
        update_factors(self.factors, values)

    def _stored_on(self, device: Any, dtype: Any) -> LinearOperator:
        from ._torch import stored_on

        moved = [stored_on(factor, device, dtype, dense=True) for factor in self.factors]
        return Kronecker(*moved, order=self.order, props=self.props)

    def _summary(self) -> str:
        return f"factors {shapes_of(self.factors)}" + ("" if self.order == "C" else ", order F")
