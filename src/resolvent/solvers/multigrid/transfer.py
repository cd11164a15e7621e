"""Interpolation P from a coarse grid, one axis after the other, and restriction by Pᵀ."""

from __future__ import annotations

from typing import final

import numpy as np

from ...operators import Array
from ..separable.couplings import along
from .backend import Backend
from .network import AxisWeights


def refine_axis(w: AxisWeights, coarse: Array, fine: Array, scratch: Array, backend: Backend, *, add: bool) -> None:
    """Set `fine` to the interpolation of `coarse` along one axis, or add it."""
    a, pairs = w.axis, w.fine // 2
    even, odd = fine[along(a, slice(0, None, 2))], fine[along(a, slice(1, None, 2))]
    own = coarse[along(a, slice(0, pairs))]
    if add:
        backend.add_product(w.own_even, coarse, even, scratch)
        backend.add_product(w.own_odd, own, odd, scratch)
    else:
        backend.multiply(w.own_even, coarse, even)
        backend.multiply(w.own_odd, own, odd)
    for weight, values, target in _other_products(w, coarse, even, odd):
        backend.add_product(weight, values, target, scratch)


def coarsen_field(w: AxisWeights, fine: Array, coarse: Array, scratch: Array, backend: Backend) -> None:
    """Set `coarse` to the transpose of that interpolation, applied to `fine`."""
    a, pairs = w.axis, w.fine // 2
    even, odd = fine[along(a, slice(0, None, 2))], fine[along(a, slice(1, None, 2))]
    backend.multiply(w.own_even, even, coarse)
    backend.add_product(w.own_odd, odd, coarse[along(a, slice(0, pairs))], scratch)
    for weight, target, values in _other_products(w, coarse, even, odd):
        backend.add_product(weight, values, target, scratch)


def _other_products(w: AxisWeights, coarse: Array, even: Array, odd: Array) -> list[tuple[Array, Array, Array]]:
    """Return (weight, coarse part, fine part) of the contributions of neighbouring coarse cells."""
    a, pairs = w.axis, w.fine // 2
    count = coarse.shape[a]
    behind, ahead = slice(1, count), slice(0, min(pairs, count - 1))
    parts = []
    if count > 1:
        parts = [
            (w.other_even[along(a, behind)], coarse[along(a, slice(0, count - 1))], even[along(a, behind)]),
            (w.other_odd[along(a, ahead)], coarse[along(a, slice(1, ahead.stop + 1))], odd[along(a, ahead)]),
        ]
    if w.periodic:
        first, last = along(a, slice(0, 1)), along(a, slice(count - 1, count))
        parts.append((w.other_even[first], coarse[last], even[first]))
        if w.fine % 2 == 0:
            parts.append((w.other_odd[last], coarse[first], odd[last]))
    return parts


@final
class Transfer:
    """P between two levels, through the grids that are coarsened along some of the axes.

    Parameters
    ----------
    weights : sequence of AxisWeights
        In the order of coarsening.
    grid : tuple of int
        The fine grid.
    """

    def __init__(self, weights: tuple[AxisWeights, ...], grid: tuple[int, ...], backend: Backend) -> None:
        self.weights, self.backend = weights, backend
        grids = [grid]
        for w in weights:
            grids.append(tuple((n + 1) // 2 if a == w.axis else n for a, n in enumerate(grids[-1])))
        self.grids = tuple(grids)

    def between(self, k: int, dtype: np.dtype) -> list[Array]:
        """Return work arrays on the grids between the two levels."""
        return [self.backend.empty((*grid, k), dtype) for grid in self.grids[1:-1]]

    def restrict(self, fine: Array, coarse: Array, between: list[Array], scratch: Array) -> None:
        """Set `coarse` to Pᵀ applied to `fine`."""
        fields = [fine, *between, coarse]
        for i, w in enumerate(self.weights):
            coarsen_field(w, fields[i], fields[i + 1], scratch, self.backend)

    def interpolate(self, coarse: Array, fine: Array, between: list[Array], scratch: Array, *, add: bool) -> None:
        """Set `fine` to P applied to `coarse`, or add it."""
        fields = [fine, *between, coarse]
        for i in reversed(range(len(self.weights))):
            refine_axis(self.weights[i], fields[i + 1], fields[i], scratch, self.backend, add=add and i == 0)
