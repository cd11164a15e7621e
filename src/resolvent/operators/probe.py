"""The vectors and tolerances with which `check_operator` examines an operator."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, LinearOperator
from .errors import StructureError


class Failed(Exception):  # noqa: N818 - an outcome of a check, not an error of the program
    """A check found something wrong, described in the message."""


class Skipped(Exception):  # noqa: N818
    """A check does not apply, for the reason in the message."""


class Probe:
    """One operator under examination: random vectors, products as numpy arrays, and comparisons.

    Parameters
    ----------
    A : LinearOperator
    rng : numpy.random.Generator
    rtol : float or None
        Relative to ‖A‖‖x‖; None for 1000 eps of the operator's dtype.
    dense_limit : int
        Size up to which dense matrices are formed.
    row_sums : (m,) array or None
        Expected A · 1.
    """

    def __init__(
        self, A: LinearOperator, rng: np.random.Generator, rtol: float | None, dense_limit: int, row_sums: Any
    ) -> None:
        self.A = A
        self.rng = rng
        self.rtol = 1e3 * float(np.finfo(A.dtype).eps) if rtol is None else rtol
        self.row_sums = row_sums
        self.small = max(A.shape) <= dense_limit
        self._norm: float | None = None
        self._dense: Array | None = None

    def random(self, size: int, columns: int | None = None, dtype: Any = None) -> Array:
        """Return standard normal entries, complex where the dtype (by default the operator's) is."""
        shape = (size,) if columns is None else (size, columns)
        dtype = self.A.dtype if dtype is None else np.dtype(dtype)
        x = self.rng.standard_normal(shape)
        if dtype.kind == "c":
            return (x + 1j * self.rng.standard_normal(shape)).astype(dtype)
        return np.rint(10.0 * x).astype(dtype) if dtype.kind == "i" else x.astype(dtype)

    def product(self, x: Array, *, adjoint: bool = False, out: Array | None = None, of: Any = None) -> Array:
        """Return A x (Aᴴ x) through the public methods, as a numpy array whichever storage the operator has."""
        A: LinearOperator = self.A if of is None else of
        many = x.ndim == 2 and x.shape[1] > 1 and x.shape != A.grid
        if adjoint:
            method = A.rmatmat if many else A.rmatvec
        else:
            method = A.matmat if many else A.matvec
        if A._holds_torch():
            from .check_torch import to_device, to_host

            return to_host(method(to_device(x, A.device)))
        return method(x) if out is None else method(x, out=out)

    @property
    def norm(self) -> float:
        """Lower estimate of ‖A‖₂, usually within a factor of two: eight steps of the power method on AᴴA."""
        if self._norm is None:
            x = self.random(self.A.shape[1])
            self._norm = float(np.finfo(self.A.dtype).tiny)
            for _ in range(8):
                size = float(np.linalg.norm(x))
                if not size > 0.0 or not np.isfinite(size):
                    break
                y = self.product(x / x.dtype.type(size))
                self._norm = max(self._norm, float(np.linalg.norm(y)))
                try:
                    x = self.product(y, adjoint=True)
                except StructureError:
                    x = self.random(self.A.shape[1])
        return self._norm

    @property
    def dense(self) -> Array:
        """A as a dense array, from products alone; Skipped for large operators."""
        if not self.small:
            raise Skipped(f"larger than dense_limit: {self.A.shape[0]} x {self.A.shape[1]}")
        if self._dense is None:
            identity = np.eye(self.A.shape[1], dtype=self.A.dtype)
            columns = [self.product(np.ascontiguousarray(e)) for e in identity]
            self._dense = np.stack(columns, axis=1) if columns else np.empty(self.A.shape, self.A.dtype)
        return self._dense

    def require_equal(self, actual: Any, expected: Any, scale: float, statement: str) -> str:
        """Raise Failed unless ‖actual − expected‖ ≤ rtol · scale; return the relative difference in words."""
        actual, expected = np.asarray(actual), np.asarray(expected)
        if actual.shape != expected.shape:
            raise Failed(f"{statement}: shapes {actual.shape} and {expected.shape}")
        difference = float(np.linalg.norm((actual - expected).reshape(-1)))
        relative = difference / scale if scale > 0.0 else difference
        # Written so that NaN fails.
        if not relative <= self.rtol:
            raise Failed(f"{statement}: relative difference {relative:.1e}, allowed {self.rtol:.1e}")
        return f"relative difference {relative:.0e}"


def require(condition: object, message: str) -> None:
    """Raise Failed with the message unless the condition holds."""
    if not condition:
        raise Failed(message)
