"""The multiplier of a spectral convolution: one complex matrix for each retained mode."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import final

import torch

from ..parameters import complex_pair


class SpectralWeights(torch.nn.Module, abc.ABC):
    """Complex matrices R_k, one for each stored mode k, in whatever form they are stored.

    Parameters
    ----------
    c_in, c_out : int
        Size of each matrix.
    modes : sequence of int
        Stored modes of each axis.
    """

    def __init__(self, c_in: int, c_out: int, modes: Sequence[int]) -> None:
        super().__init__()
        self.c_in, self.c_out, self.modes = c_in, c_out, tuple(modes)

    @abc.abstractmethod
    def dense(self) -> torch.Tensor:
        """Return the matrices, complex (*modes, c_in, c_out)."""

    @abc.abstractmethod
    def forward(self, z: torch.Tensor, kept: tuple[slice, ...]) -> torch.Tensor:
        """Multiply the coefficients of the kept modes.

        Parameters
        ----------
        z : real (*kept modes, B, c_in, 2) tensor
            Real and imaginary parts.
        kept : tuple of slice
            Of the stored modes of each axis.

        Returns
        -------
        real (*kept modes, B, c_out, 2) tensor
        """


@final
class DenseWeights(SpectralWeights):
    """Every entry of every matrix; E|w|² = 2 / (c_in + c_out) at the start."""

    def __init__(self, c_in: int, c_out: int, modes: Sequence[int]) -> None:
        super().__init__(c_in, c_out, modes)
        self.entries = complex_pair(torch.randn(*modes, c_in, c_out, 2) / math.sqrt(c_in + c_out))

    def dense(self) -> torch.Tensor:
        """Return the matrices."""
        return torch.view_as_complex(self.entries)

    def forward(self, z: torch.Tensor, kept: tuple[slice, ...]) -> torch.Tensor:
        """Multiply mode by mode."""
        return multiply(z, self.dense()[kept])


def multiply(z: torch.Tensor, R: torch.Tensor) -> torch.Tensor:
    """Return z R_k mode by mode: pairs (*modes, B, c_in, 2) and complex (*modes, c_in, c_out)."""
    return torch.view_as_real(torch.matmul(torch.view_as_complex(z.contiguous()), R))
