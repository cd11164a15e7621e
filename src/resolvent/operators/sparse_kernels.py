"""Products with compressed sparse rows.

`csr_matmat` and `csr_adjoint_matmat` choose among a few numba kernels, which are compiled on first use for the dtypes
at hand, cached on disk, and release the GIL. Entries may be real or complex, indices int32 or int64, and X may have a
wider dtype than the entries. Nothing is checked here: the caller guarantees a valid matrix and matching shapes.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import uint64

from .threads import run_in_parts

# Products nnz·k that pay for a thread, so that two are used from 1 000 000 on. In the
# committed run of benchmarks/operators.py two threads lost at 128² points (80 000 products of a 5-point matrix), won or
# lost a little at 256² (330 000), and were 1.5 to 2.2 times faster from 512² (1 300 000) and 64³ (1 800 000) on.
PART = 500_000


def csr_matmat(indptr: Any, indices: Any, data: Any, X: Any, out: Any) -> None:
    """Write A X into `out` for a matrix A in compressed sparse rows; 2 nnz k flops, no allocation.

    Parameters
    ----------
    indptr : (m + 1,) array of int32 or int64
    indices : (nnz,) array of int32 or int64
    data : (nnz,) array
    X : (n, k) C-contiguous array
    out : (m, k) C-contiguous array of dtype ``result_type(data, X)``
        Must not overlap with X.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> A = sp.csr_array([[2.0, 0.0], [1.0, 3.0]])
    >>> out = np.empty((2, 1))
    >>> csr_matmat(A.indptr, A.indices, A.data, np.ones((2, 1)), out)
    >>> out.ravel()
    array([2., 4.])
    """
    parts = data.size * X.shape[1] // PART
    if X.shape[1] == 1:
        run_in_parts(_matvec, out.size, parts, indptr, indices, data, X.reshape(-1), out.reshape(-1))
    else:
        run_in_parts(_matmat, out.shape[0], parts, indptr, indices, data, X, out)


def csr_adjoint_matmat(indptr: Any, indices: Any, data: Any, X: Any, out: Any) -> None:
    """Write Aᴴ X into `out` for a matrix A in compressed sparse rows; 2 nnz k flops, no allocation.

    Rows of A are scattered into `out`, by one thread, since two could write to the same place: where adjoint products
    dominate, store Aᴴ.

    Parameters
    ----------
    indptr : (m + 1,) array of int32 or int64
    indices : (nnz,) array of int32 or int64
    data : (nnz,) array
    X : (m, k) C-contiguous array
    out : (n, k) C-contiguous array of dtype ``result_type(data, X)``
        Must not overlap with X.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> A = sp.csr_array([[2.0, 0.0], [1.0, 3.0]])
    >>> out = np.empty((2, 1))
    >>> csr_adjoint_matmat(A.indptr, A.indices, A.data, np.ones((2, 1)), out)
    >>> out.ravel()
    array([3., 3.])
    """
    if X.shape[1] == 1:
        _adjoint_matvec(indptr, indices, data, X.reshape(-1), out.reshape(-1))
    else:
        _adjoint_matmat(indptr, indices, data, X, out)


# Indices are cast to unsigned integers because numba wraps negative ones around, a test that halves the speed.


@numba.njit(cache=True, nogil=True)
def _matvec(indptr, indices, data, x, out, start, stop):  # type: ignore[no-untyped-def]
    zero = out.dtype.type(0)
    for i in range(uint64(start), uint64(stop)):
        y = zero
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            y += data[p] * x[uint64(indices[p])]
        out[i] = y


@numba.njit(cache=True, nogil=True)
def _matmat(indptr, indices, data, X, out, start, stop):  # type: ignore[no-untyped-def]
    # Four columns at a time are summed in registers: twice as fast as adding each product to a row of `out`.
    zero = out.dtype.type(0)
    columns = uint64(out.shape[1])
    one, two, three, four = uint64(1), uint64(2), uint64(3), uint64(4)
    for i in range(uint64(start), uint64(stop)):
        first, last = uint64(indptr[i]), uint64(indptr[i + one])
        c = uint64(0)
        while c + four <= columns:
            y0, y1, y2, y3 = zero, zero, zero, zero
            for p in range(first, last):
                entry, j = data[p], uint64(indices[p])
                y0 += entry * X[j, c]
                y1 += entry * X[j, c + one]
                y2 += entry * X[j, c + two]
                y3 += entry * X[j, c + three]
            out[i, c], out[i, c + one], out[i, c + two], out[i, c + three] = y0, y1, y2, y3
            c += four
        while c < columns:
            y0 = zero
            for p in range(first, last):
                y0 += data[p] * X[uint64(indices[p]), c]
            out[i, c] = y0
            c += one


@numba.njit(cache=True, nogil=True)
def _adjoint_matvec(indptr, indices, data, x, out):  # type: ignore[no-untyped-def]
    out[:] = 0
    for i in range(uint64(x.size)):
        factor = x[i]
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            out[uint64(indices[p])] += np.conj(data[p]) * factor


@numba.njit(cache=True, nogil=True)
def _adjoint_matmat(indptr, indices, data, X, out):  # type: ignore[no-untyped-def]
    columns = uint64(X.shape[1])
    out[:, :] = 0
    for i in range(uint64(X.shape[0])):
        for p in range(uint64(indptr[i]), uint64(indptr[i + uint64(1)])):
            entry = np.conj(data[p])
            row = uint64(indices[p])
            for c in range(columns):
                out[row, c] += entry * X[i, c]
