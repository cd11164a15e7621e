"""Multigrid hierarchies of ensembles on checkerboard arrays, and what solves with them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator, Stencil, StructureError
from ..separable.couplings import Couplings, along
from . import checkerboard_load as load
from . import checkerboard_setup as setup
from .checkerboard_cg import DONE, NOT_FINITE, RUNNING, reduced_cg
from .checkerboard_fields import OWN_I, OWN_J, arrange
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

    def __init__(self, level: Checkerboard) -> None:
        ni, nj, _ = level.grid
        rows, width = level.rows, level.width
        self.d, self.s, self.tk = (np.zeros((2, rows, width)) for _ in range(3))
        self.tj = np.zeros((2, ni * (nj + 1), width))
        self.ti = np.zeros((2, (ni + 1) * nj if ni > 1 else 0, width))
        self.shift = np.zeros((2, 0, width))

    def flat(self) -> tuple[Array, ...]:
        """Return diagonal, its inverse roots, faces along k, j, i and shift as flat arrays."""
        return tuple(a.reshape(-1) for a in (self.d, self.s, self.tk, self.tj, self.ti, self.shift))

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
        For `solve`; otherwise for `checkerboard_cycle.visit`, with right-hand sides at all points of the finest level.
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
        self._fine = np.zeros(self.fields.total_constants)
        self.constants = self._fine if precision == np.float64 else np.zeros(self._fine.size, precision)
        self.work = np.zeros(self.fields.total_work, dtype=precision)
        finest = self.levels[0]
        self._root = np.zeros(finest.size if reduced else 0, dtype=precision)
        self.networks = [Network(level) for level in self.levels]
        self._scratch = Scratch()
        self._row = np.zeros((max(finest.grid) + 4) * members)
        self._vectors = np.zeros((4 if reduced else 0, finest.size))
        # The direction may be rounded: its product is formed of what is stored.
        self._direction = np.zeros(finest.size if reduced else 0, dtype=precision)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays that are kept."""
        networks = sum(a.nbytes for n in self.networks for a in (n.d, n.s, n.tk, n.tj, n.ti, n.shift))
        arrays = [self._fine, self.work, self._root, self._vectors, self._direction]
        if self.constants is not self._fine:
            arrays.append(self.constants)
        return networks + self._scratch.nbytes + sum(a.nbytes for a in arrays)

    def refill(self) -> None:
        """Make all levels anew from the network of the finest."""
        fields, c = self.fields, self._fine
        for number, (level, here) in enumerate(zip(self.levels, self.networks, strict=True)):
            (ni, nj, nk), B, width = level.grid, self.members, level.width
            at, sizes = fields.at[number], fields.sizes[number]
            d, s, tk, tj, ti, shift = here.flat()
            if number:
                setup.diagonal_of_network(tk, tj, ti, shift, ni, nj, nk, B, width, d)
            setup.inverse_root(d, s)
            setup.couple(tk, tj, ti, s, nj, c, at, sizes, fields.rows)
            if number == 0 and self.reduced:
                setup.store_roots(s, self._root, sizes, fields.rows)
            else:
                setup.store_scales(s, c, at, sizes, fields.rows)
            if number + 1 < len(self.levels):
                self._coarsen(number)
        if self.constants is not self._fine:
            np.copyto(self.constants, self._fine, casting="same_kind")

    def _coarsen(self, number: int) -> None:
        """Make the weights of interpolation to a level, and the network of the next coarser one."""
        level, here, coarse = self.levels[number], self.networks[number], self.networks[number + 1]
        at, sizes, c, row = self.fields.at[number], self.fields.sizes[number], self._fine, self._row
        (ni, nj, nk), (nci, ncj, nck), B, width = level.grid, level.coarse, self.members, level.width
        _, s, tk, tj, ti, shift = here.flat()
        along_i, along_j, along_k = level.periodic
        rows_k, rows_j, rows_i = ni * nj, ni * (nj + 1), (ni + 1) * nj if ni > 1 else 0
        rows_shift = here.shift.shape[1]
        setup.weights_along_k(tk, s, along_k, c, at, sizes, self.fields.rows, row)
        inner = nck * B
        self._scratch.reset()
        new = [self._scratch.take(rows * inner) for rows in (rows_j, rows_i, rows_shift)]
        faces = self._scratch.take(rows_k * (inner + B))
        if level.coarsened[2]:
            setup.coarsen_along_k(tk, rows_k, B, nk, width, along_k, row, faces)
            for fine, target, rows in zip((tj, ti, shift), new, (rows_j, rows_i, rows_shift), strict=True):
                setup.add_pairs_along_k(fine, rows, B, nk, width, target)
        else:
            setup.join(tk, rows_k, nk + 1, B, width, faces)
            for fine, target, rows in zip((tj, ti, shift), new, (rows_j, rows_i, rows_shift), strict=True):
                setup.join(fine, rows, nk, B, width, target)
        tk, (tj, ti, shift) = faces, new
        if level.coarsened[1]:
            setup.weights_leading(tj, ni, nj, inner, along_j, c, at[OWN_J])
            tj = self._series(tj, ni, nj, inner, along_j)
            tk, ti = self._pairs(tk, ni, nj, inner + B), self._pairs(ti, ni + 1, nj, inner)
            shift = self._pairs(shift, ni, nj, inner)
        else:
            c[at[OWN_J] : at[OWN_J] + rows_k * inner] = 1.0
        if level.coarsened[0] and ni > 1:
            setup.weights_leading(ti, 1, ni, ncj * inner, along_i, c, at[OWN_I])
            ti = self._series(ti, 1, ni, ncj * inner, along_i)
            tk, tj = self._pairs(tk, 1, ni, ncj * (inner + B)), self._pairs(tj, 1, ni, (ncj + 1) * inner)
            shift = self._pairs(shift, 1, ni, ncj * inner)
        elif ni > 1:
            c[at[OWN_I] : at[OWN_I] + ni * ncj * inner] = 1.0
        if ni > 1 and nci == 1:  # a single plane: its walls ground it
            walls = ti.reshape(2, -1).sum(axis=0)
            shift, ti = (walls + shift if shift.size else walls), ti[:0]
        if shift.size and not coarse.shift.shape[1]:
            coarse.ground()
        _, _, *parted = coarse.flat()
        rows_next = (nci * ncj, nci * (ncj + 1), coarse.ti.shape[1], coarse.shift.shape[1] if shift.size else 0)
        points = (nck + 1, nck, nck, nck)
        for natural, target, rows, count in zip((tk, tj, ti, shift), parted, rows_next, points, strict=True):
            setup.part(natural, rows, count, B, coarse.tk.shape[2], target)

    def _series(self, faces: Array, outer: int, n: int, inner: int, periodic: bool) -> Array:
        out = self._scratch.take(outer * ((n + 1) // 2 + 1) * inner)
        setup.coarsen_leading(faces, outer, n, inner, periodic, out)
        return out

    def _pairs(self, values: Array, outer: int, n: int, inner: int) -> Array:
        if not values.size:
            return values
        out = self._scratch.take(outer * ((n + 1) // 2) * inner)
        setup.add_pairs_leading(values, outer, n, inner, out)
        return out

    def solve(self, r: Array, factors: Array, back: Array, x: Array, wanted: Array, maxiter: int) -> Solved:
        """Add to x what solves A e = r, by conjugate gradients.

        Parameters
        ----------
        r, x : (B, n) arrays
            Right-hand sides, and what the solutions are added to.
        factors, back : (B,) arrays
            What right-hand sides are multiplied with before, and solutions after, so that numbers are of order one;
            with 0 for the way back a member is left alone, as one is whose iteration ends in not-a-number.
        wanted : (B,) array
            Norms of the residual to reach, as multiplied.
        maxiter : int
        """
        fields, scale, B = self.fields, self.networks[0].s, self.members
        sizes, rows = fields.sizes[0], fields.rows
        (red, black, x_black, q), p = self._vectors, self._direction
        load.to_colours(r, factors, scale, rows, sizes, red, black)
        load.eliminate(self._fine, fields.at[0], sizes, rows, red, black)
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
        back = np.where(state == NOT_FINITE, 0.0, back)
        load.substitute(self._fine, fields.at[0], sizes, rows, x_black, red)
        load.add_colours(red, x_black, back, scale, rows, sizes, x)
        return Solved(state, iterations, history[: count + 1])


class Scratch:
    """Working space that is kept: large arrays that are allocated anew cost more to touch than to fill."""

    def __init__(self) -> None:
        self._space = np.empty(0)
        self._taken = 0

    @property
    def nbytes(self) -> int:
        """Bytes kept."""
        return self._space.nbytes

    def reset(self) -> None:
        """Take everything back, and make room for as much as was taken."""
        if self._taken > self._space.size:
            self._space = np.empty(self._taken)
        self._taken = 0

    def take(self, count: int) -> Array:
        """Return an array, of the kept space where there is room for it."""
        start = self._taken
        self._taken += count
        return self._space[start : start + count] if self._taken <= self._space.size else np.empty(count)


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
    if not A.shape[0]:
        raise StructureError(f"{A!r} has no unknowns, and so no grid")
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
