"""A learned cycle for one operator on the host, in compiled code: set-up and application."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from typing import Any, cast, final

import numpy as np
import numpy.typing as npt
import scipy.linalg.lapack
import torch

from ...operators import Array
from . import cycle_kernels as kernels
from .cycle import FLOOR, SmoothingBlock, SPDCycle, not_definite
from .levels import Level
from .setup_kernels import coarsen, dense, level_fields
from .stencils import ImageField

LARGEST_ENTRY = 32700.0
"""Of the whole numbers of 16 bits that entries of S are stored as, with a margin for rounding of the image."""


@dataclasses.dataclass(frozen=True)
class _Weights:
    """Weights of the fields of one level: rows are corrections, then C₀ and E of the blocks, then their stencils."""

    W: Array
    bias: Array
    first: int
    offsets: npt.NDArray[np.int64]
    units: Array

    @classmethod
    def of(cls, blocks: torch.nn.ModuleList, corrections: torch.nn.ModuleList | None, dim: int) -> _Weights:
        """Join the weights of blocks, by threes of fields and groups of nine numbers of the image."""
        members = [cast("SmoothingBlock", block) for block in blocks]
        parts = [cast("ImageField", part) for part in corrections or ()]
        first = len(parts)
        parts += [block.diagonals for block in members] + [block.stencil for block in members]
        joined = [part.weight.detach().flatten(1).numpy() for part in parts]
        bias = np.concatenate([part.bias.detach().numpy() for part in parts])
        real = joined[0].dtype
        W = np.zeros((-(-len(bias) // 3) * 3, joined[0].shape[1]), real)
        np.concatenate(joined, out=W[: len(bias)])
        bound = bias + np.maximum(W[: len(bias)].sum(1, where=W[: len(bias)] > 0), 0)
        units = np.ones(len(members))
        offsets = members[0].offsets
        if real == np.float32:
            # The numbers of an image lie between 0 and 1, and that bounds the entries, whatever the operator.
            positive = np.maximum(W, 0).sum(1)[: len(bias)]
            bound = np.maximum(np.abs(bias + positive), np.abs(bias + positive - np.abs(W).sum(1)[: len(bias)]))
            most = bound[first + 2 * len(members) :].reshape(len(members), -1).max(1).astype(np.float64)
            units[most > 0] = 2.0 ** np.ceil(np.log2(most[most > 0] / LARGEST_ENTRY))
        threes = W.reshape(len(W) // 3, 3, -1, 9).transpose(0, 2, 1, 3)
        sides = [(0, len(W) - len(bias))]
        where = [(o[0], o[1] if dim == 3 else 0, o[-1]) for o in offsets]
        return cls(np.ascontiguousarray(threes).reshape(-1), np.pad(bias, sides), first, np.array(where), units)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Where things lie, which grid and options alone decide."""

    grids: tuple[tuple[int, int, int], ...]
    table: npt.NDArray[np.int64]
    entries: int
    fields: int
    vectors: int
    line: int


@functools.lru_cache(maxsize=16)
def _plan(grid: tuple[int, ...], coarsest: int, blocks: tuple[int, int], offsets: tuple[int, int]) -> _Plan:
    """Return the plan for a grid, even or not."""
    halo = len(grid) - 2
    grids = []
    while max(grid) > coarsest:
        grid = tuple(n + n % 2 for n in grid)
        grids.append(grid)
        grid = tuple(n // 2 for n in grid)
    grids.append(grid)
    boxes = [(grid[0], grid[1] if halo else 1, grid[-1]) for grid in grids]
    margin = max(cells for *_, cells in boxes) + 3  # what a stencil that is turned reads beyond its entries
    K, F, V = margin, 0, 0
    rows = []
    for depth, (planes, height, cells) in enumerate(boxes):
        last, kind = depth == len(boxes) - 1, min(depth, 1)
        count = 0 if last else blocks[kind]
        rows.append((planes, height, cells, halo, count, offsets[kind], K, F, V))
        line, plane = height * (cells + 2), (height + 2 * halo) * (cells + 2)
        K += count * planes * offsets[kind] * line
        F += (count + 3) * planes * line
        V += (count + 1) * (planes + 2) * plane
    longest = max(max(h * (c + 2) for _, h, c in boxes), math.prod(boxes[-1]))
    return _Plan(tuple(boxes), np.array(rows), K + margin, F, V + 2, longest)


@final
class CompiledCycle:
    """B of an `SPDCycle` for one operator, for piecewise constant transfers.

    In single precision the entries of S are stored as whole numbers of 16 bits, in a unit that bounds of the weights
    give: half the memory to read, which is what an application takes its time for. Networks in double precision keep
    them as they are. Not for several threads at once: it has workspace of its own.

    Parameters
    ----------
    network : SPDCycle
        On the host.
    level : Level
        Of one operator.

    Raises
    ------
    StructureError
        If the coarsest system is not positive definite: the operator is not.
    """

    def __init__(self, network: SPDCycle, level: Level) -> None:
        dim, grid = network.dim, level.grid
        finest = _Weights.of(network.finest, None, dim)
        coarser = _Weights.of(network.coarser, network.correction, dim)
        real = finest.W.dtype
        whole = bool(real == np.float32)
        counts = len(network.finest), len(network.coarser)
        plan = _plan(grid, network.coarsest, counts, (len(finest.offsets), len(coarser.offsets)))
        self.table = plan.table
        self.F, self.V, self.row, self.K = _pieces(
            (plan.fields, real), (plan.vectors, real), (plan.line, real), (plan.entries, np.dtype("i2") if whole else real)
        )
        self.V[...] = 0
        if not whole:
            self.K[...] = 0  # beyond the ends of lines, where it meets zeros
        self.units = np.ones((len(plan.grids), max(counts)))
        given = level.diagonal[0].numpy()
        box = (grid[0], grid[1] if dim == 3 else 1, grid[-1])
        least = float(given.min())
        self.scale = np.sqrt((least / given).astype(real)).reshape(box)
        self.unit = least
        padded = level.padded() if len(plan.grids) > 1 else level
        D, T, fluid = (f[0].numpy() for f in (padded.diagonal, padded.faces, padded.fluid))
        D, T, fluid = D.reshape(plan.grids[0]), T.reshape(dim, *plan.grids[0]), fluid.reshape(plan.grids[0])
        size = float(given.max())
        for depth, row in enumerate(plan.table):
            weights, last = coarser if depth else finest, depth == len(plan.table) - 1
            blocks = int(row[kernels.BLOCKS])
            self.units[depth, :blocks] = weights.units[:blocks]
            if depth or not last:
                fields = int(row[kernels.FIELDS])
                volume = D.shape[0] * D.shape[1] * (D.shape[2] + 2)
                level_fields(
                    D,
                    T,
                    fluid,
                    size,
                    FLOOR,
                    weights.W,
                    weights.bias,
                    blocks,
                    weights.offsets,
                    weights.first,
                    self.units[depth],
                    whole,
                    self.K,
                    int(row[kernels.STENCILS]),
                    self.F,
                    fields,
                    fields + (blocks + 2) * volume if depth else -1,
                    min(depth - 1, 1),
                )
            if not last:
                D, T, fluid = self._coarser(D, T, fluid, plan.grids[depth + 1])
        self.inverse = _inverse(D, T).astype(real)

    @staticmethod
    def _coarser(D: Array, T: Array, fluid: Array, grid: tuple[int, int, int]) -> tuple[Array, Array, Array]:
        coarse = np.ones(grid), np.zeros((len(T), *grid)), np.zeros(grid)
        coarsen(D, T, fluid, *coarse)
        return coarse

    def product_into(self, r: Array, out: Array) -> None:
        """Write B r into `out`, flat arrays of n entries, in the precision of `out`; r is normalised first."""
        if r.dtype.kind != "f" or not r.flags.c_contiguous:
            r = np.ascontiguousarray(r, np.float64)
        whole = np.dtype(f"i{r.itemsize}").type
        mask = whole(np.iinfo(whole).max)
        size = float(np.asarray(kernels.largest_bits(r.view(whole), mask), whole).view(r.dtype))
        if not math.isfinite(size):
            out[...] = np.nan
        elif size == 0.0:
            out[...] = 0.0
        else:
            kernels.apply_cycle(
                self.table,
                self.units,
                self.K,
                self.F,
                self.V,
                self.row,
                self.inverse,
                self.scale,
                1.0 / size,
                r,
                size / self.unit,
                out,
            )


def _pieces(*wanted: tuple[int, np.dtype[Any]]) -> list[Array]:
    """Return arrays of given sizes and types in one piece of memory.

    The system takes pages back when several large arrays are let go of, and to get them anew for the next operator
    takes as long as to compute what goes there; one piece is kept.
    """
    ends = list(itertools.accumulate(-(-count * kind.itemsize // 64) * 64 for count, kind in wanted))
    memory = np.empty(ends[-1], np.uint8)
    starts = [0, *ends[:-1]]
    return [
        memory[start : start + count * kind.itemsize].view(kind)
        for start, (count, kind) in zip(starts, wanted, strict=True)
    ]


def _inverse(D: Array, T: Array) -> Array:
    """Return the inverse of D^−½ A D^−½, exactly symmetric."""
    A = np.zeros((D.size, D.size))
    dense(D, T, A)
    factor, failed = scipy.linalg.lapack.dpotrf(A, lower=1)
    if failed or not np.isfinite(factor).all():
        raise not_definite()
    lower, _ = scipy.linalg.lapack.dpotri(factor, lower=1)
    return np.tril(lower) + np.tril(lower, -1).T


def compiled_cycle(network: Any, level: Level) -> CompiledCycle | None:
    """Return the compiled form, None where there is none: other networks, devices, several operators, linear P."""
    if not isinstance(network, SPDCycle) or network.transfer != "constant" or level.diagonal.shape[0] != 1:
        return None
    weight = next(network.parameters())
    if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.float64):
        return None
    return CompiledCycle(network, level)
