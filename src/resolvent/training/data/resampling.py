"""Fields from one grid of a domain to another, by splines."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.interpolate import make_interp_spline

from ...operators.neural.model import check_among
from .geometry import Geometry

Degree = Literal["linear", "cubic"]


def resample(values: np.ndarray, source: Geometry, target: Geometry, degree: Degree = "cubic") -> np.ndarray:
    """Return fields (…, *source.grid) at the points of another grid of the same domain, (…, *target.grid).

    Interpolating splines, axis by axis; periodic axes wrap. Points beyond the outermost ones of the source, as finer
    cells have, are extrapolated. An axis with at most three points gets a spline of lower degree.

    Raises
    ------
    ValueError
        If the domains differ.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.training import Geometry
    >>> from resolvent.training.data.resampling import resample
    >>> resample(np.array([0.0, 1.0, 4.0, 9.0]), Geometry.unit([4]), Geometry.unit([7])).round(10)
    array([0.  , 0.25, 1.  , 2.25, 4.  , 6.25, 9.  ])
    """
    check_among("degree", degree, ("linear", "cubic"))
    slack = 0.02 * np.array(source.spacing)[:, None] if source.dim == target.dim else np.zeros((1, 1))
    if source.periodic != target.periodic or not (np.abs(np.subtract(source.ends, target.ends)) <= slack).all():
        raise ValueError(f"grids of one domain are expected, got {source!r} and {target!r}")
    if values.shape[values.ndim - source.dim :] != source.grid:
        raise ValueError(f"fields of shape {values.shape} do not lie on {source!r}")
    for i in range(source.dim):
        x, y, at = source.axes[i], target.axes[i], values.ndim - source.dim + i
        if np.array_equal(x, y):
            continue
        k = 1 if degree == "linear" else min(3, len(x) - 1)
        if source.periodic[i]:
            joint = np.take(values, [0], axis=at)
            x, values = np.append(x, x[0] + source.lengths[i]), np.concatenate([values, joint], axis=at)
            y = x[0] + (y - x[0]) % source.lengths[i]
        around = "periodic" if source.periodic[i] and k > 1 else None
        values = make_interp_spline(x, values, k=k, axis=at, bc_type=around)(y)
    return values
