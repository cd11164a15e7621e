"""The levels that a learned cycle works on: the couplings of an operator on grids of half the cells each."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch

from ...operators import LinearOperator, Props, StructureError
from ..separable.couplings import Couplings
from .level_kernels import copy_faces, mark_domain
from .transfers import gather

NEGLIGIBLE = 1e-9
"""Couplings below this part of the diagonal are none: a cell with no others is not part of the domain."""


@dataclasses.dataclass(frozen=True)
class Level:
    """Couplings of B operators with nearest neighbours on one grid.

    Attributes
    ----------
    diagonal : (B, *grid) tensor
        One where a cell is not part of the domain and its row is empty.
    faces : (B, dim, *grid) tensor
        −A[v, v + e_a], zero in the last cell along axis a.
    fluid : (B, *grid) tensor
        One in the cells that are coupled to others, zero elsewhere.
    """

    diagonal: torch.Tensor
    faces: torch.Tensor
    fluid: torch.Tensor

    @property
    def grid(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(self.diagonal.shape[1:])

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """Return A x for vectors (B, m, *grid)."""
        y = self.diagonal[:, None] * x
        for a in range(self.faces.shape[1]):
            t = self.faces[:, a, None]
            y = y - t * _ahead(x, 1 + a) - _behind(t * x, 1 + a)
        return y

    def normalised(self) -> Level:
        """Return the level in the scale in which the largest diagonal entry of each operator is one."""
        size = self.diagonal.flatten(1).amax(1).reshape(-1, *(1,) * len(self.grid))
        return Level(self.diagonal / size, self.faces / size[:, None], self.fluid)

    def to(self, target: Any) -> Level:
        """Return the level on another device or in another precision."""
        return Level(*(field.to(target) for field in (self.diagonal, self.faces, self.fluid)))

    def scaled_faces(self) -> torch.Tensor:
        """Return the couplings of D^−½ A D^−½, (B, dim, *grid), between 0 and 1."""
        root = self.diagonal.rsqrt()
        beyond = torch.stack([_ahead(root, a) for a in range(self.faces.shape[1])], 1)
        return self.faces * root[:, None] * beyond

    def image(self) -> torch.Tensor:
        """Return what the network sees, (B, dim + 2, *grid), all of it between 0 and 1 and free of scale.

        The couplings of D^−½ A D^−½ by axis, the part of the diagonal that goes to no neighbour, which marks walls and
        reaction, and the mask of the domain. Jumps of a coefficient are in the first of these.
        """
        total = self.faces.sum(1)
        for a in range(self.faces.shape[1]):
            total = total + _behind(self.faces[:, a], a)
        leak = ((self.diagonal - total) / self.diagonal).clamp(0.0, 1.0) * self.fluid
        return torch.cat([self.scaled_faces(), leak[:, None], self.fluid[:, None]], 1)

    def padded(self) -> Level:
        """Return the level with cells that are not part of the domain added to make all extents even."""
        sides = [side for n in reversed(self.grid) for side in (0, n % 2)]
        if not any(sides):
            return self
        pad = torch.nn.functional.pad
        return Level(pad(self.diagonal, sides, value=1.0), pad(self.faces, sides), pad(self.fluid, sides))

    def coarser(self) -> Level:
        """Return half the Galerkin operator of piecewise constants on 2^dim cells, for even extents.

        Piecewise constants overestimate the energy of smooth fields by a factor two, in every dimension: the half is
        that of a discretisation on the coarse grid (over-correction; Braess 1995, doi:10.1007/BF02238487). Cells that
        are not part of the domain are left out.
        """
        dim = self.faces.shape[1]
        total = self.diagonal * self.fluid
        faces = []
        for a in range(dim):
            t = self.faces[:, a].unflatten(1 + a, (-1, 2))
            inner, outer = t.unbind(2 + a)
            doubled = torch.stack([2.0 * inner, torch.zeros_like(inner)], 2 + a).flatten(1 + a, 2 + a)
            total = total - doubled
            across = torch.stack([torch.zeros_like(outer), outer], 2 + a).flatten(1 + a, 2 + a)
            faces.append(0.5 * gather(across[:, None])[:, 0])
        diagonal, stacked = 0.5 * gather(total[:, None])[:, 0], torch.stack(faces, 1)
        # A coarse cell whose fine ones have neighbours only within is a pocket: its own equation is still solved.
        inside = (gather(self.fluid[:, None])[:, 0] > 0) & (diagonal > 0)
        return Level(torch.where(inside, diagonal, torch.ones_like(diagonal)), stacked, inside.to(diagonal.dtype))

    def to_dense(self) -> torch.Tensor:
        """Return D^−½ A D^−½ as (B, n, n) entries."""
        B, grid = self.diagonal.shape[0], self.grid
        n = math.prod(grid)
        A = torch.eye(n, dtype=self.diagonal.dtype, device=self.diagonal.device).expand(B, n, n).clone()
        scaled = self.scaled_faces()
        numbers = torch.arange(n, device=A.device).reshape(grid)
        for a in range(len(grid)):
            here = numbers.narrow(a, 0, grid[a] - 1).flatten()
            there = numbers.narrow(a, 1, grid[a] - 1).flatten()
            values = -scaled[:, a].narrow(1 + a, 0, grid[a] - 1).flatten(1)
            A[:, here, there] = values
            A[:, there, here] = values
        return A


def _ahead(field: torch.Tensor, axis: int) -> torch.Tensor:
    """Return field[v + e_a] of (B, *grid); the last value is repeated, where it multiplies a coupling of zero."""
    n = field.shape[1 + axis]
    last = field.narrow(1 + axis, n - 1, 1)
    return torch.cat([field.narrow(1 + axis, 1, n - 1), last], 1 + axis)


def _behind(field: torch.Tensor, axis: int) -> torch.Tensor:
    """Return field[v − e_a] of (B, *grid), zero in the first cell."""
    n = field.shape[1 + axis]
    first = torch.zeros_like(field.narrow(1 + axis, 0, 1))
    return torch.cat([first, field.narrow(1 + axis, 0, n - 1)], 1 + axis)


def level_of(A: LinearOperator) -> Level:
    """Return the finest level of one operator, B = 1, in double precision on the host.

    Raises
    ------
    ValueError
        For other than two or three dimensions.
    StructureError
        For an operator that is not symmetric positive definite as far as its claims and entries show, is complex or
        periodic, or links others than nearest neighbours on a box.
    """
    if A.dtype.kind == "c" or Props.SINGULAR in A.props:
        kind = "complex" if A.dtype.kind == "c" else "singular"
        raise StructureError(f"a learned cycle needs a real positive definite operator, {A!r} is {kind}: use GMRES")
    try:
        couplings = Couplings.of(A)
    except StructureError as error:
        raise StructureError(
            f"a learned cycle needs nearest neighbours on a box, and {A!r} has others: use AMG ({error})"
        ) from error
    if any(wrap is not None for wrap in couplings.wrap):
        raise StructureError(f"a learned cycle knows no periodic axes, {A!r} has some: use GeometricMultigrid")
    d = np.ascontiguousarray(couplings.diagonal, dtype=np.float64)
    if d.ndim not in (2, 3):
        raise ValueError(f"networks are for two or three dimensions, the grid of {A!r} has {d.ndim}: use AMG or IC")
    box = (d.shape[0], math.prod(d.shape[1:-1]), d.shape[-1])  # of planes, rows and cells; a row a plane in a square
    faces, fluid = np.empty((d.ndim, *d.shape)), np.empty(d.shape)
    largest = float(d.max(initial=0.0))
    if not d.size or not d.min() > 0.0:
        raise StructureError(
            f"a learned cycle needs a positive definite operator, the diagonal of {A!r} is not positive: use FGMRES "
            "with ILU, or MINRES where it is symmetric"
        )
    for a, (upper, lower) in enumerate(zip(couplings.upper, couplings.lower, strict=True)):
        if upper is not lower and np.abs(upper - lower).max(initial=0.0) > 1e-6 * np.abs(upper).max(initial=0.0):
            raise StructureError(
                f"a learned cycle needs A = Aᵀ, and the entries of {A!r} differ in the two directions of axis {a}: use "
                "FGMRES with ILU or AMG"
            )
        shape = (upper.shape[0], math.prod(upper.shape[1:-1]), upper.shape[-1])
        if copy_faces(upper.reshape(shape), 1e-9 * largest, faces[a].reshape(box)):
            raise StructureError(
                f"a learned cycle needs couplings of one sign, entries off the diagonal ≤ 0, and {A!r} has positive "
                "ones: use AMG or IC"
            )
    if mark_domain(d.reshape(box), faces.reshape(d.ndim, *box), NEGLIGIBLE, fluid.reshape(box)) > 1e-6 * largest:
        raise StructureError(
            f"a learned cycle needs diagonally dominant rows, and some of {A!r} are not: use IC, or FGMRES if A is "
            "indefinite"
        )
    return Level(torch.from_numpy(d)[None], torch.from_numpy(faces)[None], torch.from_numpy(fluid)[None])


def hierarchy(finest: Level, coarsest: int) -> list[Level]:
    """Return the levels down to one of at most `coarsest` cells a side, all but the last with even extents."""
    levels = [finest]
    while max(levels[-1].grid) > coarsest:
        levels[-1] = levels[-1].padded()
        levels.append(levels[-1].coarser())
    return levels
