"""An operator given by functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Array, LinearOperator
from .errors import StructureError
from .props import Props


class Function(LinearOperator):
    """A matrix-free operator: the caller supplies the product.

    Parameters
    ----------
    shape : (int, int)
        (m, n).
    matvec : callable
        x (n,) ↦ A x (m,).
    rmatvec : callable, optional
        y (m,) ↦ Aᴴ y (n,); not needed for a self-adjoint or symmetric operator.
    matmat, rmatmat : callable, optional
        The same for columns (n, k); without them columns are taken one by one.
    dtype : dtype
        Of the entries.
    props : Props
        Claims; VARIABLE if the function does not always do the same.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Function, Props
    >>> A = Function((3, 3), lambda x: np.cumsum(x), dtype=float)
    >>> A @ np.ones(3)
    array([1., 2., 3.])
    """

    def __init__(
        self,
        shape: tuple[int, int],
        matvec: Callable[[Array], Array],
        *,
        rmatvec: Callable[[Array], Array] | None = None,
        matmat: Callable[[Array], Array] | None = None,
        rmatmat: Callable[[Array], Array] | None = None,
        dtype: Any = np.float64,
        props: Props = Props.NONE,
        grid: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(shape, dtype, props=props, grid=grid)
        self._matvec, self._rmatvec_function = matvec, rmatvec
        self._matmat_function, self._rmatmat_function = matmat, rmatmat

    def _matmat(self, X: Array) -> Array:
        return self._evaluate(X, self._matmat_function, self._matvec, self.shape[0])

    def _rmatmat(self, X: Array) -> Array:
        if self._rmatmat_function is None and self._rmatvec_function is None:
            return super()._rmatmat(X)
        try:
            return self._evaluate(X, self._rmatmat_function, self._rmatvec_function, self.shape[1])
        except NotImplementedError:  # what scipy's operators without an adjoint raise when it is called
            return super()._rmatmat(X)

    def _evaluate(
        self,
        X: Array,
        many: Callable[[Array], Array] | None,
        one: Callable[[Array], Array] | None,
        rows: int,
    ) -> Array:
        if many is not None and (X.shape[1] > 1 or one is None):
            Y = np.asarray(many(X))
        else:
            assert one is not None
            Y = np.stack([np.asarray(one(np.ascontiguousarray(x))).reshape(-1) for x in X.T], axis=1)
        if Y.shape != (rows, X.shape[1]):
            raise StructureError(f"the function behind {self!r} must return {rows} entries a column, got {Y.shape}")
        if Y.dtype.kind == "c" and X.dtype.kind != "c":
            raise StructureError(
                f"the function behind {self!r} returns complex values: give it dtype=complex, or return real ones"
            )
        # A function may return its argument (an identity, say), but callers scale and add to what they are given.
        return np.array(Y, dtype=X.dtype, order="C", copy=True if np.may_share_memory(Y, X) else None)
