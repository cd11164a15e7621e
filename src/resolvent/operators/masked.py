"""Some rows and columns of an operator: observations that are missing, unknowns that are given."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from .base import Array, LinearOperator
from .convert import as_operator
from .props import Props
from .workspace import Workspace


class Masked(LinearOperator):
    """S_r A S_cᵀ: the rows and columns of A that are kept, in their order, without forming A.

    The covariance of a grid with missing observations is ``Masked(K, observed)``; the map from a field to its
    observations ``Masked(K, observed, columns=None)``.

    Parameters
    ----------
    A : operator or matrix
        Any that `as_operator` takes.
    rows : boolean array, integer indices, or None
        What is kept: a mask of length m or of the shape of the field, or distinct indices. None keeps all.
    columns : the same, or "same"
        By default those of the rows, for a principal submatrix.
    props : Props
        Claims besides those that follow: principal submatrices of symmetric, self-adjoint, definite operators and of
        M-matrices are that again; of a semi-definite operator nothing is known.

    Attributes
    ----------
    A : LinearOperator
    rows, columns : integer arrays, or None for all

    Notes
    -----
    A product costs one with A and two scratch vectors of its size.

    See Also
    --------
    resolvent.solvers.KroneckerSolver : as a recipe, the inverse on the whole grid as a preconditioner.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Kronecker, Masked
    >>> K = Kronecker([[2.0, 1.0], [1.0, 2.0]], [[3.0, 1.0], [1.0, 3.0]])
    >>> Masked(K, np.array([[True, False], [True, True]])).to_dense()
    array([[6., 3., 1.],
           [3., 6., 2.],
           [1., 2., 6.]])
    """

    def __init__(
        self, A: Any, rows: Any = None, columns: Any | Literal["same"] = "same", *, props: Props = Props.NONE
    ) -> None:
        A = as_operator(A)
        kept_rows = _indices("rows", rows, A.shape[0], A.grid)
        same = isinstance(columns, str)
        if same and columns != "same":
            raise ValueError(f"columns must be a mask, indices, None, or 'same', got {columns!r}")
        if same and A.shape[0] != A.shape[1]:
            raise ValueError(f"rows and columns can only be the same for a square operator, got {A!r}: give columns=…")
        kept_columns = kept_rows if same else _indices("columns", columns, A.shape[1], A.grid)
        shape = tuple(
            n if kept is None else len(kept) for n, kept in zip(A.shape, (kept_rows, kept_columns), strict=True)
        )
        kept_claims = Props.VARIABLE
        if same or (kept_rows is not None and kept_columns is not None and np.array_equal(kept_rows, kept_columns)):
            kept_claims |= Props.SYMMETRIC | Props.SELF_ADJOINT
            if Props.SINGULAR not in A.props:
                kept_claims |= Props.POSITIVE_DEFINITE | Props.M_MATRIX
        super().__init__((shape[0], shape[1]), A.dtype, props=(A.props & kept_claims) | props, device=A.device)
        self.A: LinearOperator = A
        self.rows, self.columns = kept_rows, kept_columns
        self._work = Workspace()

    def _parts(self) -> tuple[LinearOperator, ...]:
        return (self.A,)

    def _holds_torch(self) -> bool:
        return self.A._holds_torch()

    def _matmat(self, X: Array) -> Array:
        return self._select(X, self.rows, self.columns, adjoint=False)

    def _matmat_into(self, X: Array, out: Array) -> None:
        out[...] = self._select(X, self.rows, self.columns, adjoint=False)

    def _rmatmat(self, X: Array) -> Array:
        return self._select(X, self.columns, self.rows, adjoint=True)

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        out[...] = self._select(X, self.columns, self.rows, adjoint=True)

    def _select(self, X: Array, taken: Any, given: Any, *, adjoint: bool) -> Array:
        """Spread X over the kept places, multiply, and take the kept rows of the result: a new array or a copy."""
        m, n = self.A.shape[::-1] if adjoint else self.A.shape
        if self._holds_torch():
            whole = X
            if given is not None:
                whole = X.new_zeros((n, X.shape[1]))
                whole[given] = X
            Y = self.A._rmatmat(whole) if adjoint else self.A._matmat(whole)
            return Y if taken is None else Y[taken]
        if given is None:
            whole = X
        else:
            whole = self._work.array("x", (n, X.shape[1]), X.dtype)
            whole[...] = 0.0
            whole[given] = X
        Y = np.empty((m, X.shape[1]), X.dtype) if taken is None else self._work.array("y", (m, X.shape[1]), X.dtype)
        (self.A._rmatmat_into if adjoint else self.A._matmat_into)(whole, Y)
        return Y if taken is None else Y[taken]

    def diagonal(self) -> Array:
        """Return the main diagonal; of a rectangular selection from its entries."""
        if self.rows is self.columns:
            d = self.A.diagonal()
            return d if self.rows is None else d[self.rows]
        return self.to_sparse().diagonal()

    def trace(self) -> Any:
        """Return the sum of the diagonal."""
        return self.diagonal().sum()

    def to_sparse(self) -> sp.csr_array:
        """Return the kept entries as CSR."""
        matrix = self.A.to_sparse()
        matrix = matrix if self.rows is None else matrix[self.rows]
        return sp.csr_array(matrix if self.columns is None else matrix[:, self.columns])

    def to_dense(self) -> Array:
        """Return the kept entries as a dense array."""
        entries = self.A.to_dense()
        entries = entries if self.rows is None else entries[self.rows]
        return entries if self.columns is None else entries[:, self.columns]

    def update(self, **values: Any) -> None:
        """Pass new values on to A: ``update(…)`` takes what `A.update` does."""
        self.A.update(**values)

    def _stored_on(self, device: Any, dtype: Any) -> LinearOperator:
        from ._torch import stored_on

        A = stored_on(self.A, device, dtype)
        columns: Any = "same" if self.rows is self.columns else self.columns
        return Masked(A, self.rows, columns, props=self.props)

    def _summary(self) -> str:
        return f"of {self.A!r}"


def _indices(name: str, kept: Any, n: int, grid: tuple[int, ...] | None) -> np.ndarray | None:
    """Return a mask or indices as indices; None for all."""
    if kept is None:
        return None
    kept = np.asarray(kept)
    if kept.dtype.kind == "b":
        if kept.size != n or kept.shape not in ((n,), grid):
            field = "" if grid is None else f" or {grid}"
            raise ValueError(f"{name}: a mask needs shape ({n},){field}, got {kept.shape}")
        found = np.flatnonzero(kept)
    elif kept.dtype.kind in "iu" and kept.ndim == 1:
        if kept.size and (kept.min() < 0 or kept.max() >= n):
            raise ValueError(f"{name}: indices must lie in 0 … {n - 1}, got {kept.min()} … {kept.max()}")
        if len(np.unique(kept)) != kept.size:
            raise ValueError(f"{name}: indices must be distinct, got {kept.size} of which some repeat")
        found = kept.astype(np.intp)
    else:
        raise TypeError(f"{name} must be a boolean mask, a vector of indices, or None, got dtype {kept.dtype}")
    if not found.size:
        raise ValueError(f"{name}: nothing is kept; an operator needs at least one row and column")
    return found
