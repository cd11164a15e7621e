"""The vector operations Krylov methods are written in, on numpy and on torch storage.

Vectors are (n, k) arrays, k right-hand sides at once; coefficients and results of products are (k,) numpy arrays on
the host, whatever the storage. No operation on numpy storage allocates more than O(k).
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from ..operators import Array
from ..operators.arrays import is_torch
from .progress import Callback


class Vectors(abc.ABC):
    """Operations on (n, k) arrays of one storage."""

    @abc.abstractmethod
    def empty_like(self, x: Array) -> Array:
        """Return an uninitialised array like x."""

    @abc.abstractmethod
    def basis(self, x: Array, rows: int) -> Array:
        """Return a zero (rows, n) array of the storage of x, for the vectors of a Krylov basis."""

    @abc.abstractmethod
    def stack(self, x: Array, rows: int) -> Array:
        """Return a zero (rows, n, k) array of the storage of x, for several vectors of each column."""

    @abc.abstractmethod
    def from_host(self, values: np.ndarray, x: Array) -> Array:
        """Return numbers of the host in the storage and dtype of x."""

    @abc.abstractmethod
    def assign(self, alpha: np.ndarray, x: Array, out: Array) -> None:
        """Set out to alpha x."""

    @abc.abstractmethod
    def widen(self, x: Array) -> Array:
        """Return x in double precision: x itself where it already is."""

    @abc.abstractmethod
    def largest(self, x: Array) -> np.ndarray:
        """Return max |x| by column, not-a-number where there is one."""

    def finite(self, x: Array) -> np.ndarray:
        """Return whether all entries are finite, by column."""
        finite: np.ndarray = np.isfinite(self.largest(x))
        return finite

    @abc.abstractmethod
    def dot(self, x: Array, y: Array) -> np.ndarray:
        """Return xᴴ y by column."""

    @abc.abstractmethod
    def dot_norms(self, x: Array, y: Array, *, conjugate: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return xᴴ y, or xᵀ y, with ‖x‖₂ and ‖y‖₂ by column: one pass where the sizes decide what counts as zero."""

    @abc.abstractmethod
    def norm(self, x: Array) -> np.ndarray:
        """Return ‖x‖₂ by column, real."""

    @abc.abstractmethod
    def axpy(self, alpha: np.ndarray, x: Array, y: Array) -> None:
        """Set y to y + alpha x."""

    @abc.abstractmethod
    def aypx(self, beta: np.ndarray, x: Array, y: Array) -> None:
        """Set y to x + beta y."""

    @abc.abstractmethod
    def step(self, alpha: np.ndarray, p: Array, q: Array, x: Array, r: Array) -> np.ndarray:
        """Set x to x + alpha p and r to r − alpha q; return ‖r‖₂ by column."""

    @abc.abstractmethod
    def project(self, V: Array, w: Array) -> np.ndarray:
        """Return Vᴴ w for the rows of V, a (j, n) basis, and one column w (n, 1): a (j,) array."""

    @abc.abstractmethod
    def combine(self, coefficients: np.ndarray, V: Array, y: Array) -> None:
        """Add Σ coefficients[i] V[i] to the one column y (n, 1)."""

    @abc.abstractmethod
    def gram(self, V: Array, W: Array) -> np.ndarray:
        """Return the (j, k) array of inner products V[i]ᴴ W[l] of two bases, (j, n) and (k, n)."""

    @abc.abstractmethod
    def mix(self, coefficients: np.ndarray, V: Array, out: Array | None = None, *, add: bool = False) -> Array:
        """Return the basis (k, n) of rows Σ coefficients[i, l] V[i], written into, or added to, `out` if given."""

    @abc.abstractmethod
    def inner(self, X: Array, Y: Array) -> np.ndarray:
        """Return the (j, k) array of inner products XᴴY of all columns, (n, j) and (n, k)."""

    @abc.abstractmethod
    def blend(self, X: Array, C: np.ndarray, out: Array, *, add: bool = False) -> None:
        """Set the (n, k) array `out` to X C, or add that to it, for X (n, j) and C (j, k)."""

    @abc.abstractmethod
    def rows(self, V: Array, positions: np.ndarray) -> Array:
        """Return a copy of the given rows of a basis."""

    @abc.abstractmethod
    def take(self, x: Array, columns: np.ndarray) -> Array:
        """Return a C-contiguous copy of the given columns."""

    @abc.abstractmethod
    def put(self, x: Array, columns: np.ndarray, values: Array) -> None:
        """Write values into the given columns of x."""

    @abc.abstractmethod
    def protected(self, x: Array) -> Array:
        """Return x in a form that a callback cannot change it by."""

    def total(self, count: int) -> int:
        """Return a number of unknowns held here, summed over all ranks where vectors are spread over several."""
        return count

    def before(self, count: int) -> int:
        """Return how many unknowns the earlier ranks hold, this one holding `count`."""
        return 0

    def agreed(self, callback: Callback | None) -> Callback | None:
        """Return the callback in a form that stops a solve on all ranks together."""
        return callback

    def scaled(self, alpha: np.ndarray, x: Array) -> Array:
        """Return alpha x, a new array."""
        out = self.empty_like(x)
        self.assign(alpha, x, out)
        return out

    def copy(self, x: Array, columns: np.ndarray, out: Array) -> None:
        """Copy the given columns of x into the same columns of `out`."""
        if len(columns) == x.shape[1]:
            out[...] = x
        else:
            self.put(out, columns, self.take(x, columns))

    def clear(self, x: Array, columns: np.ndarray) -> None:
        """Set the given columns of x to zero, whatever they hold."""
        if len(columns) == x.shape[1]:
            x[...] = 0.0
        elif len(columns):
            zero = self.empty_like(self.take(x, columns))
            zero[...] = 0.0
            self.put(x, columns, zero)


class NumpyVectors(Vectors):
    """Numba kernels, and BLAS for the products with a basis."""

    def __init__(self) -> None:
        # Here rather than at the top: numba is imported by the first solve, not by `import resolvent`.
        from . import vector_kernels

        self._kernels = vector_kernels
        self._gemvs: dict[Any, Any] = {}

    def empty_like(self, x: Array) -> Array:
        """Return an uninitialised array like x."""
        return np.empty_like(x)

    def protected(self, x: Array) -> Array:
        """Return a read-only view of x."""
        view = x.view()
        view.flags.writeable = False
        return view

    def basis(self, x: Array, rows: int) -> Array:
        """Return a zero (rows, n) array for the vectors of a Krylov basis."""
        return np.zeros((rows, x.shape[0]), dtype=x.dtype)

    def stack(self, x: Array, rows: int) -> Array:
        """Return zero arrays like x, one above the other."""
        return np.zeros((rows, *x.shape), dtype=x.dtype)

    def from_host(self, values: np.ndarray, x: Array) -> Array:
        """Return numbers in the dtype of x."""
        return np.asarray(values, dtype=x.dtype)

    def assign(self, alpha: np.ndarray, x: Array, out: Array) -> None:
        """Set out to alpha x."""
        np.multiply(x, np.asarray(alpha, dtype=x.dtype), out=out)

    def widen(self, x: Array) -> Array:
        """Return x in double precision."""
        return x.astype(np.result_type(x, np.float64), copy=False)

    def largest(self, x: Array) -> np.ndarray:
        """Return max |x| by column."""
        result: np.ndarray = abs(x).max(axis=0, initial=0.0)
        return result

    def dot(self, x: Array, y: Array) -> np.ndarray:
        """Return xᴴ y by column."""
        out = np.empty(x.shape[1], dtype=x.dtype)
        self._kernels.dot(x, y, out)
        return out

    def dot_norms(self, x: Array, y: Array, *, conjugate: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return xᴴ y, or xᵀ y, with ‖x‖₂ and ‖y‖₂ by column."""
        out = np.empty((4, x.shape[1]), dtype=x.real.dtype)
        self._kernels.dot_norms(x, y, 1.0 if conjugate else -1.0, out)
        return (out[0] + 1j * out[1] if x.dtype.kind == "c" else out[0]), out[2], out[3]

    def norm(self, x: Array) -> np.ndarray:
        """Return ‖x‖₂ by column, real."""
        out = np.empty(x.shape[1], dtype=x.real.dtype)
        self._kernels.norm(x, out)
        return out

    def axpy(self, alpha: np.ndarray, x: Array, y: Array) -> None:
        """Set y to y + alpha x."""
        self._kernels.axpy(np.asarray(alpha, dtype=x.dtype), x, y)

    def aypx(self, beta: np.ndarray, x: Array, y: Array) -> None:
        """Set y to x + beta y."""
        self._kernels.aypx(np.asarray(beta, dtype=x.dtype), x, y)

    def step(self, alpha: np.ndarray, p: Array, q: Array, x: Array, r: Array) -> np.ndarray:
        """Set x to x + alpha p and r to r − alpha q; return ‖r‖₂ by column."""
        out = np.empty(x.shape[1], dtype=x.real.dtype)
        self._kernels.step(np.asarray(alpha, dtype=x.dtype), p, q, x, r, out)
        return out

    def project(self, V: Array, w: Array) -> np.ndarray:
        """Return Vᴴ w for the rows of V."""
        # V.T is Fortran-ordered, so that BLAS forms (Vᵀ)ᴴ w without copying or conjugating the basis.
        result: np.ndarray = self._gemv(V)(1.0, V.T, w.reshape(-1), trans=2)
        return result

    def combine(self, coefficients: np.ndarray, V: Array, y: Array) -> None:
        """Add Σ coefficients[i] V[i] to y."""
        # y := 1 Vᵀ c + 1 y in place: V.T is Fortran-ordered, so that BLAS neither copies nor allocates.
        coefficients = np.asarray(coefficients, dtype=V.dtype)
        self._gemv(V)(1.0, V.T, coefficients, beta=1.0, y=y.reshape(-1), overwrite_y=True)

    def gram(self, V: Array, W: Array) -> np.ndarray:
        """Return the inner products of two bases."""
        if V.dtype.kind != "c":
            result: np.ndarray = V @ W.T
            return result
        # The transposes are Fortran-ordered: BLAS conjugates on the way, without a copy of the basis.
        from scipy.linalg.blas import get_blas_funcs

        result = get_blas_funcs("gemm", (V,))(1.0, V.T, W.T, trans_a=2)
        return result

    def mix(self, coefficients: np.ndarray, V: Array, out: Array | None = None, *, add: bool = False) -> Array:
        """Return the basis of rows Σ coefficients[i, l] V[i]."""
        from scipy.linalg.blas import get_blas_funcs

        if out is None:
            out = np.empty((coefficients.shape[1], V.shape[1]), dtype=V.dtype)
        coefficients = np.asarray(coefficients, dtype=V.dtype)
        if out.size and V.size:  # the transposes are Fortran-ordered, so that BLAS writes into `out` itself
            get_blas_funcs("gemm", (V,))(1.0, V.T, coefficients, beta=float(add), c=out.T, overwrite_c=True)
        elif not add:
            out[...] = 0.0
        return out

    def inner(self, X: Array, Y: Array) -> np.ndarray:
        """Return XᴴY."""
        if X.dtype.kind != "c":
            result: np.ndarray = X.T @ Y
            return result
        result = np.zeros((X.shape[1], Y.shape[1]), dtype=X.dtype)
        for part in _pieces(X):  # numpy conjugates a copy
            result += X[part].conj().T @ Y[part]
        return result

    def blend(self, X: Array, C: np.ndarray, out: Array, *, add: bool = False) -> None:
        """Set `out` to X C, or add that to it."""
        C = np.asarray(C, dtype=X.dtype)
        if not add:
            np.matmul(X, C, out=out)
            return
        for part in _pieces(X):  # numpy cannot add a product in place
            out[part] += X[part] @ C

    def rows(self, V: Array, positions: np.ndarray) -> Array:
        """Return a copy of the given rows of a basis."""
        return V[positions]

    def _gemv(self, V: Array) -> Any:
        """Return the matrix-vector product of BLAS for the dtype of V, looked up once."""
        if V.dtype not in self._gemvs:
            from scipy.linalg.blas import get_blas_funcs

            self._gemvs[V.dtype] = get_blas_funcs("gemv", (V,))
        return self._gemvs[V.dtype]

    def take(self, x: Array, columns: np.ndarray) -> Array:
        """Return a C-contiguous copy of the given columns."""
        return np.take(x, columns, axis=-1)

    def put(self, x: Array, columns: np.ndarray, values: Array) -> None:
        """Write values into the given columns of x."""
        x[..., columns] = values


def _pieces(X: Array) -> list[slice]:
    """Return slices of rows small enough that a temporary stays in cache."""
    return [slice(i, i + 2048) for i in range(0, X.shape[0], 2048)]


def vectors_for(x: Array, communicator: Any = None) -> Vectors:
    """Return the operations for the storage of x, of which each rank of the communicator holds a part, if any."""
    if communicator is not None:
        from ._mpi import MPIVectors

        return MPIVectors(communicator)
    if is_torch(x):
        from ._torch import TorchVectors

        return TorchVectors()
    return NumpyVectors()
