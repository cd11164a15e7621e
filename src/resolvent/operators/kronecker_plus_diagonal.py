"""A Kronecker product or sum plus a diagonal."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .arrays import is_torch
from .base import Array, LinearOperator
from .diagonal import Diagonal
from .kronecker import Kronecker
from .kronecker_sum import KroneckerSum
from .props import Props, of_sum

_ROWS = 1 << 14
"""Rows of a vector taken at a time, so that the diagonal needs no scratch of its length."""


class KroneckerPlusDiagonal(LinearOperator):
    """K + D with K a `Kronecker` or `KroneckerSum` and D a diagonal, a multiple of the identity above all.

    K + σ² I is the covariance of noisy observations on a grid, and a shift of a separable differential operator; with
    d varying from point to point it is that operator with a potential or the Jacobian of a reaction.

    Parameters
    ----------
    structured : Kronecker or KroneckerSum
        Square.
    d : scalar, (n,) array or tensor, grid-shaped array, or Diagonal
        What is added to the diagonal. A `Diagonal` is kept, not copied: its `update` is noticed.
    props : Props
        Claims besides those that follow from the parts.

    Attributes
    ----------
    structured : Kronecker or KroneckerSum

    Notes
    -----
    `resolvent.solvers.KroneckerSolver` solves it directly where d is constant, or K is positive definite and d a
    positive Kronecker product of vectors. For other d it is a preconditioner: K plus the mean of d, inverted.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Diagonal, Kronecker
    >>> A = Kronecker([[2.0]], [[1.0, 0.5], [0.5, 1.0]]) + Diagonal([1.0, 1.0])
    >>> A
    KroneckerPlusDiagonal(2 x 2, float64, Kronecker(factors 1, 2) + 1)
    >>> A @ [1.0, 0.0]
    array([3., 1.])
    """

    def __init__(self, structured: LinearOperator, d: Any, *, props: Props = Props.NONE) -> None:
        if not isinstance(structured, Kronecker | KroneckerSum):
            raise TypeError(f"expected a Kronecker or KroneckerSum, got {structured!r}: use a Sum for other operators")
        n = structured.shape[0]
        if structured.shape[1] != n:
            raise ValueError(f"a diagonal can be added to a square operator, got {n} x {structured.shape[1]}")
        self.structured = structured
        self._source = d if isinstance(d, Diagonal) else None
        self._given: Any = None if self._source is not None else _checked(d, n, structured)
        values = self.d
        if self._source is not None and (values.size != n or structured._holds_torch()):
            raise ValueError(f"the diagonal must have {n} entries and the storage of {structured!r}, got {d!r}")
        claims = _claims(values) if self._source is None else self._source.props
        self._proved = claims & (Props.POSITIVE_DEFINITE | Props.SELF_ADJOINT | Props.SYMMETRIC)
        super().__init__(
            structured.shape,
            np.result_type(structured.dtype, _dtype(values)),
            props=of_sum((structured.props, claims)) | props,
            grid=structured.grid,
            device=structured.device,
        )

    @property
    def d(self) -> Any:
        """The diagonal that is added: a 0-dimensional array or one of length n."""
        return self._given if self._source is None else self._source._d

    @property
    def constant(self) -> Any:
        """The number that D is a multiple of the identity by, or None where the diagonal varies."""
        d = self.d
        if d.ndim == 0:
            return d.item()
        return d[0].item() if bool((d == d[0]).all()) else None

    def mean(self) -> Any:
        """Return the mean of d, a number: the shift nearest to it."""
        return self.d.mean().item()

    def _parts(self) -> tuple[LinearOperator, ...]:
        return (self.structured,) if self._source is None else (self.structured, self._source)

    def _holds_torch(self) -> bool:
        return self.structured._holds_torch()

    def _matmat(self, X: Array) -> Array:
        Y = self.structured._matmat(X)
        self._add(self.d, X, Y)
        return Y

    def _matmat_into(self, X: Array, out: Array) -> None:
        self.structured._matmat_into(X, out)
        self._add(self.d, X, out)

    def _rmatmat(self, X: Array) -> Array:
        Y = self.structured._rmatmat(X)
        self._add(self.d.conj(), X, Y)
        return Y

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        self.structured._rmatmat_into(X, out)
        self._add(self.d.conj(), X, out)

    def _add(self, d: Any, X: Array, out: Array) -> None:
        """Add D X to `out`."""
        d = d.reshape(-1, 1)
        if self._holds_torch():
            out += d * X
            return
        step = max(_ROWS // max(X.shape[1], 1), 1)
        for start in range(0, len(X), step):
            part = slice(start, start + step)
            out[part] += (d if len(d) == 1 else d[part]) * X[part]

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return self.structured.diagonal() + self.d

    def trace(self) -> Any:
        """Return the sum of the diagonal."""
        d = self.d
        return self.structured.trace() + (d.item() * self.shape[0] if d.ndim == 0 else d.sum())

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as CSR."""
        d = self.d.detach().cpu().numpy() if self._holds_torch() else self.d
        return sp.csr_array(self.structured.to_sparse() + sp.diags_array(np.broadcast_to(d, self.shape[:1])))

    def to_dense(self) -> Array:
        """Return the entries as a dense array."""
        entries = self.structured.to_dense()
        entries = entries.astype(self.dtype) if not self._holds_torch() else entries + 0 * self.d.reshape(-1)[0]
        position = np.arange(self.shape[0])
        entries[position, position] += self.d
        return entries

    def update(self, **values: Any) -> None:
        """Replace the diagonal, ``update(d=…)``, the factors, ``update(factors=(…))``, or both.

        Raises
        ------
        ValueError
            If a claim that the old diagonal proved is lost: build a new operator then.
        """
        if not values or set(values) - {"d", "factors"}:
            raise ValueError(f"update takes d=…, factors=(…), or both, got {', '.join(values) or 'nothing'}")
        if "d" in values:
            d = _checked(values["d"], self.shape[0], self.structured)
            if not np.can_cast(_dtype(d), self.dtype, "same_kind"):
                raise ValueError(f"d must fit into {self.dtype}, got {_dtype(d)}: build a new operator")
            lost = self._proved & ~_claims(d) & self.props
            if lost:
                raise ValueError(f"the new diagonal is not {' and '.join(lost.names())}: build a new operator")
            self._given, self._source = d, None
        if "factors" in values:
            self.structured.update(factors=values["factors"])
        self._changed()

    def _stored_on(self, device: Any, dtype: Any) -> LinearOperator:
        from ._torch import stored_on, to_tensor

        d = to_tensor(np.asarray(self.d), device, dtype)
        return KroneckerPlusDiagonal(stored_on(self.structured, device, dtype), d, props=self.props)

    def _summary(self) -> str:
        value = self.constant
        name = f"{type(self.structured).__name__}({self.structured._summary()})"
        return f"{name} + {'diagonal' if value is None else f'{value:g}'}"


def _checked(d: Any, n: int, structured: LinearOperator) -> Any:
    """Return d as a number or a vector on the storage of the operator."""
    torch = structured._holds_torch()
    if is_torch(d):
        if not torch:
            raise ValueError(f"the diagonal is a tensor, but {structured!r} is on numpy storage: convert one of them")
        if str(d.device) != structured.device:
            raise ValueError(f"the diagonal is on {d.device} and the operator on {structured.device}: move one of them")
    else:
        values = np.asarray(d)
        if values.dtype.kind not in "fciub":
            raise TypeError(f"the diagonal needs numbers, got dtype {values.dtype}")
        # Python's numbers take the precision of the operator, as in the arithmetic of numpy.
        number = isinstance(d, int | float | complex) and not isinstance(d, np.generic)
        kind = np.complex64 if values.dtype.kind == "c" else np.float32
        d = values.astype(np.result_type(structured.dtype, kind) if number else structured.result_dtype(values.dtype))
        if torch:
            from ._torch import to_tensor

            d = to_tensor(d, structured.device)
    if d.ndim == 0:
        return d
    grid = structured.grid
    if tuple(d.shape) != (n,) and (grid is None or tuple(d.shape) != grid):
        field = "" if grid is None else f" or the field shape {grid}"
        raise ValueError(f"the diagonal must be a number or have shape ({n},){field}, got {tuple(d.shape)}")
    return d.reshape(-1)


def _dtype(d: Any) -> np.dtype:
    if is_torch(d):
        from ._torch import numpy_dtype

        return numpy_dtype(d.dtype)
    dtype: np.dtype = d.dtype
    return dtype


def _claims(d: Any) -> Props:
    """What the values prove: symmetry always, definiteness by their signs."""
    if _dtype(d).kind != "c":
        props = Props.SYMMETRIC | Props.SELF_ADJOINT
        if bool((d > 0).all()):
            return props | Props.POSITIVE_DEFINITE | Props.M_MATRIX
        if bool((d >= 0).all()):
            return props | Props.POSITIVE_DEFINITE | Props.SINGULAR
        return props
    if bool((d.imag == 0).all()):
        return _claims(d.real)
    return Props.SYMMETRIC
