"""Multipliers as a small core with a basis for each mode: the Tucker decomposition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self, final

import torch

from ..parameters import complex_pair
from .ranks import tucker_ranks
from .weights import Implementation, SpectralWeights, random_factor, target_std


@final
class TuckerWeights(SpectralWeights):
    """W = core ×_i U^(i) over c_in, c_out and the Fourier modes, and before them the layers if they share it.

    Parameters
    ----------
    c_in, c_out : int
        Size of each matrix.
    modes : sequence of int
        Stored modes of each axis.
    rank : float
        Fraction of the dense entries to keep; ranks are the same part of each size.
    layers : int or None
        Layers that share core and bases.
    implementation : {"factorized", "reconstructed"}
        Both expand the core over the frequencies, r_in r_out numbers a mode. Factor by factor, the coefficients then
        pass three small matrices; rebuilt, one of c_in × c_out.

    Notes
    -----
    Πr + Σ r n numbers.

    References
    ----------
    Kossaifi, Kovachki, Azizzadenesheli, Anandkumar, Multi-grid tensorized Fourier neural operator for high-resolution
    PDEs, TMLR 2024, doi:10.48550/arXiv.2310.00120. De Lathauwer, De Moor, Vandewalle, A multilinear singular value
    decomposition, SIAM J. Matrix Anal. Appl. 21 (2000), doi:10.1137/S0895479896305696.

    Examples
    --------
    >>> weights = TuckerWeights(32, 32, (16, 9), rank=0.1)
    >>> tuple(weights.core.shape[:-1])
    (18, 18, 9, 5)
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
        ranks = tucker_ranks(self.sizes, rank)
        std = (target_std(c_in, c_out) / math.sqrt(math.prod(ranks))) ** (1.0 / (len(ranks) + 1))
        self.core = random_factor(*ranks, std=std)
        self.factors = torch.nn.ParameterList(
            random_factor(n, r, std=std) for n, r in zip(self.sizes, ranks, strict=True)
        )

    @classmethod
    def from_dense(cls, W: torch.Tensor, rank: float = 0.1) -> Self:
        """Return the truncated higher-order SVD of matrices (*modes, c_in, c_out): within √q of the best for q modes.

        The same ranks as a new one of that `rank`; exact where they are the sizes.
        """
        tensor = W.movedim((-2, -1), (0, 1))
        c_in, c_out, *modes = tensor.shape
        weights = cls(c_in, c_out, modes, rank)
        core = tensor
        with torch.no_grad():
            for i, factor in enumerate(weights.factors):
                unfolded = tensor.movedim(i, 0).flatten(1)
                U = torch.linalg.svd(unfolded, full_matrices=False).U[:, : factor.shape[1]]
                if U.shape[1] < factor.shape[1]:  # more columns asked for than there are independent ones
                    U = torch.nn.functional.pad(U, (0, factor.shape[1] - U.shape[1]))
                weights.factors[i] = complex_pair(U)
                core = torch.tensordot(U.mH, core.movedim(i, 0), 1).movedim(0, i)
            weights.core = complex_pair(core)
        return weights

    def _parts(
        self, kept: tuple[slice, ...] | None, layer: int | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the bases of c_in and c_out, (n, r), and the core expanded over the modes, (*kept, r_in, r_out)."""
        factors = [torch.view_as_complex(factor) for factor in self.factors]
        core = torch.view_as_complex(self.core)
        if layer is not None:
            core = torch.tensordot(factors.pop(0)[layer], core, 1)
        rows = kept or (slice(None),) * len(self.modes)
        for factor, row in zip(reversed(factors[2:]), reversed(rows), strict=True):
            core = torch.tensordot(factor[row], core, ([1], [-1]))
        return factors[0], factors[1], core

    def dense(self, kept: tuple[slice, ...] | None = None, layer: int | None = None) -> torch.Tensor:
        """Return the matrices."""
        U, V, core = self._parts(kept, layer)
        return torch.matmul(torch.matmul(U, core), V.T)

    def contract(self, z: torch.Tensor, kept: tuple[slice, ...], layer: int | None) -> torch.Tensor:
        """Project on the basis of c_in, apply the core of the frequency, expand on the basis of c_out."""
        U, V, core = self._parts(kept, layer)
        return torch.matmul(torch.matmul(torch.matmul(z, U), core), V.T)
