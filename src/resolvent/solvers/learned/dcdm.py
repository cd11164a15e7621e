"""The network of the deep conjugate direction method: convolutions on two grids, with activations.

Not linear, hence VARIABLE: it belongs into `FlexibleCG(mmax=2)`, which with this preconditioner is the published
iteration, each direction made A-conjugate to the two before it and followed by an exact line search. The publication
computes the residual anew in every step; `FlexibleCG` updates it, and computes it anew at the end and now and then.
"""

from __future__ import annotations

from typing import Any, final

import torch

from ...operators import Props
from ...operators.neural.model import check_among, check_whole
from .levels import Level
from .network import PreconditionerNetwork
from .stencils import convolved
from .transfers import POOLS

SIZES: dict[int, tuple[int, int, int]] = {64: (4, 6, 4), 128: (6, 10, 6)}
"""Convolutions of the fine branch, at half resolution, and after it, by published resolution."""


@final
class DCDM(PreconditionerNetwork):
    """q = f(r/‖r‖) of the deep conjugate direction method.

    A linear convolution to `width` channels; a branch on the grid, of convolutions with activations, its skips each
    over two of them; one on the grid of half the cells, of residual pairs; their sum, more pairs, and a pointwise map
    to one channel. It is given the residual alone: obstacles act through r and A only. One coarsening means that it
    sees a fixed number of cells: its iterations grow with the grid.

    Parameters
    ----------
    dim : {2, 3}
        Dimension of the grid; the published networks are three-dimensional.
    size : {64, 128}
        Which of the two published ones: for three dimensions 97,457 and 152,881 parameters. Both take any grid.
    width : int
        Channels, 16 in the publication.

    By the published loss, ``loss="residual"``, and minutes of one core it takes as many iterations as CG, or more; by
    the energy that is left, ``loss="energy"``, on mixtures of Ritz vectors and residuals of its own iteration, a ninth
    of CG's on 64² and a seventh on 256², with one model for each. An iteration costs more than a hundred times as much
    as one of CG on a CPU, and more than a whole solve by multigrid: it does not pay (``benchmarks/learned.py``).

    References
    ----------
    Kaneda, Akar, Chen, Kala, Hyde & Teran 2023, "A deep conjugate direction method for iteratively solving linear
    systems", ICML, arXiv:2205.10763, doi:10.48550/arXiv.2205.10763.

    Examples
    --------
    >>> from resolvent.solvers.learned import DCDM
    >>> sum(p.numel() for p in DCDM(dim=3, size=64).parameters())
    97457
    """

    props = Props.VARIABLE

    def __init__(self, *, dim: int, size: int = 64, width: int = 16) -> None:
        super().__init__(dim)
        check_among("dim", dim, (2, 3))
        check_among("size", size, tuple(SIZES))
        check_whole("width", width)
        self.options = {"dim": dim, "size": size, "width": width}
        kinds: Any = {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}
        convolution = kinds[dim]
        fine, half, last = SIZES[size]

        def several(count: int) -> torch.nn.ModuleList:
            return torch.nn.ModuleList(convolution(width, width, 3, padding=1) for _ in range(count))

        self.stem = convolution(1, width, 3, padding=1)
        self.fine, self.pooled, self.last = several(fine), several(half), several(last)
        self.head = convolution(width, 1, 1)
        self.skips = {4: (2,), 6: (2, 4)}[fine]
        # The faster order on a CPU. The annotations of torch do not know this call.
        module: Any = self
        module.to(memory_format=(torch.channels_last, torch.channels_last_3d)[dim - 2])

    def prepare(self, level: Level) -> torch.Tensor:
        """Return the mask of the domain, outside of which there is nothing to correct."""
        return level.fluid[:, None]

    def correct(self, prepared: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        """Return f(r/‖r‖) for residuals (B, m, *grid); the result does not depend on the size of r."""
        weight = self.stem.weight
        norm = torch.linalg.vector_norm(r.flatten(2), dim=2).reshape(*r.shape[:2], *(1,) * self.dim)
        unit = (r / norm.clamp_min(torch.finfo(r.dtype).tiny)).to(weight.dtype)
        # Entries of a unit vector are as small as n^−½: networks want them of order one.
        scale = float(unit[0, 0].numel()) ** 0.5
        q = self._network((unit * scale).flatten(0, 1).unsqueeze(1))
        return q.squeeze(1).unflatten(0, r.shape[:2]).to(r.dtype) / scale * prepared.to(r.dtype)

    def _network(self, x: torch.Tensor) -> torch.Tensor:
        sides = [side for n in reversed(x.shape[2:]) for side in (0, n % 2)]
        grid = x.shape[2:]
        if any(sides):
            x = torch.nn.functional.pad(x, sides)
        x = _convolved(self.stem, x)
        pool = POOLS[self.dim]
        assert pool is not None
        coarse = _pairs(self.pooled, pool(x, 2))
        kept = x
        for i, convolution in enumerate(self.fine, 1):
            x = _convolved(convolution, x).relu_()
            if i in self.skips:
                x = kept = x + kept
        x = x + torch.nn.functional.interpolate(coarse, scale_factor=2, mode="nearest")
        x = _convolved(self.head, _pairs(self.last, x))
        return x[(slice(None), slice(None), *(slice(n) for n in grid))]


def _pairs(convolutions: torch.nn.ModuleList, x: torch.Tensor) -> torch.Tensor:
    """Apply residual pairs, x ← relu(x + K₂ relu(K₁ x))."""
    for first, second in zip(convolutions[::2], convolutions[1::2], strict=True):
        x = _convolved(second, _convolved(first, x).relu_()).add_(x).relu_()
    return x


def _convolved(layer: Any, x: torch.Tensor) -> torch.Tensor:
    return convolved(x, layer.weight, layer.bias, layer.padding[0])
