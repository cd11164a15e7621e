"""Exponential time differencing, fourth order Runge–Kutta (ETDRK4), for v' = L v + N(v) with a diagonal real L."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Spectrum = npt.NDArray[np.complex128]
Nonlinear = Callable[[Spectrum], Spectrum]

_POINTS: Final = 32
"""Points on the upper half of the contour, of radius 1: enough for rounding (Kassam & Trefethen)."""


class Coefficients(NamedTuple):
    """Coefficients of one step, each of the shape of L: E = exp(Lh), E2 = exp(Lh/2), the others times h."""

    E: FloatArray
    E2: FloatArray
    Q: FloatArray
    first: FloatArray
    middle: FloatArray
    last: FloatArray


def coefficients(L: npt.ArrayLike, h: float) -> Coefficients:
    """Return the coefficients of a step of length h.

    Their formulas, such as (−4 − z + e^z (4 − 3z + z²))/z³, cancel for small z = Lh. They are entire functions, so
    their value is their mean over a circle around z, where nothing cancels. L may have any shape and repeated entries:
    each value is computed once.

    Parameters
    ----------
    L : array of float
        The diagonal.
    h : float
    """
    values, places = np.unique(np.asarray(L, dtype=np.float64), return_inverse=True)
    z = h * values
    circle = np.exp(1j * np.pi * (np.arange(_POINTS) + 0.5) / _POINTS)
    w = z[:, None] + circle
    e = np.exp(w)

    def mean(f: Any) -> FloatArray:  # real z: the lower half circle gives the conjugates
        return np.asarray(h * np.mean(f, axis=1).real)

    tables = (
        np.exp(z),
        np.exp(0.5 * z),
        mean((np.exp(0.5 * w) - 1.0) / w),
        mean((-4.0 - w + e * (4.0 - 3.0 * w + w**2)) / w**3),
        mean((2.0 + w + e * (w - 2.0)) / w**3),
        mean((-4.0 - 3.0 * w - w**2 + e * (4.0 - w)) / w**3),
    )
    return Coefficients(*(table[places].reshape(np.shape(L)) for table in tables))


def etdrk4(nonlinear: Nonlinear, step: Coefficients, v: Spectrum, count: int) -> Spectrum:
    """Return v after so many steps.

    Parameters
    ----------
    nonlinear : callable
        N(v), a new array.
    step : Coefficients
        Of L and the length of a step.
    v : array of complex
        Initial state, not changed.
    count : int
        Number of steps.

    Notes
    -----
    Four evaluations of N and about 20 passes over v a step. The linear part is exact. Fourth order in h where N changes
    little within a step; stiff modes (|L|h ≫ 1) that N drives in time can lower it to 2, which is seldom seen in
    periodic problems (Hochbruck & Ostermann 2005).

    References
    ----------
    Cox & Matthews 2002, doi:10.1006/jcph.2002.6995; Kassam & Trefethen 2005, doi:10.1137/S1064827502410633;
    Hochbruck & Ostermann 2005, doi:10.1137/040611434.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.schemes.etdrk4 import coefficients, etdrk4
    >>> step, v = coefficients([-50.0], 0.01), np.array([1.0 + 0j])
    >>> last = etdrk4(lambda v: 50.0 * v - v**2, step, v, 100)  # v' = −v²
    >>> bool(abs(last[0] - 0.5) < 1e-4)
    True
    """
    E, E2, Q, first, middle, last = step
    v = v.copy()
    middle = 2.0 * middle
    for _ in range(count):
        at_v = nonlinear(v)
        half = E2 * v
        a = Q * at_v
        a += half
        at_a = nonlinear(a)
        half += Q * at_a  # b
        at_b = nonlinear(half)
        a *= E2
        a += Q * (2.0 * at_b - at_v)  # c
        at_c = nonlinear(a)
        v *= E
        at_v *= first
        v += at_v
        at_a += at_b
        at_a *= middle
        v += at_a
        at_c *= last
        v += at_c
    return v
