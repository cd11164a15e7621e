"""One factor of a Kronecker product applied along one axis of a field, without transposing the field.

A field X of shape (n_1, …, n_d) with k columns is, for axis a, an array (outer, n_a, inner): outer = n_1 … n_{a−1},
inner = n_{a+1} … n_d k. For the first axis that is one matrix product A X, for the last X Aᵀ, in between one product
for each of the outer slices. All of them read and write C-ordered memory as it is, so that BLAS does the work and no
copy of the field is made.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from scipy.linalg.blas import get_blas_funcs

from .adjoint import Adjoint
from .base import Array, LinearOperator
from .dense import Dense
from .diagonal import Diagonal
from .scaled import Scaled
from .sparse import Sparse

_NARROW: Final = 16
"""Columns below which a product of slices becomes a product of matrix and vector: lines are then gathered."""

_BLOCK: Final = 1 << 16
"""Numbers gathered at a time: half a megabyte, which the second cache holds."""

DENSE_TOEPLITZ: Final = 512
"""Longest axis on which a Toeplitz factor is multiplied as a dense matrix: `benchmarks/kronecker.py` measures both."""


def multiply_along(
    factor: LinearOperator,
    X: Array,
    out: Array,
    *,
    adjoint: bool = False,
    conjugate: bool | None = None,
    alpha: Any = 1.0,
    add: bool = False,
) -> None:
    """Write alpha A X[i] into ``out[i]`` for every i, or add it to what is there.

    Parameters
    ----------
    factor : LinearOperator
        A, of shape (m, n), on numpy storage.
    X : (outer, n, inner) C-contiguous array
        Of a dtype that holds that of A.
    out : (outer, m, inner) C-contiguous array
        Of the dtype of X; must not overlap with it.
    adjoint : bool
        Whether to multiply with Aᴴ instead.
    conjugate : bool, optional
        Whether entries are conjugated, by default as `adjoint`: Aᵀ with ``adjoint=True, conjugate=False``.
    alpha : scalar
    add : bool

    Notes
    -----
    2 m n flops for each line of a dense factor, 2 nnz of a sparse one. Dense, sparse and diagonal factors, also as
    multiples or adjoints, take no memory of the size of the field; others what their own product takes.
    """
    transposed, conjugated = adjoint, adjoint if conjugate is None else conjugate
    while isinstance(factor, Scaled | Adjoint):
        if isinstance(factor, Scaled):
            alpha = alpha * (np.conj(factor.scalar) if conjugated else factor.scalar)
        else:
            transposed, conjugated = not transposed, conjugated != factor.conjugate
        factor = factor.A
    if not X.size or not out.size:
        out[...] = out if add else 0.0
        return
    complex_ = factor.dtype.kind == "c" or isinstance(alpha, complex | np.complexfloating)
    if X.dtype.kind == "c" and not complex_:  # real factors treat real and imaginary parts alike, as two columns
        real = X.real.dtype
        X, out = (Z.view(real).reshape(*Z.shape[:2], -1) for Z in (X, out))
    entries = entries_of(factor)
    if isinstance(entries, np.ndarray):
        entries = _turned(entries, X.dtype, transposed, conjugated, alpha)
        _dense_along(entries, X, out, add=add)
    elif entries is not None:
        matrix = _turned(entries, X.dtype, transposed, conjugated, alpha)
        matrix = matrix if matrix is entries else sp.csr_array(matrix)
        from .axis_kernels import csr_along

        csr_along(matrix.indptr, matrix.indices, matrix.data, X, out, add=add)
    elif isinstance(factor, Diagonal):
        d = _turned(factor._d, X.dtype, False, conjugated, alpha)[:, None]
        if add:
            for x, y in zip(X, out, strict=True):
                y += d * x
        else:
            np.multiply(d, X, out=out)
    else:
        _operator_along(factor, X, out, transposed=transposed, conjugated=conjugated, alpha=alpha, add=add)


def entries_of(factor: LinearOperator) -> Any:
    """Return the entries that a factor is multiplied by, dense or sparse, or None for its own product."""
    from .kernel_diff import KernelDiff
    from .toeplitz import Toeplitz

    if isinstance(factor, Dense | KernelDiff):
        return factor.to_dense()
    if isinstance(factor, Toeplitz):
        return factor.to_dense() if factor.banded is None and max(factor.shape) <= DENSE_TOEPLITZ else factor.banded
    return factor.matrix if isinstance(factor, Sparse) else None


def _turned(entries: Any, dtype: Any, transposed: bool, conjugated: bool, alpha: Any) -> Any:
    """Return alpha A, or its transpose, conjugate or adjoint, in a dtype; A itself where nothing changes."""
    entries = entries.T if transposed else entries
    if conjugated and entries.dtype.kind == "c":
        entries = entries.conj()
    if alpha != 1.0:
        entries = entries * alpha
    return entries.astype(dtype, copy=False)


def _dense_along(A: np.ndarray, X: Array, out: Array, *, add: bool) -> None:
    outer, n, inner = X.shape
    if outer > 1 and 1 < inner < _NARROW:
        _gathered(A, X, out, add=add)
    elif not add:
        if inner == 1:
            np.matmul(X[:, :, 0], A.T, out=out[:, :, 0])
        else:
            np.matmul(A, X, out=out)
    else:
        # C-ordered arrays are Fortran-ordered transposes, so that BLAS adds into `out` itself.
        gemm = get_blas_funcs("gemm", (X,))
        if not (A.flags.c_contiguous or A.flags.f_contiguous):
            A = np.ascontiguousarray(A)
        a, trans = (A.T, 1) if A.flags.c_contiguous else (A, 0)
        if inner == 1:
            x, y = X.reshape(outer, n).T, out.reshape(outer, -1).T
            gemm(1.0, a, x, beta=1.0, c=y, trans_a=trans, overwrite_c=True)
        else:
            for x, y in zip(X, out, strict=True):
                gemm(1.0, x.T, a, beta=1.0, c=y.T, trans_b=1 - trans, overwrite_c=True)


def _gathered(A: np.ndarray, X: Array, out: Array, *, add: bool) -> None:
    """Multiply lines with few columns beside each other: they are gathered in blocks, so that BLAS sees matrices."""
    outer, n, inner = X.shape
    m = A.shape[0]
    step = max(_BLOCK // (max(m, n) * inner), 1)
    for start in range(0, outer, step):
        part = X[start : start + step]
        lines = part.transpose(0, 2, 1).reshape(-1, n) @ A.T
        product = lines.reshape(len(part), inner, m).transpose(0, 2, 1)
        if add:
            out[start : start + step] += product
        else:
            out[start : start + step] = product


def _operator_along(
    factor: LinearOperator, X: Array, out: Array, *, transposed: bool, conjugated: bool, alpha: Any, add: bool
) -> None:
    """Multiply by the product of the factor itself, slice by slice or, where slices are narrow, gathered."""
    outer, n, inner = X.shape

    def product(x: Array) -> Array:
        x = x.conj() if transposed != conjugated else x
        y = factor._rmatmat(x) if transposed else factor._matmat(x)
        y = y.conj() if transposed != conjugated else y
        return y if alpha == 1.0 else y * alpha

    if outer > 1 and inner < _NARROW:
        lines = product(np.ascontiguousarray(X.transpose(1, 0, 2)).reshape(n, -1))
        result = lines.reshape(-1, outer, inner).transpose(1, 0, 2)
        if add:
            out += result
        else:
            out[...] = result
        return
    for x, y in zip(X, out, strict=True):
        if add:
            y += product(x)
        else:
            y[...] = product(x)
