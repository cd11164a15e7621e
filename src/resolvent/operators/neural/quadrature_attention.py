"""Attention between the points of a grid, as an integral over the domain.

Attention that sums over points depends on where they lie: crowded regions count more. Here every *source* point has its
quadrature weight Δ_i. (Weighting the result instead, as published code does, is no integral: on the test of 4000 points
x = t³ against as many equidistant ones, the outputs then differ by 79 %.)

A departure from the linear form of the reference: keys are divided by their root mean square over the domain, and
nothing else is normalised over points. Subtracting means, as instance normalisation does, would lose the mean of the
values.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal, final

import torch

from .channels import ChannelMLP, channels_first, channels_last
from .grids import Positions, coordinates, place_features, quadrature
from .model import NeuralOperator, check_among, check_whole

Form = Literal["linear", "softmax"]
FORMS = ("linear", "softmax")


def softmax_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return Σ_i exp(q·k_i/√E) Δ_i v_i / Σ_l exp(q·k_l/√E) Δ_l.

    Parameters
    ----------
    q : (..., M, E) tensor
    k, v : (..., N, E) tensor
    weights : (N,) tensor
        Δ, positive; a common factor does not matter.
    """
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=weights.log()[None, :])


def linear_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return q (kᵀ diag(Δ) v) / √E, with each column of k of norm 1: O(N E²) operations instead of O(N² E).

    Parameters
    ----------
    q : (..., M, E) tensor
    k, v : (..., N, E) tensor
    weights : (N,) tensor
        Δ, adding up to 1.
    """
    weighted = k * weights[:, None]
    norms = (weighted * k).sum(-2, keepdim=True)
    weighted = weighted * torch.rsqrt(norms + 1e-6)
    return q @ (weighted.transpose(-2, -1) @ v) / math.sqrt(q.shape[-1])


@final
class QuadratureAttention(torch.nn.Module):
    """Attention of several heads between points that have weights.

    Parameters
    ----------
    width : int
        Channels, a multiple of `heads`.
    heads : int
    dim : int
        Of the coordinates, or features of them, that queries, keys and values see beside the channels.
    form : {"linear", "softmax"}

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural.quadrature_attention import QuadratureAttention
    >>> attention = QuadratureAttention(width=8, heads=2, dim=1)
    >>> places = torch.rand(20, 1)
    >>> attention(torch.ones(3, 20, 8), places, torch.full((20,), 1 / 20)).shape
    torch.Size([3, 20, 8])
    """

    def __init__(self, width: int, heads: int, dim: int, form: Form = "linear") -> None:
        super().__init__()
        check_whole("width", width)
        check_whole("heads", heads)
        check_among("form", form, FORMS)
        if width % heads:
            raise ValueError(f"width must be a multiple of the {heads} heads, got {width}")
        self.heads, self.form = heads, form
        # Without bias: a constant added to all keys changes no softmax, and others come from what is before.
        self.split = torch.nn.Linear(width + dim, 3 * width, bias=False)
        self.join = torch.nn.Linear(width, width)

    def forward(self, x: torch.Tensor, places: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the attention of all points to all points.

        Parameters
        ----------
        x : (B, N, width) tensor
        places : (N, dim) tensor
            Coordinates.
        weights : (N,) tensor
            Quadrature weights, adding up to 1.

        Returns
        -------
        (B, N, width) tensor
        """
        seen = torch.cat([x, places.expand(x.shape[0], *places.shape)], dim=-1)
        q, k, v = self.split(seen).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attend = linear_attention if self.form == "linear" else softmax_attention
        joined: torch.Tensor = self.join(attend(q, k, v, weights).transpose(1, 2).flatten(2))
        return joined


@final
class AttentionOperator(NeuralOperator):
    """A transformer whose attention is an integral over the domain, for fields on grids or on scattered points.

    Values and coordinates are lifted point by point, go through `layers` blocks x ← x + A(norm x), x ← x + MLP(norm x)
    with A a `QuadratureAttention` and norm over the channels of each point, and are projected point by point.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    dim : int
        Dimension of the grid.
    width : int
        Channels inside, a multiple of `heads`.
    heads, layers : int
    form : {"linear", "softmax"}
        The linear form costs O(N C²/heads) for N points of C channels, the softmax form O(N² C): for a few thousand
        points at most.
    positions : {"vertices", "centres", "interior", "periodic"}
        Where the points of a grid lie, which gives coordinates and weights.

    Notes
    -----
    Not the first choice where the solution depends on fine details of the input: the linear form passes a matrix of
    C²/heads numbers between points a layer.

    References
    ----------
    Cao, Choose a transformer: Fourier or Galerkin, NeurIPS 2021, doi:10.48550/arXiv.2105.14995. Berner et al.,
    Principled approaches for extending neural architectures to function spaces for operator learning, 2025,
    doi:10.48550/arXiv.2506.10973.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import AttentionOperator
    >>> model = AttentionOperator(c_in=1, c_out=2, width=16, heads=2, layers=2)
    >>> model(torch.zeros(3, 1, 17, 12)).shape
    torch.Size([3, 2, 17, 12])
    >>> places = torch.rand(50, 2)  # scattered points, here all of one weight
    >>> model.on_points(torch.zeros(3, 1, 50), places, torch.full((50,), 1 / 50)).shape
    torch.Size([3, 2, 50])
    """

    function_space: ClassVar[str] = (
        "pointwise maps and integrals by quadrature: another grid gives the same operator up to the quadrature error"
    )

    def __init__(
        self,
        *,
        c_in: int,
        c_out: int,
        dim: int = 2,
        width: int = 64,
        heads: int = 4,
        layers: int = 4,
        form: Form = "linear",
        positions: Positions = "vertices",
    ) -> None:
        super().__init__(c_in=c_in, c_out=c_out, dim=dim)
        check_whole("layers", layers)
        self.positions = positions
        coordinates((2,), positions)  # refuses what it does not know
        seen = place_features(torch.zeros(dim), positions).shape[-1]
        self.lift = ChannelMLP(c_in + seen, 2 * width, width)
        self.attentions = torch.nn.ModuleList(QuadratureAttention(width, heads, seen, form) for _ in range(layers))
        self.mlps = torch.nn.ModuleList(ChannelMLP(width, 2 * width, width) for _ in range(layers))
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(width) for _ in range(2 * layers))
        self.project = ChannelMLP(width, 2 * width, c_out)

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """Attend over all points of the grid."""
        grid = x.shape[2:]
        places = coordinates(grid, self.positions, like=x).flatten(1).T
        weights = quadrature(grid, self.positions, like=x).flatten()
        y = self._between(channels_last(x).flatten(1, -2), places, weights)
        return channels_first(y.unflatten(1, grid))

    def on_points(self, u: torch.Tensor, places: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Map values at scattered points of the unit interval, square or cube.

        Parameters
        ----------
        u : (B, c_in, N) tensor
        places : (N, dim) tensor
            Coordinates.
        weights : (N,) tensor
            Positive quadrature weights; divided by their sum.

        Returns
        -------
        (B, c_out, N) tensor
        """
        N = u.shape[-1]
        if u.ndim != 3 or u.shape[1] != self.c_in or places.shape != (N, self.dim) or weights.shape != (N,):
            raise ValueError(
                f"expected values (samples, {self.c_in}, points), places (points, {self.dim}) and weights (points,), "
                f"got {tuple(u.shape)}, {tuple(places.shape)} and {tuple(weights.shape)}"
            )
        if not bool((weights > 0.0).all()):
            raise ValueError("weights must be positive: leave points of weight zero out")
        return channels_first(self._between(channels_last(u), places, weights / weights.sum()))

    def _between(self, u: torch.Tensor, places: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Map (B, N, c_in) to (B, N, c_out)."""
        seen = place_features(places, self.positions)
        x: torch.Tensor = self.lift(torch.cat([u, seen.expand(u.shape[0], *seen.shape)], dim=-1))
        for i, (attention, mlp) in enumerate(zip(self.attentions, self.mlps, strict=True)):
            x = x + attention(self.norms[2 * i](x), seen, weights)
            x = x + mlp(self.norms[2 * i + 1](x))
        projected: torch.Tensor = self.project(x)
        return projected
