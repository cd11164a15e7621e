"""Multipliers as a sum of products of vectors: the canonical polyadic decomposition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch

from .ranks import cp_rank
from .weights import Implementation, SpectralWeights, frequency_product, random_factor, target_std


@final
class CPWeights(SpectralWeights):
    """W = Σ_r λ_r ⊗_i a_r^(i) over c_in, c_out and the Fourier modes, and before them the layers if they share it.

    Parameters
    ----------
    c_in, c_out : int
        Size of each matrix.
    modes : sequence of int
        Stored modes of each axis.
    rank : float
        Fraction of the dense entries to keep: R = round(rank · Πn / Σn).
    layers : int or None
        Layers that share the factors.
    implementation : {"factorized", "reconstructed"}
        Factor by factor, a mode costs R (c_in + c_out) a sample; rebuilt, R c_in c_out once and c_in c_out a sample.

    Notes
    -----
    R (1 + Σn) numbers. The rank is that of the whole tensor and larger than the channels at usual fractions, so that
    neither implementation is faster than dense weights: it is a regulariser and saves memory.

    References
    ----------
    Kossaifi, Kovachki, Azizzadenesheli, Anandkumar, Multi-grid tensorized Fourier neural operator for high-resolution
    PDEs, TMLR 2024, doi:10.48550/arXiv.2310.00120.

    Examples
    --------
    >>> weights = CPWeights(32, 32, (16, 9), rank=0.1)
    >>> [tuple(factor.shape[:2]) for factor in weights.factors]
    [(32, 166), (32, 166), (16, 166), (9, 166)]
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        modes: Sequence[int],
        rank: float = 0.1,
        *,
        layers: int | None = None,
        implementation: Implementation = "factorized",
    ) -> None:
        super().__init__(c_in, c_out, modes, layers=layers, implementation=implementation)
        R = cp_rank(self.sizes, rank)
        std = (target_std(c_in, c_out) / math.sqrt(R)) ** (1.0 / len(self.sizes))
        self.scale = torch.nn.Parameter(torch.ones(R))
        self.factors = torch.nn.ParameterList(random_factor(n, R, std=std) for n in self.sizes)

    def _parts(
        self, kept: tuple[slice, ...] | None, layer: int | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the factors of c_in and of c_out, (n, R), and those of the kept modes, (*kept modes, 1, R)."""
        factors = [torch.view_as_complex(factor) for factor in self.factors]
        scale = self.scale if layer is None else self.scale * factors.pop(0)[layer]
        rows = kept or (slice(None),) * len(self.modes)
        frequencies = [factor[row] for factor, row in zip(factors[2:], rows, strict=True)]
        return factors[0], factors[1], frequency_product([scale * frequencies[0], *frequencies[1:]])[..., None, :]

    def dense(self, kept: tuple[slice, ...] | None = None, layer: int | None = None) -> torch.Tensor:
        """Return the matrices."""
        A, B, F = self._parts(kept, layer)
        return torch.matmul(A * F, B.T)

    def contract(self, z: torch.Tensor, kept: tuple[slice, ...], layer: int | None) -> torch.Tensor:
        """Project on the factors of c_in, scale by those of the frequency, expand on those of c_out."""
        A, B, F = self._parts(kept, layer)
        return torch.matmul(torch.matmul(z, A) * F, B.T)
