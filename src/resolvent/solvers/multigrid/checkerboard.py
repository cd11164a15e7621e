"""Multigrid hierarchies of ensembles on checkerboard arrays, and what solves with them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator, Stencil, StructureError
from ..separable.couplings import Couplings, along
from .checkerboard_cg import DONE, NOT_FINITE, RUNNING, reduced_cg
from .checkerboard_fields import FACES_I, FACES_J, FACES_K, GROUND, OWN_K, SCALE_RED, arrange
from .checkerboard_layout import Checkerboard
from .checkerboard_load import load
from .checkerboard_setup import refill
from .checkerboard_vectors import add_colours, eliminate, substitute, to_colours

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
        For `load` and `solve`; otherwise for `checkerboard_cycle.visit`, with right-hand sides at all points of the
        finest level.
    grounded : bool
        Whether there is room for a grounding of the finest network.
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
        grounded: bool = False,
        sweeps: int = 1,
    ) -> None:
        self.levels = plan(grid, members, periodic, strengths)
        self.members, self.reduced, self.grounded, self.sweeps = members, reduced, grounded, sweeps
        fields = self.fields = arrange(tuple(self.levels), reduced=reduced, grounded=grounded)
        self.constants = np.zeros(fields.total_constants, dtype=precision)
        self.work = np.zeros(fields.total_work, dtype=precision)
        self.network = np.zeros(fields.total_network, dtype=precision)
        self._scratch = np.zeros(fields.total_scratch, dtype=precision)
        finest, single = self.levels[0], precision != np.float64
        size = finest.size if reduced else 0
        # The couplings of the finest level come first among the constants.
        self._fine = np.zeros(int(fields.at[0, OWN_K]) if reduced else 0) if single else self.constants
        self._root = np.zeros(size, dtype=precision)
        self._scale = np.zeros(2 * finest.rows * finest.width if reduced else 0)
        self._vectors = np.zeros((4, size))
        # The direction may be rounded: its product is formed of what is stored.
        self._direction = np.zeros(size, dtype=precision)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays that are kept."""
        arrays = [self.constants, self.work, self.network, self._scratch, self._root, self._scale, self._vectors]
        arrays.append(self._direction)
        if self._fine is not self.constants:
            arrays.append(self._fine)
        return sum(a.nbytes for a in arrays)

    @property
    def singular(self) -> np.ndarray:
        """Which members keep nothing that grounds them on the coarsest level: a (B,) array of bool."""
        start = int(self.fields.at[-1, SCALE_RED]) + self.levels[-1].pad
        return np.asarray(self.constants[start : start + self.members] == 0.0)

    def part(self, field: int, level: int = 0) -> Array:
        """Return an array of the network of a level, (2, rows, width), to read or fill; see `checkerboard_fields`."""
        start, count = map(int, self.fields.networks[level, field])
        return self.network[start : start + count].reshape(2, -1, self.levels[level].width)

    def load(self, addresses: Array, deficit: float, factors: Array) -> tuple[Array, Array, Array]:
        """Read the operators of all members into the finest level; see `checkerboard_load.load`.

        Returns
        -------
        coupling, grounding, lack : (B,) arrays
            The largest off-diagonal entry, above zero where a member is not elliptic; above zero where a row sum away
            from walls is more than rounding; above zero where one is below −deficit times the diagonal.
        """
        fields = self.fields
        watched = np.empty((3, 2, self.levels[0].width))
        networks = (self.part(field).reshape(-1) for field in (FACES_K, FACES_J, FACES_I, GROUND))
        load(
            addresses,
            fields.at[0],
            fields.sizes[0],
            fields.rows,
            deficit,
            factors,
            self._fine,
            self.constants,
            self._root,
            self._scale,
            *networks,
            *watched,
        )
        coupling, grounding, lack = watched.reshape(3, -1, self.members).max(axis=1)
        return coupling / factors, grounding, lack

    def refill(self) -> None:
        """Make all levels anew from the network of the finest.

        Without `load`, for a hierarchy that is not reduced, its roots must hold its diagonal.
        """
        fields = self.fields
        refill(
            self.network,
            fields.networks,
            self.constants,
            fields.at,
            fields.sizes,
            fields.rows,
            self._scratch,
            self.reduced,
        )

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
        fields, scale, B = self.fields, self._scale, self.members
        sizes, rows = fields.sizes[0], fields.rows
        (red, black, x_black, q), p = self._vectors, self._direction
        to_colours(r, factors, scale, rows, sizes, red, black)
        eliminate(self._fine, fields.at[0], sizes, rows, red, black)
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
        substitute(self._fine, fields.at[0], sizes, rows, x_black, red)
        add_colours(red, x_black, back, scale, rows, sizes, x)
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
