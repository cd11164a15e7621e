"""The spectral convolution."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, final, get_args

import torch

from ..model import check_among
from .fast_transforms import MANY, fast_coefficients, fast_field
from .modes import kept_modes
from .transforms import coefficients, field
from .weights import SpectralWeights

Transform = Literal["auto", "matrices", "fast"]
"""How the Fourier coefficients are computed; ``auto`` takes fast transforms beyond 96 retained modes an axis."""


@final
class SpectralConvolution(torch.nn.Module):
    """S x = F⁻¹(R · F x) + bias on fields (B, *grid, c_in), for the retained modes.

    Coefficients do not depend on the grid, so that a band-limited input below its Nyquist frequency gives the same
    function on every grid. A grid too coarse for some modes leaves them out. Half precision is left for single: the
    sum over all points would lose it.

    Parameters
    ----------
    weights : SpectralWeights
        R.
    n_modes : sequence of int
        Retained modes of each axis, both signs counted: −M/2 … M/2 − 1 on full axes, 0 … M/2 on the last.
    transform : {"auto", "matrices", "fast"}
    """

    def __init__(self, weights: SpectralWeights, n_modes: Sequence[int], transform: Transform = "auto") -> None:
        super().__init__()
        check_among("transform", transform, get_args(Transform))
        self.n_modes = tuple(n_modes)
        self.weights = weights
        self.bias = torch.nn.Parameter(torch.zeros(weights.c_out))
        self.transform = transform

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return S x, (B, *grid, c_out)."""
        grid = x.shape[1:-1]
        kept = kept_modes(self.n_modes, grid)
        many = max(k.stop - k.start for k in (*kept[:-1], slice(0, 2 * kept[-1].stop - 2))) > MANY
        fast = self.transform == "fast" or (self.transform == "auto" and many)
        with without_autocast(x):
            x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
            if fast:
                z = self.weights(fast_coefficients(x, self.n_modes), kept)
                return fast_field(z, self.n_modes, grid) + self.bias
            z = self.weights(coefficients(x, self.n_modes), kept)
            return field(z, self.n_modes, grid) + self.bias


def without_autocast(x: torch.Tensor) -> AbstractContextManager[object]:
    """Return a context in which the products with x keep their precision."""
    kind = x.device.type
    # Nothing where there is nothing to switch off: an exported program would hold it as a part of its own.
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
