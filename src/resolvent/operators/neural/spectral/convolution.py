"""The spectral convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch

from .modes import kept_modes
from .transforms import coefficients, field
from .weights import SpectralWeights


@final
class SpectralConvolution(torch.nn.Module):
    """S x = F⁻¹(R · F x) + bias on fields (B, *grid, c_in), for the retained modes.

    Coefficients do not depend on the grid, so that a band-limited input below its Nyquist frequency gives the same
    function on every grid. A grid too coarse for some modes leaves them out.

    Parameters
    ----------
    weights : SpectralWeights
        R.
    n_modes : sequence of int
        Retained modes of each axis, both signs counted: −M/2 … M/2 − 1 on full axes, 0 … M/2 on the last.
    """

    def __init__(self, weights: SpectralWeights, n_modes: Sequence[int]) -> None:
        super().__init__()
        self.n_modes = tuple(n_modes)
        self.weights = weights
        self.bias = torch.nn.Parameter(torch.zeros(weights.c_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return S x, (B, *grid, c_out)."""
        grid = x.shape[1:-1]
        z = self.weights(coefficients(x, self.n_modes), kept_modes(self.n_modes, grid))
        return field(z, self.n_modes, grid) + self.bias
