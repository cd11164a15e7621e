"""A spectral convolution whose Fourier transforms are learned Monarch operators.

The Fourier transform of n = m² points, with its points in transposed order, is exactly a Monarch operator
(`resolvent.operators.Monarch`): row f = i m + j is B₁_j[i, k] B₂_k[j, l] at the point l m + k. Here the entries of the
rows of the retained modes are parameters, which start as those of the Fourier transform.

A learned transform belongs to its m² points. Other grids are resampled to them by trigonometric interpolation, a matrix
that is multiplied into that of the transform: grids of any size cost what they cost the Fourier transform by matrices,
and at the start the layer equals `SpectralConvolution` on every grid that, like the m² points, has all the modes below
its Nyquist frequency. What is lost against it: frequencies above m²/2 do not enter, and once the transforms are not
Fourier's any more, the layer depends on the choice of m and of the origin, and does not commute with translations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch

from ..parameters import complex_pair
from .convolution import without_autocast
from .transforms import analyse, complex_axis, kept_matrix, real_axis, synthesise, waves
from .weights import SpectralWeights


@final
class MonarchRows(torch.nn.Module):
    """The rows low … high − 1 of a learned transform of n = m² points: complex, at the start exp(−2πi f t / n).

    Only what enters these rows is stored: (high − low) m numbers of B₁, and m² of B₂ for each remainder j = f mod m
    that occurs.
    """

    column: torch.Tensor

    def __init__(self, m: int, low: int, high: int) -> None:
        super().__init__()
        n = m * m
        f = torch.arange(low, high) % n
        used, column = torch.unique(f % m, return_inverse=True)
        self.register_buffer("column", column, persistent=False)
        self.B1 = _pairs(waves(n, 0, m)[:, f].transpose(0, 1))  # exp(−2πi f k / n): twiddle and B₁ together
        small = waves(m, 0, m)[used]
        self.B2 = _pairs(small.expand(m, -1, -1, -1))  # exp(−2πi j l / m), for each k

    def forward(self) -> torch.Tensor:
        """Return the rows as pairs (high − low, m², 2)."""
        a, b = self.B1[:, None].unbind(-1)  # (f, 1, k)
        c, s = self.B2[:, self.column].permute(1, 2, 0, 3).unbind(-1)  # (f, l, k)
        return torch.stack([a * c - b * s, a * s + b * c], -1).flatten(1, 2)


@final
class MonarchConvolution(torch.nn.Module):
    """S x = T′(R · T x) + bias with learned transforms T, T′ of m² points an axis, on fields (B, *grid, c_in).

    Parameters
    ----------
    weights : SpectralWeights
        R.
    n_modes : sequence of int
        Retained modes of each axis, both signs counted, at most m².
    m : int
        Root of the points of an axis.

    References
    ----------
    Dao et al., Monarch: expressive structured matrices for efficient and accurate training, ICML 2022,
    doi:10.48550/arXiv.2204.00595.
    """

    multiplicity: torch.Tensor

    def __init__(self, weights: SpectralWeights, n_modes: Sequence[int], m: int) -> None:
        super().__init__()
        self.m, self.weights = m, weights
        if max(n_modes) > m * m:
            raise ValueError(
                f"a transform of {m}² points has {m * m} modes, got n_modes {list(n_modes)}: choose m larger"
            )
        ranges = [(-(M // 2), M - M // 2) for M in n_modes[:-1]] + [(0, n_modes[-1] // 2 + 1)]
        self.forward_rows = torch.nn.ModuleList(MonarchRows(m, low, high) for low, high in ranges)
        self.inverse_rows = torch.nn.ModuleList(MonarchRows(m, low, high) for low, high in ranges)
        # Of a real field, modes between 0 and n/2 stand for their conjugates too.
        k = torch.arange(ranges[-1][1])
        single = (k == 0) | (2 * k == m * m)
        self.register_buffer("multiplicity", torch.where(single, 1.0, 2.0), persistent=False)
        self.bias = torch.nn.Parameter(torch.zeros(weights.c_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return S x, (B, *grid, c_out)."""
        with without_autocast(x):
            x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
            n, d, grid = self.m**2, x.ndim - 2, x.shape[1:-1]
            there, back = [], []
            for axis, N in enumerate(grid):
                A = torch.einsum("ftp,tN->fNp", self.forward_rows[axis]() / n, resampling(N, n, x))
                B = torch.einsum("ftp,Nt->fNp", self.inverse_rows[axis](), resampling(n, N, x))
                if axis < d - 1:
                    there.append(complex_axis(A))
                    back.append(complex_axis(B).T)
                else:
                    there.append(real_axis(A))
                    back.append(real_axis(B * self.multiplicity[:, None, None]).T)
            z = analyse(x, there)
            whole = tuple(slice(None) for _ in range(d))
            return synthesise(self.weights(z, whole), back) + self.bias


def resampling(N: int, n: int, like: torch.Tensor) -> torch.Tensor:
    """Return the (n, N) matrix of trigonometric interpolation of N periodic points at n points.

    Frequencies below the lower of the two Nyquist frequencies are kept, the others removed.
    """

    def build() -> torch.Tensor:
        if n == N:
            return torch.eye(n, dtype=torch.float64)
        K = (min(N, n) + 1) // 2
        weight = torch.where(torch.arange(K) == 0, 1.0, 2.0).double()[:, None, None] / N
        return real_axis(waves(n, 0, K)).T @ real_axis(weight * waves(N, 0, K))

    return kept_matrix(("resampling", N, n), build, like)


def _pairs(values: torch.Tensor) -> torch.nn.Parameter:
    return complex_pair(values.to(torch.get_default_dtype()).clone(memory_format=torch.contiguous_format))
