"""Multipliers as a chain of order-3 cores: the tensor train."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self, final

import torch

from ..parameters import complex_pair
from .ranks import tensor_train_ranks
from .weights import Implementation, SpectralWeights, random_factor, target_std


@final
class TensorTrainWeights(SpectralWeights):
    """W = G_1 G_2 … G_q, cores (ρ_{i−1}, n_i, ρ_i) of (the layers if they share it,) c_in, c_out, the Fourier modes.

    Parameters
    ----------
    c_in, c_out : int
        Size of each matrix.
    modes : sequence of int
        Stored modes of each axis.
    rank : float
        Fraction of the dense entries to keep; ρ_i is the same part of (n_i + n_{i+1}) / 2.
    layers : int or None
        Layers that share the cores.
    implementation : {"factorized", "reconstructed"}
        Both make the product of the frequency cores and of that of c_out, ρ c_out numbers a mode. Factor by factor,
        the coefficients then pass c_in × ρ and ρ × c_out; rebuilt, one matrix of c_in × c_out.

    Notes
    -----
    Σ ρ_{i−1} n_i ρ_i numbers.

    References
    ----------
    Oseledets, Tensor-train decomposition, SIAM J. Sci. Comput. 33 (2011), doi:10.1137/090752286. As weights of a
    neural operator: Kossaifi et al., TMLR 2024, doi:10.48550/arXiv.2310.00120.

    Examples
    --------
    >>> weights = TensorTrainWeights(32, 32, (16, 9), rank=0.1)
    >>> [tuple(core.shape[:-1]) for core in weights.cores]
    [(1, 32, 22), (22, 32, 17), (17, 16, 9), (9, 9, 1)]
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
        ranks = tensor_train_ranks(self.sizes, rank)
        std = (target_std(c_in, c_out) / math.sqrt(math.prod(ranks))) ** (1.0 / len(self.sizes))
        chain = [1, *ranks, 1]
        self.cores = torch.nn.ParameterList(
            random_factor(a, n, b, std=std) for a, n, b in zip(chain, self.sizes, chain[1:], strict=False)
        )

    @classmethod
    def from_dense(cls, W: torch.Tensor, rank: float = 0.1) -> Self:
        """Return matrices (*modes, c_in, c_out) by TT-SVD: within √(q − 1) of the best for q modes.

        The same ranks as a new one of that `rank`; exact where they are those of the tensor.
        """
        tensor = W.movedim((-2, -1), (0, 1))
        c_in, c_out, *modes = tensor.shape
        weights = cls(c_in, c_out, modes, rank)
        rest, before = tensor, 1
        for i, core in enumerate(weights.cores):
            if i == len(weights.cores) - 1:
                weights.cores[i] = complex_pair(rest.reshape(before, core.shape[1], 1))
                break
            U, S, Vh = torch.linalg.svd(rest.reshape(before * core.shape[1], -1), full_matrices=False)
            after = min(core.shape[2], len(S))
            weights.cores[i] = complex_pair(U[:, :after].reshape(before, core.shape[1], after))
            rest, before = S[:after, None] * Vh[:after], after
        return weights

    def _parts(self, kept: tuple[slice, ...] | None, layer: int | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the core of c_in, (c_in, ρ), and the product of the others, (*kept modes, ρ, c_out)."""
        cores = [torch.view_as_complex(core) for core in self.cores]
        if layer is None:
            first = cores.pop(0)[0]
        else:
            first = torch.tensordot(cores.pop(0)[0, layer], cores.pop(0), 1)
        rows = kept or (slice(None),) * len(self.modes)
        tail = cores[-1][:, rows[-1], 0].T
        for core, row in zip(reversed(cores[1:-1]), reversed(rows[:-1]), strict=True):
            tail = torch.tensordot(core[:, row], tail, ([2], [-1])).movedim(0, -1)
        return first, torch.tensordot(tail, cores[0], ([-1], [2]))

    def dense(self, kept: tuple[slice, ...] | None = None, layer: int | None = None) -> torch.Tensor:
        """Return the matrices."""
        first, others = self._parts(kept, layer)
        return torch.matmul(first, others)

    def contract(self, z: torch.Tensor, kept: tuple[slice, ...], layer: int | None) -> torch.Tensor:
        """Apply the core of c_in, then what the others make of each frequency."""
        first, others = self._parts(kept, layer)
        return torch.matmul(torch.matmul(z, first), others)
