"""Fields to the scale that a network works at, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self, final, get_args

import numpy as np
import torch

from ...operators.neural.model import check_among, check_whole

Kind = Literal["none", "scalar", "per_point", "range"]
"""``none``: as they are; ``scalar``: mean 0 and deviation 1 of each channel; ``per_point``: the same at each point of
one grid; ``range``: each channel between −1 and 1."""

Batch = np.ndarray | torch.Tensor


@final
class Normaliser(torch.nn.Module):
    """z = (x − shift) / scale, with shift and scale of the training split.

    Both are buffers, so that a state dict holds them; before `fit` they are 0 and 1. What is constant in the training
    split has scale 0: `encode` subtracts its value, `decode` returns its value whatever z is. Per point that keeps
    boundary values exact.

    Parameters
    ----------
    kind : {"none", "scalar", "per_point", "range"}
        ``per_point`` ties a model to one grid. ``range`` depends on single extreme values.
    channels : int
        Of the fields.
    grid : sequence of int, optional
        Points of each axis, for ``per_point`` only.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from resolvent.training.data.normalisers import Normaliser
    >>> batches = [np.array([[[1.0, 3.0]]]), np.array([[[5.0, 7.0]]])]
    >>> normaliser = Normaliser("range", 1).fit(batches)
    >>> normaliser.encode(torch.tensor([[[1.0, 4.0, 7.0]]]))
    tensor([[[-1.,  0.,  1.]]])
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, kind: Kind = "scalar", channels: int = 1, grid: Sequence[int] | None = None) -> None:
        super().__init__()
        check_among("kind of normaliser", kind, get_args(Kind))
        check_whole("channels", channels)
        if (grid is None) == (kind == "per_point"):
            raise ValueError(
                f"a grid belongs to a per_point normaliser and to no other, got kind {kind!r}, grid {grid}"
            )
        self.kind, self.channels = kind, channels
        self.grid = None if grid is None else tuple(int(n) for n in grid)
        if kind != "none":
            shape = (channels, *(self.grid or ()))
            self.register_buffer("shift", torch.zeros(shape))
            self.register_buffer("scale", torch.ones(shape))

    @property
    def options(self) -> dict[str, Any]:
        """What `build_normaliser` takes to make it again."""
        return {"kind": self.kind, "channels": self.channels, "grid": None if self.grid is None else list(self.grid)}

    def extra_repr(self) -> str:
        """Return what its representation shows."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items() if value is not None)

    def fit(self, batches: Batch | Iterable[Batch], weights: np.ndarray | None = None) -> Self:
        """Take shift and scale from the training split, in one pass and double precision.

        Parameters
        ----------
        batches : array (N, C, *grid), or iterable of such arrays
            numpy or torch; each is read once.
        weights : (*grid) array, optional
            Quadrature weights of the points, for means over uneven grids; equal by default.

        Raises
        ------
        ValueError
            For no samples, one sample per point, values that are not finite, or shapes that do not fit.
        """
        if self.kind == "none":
            return self
        moments = self.moments(weights)
        for batch in [batches] if isinstance(batches, np.ndarray | torch.Tensor) else batches:
            moments.add(batch)
        return self.take(moments)

    def moments(self, weights: np.ndarray | None = None) -> Moments:
        """Return what adds up batches for `take`, where one pass over the data serves several ends."""
        return Moments(self.channels, self.grid, weights)

    def take(self, moments: Moments) -> Self:
        """Take shift and scale from all batches that were added; ValueError for too few samples."""
        if self.kind == "none":
            return self
        if moments.samples < (2 if self.kind == "per_point" else 1):
            raise ValueError(
                f"a {self.kind} normaliser needs at least {2 if self.kind == 'per_point' else 1} training samples, got "
                f"{moments.samples}"
            )
        if self.kind == "range":
            shift, scale = 0.5 * (moments.largest + moments.smallest), 0.5 * (moments.largest - moments.smallest)
        else:
            # Rounding leaves a constant a deviation above zero; its extremes are equal exactly.
            constant = moments.largest == moments.smallest
            shift = np.where(constant, moments.smallest, moments.mean)
            scale = np.where(constant, 0.0, np.sqrt(moments.squares / moments.weight))
        self.shift.copy_(torch.as_tensor(shift))
        self.scale.copy_(torch.as_tensor(scale))
        return self

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return (x − shift) / scale; x − shift where the scale is 0."""
        x = _single(x)
        if self.kind == "none":
            return x
        shift, scale = self._fitting(x)
        return (x - shift) / torch.where(scale > 0.0, scale, 1.0)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return shift + scale z."""
        z = _single(z)
        if self.kind == "none":
            return z
        shift, scale = self._fitting(z)
        return shift + scale * z

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Encode."""
        return self.encode(x)

    def _fitting(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return shift and scale in the shape, dtype and on the device of fields (B, C, *grid)."""
        if x.ndim < 3 or x.shape[1] != self.channels:
            raise ValueError(f"the normaliser was made for {self.channels} channels, got fields {tuple(x.shape)}")
        if self.grid is not None and tuple(x.shape[2:]) != self.grid:
            raise ValueError(
                f"a per_point normaliser works on its grid {' × '.join(map(str, self.grid))} only, got "
                f"{' × '.join(map(str, x.shape[2:]))}: train with kind 'scalar' for other grids"
            )
        shape = (self.channels, *(self.grid or [1] * (x.ndim - 2)))
        return self.shift.to(x).reshape(shape), self.scale.to(x).reshape(shape)


def _single(x: torch.Tensor) -> torch.Tensor:
    """Return half precision as single: a mean much larger than the deviation would leave no digits of the field."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def build_normaliser(kind: Kind, channels: int, grid: Sequence[int] | None = None) -> Normaliser:
    """Return a normaliser that is not fitted yet; the grid is kept where the kind needs it.

    Examples
    --------
    >>> build_normaliser("scalar", 2, [33, 33]).options
    {'kind': 'scalar', 'channels': 2, 'grid': None}
    """
    if kind == "per_point" and grid is None:
        raise ValueError("a per_point normaliser needs the grid of the training data")
    return Normaliser(kind, channels, grid if kind == "per_point" else None)


class Moments:
    """Mean, sum of squared deviations and extremes, updated batch by batch.

    The update of Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979:
    sums of squares would lose all digits where the mean is large.
    """

    def __init__(self, channels: int, grid: tuple[int, ...] | None, weights: np.ndarray | None) -> None:
        self.channels, self.grid, self.weights = channels, grid, weights
        shape = (channels, *(grid or ()))
        self.batches, self.samples, self.weight = 0, 0, 0.0
        self.mean, self.squares = np.zeros(shape), np.zeros(shape)
        self.smallest, self.largest = np.full(shape, np.inf), np.full(shape, -np.inf)

    def add(self, batch: Batch) -> None:
        """Take a batch (n, C, *grid) into account; ValueError for values that are not finite, or another shape."""
        values = batch.detach().cpu().numpy() if isinstance(batch, torch.Tensor) else np.asarray(batch)
        x, number = values.astype(np.float64), self.batches
        self.batches += 1
        if x.ndim < 3 or x.shape[1] != self.channels or (self.grid is not None and x.shape[2:] != self.grid):
            expected = ", ".join(map(str, self.grid)) if self.grid else "points of each axis"
            raise ValueError(f"batch {number} must be (samples, {self.channels}, {expected}), got shape {x.shape}")
        if not len(x):
            return
        if not np.isfinite(x).all():
            raise ValueError(f"batch {number} of the training split has values that are not finite: leave them out")
        over = 0 if self.grid is not None else (0, *range(2, x.ndim))
        weight = float(len(x))
        if self.grid is None and self.weights is not None:
            if self.weights.shape != x.shape[2:]:
                raise ValueError(f"weights of shape {self.weights.shape} do not fit fields of shape {x.shape}")
            share = self.weights / (weight * self.weights.sum())
            mean = (x * share).sum(over)
            squares = weight * (share * np.square(x - mean.reshape(-1, *[1] * (x.ndim - 2)))).sum(over)
        else:
            mean = x.mean(over)
            spread = mean if self.grid is not None else mean.reshape(-1, *[1] * (x.ndim - 2))
            squares = weight * np.square(x - spread).mean(over)
        away, total = mean - self.mean, self.weight + weight
        self.mean = self.mean + away * (weight / total)
        self.squares = self.squares + squares + np.square(away) * (self.weight * weight / total)
        self.samples, self.weight = self.samples + len(x), total
        self.smallest = np.minimum(self.smallest, x.min(over))
        self.largest = np.maximum(self.largest, x.max(over))
