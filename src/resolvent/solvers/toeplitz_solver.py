"""Direct solution of Toeplitz systems: the inverse is known by two of its columns."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import scipy.fft

from ..operators import Adjoint, Array, LinearOperator, Props, StructureError, Toeplitz
from .factorisations import SingularError
from .monitor import Monitor
from .preconditioners.recipe import Recipe
from .solver import Solver
from .status import Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToeplitzSolver(Solver, Recipe):
    """Toeplitz systems in O(n²) operations once and O(n log n) for each right-hand side; a preconditioner as well.

    As a solver, a circulant is divided by its eigenvalues. Of any other the recursion of Levinson and Durbin gives the
    first and last column x, y of the inverse, which the formula of Gohberg and Semencul turns into

        T⁻¹ = (L(x) U(ỹ) − L(y₊) U(x̃₊)) / x_1,

    with triangular Toeplitz matrices made of x and y: eight fast transforms a right-hand side, and refinement where
    rounding leaves more than the tolerance. ``prepared.logdet()`` is the sum of the logarithms of the pivots.

    As a preconditioner, ``CG().solve(T, b, M=ToeplitzSolver())``: the circulant nearest to T in the Frobenius norm,
    definite where T is, whose inverse costs two transforms. Iteration counts do not grow with n where the entries are
    the Fourier coefficients of a positive function (Chan & Ng 1996).

    Storage: two vectors, and four spectra of length 2 n. Do not use the direct form for matrices that are nearly
    singular in a leading block, though not themselves: the recursion has no pivoting. Use `Direct` there.

    Parameters
    ----------
    rtol, atol, maxiter
        See `Solver`; of no meaning for the preconditioner.

    Raises
    ------
    StructureError
        For operators that are not `Toeplitz`. A leading block that is singular is a status of the solve (BREAKDOWN).

    References
    ----------
    Levinson 1946, doi:10.1002/sapm1946251261; Trench 1964, doi:10.1137/0112045; Gohberg & Semencul 1972 (formula);
    T. Chan 1988, doi:10.1137/0909051 (nearest circulant); Chan & Ng 1996, doi:10.1137/S0036144594276474.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Toeplitz
    >>> from resolvent.solvers import ToeplitzSolver
    >>> ToeplitzSolver().solve(Toeplitz([2.0, -1.0, 0.0]), np.array([1.0, 0.0, 1.0])).x.round(12)
    array([1., 1., 1.])
    """

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A: the inverse of the nearest circulant."""
        M = CirculantInverse(_toeplitz(A), self.claims(A))
        return M.H if isinstance(A, Adjoint) else M

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: symmetry and definiteness carry over to the nearest circulant."""
        kept = Props.SYMMETRIC | Props.SELF_ADJOINT
        if Props.SINGULAR not in A.props:
            kept |= Props.POSITIVE_DEFINITE
        return A.props & kept

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if M is not None:
            raise StructureError("ToeplitzSolver takes no preconditioner: leave M out, or use CG or GMRES")
        _toeplitz(A)

    def _setup(self, A: LinearOperator) -> ToeplitzFactors:
        factors = ToeplitzFactors(_toeplitz(A))
        return factors.adjoint() if isinstance(A, Adjoint) else factors

    def _adjoint(self, state: ToeplitzFactors, A: LinearOperator) -> ToeplitzFactors:
        return state.adjoint()

    def _run(self, state: ToeplitzFactors, b: Array, x: Array, monitor: Monitor) -> None:
        v = monitor.vectors
        r = v.empty_like(b)
        monitor.start(x, r, keep_best=True)
        if state.failure and monitor.running:
            monitor.retire(np.ones(len(monitor.active), dtype=bool), Status.BREAKDOWN, x, state.failure)
        while monitor.running:
            x, r = monitor.compact(x, r)
            v.axpy(np.ones(r.shape[1]), state.solve(r), x)
            stalled = monitor.step_recomputed(x, r, gain=0.5, patience=3)
            if stalled.any():
                bound = state.norm * v.norm(x) + monitor.rhs_norm[monitor.active]
                rounding = stalled & (v.norm(r) <= 10.0 * monitor.eps * bound)
                monitor.retire(rounding, Status.STAGNATED, x, "the residual is as small as rounding allows")

    def _logdet(self, state: ToeplitzFactors, A: LinearOperator) -> tuple[Any, float]:
        if state.failure:
            raise SingularError(state.failure)
        return state.logdet()

    def __str__(self) -> str:
        return Solver.__str__(self)


def _toeplitz(A: LinearOperator) -> Toeplitz:
    """Return A, or what A is the adjoint of; StructureError for anything but a square Toeplitz operator."""
    inner = A.A if isinstance(A, Adjoint) and A.conjugate else A
    if isinstance(inner, Toeplitz) and inner.shape[0] == inner.shape[1]:
        return inner
    raise StructureError(f"ToeplitzSolver is for square Toeplitz operators, not {A!r}: use Direct or a Krylov method")


class ToeplitzFactors:
    """T⁻¹ by its first and last columns, or by the eigenvalues of a circulant."""

    def __init__(self, T: Toeplitz) -> None:
        self.n, self.dtype, self.failure = T.shape[0], T.dtype, ""
        self.norm = float(np.abs(T.c).sum() + np.abs(T.r[1:]).sum())
        self._turned = False
        self._circulant = T.eigenvalues() if T.circulant else None
        if not np.isfinite(self.norm):
            self.failure = "the matrix holds NaN or infinity"
        elif self._circulant is not None:
            size = np.abs(self._circulant)
            if not size.min() > 0.5 * self.n * np.finfo(self.dtype).eps * size.max():
                self.failure = f"the matrix is singular: its smallest eigenvalue is {size.min():.1e}"
        else:
            self._invert(T)

    def _invert(self, T: Toeplitz) -> None:
        from .toeplitz_kernels import levinson

        wide = np.result_type(self.dtype, np.float64)
        x, y, self._pivots = (np.zeros(self.n, dtype=wide) for _ in range(3))
        place = levinson(T.c.astype(wide), T.r.astype(wide), x, y, self._pivots)
        if place >= 0:
            self.failure = f"the leading block of order {place + 1} is singular: use Direct"
            return
        self._length = length = scipy.fft.next_fast_len(2 * self.n)
        # Lower triangular of x, upper triangular whose first row is y reversed; then both moved by one place.
        self._lower: list[Any] = [_spectrum(x, length), _spectrum(np.concatenate([[0.0], y[:-1]]), length)]
        self._upper: list[Any] = [_spectrum(y[::-1], length), _spectrum(np.concatenate([[0.0], x[:0:-1]]), length)]
        self._scale = x[0]

    def adjoint(self) -> ToeplitzFactors:
        """Return the same factors, solving with Tᴴ."""
        other = object.__new__(ToeplitzFactors)
        other.__dict__.update(self.__dict__)
        other._turned = not self._turned
        return other

    def solve(self, r: Array) -> Array:
        """Return T⁻¹ r, or T⁻ᴴ r, for an (n, k) array."""
        if self._circulant is not None:
            values = (self._circulant.conj() if self._turned else self._circulant)[:, None]
            x = scipy.fft.ifft(scipy.fft.fft(r, axis=0) / values, axis=0)
            return _real(x, r)
        # Products with L(v) are those of v's spectrum; with U(w) = L(w)ᵀ of its conjugate's, for conjugated entries.
        total: Any = 0.0
        for place, sign in enumerate((1.0, -1.0)):
            lower, upper = self._lower[place], self._upper[place]
            if self._turned:  # (L U)ᴴ = Uᴴ Lᴴ: the adjoint of an upper matrix is the lower one of its conjugate row
                first, second = lower.conj(), _flipped(upper).conj()
                term = self._multiply(second, self._multiply(first, r))
            else:
                term = self._multiply(lower, self._multiply(_flipped(upper), r))
            total = total + sign * term
        return _real(total / (np.conj(self._scale) if self._turned else self._scale), r)

    def _multiply(self, spectrum: Array, r: Array) -> Array:
        return scipy.fft.ifft(spectrum[:, None] * scipy.fft.fft(r, self._length, axis=0), axis=0)[: self.n]

    def logdet(self) -> tuple[Any, float]:
        """Return sign and log|det T|."""
        values = self._pivots if self._circulant is None else self._circulant
        size = np.abs(values)
        sign = np.prod(values / size)
        sign = np.conj(sign) if self._turned else sign
        return (complex(sign) if self.dtype.kind == "c" else float(np.sign(sign.real))), math.fsum(np.log(size))


class CirculantInverse(LinearOperator):
    """M = C⁻¹ with C the circulant nearest to a Toeplitz operator in the Frobenius norm.

    Eigenvalues of C that are zero to rounding become the smallest of the others.
    """

    setup_products = 0

    def __init__(self, T: Toeplitz, claims: Props) -> None:
        n = T.shape[0]
        super().__init__(T.shape, T.dtype, props=claims)
        j = np.arange(n)
        column = T.c if T.circulant else ((n - j) * T.c + j * np.concatenate([T.c[:1], T.r[:0:-1]])) / n
        values = scipy.fft.fft(column)
        size = np.abs(values)
        null = size <= 0.5 * n * np.finfo(T.dtype).eps * size.max(initial=0.0)
        if null.all():
            raise StructureError(f"the circulant nearest to {T!r} is zero: use another preconditioner")
        values[null] = size[~null].min()
        self._values: Array = values.real if Props.SELF_ADJOINT in T.props else values

    def _matmat(self, X: Array) -> Array:
        return _real(scipy.fft.ifft(scipy.fft.fft(X, axis=0) / self._values[:, None], axis=0), X)

    def _rmatmat(self, X: Array) -> Array:
        return _real(scipy.fft.ifft(scipy.fft.fft(X, axis=0) / self._values.conj()[:, None], axis=0), X)


def _spectrum(v: Array, length: int) -> Array:
    return scipy.fft.fft(v, length)


def _flipped(spectrum: Array) -> Array:
    """Return the spectrum of the sequence reversed around its first entry: of the transpose of a lower matrix."""
    return np.concatenate([spectrum[:1], spectrum[:0:-1]])


def _real(x: Array, like: Array) -> Array:
    """Return x in the dtype of the right-hand side: real where both are."""
    return np.ascontiguousarray(x if like.dtype.kind == "c" else x.real, dtype=like.dtype)
