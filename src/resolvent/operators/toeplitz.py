"""A Toeplitz operator: constant along each diagonal, applied by fast Fourier transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
import scipy.linalg
import scipy.sparse as sp

from .base import Array, LinearOperator
from .props import Props

_DIAGONALS = 16
"""Diagonals up to which products are those of a sparse matrix: 2 flops each are fewer than those of a transform."""


class Toeplitz(LinearOperator):
    """T_ij = c_{i−j} on and below the diagonal, r_{j−i} on and above it.

    A stationary kernel on an equally spaced grid, a convolution, a difference formula with constant coefficients.

    Parameters
    ----------
    c : (m,) array
        First column.
    r : (n,) array, optional
        First row; by default the conjugate of c, so that T is self-adjoint where c_0 is real. ``r[0]`` is not used.
    circulant : bool
        Whether the diagonals wrap around, T_ij = c_{(i−j) mod n}: the eigenvectors are then those of the Fourier
        transform. Without `r`.
    props : Props
        Claims besides those that the entries prove: symmetry always, definiteness of a circulant.

    Attributes
    ----------
    c, r : arrays
        First column and row.
    circulant : bool

    Notes
    -----
    A product of k columns is two transforms of length m + n − 1 or a little more, O(k n log n); n for a circulant.
    Storage: c, r and one spectrum. Up to 16 diagonals are multiplied as a sparse matrix, O(k n), which is stored as
    well. In a `Kronecker` product or sum, axes of up to 512 points are multiplied by BLAS, which is faster there.

    See Also
    --------
    resolvent.solvers.ToeplitzSolver : solves in O(n²) once and O(n log n) for each right-hand side.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Toeplitz
    >>> Toeplitz([2.0, -1.0, 0.0])
    Toeplitz(3 x 3, float64, symmetric)
    >>> (Toeplitz([2.0, -1.0, 0.0]) @ np.array([1.0, 2.0, 4.0])).round(12)
    array([ 0., -1.,  6.])
    """

    def __init__(self, c: Any, r: Any = None, *, circulant: bool = False, props: Props = Props.NONE) -> None:
        if circulant and r is not None:
            raise ValueError("a circulant is given by its first column c alone: leave r out")
        c = _vector("c", c)
        r = _row(c, circulant) if r is None else _vector("r", r)
        dtype = np.result_type(c, r)
        c, r = c.astype(dtype), r.astype(dtype)
        r[0] = c[0]
        self.circulant = bool(circulant)
        claims = _proved(c, r, self.circulant)
        super().__init__((len(c), len(r)), dtype, props=claims | props)
        self._proved = claims
        self.c, self.r = c, r
        self._transform()

    def _transform(self) -> None:
        m, n = self.shape
        count = np.count_nonzero(self.c) + np.count_nonzero(self.r[1:])
        self._banded = self.to_sparse() if count <= min(_DIAGONALS, max(m, n) // 2) else None
        self._length = n if self.circulant else scipy.fft.next_fast_len(m + n - 1, real=self.dtype.kind != "c")
        column = np.zeros(self._length, dtype=self.dtype)
        column[:m] = self.c
        if not self.circulant and n > 1:
            column[-(n - 1) :] = self.r[:0:-1]
        self._spectrum = scipy.fft.fft(column) if self.dtype.kind == "c" else scipy.fft.rfft(column)

    @property
    def banded(self) -> sp.csr_array | None:
        """The entries, where there are few diagonals: products are then made of them, without transforms."""
        return self._banded

    def _matmat(self, X: Array) -> Array:
        if self._banded is not None:
            out = np.empty((self.shape[0], X.shape[1]), dtype=X.dtype)
            self._matmat_into(X, out)
            return out
        return self._convolve(X, self._spectrum, self.shape[0])

    def _matmat_into(self, X: Array, out: Array) -> None:
        if self._banded is None:
            out[...] = self._matmat(X)
            return
        from .sparse_kernels import csr_matmat

        csr_matmat(self._banded.indptr, self._banded.indices, self._banded.data, X, out)

    def _rmatmat(self, X: Array) -> Array:
        if self._banded is not None:
            from .sparse_kernels import csr_adjoint_matmat

            out = np.empty((self.shape[1], X.shape[1]), dtype=X.dtype)
            csr_adjoint_matmat(self._banded.indptr, self._banded.indices, self._banded.data, X, out)
            return out
        # The adjoint is the Toeplitz operator with conj(r) as its first column: its spectrum is the conjugate one.
        return self._convolve(X, self._spectrum.conj(), self.shape[1])

    def _convolve(self, X: Array, spectrum: Array, rows: int) -> Array:
        k = X.shape[1]
        if self.dtype.kind != "c":
            real = X.real.dtype
            columns = X.view(real).reshape(len(X), -1) if X.dtype.kind == "c" else X
            Y = scipy.fft.rfft(columns, self._length, axis=0)
            Y *= spectrum[:, None]
            y = scipy.fft.irfft(Y, self._length, axis=0, overwrite_x=True)[:rows]
            y = np.ascontiguousarray(y, dtype=real)
            return y.view(X.dtype).reshape(rows, k) if X.dtype.kind == "c" else y
        Y = scipy.fft.fft(X, self._length, axis=0)
        Y *= spectrum[:, None]
        return np.ascontiguousarray(scipy.fft.ifft(Y, axis=0, overwrite_x=True)[:rows], dtype=X.dtype)

    def eigenvalues(self) -> Array:
        """Return the eigenvalues of a circulant, in the order of the Fourier transform."""
        if not self.circulant:
            raise ValueError(f"only the eigenvalues of a circulant are known without work, not those of {self!r}")
        return np.fft.fft(self.c)

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return np.full(min(self.shape), self.c[0])

    def trace(self) -> Any:
        """Return the sum of the diagonal."""
        return self.c[0] * min(self.shape)

    def to_dense(self) -> Array:
        """Return the entries as a dense array."""
        return scipy.linalg.toeplitz(self.c, self.r)

    def to_sparse(self) -> sp.csr_array:
        """Return the entries as CSR, diagonal by diagonal: those that are zero are not stored."""
        below, above = np.flatnonzero(self.c), np.flatnonzero(self.r[1:]) + 1
        offsets = [*(-below).tolist(), *above.tolist()]
        if not offsets:
            return sp.csr_array(self.shape, dtype=self.dtype)
        values = [*self.c[below], *self.r[above]]
        return sp.csr_array(sp.diags_array(values, offsets=offsets, shape=self.shape, dtype=self.dtype))

    def update(self, **values: Any) -> None:
        """Replace the entries: ``update(c=…)`` or ``update(c=…, r=…)``, of the same lengths.

        Raises
        ------
        ValueError
            If a claim that the old entries proved is lost: build a new operator then.
        """
        if "c" not in values or set(values) - {"c", "r"} or (self.circulant and "r" in values):
            raise ValueError(f"update takes c=array{'' if self.circulant else ', r=array'}, got {', '.join(values)}")
        new = Toeplitz(values["c"], values.get("r"), circulant=self.circulant)
        if new.shape != self.shape or not np.can_cast(new.dtype, self.dtype, "same_kind"):
            raise ValueError(f"update needs the same lengths and a dtype that fits into {self.dtype}, got {new!r}")
        lost = self._proved & ~new._proved
        if lost:
            raise ValueError(f"the new entries are not {' and '.join(lost.names())}: build a new Toeplitz")
        self.c, self.r = new.c.astype(self.dtype), new.r.astype(self.dtype)
        self._transform()
        self._changed()

    def _summary(self) -> str:
        return "circulant" if self.circulant else ""


def _vector(name: str, values: Any) -> np.ndarray:
    array = np.array(values)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} must be a vector of at least one number, got an array of shape {array.shape}")
    if array.dtype.kind not in "fciub":
        raise TypeError(f"{name} needs numbers, got dtype {array.dtype}")
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _row(c: np.ndarray, circulant: bool) -> np.ndarray:
    return np.concatenate([c[:1], c[:0:-1]]) if circulant else c.conj()


def _proved(c: np.ndarray, r: np.ndarray, circulant: bool) -> Props:
    """What the entries prove; of a circulant also definiteness, beyond the rounding of its eigenvalues."""
    if len(c) != len(r):
        return Props.NONE
    props = Props.SYMMETRIC if np.array_equal(c[1:], r[1:]) else Props.NONE
    if np.array_equal(c[1:], r[1:].conj()) and c[0].imag == 0.0:
        props |= Props.SELF_ADJOINT
    if circulant and Props.SELF_ADJOINT in props and np.isfinite(c).all():
        values = np.fft.fft(c).real
        if values.min() > 10.0 * len(c) * np.finfo(c.dtype).eps * np.abs(values).max():
            props |= Props.POSITIVE_DEFINITE
    return props
