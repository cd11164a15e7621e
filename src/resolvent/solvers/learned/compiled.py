"""A learned cycle for one operator on the host, in compiled code: set-up and application."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import threading
from typing import Any, cast, final

import numpy as np
import numpy.typing as npt
import scipy.linalg.lapack
import torch

from ...operators import Array
from . import cycle_kernels as kernels
from .cycle import FLOOR, SmoothingBlock, SPDCycle, not_definite
from .field_kernels import TAPS, level_fields
from .level_kernels import coarsen, dense
from .levels import Level
from .stencils import Offsets, cube

LARGEST_ENTRY = 32700.0
"""Of the whole numbers of 16 bits that entries of S are stored as, with a margin for rounding of the image."""
LEAST_LEFT = 1e-6
"""Least part of the diagonal that may be left on a coarse level for entries of S to have 16 bits. An error u in S
enters B as u² over that part, where E is about one half; u is 1e-5."""

SMALLEST_NORMAL = float(np.finfo(np.float64).tiny)
LIFT = 2.0**600
"""A power of two, exact, that makes any number below `SMALLEST_NORMAL` but zero a normal one."""


@dataclasses.dataclass(frozen=True)
class _Weights:
    """Weights of the fields of one level: rows are corrections, then C₀ and E of the blocks, then their stencils.

    ``W`` holds them by threes of fields and groups of `TAPS` numbers of the image, which ``taps`` tells. The entries of
    the stencils of each block are stored in ``units``.
    """

    W: Array
    bias: Array
    taps: npt.NDArray[np.int64]
    first: int
    offsets: npt.NDArray[np.int64]
    units: Array


def _weights_of(network: SPDCycle) -> tuple[_Weights, _Weights]:
    """Return the weights of the finest level and of the others."""
    # Packing takes longer than copying, and a network is used for many operators: what is packed is known by content.
    parts = [p.detach().numpy() for p in network.parameters()]
    content = np.concatenate([part.reshape(-1) for part in parts])
    blocks = len(network.finest), len(network.coarser)
    offsets = tuple(cast("SmoothingBlock", group[0]).offsets for group in (network.finest, network.coarser))
    return _packed(content.tobytes(), content.dtype.str, blocks, offsets)


@functools.lru_cache(maxsize=8)
def _packed(
    content: bytes, kind: str, blocks: tuple[int, int], offsets: tuple[Offsets, ...]
) -> tuple[_Weights, _Weights]:
    """Pack all parameters, in their order in an `SPDCycle`."""
    flat, dim = np.frombuffer(content, kind), len(offsets[0][0])
    seen = [offsets[0], cube(dim)]
    start = 0

    def field(count: int, cells: int) -> tuple[Array, Array]:
        nonlocal start
        taps = (dim + 2) * cells
        begin, middle, start = start, start + count * taps, start + count * (taps + 1)
        return flat[begin:middle].reshape(count, taps), flat[middle:start]

    groups = [
        [(field(len(o), len(cells)), field(2, len(cells))) for _ in range(count)]
        for count, o, cells in zip(blocks, offsets, seen, strict=True)
    ]
    corrections = [field(1, len(seen[1])) for _ in range(2)]
    assert start == flat.size
    return _joined(groups[0], [], offsets[0], seen[0]), _joined(groups[1], corrections, offsets[1], seen[1])


def _joined(blocks: list[Any], corrections: list[Any], offsets: Offsets, seen: Offsets) -> _Weights:
    """Return the weights of one level from those of its blocks and corrections."""
    parts = [*corrections, *(diagonals for _, diagonals in blocks), *(stencil for stencil, _ in blocks)]
    shape = sum(len(bias) for _, bias in parts), parts[0][0].shape[1]
    W = np.zeros((-(-shape[0] // 3) * 3, -(-shape[1] // TAPS) * TAPS), parts[0][0].dtype)
    bias = np.zeros(len(W), W.dtype)
    W[: shape[0], : shape[1]] = np.concatenate([weight for weight, _ in parts])
    bias[: shape[0]] = np.concatenate([b for _, b in parts])
    units = np.ones(len(blocks))
    if W.dtype == np.float32:
        # The numbers of an image lie between 0 and 1, and that bounds the entries whatever the operator.
        for i, ((weight, b), _) in enumerate(blocks):
            w = weight.astype(np.float64)
            bound = max((b + np.maximum(w, 0.0).sum(1)).max(), -(b + np.minimum(w, 0.0).sum(1)).min())
            units[i] = max(bound / LARGEST_ENTRY, np.finfo(np.float32).tiny)
    threes = np.ascontiguousarray(W.reshape(len(W) // 3, 3, -1, TAPS).transpose(0, 2, 1, 3)).reshape(-1)
    taps = np.zeros((W.shape[1], 4), np.int64)  # those that fill up the last group have weights of zero
    taps[: shape[1]] = [(c, *offset) for c in range(len(offsets[0]) + 2) for offset in _by_planes(seen)]
    return _Weights(threes, bias, taps, len(corrections), np.array(_by_planes(offsets)), units)


def _by_planes(offsets: Offsets) -> list[tuple[int, int, int]]:
    """Return offsets by planes, rows and cells: in two dimensions by planes and cells."""
    return [(o[0], o[1] if len(o) == 3 else 0, o[-1]) for o in offsets]


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


@dataclasses.dataclass(frozen=True)
class LevelFields:
    """Stencils of the blocks, diagonals from the outside in and D^½, and D^−½ g where a level is not the finest."""

    K: list[Array]
    diagonals: Array
    coarse: Array


@final
class CompiledCycle:
    """B of an `SPDCycle` for one operator, for piecewise constant transfers.

    In single precision the entries of S are stored as whole numbers of 16 bits, in a unit that bounds of the weights
    give: half the memory to read, which is what an application takes its time for. They are kept as they are where
    cells that become one are coupled to others by less than `LEAST_LEFT` of their diagonals, and in double precision.
    Each thread has workspace of its own.

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
        finest, coarser = _weights_of(network)
        real = finest.W.dtype
        counts = len(network.finest), len(network.coarser)
        plan = _plan(grid, network.coarsest, counts, (len(finest.offsets), len(coarser.offsets)))
        padded = level.padded() if len(plan.grids) > 1 else level
        D, T, fluid = (f[0].numpy() for f in (padded.diagonal, padded.faces, padded.fluid))
        shape = plan.grids[0]
        levels, left = _levels(D.reshape(shape), T.reshape(dim, *shape), fluid.reshape(shape), plan.grids)
        whole = bool(real == np.float32) and left >= LEAST_LEFT
        self.table, self._room = plan.table, (plan.vectors, plan.line)
        self.F, V, row, self.K = _pieces(
            (plan.fields, real),
            (plan.vectors, real),
            (plan.line, real),
            (plan.entries, np.dtype("i2") if whole else real),
        )
        V[...] = 0
        self._local = threading.local()
        self._local.workspace = V, row
        if not whole:
            self.K[...] = 0  # beyond the ends of lines, where it meets zeros
        self.units = np.ones((len(plan.grids), max(counts)))
        given = level.diagonal[0].numpy()
        box = (grid[0], grid[1] if dim == 3 else 1, grid[-1])
        least = float(given.min())
        self.scale = np.sqrt((least / given).astype(real)).reshape(box)
        self.unit = least
        size = float(given.max())
        for depth, (entry, (D, T, fluid)) in enumerate(zip(plan.table, levels, strict=True)):
            weights, last = coarser if depth else finest, depth == len(plan.table) - 1
            blocks = int(entry[kernels.BLOCKS])
            if whole:
                self.units[depth, :blocks] = weights.units[:blocks]
            if depth or not last:
                fields = int(entry[kernels.FIELDS])
                volume = D.shape[0] * D.shape[1] * (D.shape[2] + 2)
                level_fields(
                    D,
                    T,
                    fluid,
                    size,
                    FLOOR,
                    weights.W,
                    weights.bias,
                    weights.taps,
                    blocks,
                    weights.offsets,
                    weights.first,
                    self.units[depth],
                    whole,
                    self.K,
                    int(entry[kernels.STENCILS]),
                    self.F,
                    fields,
                    fields + (blocks + 2) * volume if depth else -1,
                    min(depth - 1, 1),
                )
        D, T, _ = levels[-1]
        self.inverse = _inverse(D, T).astype(real)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    def _workspace(self) -> tuple[Array, Array]:
        """Return room for vectors, whose borders are zero, and for a line, of this thread."""
        found: tuple[Array, Array] | None = getattr(self._local, "workspace", None)
        if found is None:
            found = np.zeros(self._room[0], self.F.dtype), np.empty(self._room[1], self.F.dtype)
            self._local.workspace = found
        return found

    def fields(self, depth: int) -> LevelFields:
        """Return the fields of a level as they are stored, to look at."""
        planes, rows, cells, _, blocks, offsets, K, F, _ = self.table[depth]
        line, squeezed = (
            rows * (cells + 2),
            (planes, cells) if self.table[0, kernels.HALO] == 0 else (planes, rows, cells),
        )

        def boxes(stored: Array) -> Array:
            return stored.reshape(-1, planes, rows, cells + 2)[..., :cells].reshape(-1, *squeezed)

        entries = self.K[K : K + blocks * planes * offsets * line].reshape(blocks, planes, offsets, line)
        stencils = [
            unit * boxes(block.transpose(1, 0, 2).astype(np.float64))
            for unit, block in zip(self.units[depth], entries, strict=False)
        ]
        given = boxes(self.F[F : F + (blocks + 2 + (depth > 0)) * planes * line])
        return LevelFields(stencils, given[: blocks + 2], given[-1])

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
        elif size < SMALLEST_NORMAL:  # its inverse would overflow
            self.product_into(r * LIFT, out)
            out /= LIFT
        else:
            V, row = self._workspace()
            spoilt = kernels.apply_cycle(
                self.table,
                self.units,
                self.K,
                self.F,
                V,
                row,
                self.inverse,
                self.scale,
                1.0 / size,
                r,
                size / self.unit,
                out,
            )
            if spoilt:
                V[...] = 0  # borders that hold NaN would spoil whatever comes next


def _pieces(*wanted: tuple[int, np.dtype[Any]]) -> list[Array]:
    """Return arrays of given sizes and types in one piece of memory.

    The system takes pages back when several large arrays are let go of, and gives them anew at the next operator, page
    by page as they are touched; one piece is kept.
    """
    ends = list(itertools.accumulate(-(-count * kind.itemsize // 64) * 64 for count, kind in wanted))
    memory = np.empty(ends[-1], np.uint8)
    starts = [0, *ends[:-1]]
    return [
        memory[start : start + count * kind.itemsize].view(kind)
        for start, (count, kind) in zip(starts, wanted, strict=True)
    ]


def _levels(
    D: Array, T: Array, fluid: Array, grids: tuple[tuple[int, int, int], ...]
) -> tuple[list[tuple[Array, Array, Array]], float]:
    """Return D, T and mask of all levels, and the least part of the diagonal that is left on any, at most one."""
    levels, whole, least = [(D, T, fluid)], D, 1.0
    for grid in grids[1:]:
        coarse, below = (np.ones(grid), np.zeros((len(T), *grid)), np.zeros(grid)), np.ones(grid)
        least = min(least, coarsen(*levels[-1], whole, *coarse, below))
        levels.append(coarse)
        whole = below
    return levels, least


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
