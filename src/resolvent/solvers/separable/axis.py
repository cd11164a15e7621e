"""One axis of a separable operator: its second difference with boundary, and the transform that diagonalises it."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.linalg

FloatArray: TypeAlias = npt.NDArray[np.float64]
Closure: TypeAlias = Literal["walls", "periodic", "reflecting"]
End: TypeAlias = float
"""Transmissibility of a wall in units of that between two points: 0 insulated (Neumann), 1 Dirichlet one spacing away
(vertex grid), 2 Dirichlet half a spacing away (cell grid); other numbers are Robin conditions."""

_FFT_NANOSECONDS: Final = 0.28
"""A point of a real transform, for each unit of `_fft_work`: measured with scipy 1.17 on one core, n = 64 … 1024."""
_FFT_CALL_NANOSECONDS: Final = 12_000.0
_DENSE_NANOSECONDS: Final = (2.5, 0.035)
"""A point of a product with a dense n × n matrix by OpenBLAS, fixed and times n: same measurement."""
_DENSE_LARGEST: Final = 1024
"""Longest axis for which the dense eigenvectors may be formed to be faster; needed ones are formed for any length."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """The second difference T along one axis: 2 on the diagonal, −1 beside it, its two ends by the boundary.

    T x_i = 2 x_i − x_{i−1} − x_{i+1} inside; the first diagonal entry is 1 + left, the last 1 + right. A periodic axis
    couples its ends; a reflecting one doubles the coupling of both end points to their neighbours (Neumann with nodes
    on the boundary, ghost-point form, which is not symmetric).

    Parameters
    ----------
    n : int
        Points.
    left, right : float
        See `End`.
    closure : {"walls", "periodic", "reflecting"}

    Examples
    --------
    >>> from resolvent.solvers.separable.axis import Axis
    >>> Axis(4, 2.0, 2.0).eigenvalues().round(3)
    array([0.586, 2.   , 3.414, 4.   ])
    """

    n: int
    left: End = 1.0
    right: End = 1.0
    closure: Closure = "walls"

    @property
    def singular(self) -> bool:
        """Whether constants are in the null space."""
        return self.closure != "walls" or (self.left == 0.0 and self.right == 0.0)

    @functools.cached_property
    def kind(self) -> tuple[str, int]:
        """Transform of scipy.fft that diagonalises T: ("dst" | "dct" | "fft", type), or ("dense", 0)."""
        if self.closure == "periodic":
            return "fft", 0
        if self.closure == "reflecting":
            return "dct", 1
        known = {
            (2.0, 2.0): ("dst", 2),
            (1.0, 1.0): ("dst", 1),
            (0.0, 0.0): ("dct", 2),
            (2.0, 0.0): ("dst", 4),
            (0.0, 2.0): ("dct", 4),
        }
        return known.get((self.left, self.right), ("dense", 0))

    def diagonal(self) -> FloatArray:
        """Return the diagonal of T."""
        d = np.full(self.n, 2.0)
        if self.closure == "walls":
            d[0] += self.left - 1.0
            d[-1] += self.right - 1.0
        return d

    def eigenvalues(self) -> FloatArray:
        """Return the eigenvalues of T in the order of the transform."""
        n, (kind, type_) = self.n, self.kind
        if kind == "dense":
            return self._dense[0]
        if kind == "fft":
            angle = np.pi * np.arange(n) / n
        elif type_ == 4:
            angle = 0.5 * np.pi * (np.arange(n) + 0.5) / n
        elif kind == "dst":
            angle = 0.5 * np.pi * (np.arange(n) + 1.0) / (n if type_ == 2 else n + 1)
        else:
            angle = 0.5 * np.pi * np.arange(n) / (n if type_ == 2 else max(n - 1, 1))
        return np.asarray(4.0 * np.sin(angle) ** 2)

    def prefers_dense(self, points: int) -> bool:
        """Whether a product with the eigenvectors is expected to take less time than the fast transform.

        Short axes, and lengths whose transforms have large prime factors (256 inner nodes need 514 = 2 · 257). By rule
        and not by a clock, so that rounding is the same in every run.
        """
        kind, type_ = self.kind
        if kind == "dense":
            return True
        if kind == "fft" or self.closure == "reflecting" or self.n > _DENSE_LARGEST:
            return False
        length = 2 * (self.n + 1) if type_ == 1 else self.n
        fast = _FFT_NANOSECONDS * _fft_work(length) / self.n + _FFT_CALL_NANOSECONDS / points
        fixed, each = _DENSE_NANOSECONDS
        return fixed + each * self.n < fast

    def eigenvectors(self) -> FloatArray:
        """Return the orthogonal (n, n) matrix V with T = V diag(λ) Vᵀ, λ as `eigenvalues`. O(n²) storage."""
        return self._dense[1]

    @functools.cached_property
    def _dense(self) -> tuple[FloatArray, FloatArray]:
        if self.closure != "walls":
            raise ValueError(f"only axes between walls have dense eigenvectors, not a {self.closure} one")
        if self.kind[0] == "dense":
            values, vectors = scipy.linalg.eigh_tridiagonal(self.diagonal(), np.full(self.n - 1, -1.0))
            return values, np.ascontiguousarray(vectors)
        kind, type_ = self.kind
        transform = scipy.fft.idst if kind == "dst" else scipy.fft.idct
        return self.eigenvalues(), np.ascontiguousarray(transform(np.eye(self.n), type=type_, axis=0, norm="ortho"))

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def _fft_work(length: int) -> float:
    """Return the work of one transform in units of a point and a prime factor, by the rule with which pocketfft plans.

    It weighs a factor p > 5 by 1.1 p when it decides between the direct transform and Bluestein's (two transforms of a
    longer, smooth length); measured, the direct one takes 0.4 p.
    """
    padded = scipy.fft.next_fast_len(2 * length - 1)
    bluestein = 3.0 * padded * _factors(padded, 1.1)
    if length >= 50 and bluestein < length * _factors(length, 1.1):
        return float(bluestein)
    return length * _factors(length, 0.4)


def _factors(length: int, weight: float) -> float:
    """Return the sum of the prime factors, those above 5 weighed."""
    total: float = 0.0
    p = 2
    while length > 1:
        while length % p == 0:
            total += p if p <= 5 else weight * p
            length //= p
        p = p + 1 if p * p <= length else max(length, p + 1)
    return total
