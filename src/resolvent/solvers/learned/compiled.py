"""A learned cycle whose fields are fixed, in compiled code on the host."""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np

from ...operators import Array, Stencil
from .cycle import CycleFields
from .cycle_kernels import add_diagonal, combine, correct, restrict, scaled_into


@dataclasses.dataclass(frozen=True)
class _Block:
    """S, C₀ and E of a block, and room for S r and for what is handed up to the block around it."""

    S: Stencil
    c: Array
    e: Array
    smoothed: Array
    raised: Array


@final
class CompiledCycle:
    """B r by stencils of the package and fused passes, without allocation: a tenth of the time of torch.

    For piecewise constant transfers on one operator. Not for several threads at once: it has workspace of its own.

    Parameters
    ----------
    fields : CycleFields
        Of one operator, B = 1, on the host.
    """

    def __init__(self, fields: CycleFields) -> None:
        self.flat = len(fields.grid) == 2
        self.grid, self.padded = fields.grid, tuple(fields.scale.shape[2:])
        self.dtype = np.dtype(str(fields.inverse.dtype).removeprefix("torch."))
        self.scale = fields.scale[0, 0].numpy().astype(np.float64).reshape(-1)
        self.inverse = fields.inverse[0].numpy()
        self.levels = []
        for level in fields.levels:
            blocks = []
            for block in level.blocks:
                S = Stencil(np.ascontiguousarray(block.K[0].numpy()), block.offsets)
                c, e = (f[0, 0].numpy().reshape(-1).copy() for f in (block.c, block.e))
                n = c.size
                blocks.append(_Block(S, c, e, np.zeros((n, 1), self.dtype), np.zeros((n, 1), self.dtype)))
            fine, coarse = (self._box(f[0, 0].numpy()) for f in (level.fine, level.coarse))
            self.levels.append((blocks, fine, coarse, tuple(level.fine.shape[2:]), tuple(level.coarse.shape[2:])))
        # Residual and result of each level below the finest, with the cells by which a level is padded.
        self.right = [np.zeros(level[3], self.dtype) for level in self.levels]
        self.left = [np.zeros(level[3], self.dtype) for level in self.levels]
        bottom = self.levels[-1][4] if self.levels else self.padded
        self.right.append(np.zeros(bottom, self.dtype))
        self.left.append(np.zeros(bottom, self.dtype))
        whole = tuple(slice(n) for n in self.grid)
        self.inside = (
            None if self.padded == self.grid else np.arange(math.prod(self.padded)).reshape(self.padded)[whole]
        )

    def _box(self, field: Array) -> Array:
        field = np.ascontiguousarray(field)
        return field[None] if self.flat else field

    def product_into(self, r: Array, out: Array) -> None:
        """Write B r into `out`, flat arrays of n entries, in the precision of `out`; r is normalised first."""
        size = float(np.abs(r).max(initial=0.0))
        if not np.isfinite(size):
            out[...] = np.nan
            return
        if size == 0.0:
            out[...] = 0.0
            return
        # The scale of D too: single precision must hold what is in between.
        unit = float(self.scale.max())
        x, z = self.right[0].reshape(-1), self.left[0].reshape(-1)
        if self.inside is None:
            scaled_into(self.scale, r, 1.0 / (size * unit), x)
        else:
            x[self.inside.reshape(-1)] = self.scale[self.inside.reshape(-1)] * r / (size * unit)
        self._level(0)
        if self.inside is None:
            scaled_into(self.scale, z, size * unit, out)
        else:
            out[...] = (self.scale * z)[self.inside.reshape(-1)] * (size * unit)

    def _level(self, depth: int) -> None:
        r, z = self.right[depth], self.left[depth]
        if depth == len(self.levels):
            np.dot(self.inverse, r.reshape(-1), out=z.reshape(-1))
            return
        blocks, fine, coarse, grid, half = self.levels[depth]
        before = r.reshape(-1, 1)
        for block in blocks:
            block.S._matmat_into(before, block.smoothed)
            before = block.smoothed
        innermost = self._view(blocks[-1].smoothed.reshape(grid))
        inner, thickness = tuple(slice(n) for n in half), 1 if self.flat else 2
        restrict(fine, coarse, innermost, self._view(self.right[depth + 1][inner]), thickness)
        self._level(depth + 1)
        c = self._view(blocks[-1].c.reshape(grid))
        correct(fine, coarse, self._view(self.left[depth + 1][inner]), c, innermost, thickness)
        for i in reversed(range(len(blocks))):
            block = blocks[i]
            if i < len(blocks) - 1:
                combine(block.c, block.smoothed.reshape(-1), blocks[i + 1].raised.reshape(-1))
            target = z.reshape(-1, 1) if i == 0 else block.raised
            block.S._rmatmat_into(block.smoothed, target)
            source = r if i == 0 else blocks[i - 1].smoothed
            add_diagonal(block.e, source.reshape(-1), target.reshape(-1))

    def _view(self, field: Array) -> Array:
        return field[None] if self.flat else field


def compiled_cycle(fields: CycleFields) -> CompiledCycle | None:
    """Return the compiled form, None where there is none: on a device, for several operators, linear transfers."""
    if fields.inverse.device.type != "cpu" or fields.inverse.shape[0] != 1 or fields.transfer != "constant":
        return None
    return CompiledCycle(fields)
