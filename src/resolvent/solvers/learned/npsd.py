"""The network of neural preconditioned steepest descent: a V-cycle of stencils computed from an image of the cells."""

from __future__ import annotations

from typing import final

import torch

from ...operators import Props
from ...operators.neural.model import check_whole
from .levels import Level
from .network import PreconditionerNetwork
from .stencils import ImageField, apply_stencil, cube
from .transfers import POOLS, gather, interpolate

Fields = list[tuple[torch.Tensor, ...]]


@final
class NPSD(PreconditionerNetwork):
    """The published cycle in three dimensions: linear in the residual, neither symmetric nor definite.

    r is smoothed and averaged over 2³ cells, n times; the coarsest result is smoothed and interpolated back, smoothed
    again, and added as x ← c₀ x + c₁ u with numbers that are means over the cells. Each smoothing is an image
    stencil. Images of coarser levels are averages of the finest: they do not know the equation, so that iterations grow
    with the grid, and one network serves one resolution. Use `SPDCycle` unless this one is what is to be studied; as M
    it needs `FlexibleCG` or `FGMRES`.

    Parameters
    ----------
    coarsenings : int
        n: 4 have 20,582 parameters, 5 have 25,174.

    References
    ----------
    Lan, Palumbo, Kala & Hyde 2024, "A neural-preconditioned Poisson solver for mixed Dirichlet and Neumann boundary
    conditions", ICML, doi:10.48550/arXiv.2310.00177.

    Examples
    --------
    >>> from resolvent.solvers.learned import NPSD
    >>> sum(p.numel() for p in NPSD(coarsenings=4).parameters())
    20582
    """

    props = Props.VARIABLE

    def __init__(self, *, coarsenings: int = 4) -> None:
        super().__init__(3)
        check_whole("coarsenings", coarsenings)
        self.options = {"coarsenings": coarsenings}
        self.offsets = cube(3)

        def stencil() -> ImageField:
            block = ImageField(3, 27, 3)
            with torch.no_grad():
                block.weight.normal_(0.0, 0.01)
                block.bias.normal_(0.0, 0.01)
                block.bias[13] += 1.0
            return block

        def number() -> ImageField:
            field = ImageField(3, 1, 3)
            with torch.no_grad():
                field.bias[0] = 0.5
            return field

        self.before = torch.nn.ModuleList(stencil() for _ in range(coarsenings + 1))
        self.after = torch.nn.ModuleList(stencil() for _ in range(coarsenings))
        self.numbers = torch.nn.ModuleList(number() for _ in range(2 * coarsenings))

    def prepare(self, level: Level) -> Fields:
        """Compute stencils and numbers for B operators.

        Raises
        ------
        ValueError
            If the extents cannot be halved so many times.
        """
        n, parts = len(self.after), 2 ** len(self.after)
        if any(extent % parts for extent in level.grid):
            raise ValueError(
                f"NPSD with {n} coarsenings needs extents that {parts} divides, got "
                f"{' × '.join(map(str, level.grid))}: take fewer coarsenings"
            )
        weight = next(self.parameters())
        total = level.faces.sum(1)
        walls = ((level.diagonal - level.multiply(torch.ones_like(level.fluid[:, None]))[:, 0]) < 0.0).to(total)
        solid = 1.0 - level.fluid
        # Air, where a value is given, shows as rows that lose more than they gain; the outer wall is among them.
        air = level.fluid * walls
        image = torch.stack([air, level.fluid - air, solid], 1).to(weight)
        pool = POOLS[3]
        assert pool is not None
        fields: Fields = []
        for i, after in enumerate(self.after):
            c = [self.numbers[2 * i + j](image).mean((1, 2, 3, 4))[:, None, None, None, None] for j in range(2)]
            fields.append((self.before[i](image), after(image), *c))
            image = pool(image, 2)
        fields.append((self.before[-1](image),))
        return fields

    def correct(self, prepared: Fields, r: torch.Tensor) -> torch.Tensor:
        """Return the correction for residuals (B, m, *grid)."""
        x = r.to(next(self.parameters()))
        passed = []
        for K, *_ in prepared[:-1]:
            x = apply_stencil(K, x, self.offsets)
            passed.append(x)
            x = gather(x) / 8.0
        x = apply_stencil(prepared[-1][0], x, self.offsets)
        for (_, K, c0, c1), fine in zip(reversed(prepared[:-1]), reversed(passed), strict=True):
            x = c0 * fine + c1 * apply_stencil(K, interpolate(x), self.offsets)
        return x.to(r.dtype)
