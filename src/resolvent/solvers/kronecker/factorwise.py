"""A Kronecker product solved factor by factor, each by LU."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
from scipy.linalg.blas import get_blas_funcs

from ...operators import Array, Diagonal, Kronecker, LinearOperator, Sparse, StructureError
from ..direct import Direct
from ..factorisations import SingularError
from .axis_bases import dense
from .inverse import StructuredFactors

_SPARSE = 512
"""Axis length from which a sparse factor keeps sparse factors; below, dense ones are as fast."""

_NARROW = 16
"""Columns below which lines are gathered: a triangular solve of few columns is slow."""


class FactorwiseLU(StructuredFactors):
    """(A_1 ⊗ … ⊗ A_d)⁻¹ = A_1⁻¹ ⊗ … ⊗ A_d⁻¹, by LU with partial pivoting of every factor.

    Notes
    -----
    O(Σ n_k³) once, 2 n Σ n_k flops for each right-hand side, by triangular solves on C-ordered memory as it is.
    """

    def __init__(self, A: Kronecker) -> None:
        if any(f.shape[0] != f.shape[1] for f in A.axes):
            raise StructureError(f"{A!r} has rectangular factors, which have no inverses: use LSQR")
        self.shape = A.shape
        self._sizes = [f.shape[0] for f in A.axes]
        self._torch, self._complex = A._holds_torch(), A.dtype.kind == "c"
        made: dict[int, Any] = {}
        try:
            for factor in A.axes:
                if id(factor) not in made:
                    made[id(factor)] = _factorised(factor)
        except SingularError as error:
            self.failure = str(error)
            return
        self._factors = [made[id(factor)] for factor in A.axes]

    def solve_into(self, R: Array, out: Array, *, adjoint: bool) -> None:
        """Write A⁻¹ R, or A⁻ᴴ R, into `out`."""
        k = R.shape[1]
        if not self._torch:
            out[...] = R
        X = R if self._torch else out
        for a, (n, factor) in enumerate(zip(self._sizes, self._factors, strict=True)):
            outer = math.prod(self._sizes[:a])
            if self._torch:
                X = factor.along(X.reshape(outer, n, -1), adjoint=adjoint)
            elif X.dtype.kind == "c" and not factor.complex:  # real factors treat both parts alike, as two columns
                factor.along(X.view(X.real.dtype).reshape(outer, n, -1), adjoint=adjoint)
            else:
                factor.along(X.reshape(outer, n, -1), adjoint=adjoint)
        if self._torch:
            out[...] = X.reshape(-1, k)

    def logdet(self) -> tuple[Any, float]:
        """Return sign and log|det A| = Σ_k (n/n_k) log|det A_k|, unclamped."""
        sign: Any = 1.0
        log = 0.0
        for n, factor in zip(self._sizes, self._factors, strict=True):
            own, size = factor.logdet()
            times = self.shape[0] // n
            sign, log = sign * own**times, log + times * size
        return (sign / abs(sign) if self._complex else float(np.sign(np.real(sign)))), float(log)

    def describe(self) -> str:
        """Return the way of solving."""
        return "LU of each factor"


def _factorised(factor: LinearOperator) -> Any:
    if factor._holds_torch():
        from ._torch import FactorLU

        return FactorLU(dense(factor))
    if isinstance(factor, Diagonal):
        return _DiagonalFactor(factor)
    if isinstance(factor, Sparse) and factor.shape[0] > _SPARSE:
        return _SparseFactor(factor)
    return _DenseFactor(dense(factor))


class _DenseFactor:
    """PA = LU of a dense matrix, applied to one axis of a field in place."""

    def __init__(self, matrix: np.ndarray) -> None:
        if not np.isfinite(matrix).all():
            raise SingularError("a factor holds NaN or infinity")
        getrf, gecon = scipy.linalg.get_lapack_funcs(("getrf", "gecon"), (matrix,))
        lu, pivots, info = getrf(matrix)
        if info != 0:
            raise SingularError(f"the matrix is singular: zero pivot in row {info} of a factor")
        reciprocal, _ = gecon(lu, float(np.abs(matrix).sum(axis=0).max()))
        if reciprocal <= 0.5 * np.finfo(matrix.dtype).eps:
            raise SingularError(f"the matrix is singular: reciprocal condition number {reciprocal:.1e} of a factor")
        self._lu, self._pivots = lu, pivots
        self.complex = matrix.dtype.kind == "c"
        rows = np.arange(len(matrix))
        for i, p in enumerate(pivots):
            rows[i], rows[p] = rows[p], rows[i]
        self._rows, self._back = rows, np.argsort(rows)

    def along(self, X: Array, *, adjoint: bool) -> None:
        """Overwrite the slices of an (outer, n, inner) array with A⁻¹ X[i] or A⁻ᴴ X[i]."""
        lu = self._lu.astype(X.dtype, copy=False)
        outer, n, inner = X.shape
        if inner == 1 or (outer > 1 and inner < _NARROW):
            # Lines one after the other are the columns of a Fortran-ordered array.
            lines = X.reshape(outer, n) if inner == 1 else np.ascontiguousarray(X.transpose(0, 2, 1)).reshape(-1, n)
            (getrs,) = scipy.linalg.get_lapack_funcs(("getrs",), (lu,))
            solved, _ = getrs(lu, self._pivots, lines.T, trans=2 if adjoint else 0, overwrite_b=True)
            if inner > 1:
                X[...] = solved.T.reshape(outer, inner, n).transpose(0, 2, 1)
            elif not np.shares_memory(solved, X):
                X[:, :, 0] = solved.T
            return
        trsm = get_blas_funcs("trsm", (lu,))
        for x in X:
            self._slice(lu, trsm, x, adjoint=adjoint)

    def _slice(self, lu: Array, trsm: Callable[..., Array], x: Array, *, adjoint: bool) -> None:
        """Solve for a C-ordered (n, inner) array from the right, as its Fortran-ordered transpose."""
        if not adjoint:
            x[...] = x[self._rows]
            trsm(1.0, lu, x.T, side=1, lower=1, trans_a=1, diag=1, overwrite_b=True)
            trsm(1.0, lu, x.T, side=1, lower=0, trans_a=1, overwrite_b=True)
            return
        if self.complex:
            np.conj(x, out=x)
        trsm(1.0, lu, x.T, side=1, lower=0, trans_a=0, overwrite_b=True)
        trsm(1.0, lu, x.T, side=1, lower=1, trans_a=0, diag=1, overwrite_b=True)
        x[...] = x[self._back]
        if self.complex:
            np.conj(x, out=x)

    def logdet(self) -> tuple[Any, float]:
        """Return sign and log|det A|."""
        d = np.diagonal(self._lu)
        swaps = int((self._pivots != np.arange(len(d))).sum())
        return np.prod(d / np.abs(d)) * (-1.0) ** swaps, math.fsum(np.log(np.abs(d)))


class _DiagonalFactor:
    """A diagonal factor: division."""

    def __init__(self, factor: Diagonal) -> None:
        self._d = factor.diagonal()
        self.complex = self._d.dtype.kind == "c"
        if not np.isfinite(self._d).all() or not self._d.all():
            raise SingularError("the matrix is singular: a diagonal factor has an entry that is zero or not finite")

    def along(self, X: Array, *, adjoint: bool) -> None:
        """Divide the slices of an (outer, n, inner) array."""
        X /= (self._d.conj() if adjoint else self._d)[:, None].astype(X.dtype, copy=False)

    def logdet(self) -> tuple[Any, float]:
        """Return sign and log|det A|."""
        size = np.abs(self._d)
        return np.prod(self._d / size), math.fsum(np.log(size))


class _SparseFactor:
    """A long sparse factor: the factorisation of `Direct`, on gathered lines."""

    def __init__(self, factor: Sparse) -> None:
        self._factors, self.complex = Direct()._setup(factor), factor.dtype.kind == "c"
        if self._factors.failure:
            raise SingularError(self._factors.failure)

    def along(self, X: Array, *, adjoint: bool) -> None:
        """Overwrite the slices of an (outer, n, inner) array with A⁻¹ X[i] or A⁻ᴴ X[i]."""
        outer, n, inner = X.shape
        factors = self._factors.adjoint() if adjoint else self._factors
        lines = np.ascontiguousarray(X.transpose(1, 0, 2)).reshape(n, -1)
        X[...] = factors.solve(lines).reshape(n, outer, inner).transpose(1, 0, 2)

    def logdet(self) -> tuple[Any, float]:
        """Sparse factors of `Direct` do not give their diagonal."""
        raise StructureError("log-determinants of sparse factors longer than 512 are not known: give a dense factor")
