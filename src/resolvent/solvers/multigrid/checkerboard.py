"""Multigrid hierarchies of ensembles on checkerboard arrays, and what solves with them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator, Stencil, StructureError
from ..separable.couplings import Couplings, along
from . import checkerboard_load as load
from . import checkerboard_setup as setup
from .checkerboard_cg import DONE, RUNNING, reduced_cg
from .checkerboard_fields import OWN_I, OWN_J, WRAP, arrange
from .checkerboard_layout import Checkerboard

WEAK = 0.25
"""Axes whose mean coupling is below this part of the strongest are not coarsened until it no longer is."""


def plan(
    grid: tuple[int, int, int], members: int, periodic: tuple[bool, bool, bool], strengths: tuple[float, float, float]
) -> list[Checkerboard]:
    """Return the levels, down to a single cell.

    Parameters
    ----------
    strengths : three floats
        Mean couplings along the axes. Halving an axis halves its own and doubles the others.

    Raises
    ------
    StructureError
        If a periodic axis becomes odd on the way: odd circles have no two colours.
    """
    levels, t = [], list(strengths)
    while True:
        for n, closed in zip(grid, periodic, strict=True):
            if closed and n % 2 and n > 1:
                raise StructureError(
                    f"the fused multigrid halves periodic axes down to one cell, but gets to {n}: it needs a power of "
                    "two there; use CG with GeometricMultigrid()"
                )
        strongest = max((s for s, n in zip(t, grid, strict=True) if n > 1), default=0.0)
        halved = tuple(n > 1 and not s < WEAK * strongest for s, n in zip(t, grid, strict=True))
        level = Checkerboard(grid, members, periodic, (halved[0], halved[1], halved[2]))
        levels.append(level)
        if max(grid) == 1:
            # At least two, so that the kernels need no case of their own.
            return levels if len(levels) > 1 else levels * 2
        for axis in range(3):
            if halved[axis]:
                t = [s / 2.0 if other == axis else s * 2.0 for other, s in enumerate(t)]
        grid = level.coarse


class Network:
    """The conductances of one level, parted by the parity of k; see `checkerboard_setup`."""

    def __init__(self, level: Checkerboard, dtype: Any) -> None:
        ni, nj, _ = level.grid
        rows, width = level.rows, level.width
        self.d, self.s = np.zeros((2, rows, width), dtype), np.zeros((2, rows, width), dtype)
        self.tk = np.zeros((2, rows, width), dtype)
        self.tj = np.zeros((2, ni * (nj + 1), width), dtype)
        self.ti = np.zeros((2, (ni + 1) * nj if ni > 1 else 0, width), dtype)
        self.shift = np.zeros((2, 0, width), dtype)

    def ground(self) -> None:
        """Make room for a shift, set to zero."""
        self.shift = np.zeros_like(self.d)


class CheckerboardHierarchy:
    """Levels of B networks on one grid, and the fused cycle and conjugate gradients on them.

    Parameters
    ----------
    grid : (n_i, n_j, n_k)
        Leading ones for fewer than three dimensions.
    members : int
        B.
    periodic : three bools
    strengths : three floats
        Mean couplings along the axes, from which the order of coarsening follows.
    precision : dtype
        Of the hierarchy; the iteration is in double precision.
    reduced : bool
        For `solve`; otherwise for `cycle`, with right-hand sides at all points of the finest level.
    sweeps : int
    """

    def __init__(
        self,
        grid: tuple[int, int, int],
        members: int,
        periodic: tuple[bool, bool, bool] = (False, False, False),
        strengths: tuple[float, float, float] = (1.0, 1.0, 1.0),
        *,
        precision: Any = np.float32,
        reduced: bool = True,
        sweeps: int = 1,
    ) -> None:
        self.levels = plan(grid, members, periodic, strengths)
        self.members, self.reduced, self.sweeps = members, reduced, sweeps
        self.fields = arrange(self.levels, reduced=reduced)
        self.constants = np.zeros(self.fields.total_constants, dtype=precision)
        self.work = np.zeros(self.fields.total_work, dtype=precision)
        finest = self.levels[0]
        self._at_fine = arrange(self.levels[:1], reduced=True).at[0]
        wrap = finest.rows * members * int(finest.periodic[2])
        self._fine = np.zeros(int(self._at_fine[WRAP]) + wrap if reduced else 0)
        self._root = np.zeros(finest.size if reduced else 0, dtype=precision)
        self.networks = [
            Network(level, precision if number else np.float64) for number, level in enumerate(self.levels)
        ]
        self._vectors = np.zeros((5 if reduced else 0, finest.size))

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays that are kept."""
        networks = sum(a.nbytes for n in self.networks for a in (n.d, n.s, n.tk, n.tj, n.ti, n.shift))
        arrays = (self.constants, self.work, self._fine, self._root, self._vectors)
        return networks + sum(a.nbytes for a in arrays)

    def refill(self) -> None:
        """Make all levels anew from the network of the finest."""
        fields, c, none = self.fields, self.constants, self.constants[:0]
        for number, (level, here) in enumerate(zip(self.levels, self.networks, strict=True)):
            nj, nk = level.grid[1:]
            at, sizes = fields.at[number], fields.sizes[number]
            faces = (here.tk, here.tj, here.ti)
            if number:
                setup.diagonal_of_network(*faces, here.shift, nj, nk, self.members, here.d)
            setup.inverse_root(here.d, here.s)
            if number == 0 and self.reduced:
                setup.couple(*faces, here.s, nj, self._fine, self._at_fine, sizes, fields.rows, c, at)
                setup.store_roots(here.s, self._root, sizes, fields.rows)
            else:
                setup.couple(*faces, here.s, nj, c, at, sizes, fields.rows, none, at)
                setup.store_scales(here.s, c, at, sizes, fields.rows)
            if number + 1 < len(self.levels):
                self._coarsen(number)

    def _coarsen(self, number: int) -> None:
        """Make the weights of interpolation to a level, and the network of the next coarser one."""
        level, here, coarse = self.levels[number], self.networks[number], self.networks[number + 1]
        at, sizes, c = self.fields.at[number], self.fields.sizes[number], self.constants
        (ni, nj, nk), (nci, ncj, nck), B = level.grid, level.coarse, self.members
        dtype = c.dtype
        row = np.empty(max(level.width, (nck + 2) * B), dtype)
        setup.weights_along_k(here.tk, here.s, level.periodic[2], c, at, sizes, self.fields.rows, row[: level.width])
        tk, tj, ti, shift = (
            np.empty((parts.shape[1], count * B), dtype)
            for parts, count in ((here.tk, nck + 1), (here.tj, nck), (here.ti, nck), (here.shift, nck))
        )
        if level.coarsened[2]:
            setup.coarsen_along_k(here.tk, B, nk, level.periodic[2], row[: (nck + 2) * B], tk)
            for fine, target in ((here.tj, tj), (here.ti, ti), (here.shift, shift)):
                setup.add_pairs_along_k(fine, B, nk, target)
        else:
            for fine, target in ((here.tk, tk), (here.tj, tj), (here.ti, ti), (here.shift, shift)):
                setup.join(fine, B, target)
        weights = c[at[OWN_J] : at[OWN_J] + level.rows * nck * B].reshape(ni, nj, nck * B)
        if level.coarsened[1]:
            faces = tj.reshape(ni, nj + 1, nck * B)
            setup.weights_leading(faces, level.periodic[1], weights)
            tj = self._series(faces, level.periodic[1], ncj)
            tk, ti, shift = self._pairs(tk, ni, ncj), self._pairs(ti, ni + 1, ncj), self._pairs(shift, ni, ncj)
        else:
            weights[...] = 1
        if ni > 1:
            weights = c[at[OWN_I] : at[OWN_I] + ni * ncj * nck * B].reshape(1, ni, ncj * nck * B)
            if level.coarsened[0]:
                faces = ti.reshape(1, ni + 1, ncj * nck * B)
                setup.weights_leading(faces, level.periodic[0], weights)
                ti = self._series(faces, level.periodic[0], nci).reshape((nci + 1) * ncj, nck * B)
                tk, tj = self._planes(tk, ni, nci, ncj), self._planes(tj, ni, nci, ncj + 1)
                shift = self._planes(shift, ni, nci, ncj)
            else:
                weights[...] = 1
        if ni > 1 and nci == 1:  # a single plane: its walls ground it
            walls = ti.reshape(2, ncj, nck * B).sum(axis=0)
            shift, ti = (walls + shift if shift.shape[0] else walls), ti[:0]
        if shift.shape[0] and not coarse.shift.shape[1]:
            coarse.ground()
        for natural, parted in ((tk, coarse.tk), (tj, coarse.tj), (ti, coarse.ti), (shift, coarse.shift)):
            setup.part(natural, B, parted)

    def _series(self, faces: Array, periodic: bool, coarse: int) -> Array:
        outer, _, inner = faces.shape
        out = np.empty((outer, coarse + 1, inner), faces.dtype)
        setup.coarsen_leading(faces, periodic, out)
        return out.reshape(outer * (coarse + 1), inner)

    def _pairs(self, rows: Array, outer: int, coarse: int) -> Array:
        """Add up pairs along j."""
        if not rows.shape[0]:
            return rows
        out = np.empty((outer, coarse, rows.shape[1]), rows.dtype)
        setup.add_pairs_leading(rows.reshape(outer, -1, rows.shape[1]), out)
        return out.reshape(outer * coarse, rows.shape[1])

    def _planes(self, rows: Array, fine: int, coarse: int, lines: int) -> Array:
        """Add up pairs along i."""
        if not rows.shape[0]:
            return rows
        out = np.empty((1, coarse, lines * rows.shape[1]), rows.dtype)
        setup.add_pairs_leading(rows.reshape(1, fine, -1), out)
        return out.reshape(coarse * lines, rows.shape[1])

    def solve(self, r: Array, factors: Array, back: Array, x: Array, wanted: Array, maxiter: int) -> Solved:
        """Add to x what solves A e = r, by conjugate gradients.

        Parameters
        ----------
        r, x : (B, n) arrays
            Right-hand sides, and what the solutions are added to.
        factors, back : (B,) arrays
            What right-hand sides are multiplied with before, and solutions after, so that numbers are of order one;
            with 0 for the way back a member is left alone.
        wanted : (B,) array
            Norms of the residual to reach, as multiplied.
        maxiter : int
        """
        fields, scale, B = self.fields, self.networks[0].s, self.members
        sizes, rows = fields.sizes[0], fields.rows
        red, black, x_black, p, q = self._vectors
        load.to_colours(r, factors, scale, rows, sizes, red, black)
        load.eliminate(self._fine, self._at_fine, sizes, rows, red, black)
        x_black[:], p[:], q[:] = 0.0, 0.0, 0.0
        state = np.where(back == 0.0, DONE, RUNNING).astype(np.int64)
        iterations, history = np.zeros(B, dtype=np.int64), np.full((maxiter + 1, B), np.nan)
        count = reduced_cg(
            self.constants,
            self.work,
            fields.at,
            fields.sizes,
            rows,
            fields.planes,
            self._fine,
            self._at_fine,
            self._root,
            x_black,
            black,
            p,
            q,
            wanted**2,
            maxiter,
            self.sweeps,
            state,
            iterations,
            history,
        )
        load.substitute(self._fine, self._at_fine, sizes, rows, x_black, red)
        load.add_colours(red, x_black, back, scale, rows, sizes, x)
        return Solved(state, iterations, history[: count + 1])


@dataclasses.dataclass(frozen=True)
class Solved:
    """What `CheckerboardHierarchy.solve` found.

    Attributes
    ----------
    state, iterations : (B,) arrays
        See `checkerboard_cg`.
    history : (count + 1, B) array
        Norms of the residual as the iteration saw them, multiplied.
    """

    state: np.ndarray
    iterations: np.ndarray
    history: np.ndarray


def natural_entries(A: LinearOperator) -> tuple[tuple[int, int, int], tuple[Array, ...], tuple[bool, bool, bool]]:
    """Return the grid of A in three dimensions, and its diagonal and couplings along k, j and i in natural order.

    Raises
    ------
    StructureError
        For operators that do not link neighbours on a box, or not alike in both directions.
    """
    if isinstance(A, Stencil) and _is_plain(A):
        entries = {a: A.coefficients[1 + a] for a in range(len(A.coefficients) - 1)}
        diagonal, periodic = A.coefficients[0], [False] * (len(A.coefficients) - 1)
    else:
        couplings = Couplings.of(A)
        diagonal, entries, periodic = couplings.diagonal, {}, []
        for a, (up, down, wrap) in enumerate(zip(couplings.upper, couplings.lower, couplings.wrap, strict=True)):
            if not (up is down or np.array_equal(up, down)) or not (wrap is None or np.array_equal(*wrap)):
                raise StructureError(f"multigrid with conjugate gradients needs A = Aᵀ, but {A!r} is not symmetric")
            entries[a] = np.zeros(diagonal.shape)
            entries[a][along(a, slice(None, -1))] = up
            if wrap is not None:
                entries[a][along(a, slice(-1, None))] = wrap[0]
            periodic.append(wrap is not None)
    if diagonal.dtype.kind == "c":
        raise StructureError(f"multigrid with conjugate gradients is for real operators, got {A!r}")
    missing = 3 - diagonal.ndim
    ni, nj, nk = (1,) * missing + diagonal.shape
    zero = np.zeros(ni * nj * nk)
    along_i, along_j, along_k = (
        zero if a < 0 else np.ascontiguousarray(entries[a], dtype=np.float64).reshape(-1)
        for a in range(-missing, 3 - missing)
    )
    centre = np.ascontiguousarray(diagonal, dtype=np.float64).reshape(-1)
    closed = [False] * missing + periodic
    return (ni, nj, nk), (centre, along_k, along_j, along_i), (closed[0], closed[1], closed[2])


def _is_plain(A: Stencil) -> bool:
    """Whether a stencil is stored as its diagonal and one coupling an axis, in order."""
    dimension = A.coefficients.ndim - 1
    units = tuple(tuple(int(a == axis) for a in range(dimension)) for axis in range(dimension))
    return A.mirrored and A.offsets == ((0,) * dimension, *units)
