"""A Kronecker sum of square operators, never formed."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np
import scipy.sparse as sp

from .base import Array, LinearOperator
from .kronecker_factors import (
    Order,
    apply_sum,
    checked_factors,
    outer_sum,
    result_type,
    shapes_of,
    sum_claims,
    torch_sum,
    update_factors,
    vector_grid,
)
from .props import Props


class KroneckerSum(LinearOperator):
    """A_1 ⊕ … ⊕ A_d = Σ_k I ⊗ … ⊗ A_k ⊗ … ⊗ I: each factor acts on its own axis of a field, and the results add up.

    For two factors ``(A ⊕ B) vec(X) = vec(A X + X Bᵀ)``, vec row by row: the matrix of a Sylvester equation, and of
    every separable differential operator on a box, such as a Laplacian with the second-derivative matrix of an axis
    as its factor.

    Parameters
    ----------
    *factors : square matrices or operators
        Anything `as_operator` takes, all on numpy or all on one torch device.
    order : {"C", "F"}
        How vectors flatten the field; see `Kronecker`.
    props : Props
        Claims besides those that follow from the factors.

    Attributes
    ----------
    factors, axes : tuple of LinearOperator
        As for `Kronecker`.

    Notes
    -----
    A product with k columns costs 2 n k Σ_j n_j flops for dense factors, by BLAS that adds into the result, so that
    it takes no scratch at all. Storage: the factors.

    See Also
    --------
    resolvent.solvers.KroneckerSolver : solves by fast diagonalisation, Schur factors or fast transforms; a
        preconditioner by the same name.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import KroneckerSum
    >>> A, B = np.array([[2.0, 1.0], [0.0, 1.0]]), np.diag([1.0, 2.0, 3.0])
    >>> X = np.arange(6.0).reshape(2, 3)
    >>> np.allclose(KroneckerSum(A, B) @ X, A @ X + X @ B.T)
    True
    """

    def __init__(self, *factors: Any, order: Order = "C", props: Props = Props.NONE) -> None:
        made = checked_factors(factors, order, square=True, kind="Kronecker sum")
        self.factors, self.order = made, order
        self.axes = made if order == "C" else made[::-1]
        n = math.prod(f.shape[0] for f in made)
        super().__init__(
            (n, n),
            result_type(made),
            props=sum_claims(made) | props,
            grid=vector_grid(made, order),
            device=made[0].device,
        )

    def _parts(self) -> tuple[LinearOperator, ...]:
        return self.factors

    def _holds_torch(self) -> bool:
        return self.factors[0]._holds_torch()

    def _matmat(self, X: Array) -> Array:
        if self._holds_torch():
            return torch_sum(self.axes, X)
        out = np.empty_like(X)
        apply_sum(self.axes, X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        if self._holds_torch():
            out[...] = torch_sum(self.axes, X)
        else:
            apply_sum(self.axes, X, out)

    def _rmatmat(self, X: Array) -> Array:
        if self._holds_torch():
            return torch_sum(self.axes, X, adjoint=True)
        out = np.empty_like(X)
        apply_sum(self.axes, X, out, adjoint=True)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        if self._holds_torch():
            out[...] = torch_sum(self.axes, X, adjoint=True)
        else:
            apply_sum(self.axes, X, out, adjoint=True)

    def diagonal(self) -> Array:
        """Return the main diagonal, sums of those of the factors."""
        return outer_sum([f.diagonal() for f in self.axes])

    def trace(self) -> Any:
        """Return the sum of the diagonal, Σ_k tr(A_k) n/n_k."""
        return sum(f.diagonal().sum() * (self.shape[0] // f.shape[0]) for f in self.factors)

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as CSR."""
        terms, sizes = [], [f.shape[0] for f in self.axes]
        for a, factor in enumerate(self.axes):
            before, after = sp.eye_array(math.prod(sizes[:a])), sp.eye_array(math.prod(sizes[a + 1 :]))
            terms.append(sp.kron(sp.kron(before, factor.to_sparse()), after))
        return sp.csr_array(functools.reduce(operator.add, terms)).astype(self.dtype, copy=False)

    def to_dense(self) -> Array:
        """Return the entries as a dense array."""
        if not self._holds_torch():
            return self.matmat(np.eye(self.shape[0], dtype=self.dtype))
        from ._torch import to_tensor

        return self.matmat(to_tensor(np.eye(self.shape[0], dtype=self.dtype), self.device))

    def update(self, **values: Any) -> None:
        """Give factors new entries: ``update(factors=(A, None, C))``, None for one that stays as it is."""
        update_factors(self.factors, values)

    def _stored_on(self, device: Any, dtype: Any) -> LinearOperator:
        from ._torch import stored_on

        moved = [stored_on(factor, device, dtype, dense=True) for factor in self.factors]
        return KroneckerSum(*moved, order=self.order, props=self.props)

    def _summary(self) -> str:
        return f"factors {shapes_of(self.factors)}" + ("" if self.order == "C" else ", order F")
