"""A preconditioner from MgNO's cycle: its Gram form, which is symmetric positive definite whatever the weights are."""

from __future__ import annotations

from typing import final

import torch

from ...operators import SPD
from ...operators.neural.mgno_cycle import VCycle
from ...operators.neural.model import check_among, check_whole
from .cycle import FLOOR
from .levels import Level
from .network import PreconditionerNetwork


@final
class MgNOGram(PreconditionerNetwork):
    """B = D^−½ (T'T + δ I) D^−½ with T a V-cycle of MgNO from one channel to several.

    T is a learned linear map r ↦ T r by convolutions alone (`VCycle`), T' its transpose by reverse differentiation: an
    application is two passes. The kernels know neither coefficient nor geometry, which act through D and the masked
    residual only, so that it suits one operator, or a family whose members differ little; and they know indices, not
    lengths, so that it suits the resolution of its training. `SPDCycle` has neither limit. On 64², trained on
    obstacles, it took 14 iterations on a nearly empty box and 111 on one with many of them; CG took 201 and 159.

    Parameters
    ----------
    dim : {2, 3}
        Dimension of the grid.
    levels : int
        Of the V-cycle.
    width : int
        Channels of T r.

    Examples
    --------
    >>> from resolvent.solvers.learned import MgNOGram
    >>> MgNOGram(dim=2, levels=3, width=4).options
    {'dim': 2, 'levels': 3, 'width': 4}
    """

    props = SPD

    def __init__(self, *, dim: int, levels: int = 5, width: int = 8) -> None:
        super().__init__(dim)
        check_among("dim", dim, (2, 3))
        check_whole("levels", levels)
        check_whole("width", width)
        self.options = {"dim": dim, "levels": levels, "width": width}
        self.cycle = VCycle(1, width, [1] * levels, dim=dim)
        self.floor = torch.nn.Parameter(torch.tensor(0.0))

    def prepare(self, level: Level) -> torch.Tensor:
        """Return D^−½."""
        return level.diagonal.rsqrt()[:, None]

    def correct(self, prepared: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        """Return B r for residuals (B, m, *grid)."""
        x = (prepared.to(r.dtype) * r).to(self.floor.dtype)
        columns = x.flatten(0, 1).unsqueeze(1)
        with torch.enable_grad():
            place = torch.zeros_like(columns, requires_grad=True)
            image = self.cycle(place)
            with torch.set_grad_enabled(torch.is_grad_enabled()):
                Tx = self.cycle(columns)
            (back,) = torch.autograd.grad(image, place, Tx, create_graph=self.training)
        delta = torch.nn.functional.softplus(self.floor) + FLOOR
        z = back.reshape(x.shape) + delta * x
        return (z if self.training else z.detach()).to(r.dtype) * prepared.to(r.dtype)
