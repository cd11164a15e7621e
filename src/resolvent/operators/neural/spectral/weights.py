"""The multiplier of a spectral convolution: one complex matrix for each retained mode."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import Literal, final, get_args

import torch

from ..model import check_among
from ..parameters import complex_pair

Implementation = Literal["factorized", "reconstructed"]
"""Whether the factors meet the coefficients one after the other, or make the matrices first."""


class SpectralWeights(torch.nn.Module, abc.ABC):
    """Complex matrices R_k, one for each stored mode k, in whatever form they are stored.

    Parameters
    ----------
    c_in, c_out : int
        Size of each matrix.
    modes : sequence of int
        Stored modes of each axis.
    layers : int or None
        Layers that share the parameters (`joint`); None for one layer of its own.
    implementation : {"factorized", "reconstructed"}
        How `forward` computes; the result is the same.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        modes: Sequence[int],
        *,
        layers: int | None = None,
        implementation: Implementation = "factorized",
    ) -> None:
        super().__init__()
        check_among("implementation", implementation, get_args(Implementation))
        self.c_in, self.c_out, self.modes = c_in, c_out, tuple(modes)
        self.layers, self.implementation = layers, implementation

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the modes of the weight as one tensor: layers if shared, c_in, c_out, Fourier modes."""
        return (*(() if self.layers is None else (self.layers,)), self.c_in, self.c_out, *self.modes)

    @abc.abstractmethod
    def dense(self, kept: tuple[slice, ...] | None = None, layer: int | None = None) -> torch.Tensor:
        """Return the matrices of the kept modes, all by default: complex (*kept modes, c_in, c_out)."""

    @abc.abstractmethod
    def contract(self, z: torch.Tensor, kept: tuple[slice, ...], layer: int | None) -> torch.Tensor:
        """Multiply complex coefficients (*kept modes, B, c_in) without making the matrices."""

    def forward(self, z: torch.Tensor, kept: tuple[slice, ...], layer: int | None = None) -> torch.Tensor:
        """Multiply the coefficients of the kept modes.

        Parameters
        ----------
        z : real (*kept modes, B, c_in, 2) tensor
            Real and imaginary parts.
        kept : tuple of slice
            Of the stored modes of each axis.
        layer : int or None
            Which of the layers, where they share parameters.

        Returns
        -------
        real (*kept modes, B, c_out, 2) tensor
        """
        # One complex product of each mode takes less time than two, three or four real ones (2.0 ms against 2.2 to 2.9
        # for 144 modes of 32 channels, batch 20, with gradients), and less memory.
        y = torch.view_as_complex(z.contiguous())
        if self.implementation == "factorized":
            return torch.view_as_real(self.contract(y, kept, layer))
        return torch.view_as_real(torch.matmul(y, self.dense(kept, layer)))


@final
class DenseWeights(SpectralWeights):
    """Every entry of every matrix; E|w|² = 2 / (c_in + c_out) at the start."""

    def __init__(self, c_in: int, c_out: int, modes: Sequence[int], *, layers: int | None = None) -> None:
        super().__init__(c_in, c_out, modes, layers=layers, implementation="reconstructed")
        leading = () if layers is None else (layers,)
        self.entries = complex_pair(torch.randn(*leading, *modes, c_in, c_out, 2) / math.sqrt(c_in + c_out))

    def dense(self, kept: tuple[slice, ...] | None = None, layer: int | None = None) -> torch.Tensor:
        """Return the matrices."""
        return torch.view_as_complex(self.entries if layer is None else self.entries[layer])[kept or ...]

    def contract(self, z: torch.Tensor, kept: tuple[slice, ...], layer: int | None) -> torch.Tensor:
        """Multiply mode by mode."""
        return torch.matmul(z, self.dense(kept, layer))


def random_factor(*shape: int, std: float) -> torch.nn.Parameter:
    """Return a complex factor with E|a|² = std²."""
    return complex_pair(torch.randn(*shape, 2) * (std / math.sqrt(2.0)))


def target_std(c_in: int, c_out: int) -> float:
    """Return √E|w|² of an entry at the start, whatever the form: σ = √(2 / (c_in + c_out))."""
    return math.sqrt(2.0 / (c_in + c_out))


def frequency_product(factors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the (*modes, r) products of one row of each of the (M_i, r) factors."""
    product = factors[0]
    for factor in factors[1:]:
        product = product[..., None, :] * factor
    return product
