"""Coefficients and claims of the finite-volume diffusion operator, for `Stencil.from_transmissibilities`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .props import SPD, Props
from .stencil_layout import cut


def diffusion_coefficients(faces: tuple[Any, ...], shift: Any) -> tuple[Any, Props]:
    """Return the mirrored coefficients, of shape (1 + dimension, *grid), and the claims that follow."""
    grid = _grid_of_faces(faces)
    for axis, t in enumerate(faces):
        # not t >= 0 is also true for NaN.
        bad = ~(t >= 0.0) | np.isinf(t)
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"transmissibilities must be finite and not negative: {int(bad.sum())} along axis {axis} are not, "
                f"the first is {t[where]} at {where}"
            )
    if shift is not None and ((np.ndim(shift) and np.shape(shift) != grid) or not np.isfinite(shift).all()):
        raise ValueError(f"shift must be finite, and a scalar or an array of shape {grid}, got {np.shape(shift)}")
    # float32 faces with a Python number as shift stay float32; integers become float64.
    dtype = np.result_type(*faces, *(() if shift is None else (shift,)))
    if dtype.kind not in "fc":
        dtype = np.dtype(np.float64)
    dimension = len(grid)
    coefficients = np.zeros((1 + dimension, *grid), dtype=dtype)
    if shift is not None:
        coefficients[0] = shift
    for axis, t in enumerate(faces):
        lower = cut(dimension, axis, slice(0, -1))
        coefficients[0] += t[lower]
        coefficients[0] += t[cut(dimension, axis, slice(1, None))]
        np.negative(t[cut(dimension, axis, slice(1, -1))], out=coefficients[1 + axis][lower], casting="same_kind")
    return coefficients, _claims(faces, grid, shift)


def _grid_of_faces(faces: tuple[Any, ...]) -> tuple[int, ...]:
    dimension = len(faces)
    if not 1 <= dimension <= 3 or any(t.ndim != dimension for t in faces):
        raise ValueError(
            "one face array an axis is needed, each with as many dimensions as there are arrays (one to three), got "
            f"shapes {[t.shape for t in faces]}"
        )
    grid = tuple(t.shape[axis] - 1 for axis, t in enumerate(faces))
    wanted = [tuple(extent + (a == axis) for a, extent in enumerate(grid)) for axis in range(dimension)]
    if [t.shape for t in faces] != wanted or min(grid) < 1:
        raise ValueError(
            f"face arrays of shapes {[t.shape for t in faces]} do not belong to one grid: for {grid} cells they are "
            f"{wanted}, with one more face than cells along their own axis"
        )
    return grid


def _claims(faces: tuple[Any, ...], grid: tuple[int, ...], shift: Any) -> Props:
    """Claims that are theorems: a connected set of cells is definite when something anchors one of its cells."""
    if shift is not None and (np.iscomplexobj(shift) or not np.all(np.asarray(shift) >= 0.0)):
        return Props.SYMMETRIC
    dimension = len(grid)
    anchored = np.zeros(grid, dtype=bool) if shift is None else np.broadcast_to(np.asarray(shift) > 0.0, grid).copy()
    inner = []
    for axis, t in enumerate(faces):
        for end in (0, -1):
            anchored[cut(dimension, axis, end)] |= t[cut(dimension, axis, end)] > 0.0
        inner.append(t[cut(dimension, axis, slice(1, -1))] > 0.0)
    if all(connected.all() for connected in inner):
        definite = bool(anchored.any())
    else:
        definite = _every_component_anchored(inner, anchored)
    # An M-matrix has an inverse, hence not the singular operator.
    return SPD | Props.M_MATRIX if definite else SPD | Props.SINGULAR


def _every_component_anchored(connected: list[Any], anchored: Any) -> bool:
    import scipy.sparse as sp
    import scipy.sparse.csgraph as csgraph

    cells = np.arange(anchored.size).reshape(anchored.shape)
    first, second = [], []
    for axis, mask in enumerate(connected):
        first.append(cells[cut(cells.ndim, axis, slice(0, -1))][mask])
        second.append(cells[cut(cells.ndim, axis, slice(1, None))][mask])
    pair = (np.concatenate(first), np.concatenate(second))
    graph = sp.coo_array((np.ones(pair[0].size, dtype=bool), pair), shape=(cells.size, cells.size))
    count, label = csgraph.connected_components(graph, directed=False)
    return bool(np.unique(label[anchored.reshape(-1)]).size == count)
