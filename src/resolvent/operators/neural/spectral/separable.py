"""Multipliers that leave the channels apart: one number for each channel and frequency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch

from ..parameters import complex_pair
from .weights import SpectralWeights


@final
class SeparableWeights(SpectralWeights):
    """Diagonal matrices: channels mix only in the pointwise maps around the convolution.

    Parameters
    ----------
    channels : int
        Of the input and of the output.
    modes : sequence of int
        Stored modes of each axis.
    layers : int or None
        Layers that share one parameter, each with its own slice.

    Notes
    -----
    channels · Πmodes numbers. E|w|² = 1 at the start, not 2 / (c_in + c_out): an output channel is one product and not
    a sum of c_in of them, and should have the same size.

    Examples
    --------
    >>> SeparableWeights(32, (16, 9)).entries.shape
    torch.Size([16, 9, 32, 2])
    """

    def __init__(self, channels: int, modes: Sequence[int], *, layers: int | None = None) -> None:
        super().__init__(channels, channels, modes, layers=layers, implementation="factorized")
        leading = () if layers is None else (layers,)
        self.entries = complex_pair(torch.randn(*leading, *modes, channels, 2) / math.sqrt(2.0))

    def _kept(self, kept: tuple[slice, ...] | None, layer: int | None) -> torch.Tensor:
        return torch.view_as_complex(self.entries if layer is None else self.entries[layer])[kept or ...]

    def dense(self, kept: tuple[slice, ...] | None = None, layer: int | None = None) -> torch.Tensor:
        """Return the matrices, which are diagonal."""
        return torch.diag_embed(self._kept(kept, layer))

    def contract(self, z: torch.Tensor, kept: tuple[slice, ...], layer: int | None) -> torch.Tensor:
        """Multiply channel by channel."""
        return z * self._kept(kept, layer)[..., None, :]
