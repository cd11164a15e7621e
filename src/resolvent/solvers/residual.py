"""The residual that decides."""

from __future__ import annotations

import numpy as np

from ..operators import Array, LinearOperator
from .vectors import Vectors


def true_residual(A: LinearOperator, b: Array, x: Array, out: Array, v: Vectors) -> np.ndarray:
    """Write b − A x into `out` and return its norms by column: one product.

    Summed in double precision: a residual in single precision could not tell 1e-8 from 1e-7.
    """
    wide = v.widen(x)
    if wide is x:
        A._matmat_into(x, out)
        out *= -1.0
        out += b
        return v.norm(out)
    r = v.widen(b) - A._matmat(wide)
    out[...] = r
    return v.norm(r)
