"""A level of geometric multigrid as a network of conductances, and its coarsening by one axis.

Cells of a box exchange currents t (x_p − x_q) through their faces and lose shift · x_p to the ground. A wall with t > 0
holds the value zero (Dirichlet), one with t = 0 lets nothing through (Neumann). Coarsening joins pairs of cells along
one axis: conductances in series along it, from the middle of one pair to that of the next, parallel ones across it.
The value of a coarse cell is that in the middle of its pair, so that interpolation along the axis follows the current.
The coarse operator keeps the stencil of the fine one. It is not PᵀAP, but in one dimension bounds it from above, with
equality where no current is lost in the middle of a pair.

Departures from cell-centred box multigrid (Wesseling 1988, doi:10.1016/0377-0427(88)90340-9): operator-dependent
weights, and one axis at a time, so that any number of cells, and semi-coarsening, need no special case.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np

from ...operators import Array
from ..separable.couplings import along
from .backend import Backend

Interpolation = Literal["operator", "linear"]

WEAK = 0.25
"""Mean couplings below this fraction of the strongest axis are left to the smoother: semi-coarsening. Point smoothers
reduce high frequencies of an axis by (1 + 2c)/(3 + 2c) for couplings c times as strong (Trottenberg, Oosterlee &
Schüller 2001, section 5.1)."""


@dataclasses.dataclass(frozen=True)
class Network:
    """Conductances between the cells of a box, for B members at once.

    Attributes
    ----------
    faces : tuple of arrays, one an axis
        ``faces[a]`` has one more entry than the grid along axis a, and the members last: ``(…, n_a + 1, …, B)``. The
        first and the last along the axis are walls; on a periodic axis both hold the coupling across.
    shift : (*grid, B) array
        Conductance to the ground.
    periodic : tuple of bool, one an axis
    flux : tuple of arrays like `faces`, optional
        Volume w that flows through each face in the direction of the axis; it takes along the value of the cell that it
        leaves (upwind), so that the current is (t + max(w, 0)) x_p − (t + max(−w, 0)) x_q. None where nothing flows.
    """

    faces: tuple[Array, ...]
    shift: Array
    periodic: tuple[bool, ...]
    flux: tuple[Array, ...] | None = None

    @property
    def grid(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(self.shift.shape[:-1])

    @property
    def members(self) -> int:
        """Number B of networks."""
        return int(self.shift.shape[-1])

    @property
    def cells(self) -> int:
        """Unknowns of one member."""
        return math.prod(self.grid)

    def couplings(self, a: int) -> tuple[Array, Array]:
        """Return the couplings of each cell to the one before and the one behind along axis a, views if possible."""
        below, above = along(a, slice(None, -1)), along(a, slice(1, None))
        t = self.faces[a]
        if self.flux is None:
            return t[below], t[above]
        w = self.flux[a]
        # max(w, 0), exactly zero against the stream
        return t[below] + 0.5 * (abs(w[below]) + w[below]), t[above] + 0.5 * (abs(w[above]) - w[above])

    def diagonal(self) -> Array:
        """Return the sum of the couplings and the shift."""
        d = self.shift * 1
        for a in range(len(self.faces)):
            lower, upper = self.couplings(a)
            d += lower
            d += upper
        return d

    def transposed(self) -> Network:
        """Return the network whose couplings are those of Aᵀ: the stream runs backwards."""
        return self if self.flux is None else dataclasses.replace(self, flux=tuple(-w for w in self.flux))

    def scaled(self, factor: float) -> Network:
        """Return the network with all conductances and fluxes multiplied by a number."""
        faces = tuple(t * factor for t in self.faces)
        flux = None if self.flux is None else tuple(w * factor for w in self.flux)
        return Network(faces, self.shift * factor, self.periodic, flux)

    def astype(self, dtype: np.dtype, backend: Backend) -> Network:
        """Return the network in another precision."""
        faces = tuple(backend.cast(t, dtype) for t in self.faces)
        flux = None if self.flux is None else tuple(backend.cast(w, dtype) for w in self.flux)
        return Network(faces, backend.cast(self.shift, dtype), self.periodic, flux)

    def mean_couplings(self, backend: Backend) -> tuple[float, ...]:
        """Return the mean conductance between neighbours along each axis, over all members; 0 for a single cell."""
        means = []
        for a, t in enumerate(self.faces):
            inner = t[along(a, slice(0 if self.periodic[a] else 1, self.grid[a]))]
            means.append(backend.number(abs(inner).mean()) if self.grid[a] > 1 else 0.0)
        return tuple(means)

    def axes_to_coarsen(self, backend: Backend, *, semi: bool) -> tuple[int, ...]:
        """Return the axes with more than one cell, with `semi` without those that couple weakly."""
        axes = tuple(a for a, n in enumerate(self.grid) if n > 1)
        if not semi or len(axes) < 2:
            return axes
        means = self.mean_couplings(backend)
        strongest = max(means[a] for a in axes)
        return tuple(a for a in axes if not means[a] < WEAK * strongest)


@dataclasses.dataclass(frozen=True)
class AxisWeights:
    """Interpolation along one axis from nc = ⌈n/2⌉ cells to n: own and other coarse neighbour of each fine cell.

    Attributes
    ----------
    axis, fine : int
        The axis, and n.
    periodic : bool
    own_even, other_even : arrays with nc cells along the axis
        Weights of coarse cells J and J − 1 for fine cell 2J.
    own_odd, other_odd : arrays with ⌊n/2⌋ cells along the axis
        Weights of J and J + 1 for fine cell 2J + 1.
    """

    axis: int
    fine: int
    periodic: bool
    own_even: Array
    other_even: Array
    own_odd: Array
    other_odd: Array


def coarsen_axis(
    network: Network, a: int, backend: Backend, interpolation: Interpolation = "operator"
) -> tuple[Network, AxisWeights]:
    """Join pairs of cells along axis a: cells 2J and 2J + 1 become J, the last one alone where their number is odd.

    Parameters
    ----------
    network : Network
    a : int
        Axis with at least two cells.
    backend : Backend
        For the storage of the network.
    interpolation : {"operator", "linear"}
        Weights from the conductances, or those of a constant coefficient, which hold one number a coarse cell of the
        axis.

    Returns
    -------
    coarse : Network
    weights : AxisWeights
    """
    n = network.grid[a]
    periodic = network.periodic[a]
    r = backend.reciprocal(network.faces[a])
    half = _half_resistances(r, a, n)
    start, end = along(a, slice(None, -1)), along(a, slice(1, None))
    first, last = along(a, slice(None, 1)), along(a, slice(-1, None))
    R = _outer_faces(r, a, n, backend)
    R[start] += half
    R[end] += half
    if periodic:
        R[first] += half[last]
        R[last] += half[first]
    t = backend.reciprocal(R)
    if periodic and n <= 2:  # a cell coupled with itself
        t[...] = 0.0
    faces = tuple(t if b == a else _pair_sums(values, a) for b, values in enumerate(network.faces))
    flux = None
    if network.flux is not None:
        w = _outer_faces(network.flux[a], a, n, backend)
        if periodic and n <= 2:
            w[...] = 0.0
        flux = tuple(w if b == a else _pair_sums(values, a) for b, values in enumerate(network.flux))
    coarse = Network(faces, _pair_sums(network.shift, a), network.periodic, flux)
    if interpolation == "linear":
        r = backend.reciprocal(_constant_conductances(network, a, backend))
        half = _half_resistances(r, a, n)
    return coarse, _weights(r, half, a, n, periodic, backend)


def _outer_faces(values: Array, a: int, n: int, backend: Backend) -> Array:
    """Return a copy of the face values between pairs: those of faces 0, 2, 4, … and the last."""
    shape = list(values.shape)
    shape[a] = (n + 1) // 2 + 1
    outer = backend.zeros(shape, backend.dtype(values))
    outer[along(a, slice(0, n // 2 + 1))] = values[along(a, slice(0, n + 1, 2))]
    outer[along(a, slice(-1, None))] = values[along(a, slice(-1, None))]
    return outer


def _half_resistances(r: Array, a: int, n: int) -> Array:
    """Half of the resistance between the two cells of each pair, 0 for a single cell."""
    half = r[along(a, slice(0, 2 * ((n + 1) // 2), 2))] * 0.5
    half[along(a, slice(0, n // 2))] = r[along(a, slice(1, 2 * (n // 2), 2))] * 0.5
    if n % 2:
        half[along(a, slice(-1, None))] = 0.0
    return half


def _weights(r: Array, half: Array, a: int, n: int, periodic: bool, backend: Backend) -> AxisWeights:
    pairs = n // 2
    before = r[along(a, slice(0, n, 2))] * 1  # resistance from fine cell 2J to the coarse neighbour J − 1
    before[along(a, slice(1, None))] += half[along(a, slice(None, -1))]
    behind = r[along(a, slice(2, n + 1, 2))] * 1  # from 2J + 1 to J + 1
    inner = slice(0, pairs if n % 2 else pairs - 1)
    behind[along(a, inner)] += half[along(a, slice(1, None))]
    if periodic:
        before[along(a, slice(None, 1))] += half[along(a, slice(-1, None))]
        if n % 2 == 0:
            behind[along(a, slice(-1, None))] += half[along(a, slice(None, 1))]
    own_even, own_odd = _share(before, half, backend), _share(behind, half[along(a, slice(0, pairs))], backend)
    if n % 2:
        own_even[along(a, slice(-1, None))] = 1.0
    return AxisWeights(a, n, periodic, own_even, 1.0 - own_even, own_odd, 1.0 - own_odd)


def _share(other: Array, own: Array, backend: Backend) -> Array:
    """Return other / (own + other), which is 1 where `other` is infinite."""
    unreachable = abs(other) == float("inf")
    finite = backend.where(unreachable, 1.0, other)
    return backend.where(unreachable, 1.0, finite / (own + finite))


def _constant_conductances(network: Network, a: int, backend: Backend) -> Array:
    """Return conductances of one member and one line: 1 inside, the walls as strong as they are on the mean."""
    n, t = network.grid[a], network.faces[a]
    inner = backend.number(abs(t[along(a, slice(0 if network.periodic[a] else 1, n))]).mean())
    line = np.ones(n + 1)
    if not network.periodic[a]:
        for end in (0, -1):
            wall = backend.number(abs(t[along(a, slice(end, end + 1 or None))]).mean())
            line[end] = wall / inner if inner > 0.0 else float(wall > 0.0)
    shape = [1] * len(t.shape)
    shape[a] = n + 1
    dtype = backend.dtype(t)
    return backend.cast(line.reshape(shape), np.dtype(dtype.char.lower()) if dtype.kind == "c" else dtype)


def _pair_sums(values: Array, a: int) -> Array:
    sums = values[along(a, slice(0, None, 2))] * 1
    pairs = values.shape[a] // 2
    sums[along(a, slice(0, pairs))] += values[along(a, slice(1, None, 2))]
    return sums
