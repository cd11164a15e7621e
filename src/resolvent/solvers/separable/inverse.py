"""The inverse of a separable constant-coefficient operator, applied by fast transforms."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import scipy.fft

from ...operators import Array, LinearOperator, Props
from .axis import Axis

_BLOCK: Final = 4096
"""Numbers multiplied with dense eigenvectors at a time (a line at least), so that no temporary has length n."""

_SERIAL: Final = 1 << 18
"""Product of the three extents up to which OpenBLAS multiplies on the calling thread. The threads it starts above that
spin at barriers, which takes many times longer where other work uses the same cores."""

_NULL: Final = 1e-14
"""An eigenvalue below this times the norm of the operator is taken for zero."""


class SeparableInverse(LinearOperator):
    """M = (Σ_a c_a T_a + shift)⁻¹ for second differences T_a along the axes of a box.

    Axes but the first are transformed by the sine, cosine or Fourier transform of their boundary or, where that takes
    less time, multiplied with its eigenvectors by BLAS (`Axis.prefers_dense`). Along the first axis the tridiagonal
    systems of all modes are eliminated where the operator is definite, which is stable then; it is transformed as well
    where the operator is complex or indefinite, or the axis periodic.

    Elimination replaces a second transform, which takes longer at every size; eigenvectors are for short axes and for
    lengths with large prime factors.

    Storage: one real field (reciprocal pivots or eigenvalues), and n² numbers for an axis with dense eigenvectors. An
    application works inside of `out`; periodic axes take a complex half-spectrum of the length of a vector, all others
    only lines and blocks of bounded size.

    Parameters
    ----------
    axes : tuple of Axis
    scales : tuple of float or complex
        c_a, such as 1/h².
    shift : float or complex
    null_value : float
        Eigenvalue given to the null space of a singular operator. Infinite makes M the pseudo-inverse: results have
        zero mean.
    workers : int
        Threads of scipy.fft.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.separable import Axis, SeparableInverse
    >>> M = SeparableInverse((Axis(3),), (1.0,))  # of the second difference with Dirichlet boundary
    >>> M @ np.array([1.0, 0.0, 1.0])
    array([1., 1., 1.])
    """

    def __init__(
        self,
        axes: tuple[Axis, ...],
        scales: tuple[Any, ...],
        shift: Any = 0.0,
        *,
        dtype: Any = np.float64,
        null_value: float = np.inf,
        workers: int = 1,
    ) -> None:
        self.axes, self.scales, self.shift = axes, scales, shift
        self.null_value, self.workers = null_value, workers
        grid = tuple(axis.n for axis in axes)
        n = int(np.prod(grid))
        sums = self._sums(0)
        real = sums.dtype.kind != "c"
        size = sum(4.0 * abs(c) for c in scales) + abs(shift)
        self.singular = bool(np.abs(sums).min() <= _NULL * size)
        definite = real and min(scales) >= 0.0 and bool(sums.min() >= -_NULL * size)
        super().__init__((n, n), dtype, props=self._proved(real, definite), grid=grid)
        self._dense = tuple(axis.prefers_dense(n) for axis in axes)
        self._periodic = tuple(a for a, axis in enumerate(axes) if axis.closure == "periodic")
        # The singular mode of an elimination must be the constant one, which its mean takes out.
        constant = shift == 0 and all(axis.singular for axis in axes)
        self._eliminates = definite and axes[0].closure == "walls" and (constant or not self.singular)
        self._field = self._pivots() if self._eliminates else self._reciprocals(sums, _NULL * size)

    def _proved(self, real: bool, definite: bool) -> Props:
        props = Props.SINGULAR if self.singular and np.isinf(self.null_value) else Props.NONE
        if any(axis.closure == "reflecting" for axis in self.axes):
            return props
        if real:
            props |= Props.SELF_ADJOINT | (Props.POSITIVE_DEFINITE if definite else Props.NONE)
        return props | Props.SYMMETRIC

    def _sums(self, first: int) -> Any:
        """Return shift + Σ c_a λ_a for the modes of the axes from `first` on."""
        total: Any = np.asarray(self.shift)
        for c, axis in zip(self.scales[first:], self.axes[first:], strict=True):
            total = np.add.outer(total, c * axis.eigenvalues())
        return total

    def _half(self, field: Any) -> Any:
        """Return what belongs to the half-spectrum of a real transform along the periodic axes."""
        if not self._periodic:
            return field
        last = self._periodic[-1]
        part = slice(0, self.axes[last].n // 2 + 1)
        return np.ascontiguousarray(field[tuple(part if a == last else slice(None) for a in range(field.ndim))])

    def _pivots(self) -> Any:
        from .kernels import reciprocal_pivots

        c, first = self.scales[0], self.axes[0]
        modes = np.asarray(self._half(self._sums(1)[None])[0], dtype=np.float64)
        pivots = np.empty((first.n, modes.size))
        reciprocal_pivots(c * first.diagonal(), modes.reshape(-1), float(c), pivots)
        if self.singular:
            pivots[-1, 0] = 0.0
        return pivots.astype(self.dtype.type(0).real.dtype, copy=False)

    def _reciprocals(self, sums: Any, null: float) -> Any:
        if self.singular:
            sums[np.abs(sums) <= null] = self.null_value
        field = 1.0 / sums
        if field.dtype.kind == "c":
            return field.astype(self.dtype, copy=False)
        return self._half(field).astype(self.dtype.type(0).real.dtype, copy=False)

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        out[...] = X
        self.apply(out)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        out[...] = X
        self.apply_adjoint(out)

    def apply(self, X: Array) -> None:
        """Overwrite a C-contiguous (n, k) array with M X."""
        grid = self._shape()
        # Real transforms treat real and imaginary parts alike, as two columns.
        Y = (X.view(X.real.dtype) if X.dtype.kind == "c" else X).reshape(*grid, -1)
        first = 1 if self._eliminates else 0
        walls = [a for a in range(first, len(grid)) if a not in self._periodic]
        for a in walls:
            self._transform(Y, a)
        if self._field.dtype.kind == "c":
            Z = X.reshape(*grid, -1)
            if self._periodic:
                Z = scipy.fft.fftn(Z, axes=self._periodic, workers=self.workers)
            Z *= self._field[..., None]
            if self._periodic:
                X.reshape(*grid, -1)[...] = scipy.fft.ifftn(Z, axes=self._periodic, workers=self.workers)
        elif self._periodic:
            lengths = [grid[a] for a in self._periodic]
            Z = np.ascontiguousarray(scipy.fft.rfftn(Y, axes=self._periodic, workers=self.workers))
            self._divide(Z.view(Z.real.dtype))
            Y[...] = scipy.fft.irfftn(Z, s=lengths, axes=self._periodic, overwrite_x=True, workers=self.workers)
        else:
            self._divide(Y)
        for a in reversed(walls):
            self._transform(Y, a, inverse=True)

    def apply_adjoint(self, X: Array) -> None:
        """Overwrite a C-contiguous (n, k) array with Mᴴ X."""
        reflecting = [a for a, axis in enumerate(self.axes) if axis.closure == "reflecting"]
        conjugate = self._field.dtype.kind == "c"
        # Apart from the weights W = diag(1, 2, …, 2, 1) of reflecting axes M is symmetric: Mᵀ = W M W⁻¹.
        self._weigh(X, reflecting, 0.5)
        if conjugate:
            np.conj(X, out=X)
        self.apply(X)
        if conjugate:
            np.conj(X, out=X)
        self._weigh(X, reflecting, 2.0)

    def _divide(self, Y: Array) -> None:
        """Divide coefficients by eigenvalues, or eliminate along the first axis; Y real, modes first."""
        if not self._eliminates:
            Y *= self._field[..., None]
            return
        from .kernels import eliminate

        lines = Y.reshape(self.axes[0].n, self._field.shape[1], -1)
        constant = lines[:, 0]
        if self.singular:
            mean = constant.mean(axis=0)
            constant -= mean
        eliminate(lines, self._field, float(self.scales[0]))
        if self.singular:
            constant -= constant.mean(axis=0) - mean / self.null_value

    def _transform(self, Y: Array, a: int, *, inverse: bool = False) -> None:
        """Transform the real array Y (*grid, m) along axis a in place."""
        axis = self.axes[a]
        if self._dense[a]:
            V = axis.eigenvectors().astype(Y.dtype, copy=False)
            _multiply_lines(V if inverse else V.T, Y.reshape(int(np.prod(Y.shape[:a])), axis.n, -1))
            return
        kind, type_ = axis.kind
        function = getattr(scipy.fft, ("i" if inverse else "") + kind)
        norm = "backward" if axis.closure == "reflecting" else "ortho"
        result = function(Y, type=type_, axis=a, norm=norm, overwrite_x=True, workers=self.workers)
        if not np.may_share_memory(result, Y):
            Y[...] = result

    def _weigh(self, X: Array, reflecting: list[int], factor: float) -> None:
        Y = X.reshape(*self._shape(), -1)
        for a in reflecting:
            Y[(slice(None),) * a + (slice(1, -1),)] *= factor

    def _shape(self) -> tuple[int, ...]:
        return tuple(axis.n for axis in self.axes)

    def _summary(self) -> str:
        ways = [
            "elimination" if self._eliminates and a == 0 else "eigenvectors" if self._dense[a] else axis.kind[0]
            for a, axis in enumerate(self.axes)
        ]
        return f"{' x '.join(map(str, self._shape()))} by {', '.join(ways)}"


def _multiply_lines(V: Array, Y: Array) -> None:
    """Overwrite Y (outer, n, m) with V Y[i] for every i."""
    outer, n, m = Y.shape
    if m >= 16:
        columns = min(m, max(_BLOCK // n, 16))
        step = max(_SERIAL // (n * columns), 1)
        block = np.empty((n, columns), dtype=Y.dtype)
        for i in range(outer):
            for start in range(0, m, columns):
                part = Y[i, :, start : start + columns]
                product = block[:, : part.shape[1]]
                for row in range(0, n, step):
                    np.matmul(V[row : row + step], part, out=product[row : row + step])
                part[...] = product
        return
    # Few columns: lines are gathered, so that BLAS sees larger products.
    rows = min(max(_BLOCK // (n * m), 1), outer)
    step = max(_SERIAL // (n * rows * m), 1)
    W, block = V.T, np.empty((rows * m, n), dtype=Y.dtype)
    for start in range(0, outer, rows):
        part = Y[start : start + rows]
        lines, product = part.transpose(0, 2, 1).reshape(-1, n), block[: len(part) * m]
        for column in range(0, n, step):
            np.matmul(lines, W[:, column : column + step], out=product[:, column : column + step])
        part[...] = product.reshape(len(part), m, n).transpose(0, 2, 1)
