r"""A learned multigrid cycle that is linear in the residual, and symmetric positive definite by construction.

On each level, in the variables r̂ = D^−½ r,

    B_l = S' (C₀ I + P̂ B_{l+1} P̂') S + E,   B_L = (D^−½ A_L D^−½)⁻¹,   P̂ = D_l^½ P G D_{l+1}^−½,

with a stencil S whose entries are computed from an image of the couplings around each cell, its exact transpose S',
positive diagonal fields C₀, E ≥ δ and G from the same image, and transfers P that are fixed. All of it is computed once
for an operator; an application is then two stencils a level. It is half a V-cycle and its mirror image: S is what a
smoothing step makes of the residual, and S'P̂ smooths what is interpolated, so that obstacles and jumps are seen by P̂
although P is constant on 2^d cells. S starts as I − ω D^−½ A D^−½, with which the cycle is a classical one with one
sweep of Jacobi; training changes the weights, which are shared by all levels but the finest.

Departures from the published networks (doi:10.48550/arXiv.2310.00177): B_l is symmetric; coarse levels belong to the
equation, by halved Galerkin sums of the couplings and not by pooled images; the coarsest is solved; C₀ and G are fields
and not means; the image holds scaled couplings, so that one set of weights serves every level, grid and unit. It does
not serve every contrast: on operators whose contrast is far from any in training, weights can be worse than those that
training starts from.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Literal, cast, final, get_args

import torch

from ...operators import SPD, StructureError
from ...operators.neural.model import check_among, check_whole
from .levels import Level, hierarchy
from .network import PreconditionerNetwork
from .stencils import (
    ImageField,
    Offsets,
    apply_stencil,
    apply_transposed_stencil,
    cube,
    image_fields,
    shifted,
    star,
)
from .transfers import gather, interpolate, interpolate_transposed, spread

Transfer = Literal["constant", "linear"]

FLOOR = 1e-6
"""Least entry δ of E, so that B is definite whatever the weights are."""
DAMPING = 0.8
"""ω of the Jacobi sweep that S starts as."""


def softplus_inverse(value: float) -> float:
    """Return x with log(1 + eˣ) = value."""
    return math.log(math.expm1(value))


@dataclasses.dataclass(frozen=True)
class Block:
    """Fields of one stencil block: K (B, offsets, *grid), C₀ and E (B, 1, *grid)."""

    K: torch.Tensor
    c: torch.Tensor
    e: torch.Tensor
    offsets: Offsets


@dataclasses.dataclass(frozen=True)
class CycleLevel:
    """Blocks of a level, and its transfer: fine · P · coarse."""

    blocks: list[Block]
    fine: torch.Tensor
    coarse: torch.Tensor


@dataclasses.dataclass(frozen=True)
class CycleFields:
    """All that an application needs: levels, the inverse on the coarsest grid, and D^−½ of the finest."""

    levels: list[CycleLevel]
    inverse: torch.Tensor
    scale: torch.Tensor
    grid: tuple[int, ...]
    transfer: Transfer


@final
class SmoothingBlock(torch.nn.Module):
    """Weights of S, C₀ and E, for one image; it starts as a sweep of Jacobi with damping ω."""

    def __init__(self, dim: int, reach: Literal["star", "cube"]) -> None:
        super().__init__()
        self.offsets = star(dim) if reach == "star" else cube(dim)
        channels = dim + 2
        self.stencil = ImageField(channels, len(self.offsets), dim, reach)
        self.diagonals = ImageField(channels, 2, dim, reach)
        seen = self.stencil.seen
        with torch.no_grad():
            self.stencil.bias[self.offsets.index((0,) * dim)] = 1.0 - DAMPING
            for a in range(dim):
                for step in (-1, 1):
                    offset = tuple(step * (axis == a) for axis in range(dim))
                    # The coupling with the cell behind is stored there.
                    place = seen.index((0,) * dim if step > 0 else offset)
                    self.stencil.weight.flatten(2)[self.offsets.index(offset), a, place] = DAMPING
            self.diagonals.bias[0] = softplus_inverse(0.9)
            self.diagonals.bias[1] = softplus_inverse(0.7)

    def block(self, fields: torch.Tensor, inside: torch.Tensor) -> Block:
        """Return S, C₀ and E from their fields; S never reaches out of the domain, nor into it from outside.

        `inside` is the mask of the domain times that of the cells reached.
        """
        c, e = torch.nn.functional.softplus(fields[:, -2:]).split(1, 1)
        return Block(fields[:, :-2] * inside, c, e + FLOOR, self.offsets)


def blocks_of(blocks: torch.nn.ModuleList, image: torch.Tensor) -> list[Block]:
    """Return the fields of blocks for one image, by one convolution: several take longer than one together."""
    members = [cast("SmoothingBlock", block) for block in blocks]
    parts = [part for block in members for part in (block.stencil, block.diagonals)]
    joined = torch.cat([part.kernel for part in parts]), torch.cat([part.bias for part in parts])
    fields = image_fields(image, *joined)
    fluid = image[:, -1:]
    found: list[Block] = []
    start = 0
    inside: torch.Tensor | None = None
    for block in members:
        if inside is None or len(block.offsets) != inside.shape[1]:
            inside = fluid * torch.cat([shifted(fluid, offset) for offset in block.offsets], 1)
        count = len(block.offsets) + 2
        found.append(block.block(fields[:, start : start + count], inside))
        start += count
    return found


@final
class SPDCycle(PreconditionerNetwork):
    """The cycle of this file: `prepare` once for an operator, `apply` for each residual.

    Parameters
    ----------
    dim : {2, 3}
        Dimension of the grid.
    smoothing : (int, int)
        Stencil blocks, one inside the other, on the finest level and on each of the others.
    reach : {"cube", "star"}
        Offsets of S on the finest level, and of the cells from whose image its entries are computed: 3^dim, or the
        2 dim + 1 nearest. The other levels have all 3^dim.
    transfer : {"constant", "linear"}
        P on piecewise constants, or linear between cell centres.
    coarsest : int
        Cells a side below which the system is solved, at most 8.

    Notes
    -----
    An application costs 2 · 3^dim multiplications a cell and block, or 2 (2 dim + 1) for a star; a third more on all
    levels in two dimensions and a seventh in three. Compiled (`LearnedOperator`, transfer="constant"), fields take 2
    bytes an offset and 4 a diagonal. Gradients of the weights flow through `prepare`. Weights suit the couplings of the
    operators they were trained on, in any scale; the number of cells is free.

    Trained for half a minute of one core on operators of 64² with obstacles, it needs 8 to 13 iterations of CG to 1e-8
    on 32² to 512², where the cycle needs 20 to 24 before training; trained on 24³, 9 to 14 on 16³ to 64³. A solve,
    set-up included, is then as fast as one by `MultigridCG` on squares, and takes half of its time on 64³ and around
    dense obstacles; without obstacles, and for coefficients that it was not trained on, `MultigridCG` is faster.
    Contrast of 1e4 that it was not trained on costs more iterations than no training (``benchmarks/learned.py``).

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators import Stencil
    >>> from resolvent.solvers.learned import SPDCycle
    >>> from resolvent.solvers.learned.levels import level_of
    >>> import numpy as np
    >>> A = Stencil.from_transmissibilities([np.ones((17, 16)), np.ones((16, 17))])
    >>> cycle = SPDCycle(dim=2).double()
    >>> cycle.correct(cycle.prepare(level_of(A)), torch.ones(1, 1, 16, 16, dtype=torch.float64)).shape
    torch.Size([1, 1, 16, 16])
    """

    props = SPD

    def __init__(
        self,
        *,
        dim: int,
        smoothing: tuple[int, int] | list[int] = (2, 1),
        reach: Literal["cube", "star"] = "star",
        transfer: Transfer = "constant",
        coarsest: int = 4,
    ) -> None:
        super().__init__(dim)
        check_among("dim", dim, (2, 3))
        check_among("reach", reach, ("cube", "star"))
        check_among("transfer", transfer, get_args(Transfer))
        check_whole("coarsest", coarsest, 2)
        if coarsest > 8:
            raise ValueError(f"coarsest must be at most 8 cells a side, got {coarsest}")
        if len(smoothing) != 2:
            raise ValueError(f"smoothing needs two numbers, for the finest level and the others, got {smoothing!r}")
        for blocks in smoothing:
            check_whole("each of smoothing", blocks)
        self.options = {
            "dim": dim,
            "smoothing": [int(s) for s in smoothing],
            "reach": reach,
            "transfer": transfer,
            "coarsest": coarsest,
        }
        self.transfer, self.coarsest = transfer, coarsest
        self.finest = torch.nn.ModuleList(SmoothingBlock(dim, reach) for _ in range(smoothing[0]))
        self.coarser = torch.nn.ModuleList(SmoothingBlock(dim, "cube") for _ in range(smoothing[1]))
        corrections = [ImageField(dim + 2, 1, dim) for _ in range(2)]
        with torch.no_grad():
            for field in corrections:
                field.bias[0] = softplus_inverse(1.0)
        self.correction = torch.nn.ModuleList(corrections)

    def prepare(self, level: Level) -> CycleFields:
        """Compute stencils, diagonals and the coarsest inverse for B operators.

        Raises
        ------
        StructureError
            If the coarsest system is not positive definite: the operator is not.
        """
        weight = next(self.parameters())
        grid, scale = level.grid, level.padded().diagonal if max(level.grid) > self.coarsest else level.diagonal
        levels = hierarchy(level.normalised(), self.coarsest)
        parts = []
        for depth, (fine, coarse) in enumerate(itertools.pairwise(levels)):
            image = fine.image().to(weight)
            blocks = blocks_of(self.finest if depth == 0 else self.coarser, image)
            g = torch.nn.functional.softplus(self.correction[min(depth, 1)](coarse.image().to(weight)))
            half = (slice(None), slice(None), *(slice(extent // 2) for extent in fine.grid))  # without cells added
            parts.append(
                CycleLevel(
                    blocks,
                    (fine.diagonal.sqrt() * fine.fluid)[:, None].to(weight),
                    ((coarse.diagonal.rsqrt() * coarse.fluid)[:, None].to(weight) * g)[half],
                )
            )
        return CycleFields(parts, _inverse(levels[-1]).to(weight), scale.rsqrt()[:, None], grid, self.transfer)

    def correct(self, prepared: CycleFields, r: torch.Tensor) -> torch.Tensor:
        """Return B r for residuals (B, m, *grid); what is inside is in the precision of the weights."""
        fields = prepared
        weight = next(self.parameters())
        padded = fields.scale.shape[2:]
        sides = [side for n, m in zip(reversed(r.shape[2:]), reversed(padded), strict=True) for side in (0, m - n)]
        scale = fields.scale
        x = torch.nn.functional.pad(r, sides) if any(sides) else r
        z = self._level(fields, 0, (x * scale.to(x.dtype)).to(weight.dtype))
        z = z.to(r.dtype) * scale.to(r.dtype)
        if any(sides):
            z = z[(slice(None), slice(None), *(slice(n) for n in r.shape[2:]))]
        return z

    def _level(self, fields: CycleFields, depth: int, r: torch.Tensor) -> torch.Tensor:
        if depth == len(fields.levels):
            return (fields.inverse @ r.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(r.shape)
        level = fields.levels[depth]
        passed = []
        for block in level.blocks:
            smoothed = apply_stencil(block.K, r, block.offsets)
            passed.append((block, r, smoothed))
            r = smoothed
        down, up = (gather, spread) if self.transfer == "constant" else (interpolate_transposed, interpolate)
        coarse = level.coarse * down(level.fine * r)
        target = coarse.shape[2:]
        sides = []
        if depth + 1 < len(fields.levels):
            needed = fields.levels[depth + 1].fine.shape[2:]
            sides = [side for n, m in zip(reversed(target), reversed(needed), strict=True) for side in (0, m - n)]
        inner = torch.nn.functional.pad(coarse, sides) if any(sides) else coarse
        inner = self._level(fields, depth + 1, inner)
        if any(sides):
            inner = inner[(slice(None), slice(None), *(slice(n) for n in target))]
        z = level.fine * up(level.coarse * inner)
        for block, before, smoothed in reversed(passed):
            z = apply_transposed_stencil(block.K, block.c * smoothed + z, block.offsets) + block.e * before
        return z


def _inverse(level: Level) -> torch.Tensor:
    """Return the inverse of D^−½ A D^−½ on the coarsest grid, exactly symmetric."""
    A = level.to_dense()
    factor, failed = torch.linalg.cholesky_ex(A)
    if bool((failed > 0).any()) or not bool(torch.isfinite(factor).all()):
        raise not_definite()
    inverse = torch.cholesky_inverse(factor)
    return 0.5 * (inverse + inverse.mT)


def not_definite() -> StructureError:
    """Return the error for a coarsest system that has no Cholesky factor."""
    return StructureError(
        "the operator is not positive definite on the coarsest grid: a learned cycle is for positive definite "
        "systems; use MINRES, or FGMRES with ILU"
    )
