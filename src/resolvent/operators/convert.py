"""Turning what other libraries call a matrix or an operator into a LinearOperator."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .arrays import is_torch, without_mask
from .base import LinearOperator
from .dense import Dense
from .function import Function
from .props import Props
from .sparse import Sparse


def as_operator(A: Any, *, props: Props | None = None) -> LinearOperator:
    """Return A as a LinearOperator, without copying entries where that is possible.

    Parameters
    ----------
    A : LinearOperator, sparse or dense array, torch tensor, PETSc matrix, or anything with ``shape`` and ``matvec``
        The operator.
    props : Props, optional
        Claims, for a matrix or operator of another library; ours keep their own.

    Raises
    ------
    TypeError
        If A is none of these.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from resolvent.operators import SPD, as_operator
    >>> as_operator(sp.eye_array(3), props=SPD)
    Sparse(3 x 3, float64, 3 entries, positive definite)
    """
    if isinstance(A, LinearOperator):
        if props is not None and props & ~A.props:
            raise ValueError(f"{A!r} already carries its claims: pass props where it is built")
        return A
    claims = Props.NONE if props is None else props
    if sp.issparse(A):
        return Sparse(A, props=claims)
    if is_torch(A):
        from ._torch import Tensor

        return Tensor(A, props=claims)
    if hasattr(A, "shape") and hasattr(A, "matvec"):
        return _from_duck(A, claims)
    if type(A).__module__.partition(".")[0] == "petsc4py":
        from .petsc import from_petsc

        return from_petsc(A, props=props)
    if isinstance(A, np.ndarray | list | tuple):
        array = np.asarray(without_mask("a matrix", A))
        if array.dtype.kind not in "fciub":
            raise TypeError(f"a matrix needs numeric entries, got dtype {array.dtype}: use astype(float)")
        return Dense(array, props=claims)
    raise TypeError(
        "expected a matrix (dense, scipy sparse, torch) or an operator with shape and matvec, got "
        f"{type(A).__module__}.{type(A).__qualname__}"
    )


def _from_duck(A: Any, claims: Props) -> LinearOperator:
    def optional(name: str) -> Any:
        # scipy's operators always have rmatvec, and raise NotImplementedError when called without one.
        return getattr(A, name, None)

    dtype = getattr(A, "dtype", None)
    if dtype is None:
        dtype = np.asarray(A.matvec(np.zeros(A.shape[1]))).dtype
    dtype = np.dtype(dtype)
    return Function(
        A.shape,
        A.matvec,
        rmatvec=optional("rmatvec"),
        matmat=optional("matmat"),
        rmatmat=optional("rmatmat"),
        dtype=np.float64 if dtype.kind in "iub" else dtype,
        props=claims,
    )
