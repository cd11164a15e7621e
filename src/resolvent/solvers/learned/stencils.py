"""Stencils that vary from cell to cell, their transposes, and the images they are computed from."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, final

import torch

CONVOLUTIONS = (None, torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)

Offsets = tuple[tuple[int, ...], ...]


def cube(dim: int) -> Offsets:
    """Return the 3^dim offsets of a cell and all its neighbours, in the order of a convolution kernel."""
    return tuple(itertools.product((-1, 0, 1), repeat=dim))


def star(dim: int) -> Offsets:
    """Return the 2 dim + 1 offsets of a cell and its neighbours through faces, in the order of `cube`."""
    return tuple(offset for offset in cube(dim) if sum(map(abs, offset)) <= 1)


def apply_stencil(K: torch.Tensor, x: torch.Tensor, offsets: Offsets) -> torch.Tensor:
    """Return y[v] = Σ_o K_o[v] x[v + o], zero beyond the boundary.

    Parameters
    ----------
    K : (B, offsets, *grid) tensor
    x : (B, m, *grid) tensor
        m vectors for each of B operators.
    offsets : tuple of int tuples
        Of entries −1, 0, 1.
    """
    grid = x.shape[2:]
    padded = torch.nn.functional.pad(x, (1, 1) * len(grid))
    y = None
    for i, offset in enumerate(offsets):
        part = K[:, i, None] * _window(padded, offset, grid)
        y = part if y is None else y + part
    assert y is not None
    return y


def apply_transposed_stencil(K: torch.Tensor, x: torch.Tensor, offsets: Offsets) -> torch.Tensor:
    """Return y[v] = Σ_o K_o[v − o] x[v − o], the exact transpose of `apply_stencil`; same arguments."""
    grid = x.shape[2:]
    y = None
    for i, offset in enumerate(offsets):
        product = torch.nn.functional.pad(K[:, i, None] * x, (1, 1) * len(grid))
        part = _window(product, tuple(-o for o in offset), grid)
        y = part if y is None else y + part
    assert y is not None
    return y


def shifted(field: torch.Tensor, offset: Sequence[int]) -> torch.Tensor:
    """Return field[v + o] for (B, C, *grid), zero beyond the boundary."""
    grid = field.shape[2:]
    return _window(torch.nn.functional.pad(field, (1, 1) * len(grid)), offset, grid)


def _window(padded: torch.Tensor, offset: Sequence[int], grid: Sequence[int]) -> torch.Tensor:
    for axis, (step, n) in enumerate(zip(offset, grid, strict=True), 2):
        padded = padded.narrow(axis, 1 + step, n)
    return padded


@final
class ImageField(torch.nn.Module):
    """Fields that are affine in the image of a cell's neighbourhood: k_o[v] = β_o + Σ_{c,δ} W_{o,c,δ} img_c[v + δ].

    Parameters
    ----------
    channels : int
        Of the image.
    fields : int
        How many to compute: one for each offset of a stencil.
    dim : int
        Dimension of the grid.
    seen : {"cube", "star"}
        Cells δ of the neighbourhood.

    Notes
    -----
    fields · (3^dim channels + 1) parameters with the cube, 2,214 for a 27-point stencil from three channels in three
    dimensions. W and β start at zero: whoever uses the fields says what they begin as. The published block
    (doi:10.48550/arXiv.2310.00177) starts them at random.
    """

    def __init__(self, channels: int, fields: int, dim: int, seen: Literal["cube", "star"] = "cube") -> None:
        super().__init__()
        self.seen = cube(dim) if seen == "cube" else star(dim)
        shape = (3,) * dim if seen == "cube" else (2 * dim + 1,)
        self.weight = torch.nn.Parameter(torch.zeros(fields, channels, *shape))
        self.bias = torch.nn.Parameter(torch.zeros(fields))

    @property
    def kernel(self) -> torch.Tensor:
        """Return W as (fields, channels, 3, …), with zeros for cells that are not seen."""
        whole = (3,) * len(self.seen[0])
        if self.weight.ndim > 3:
            return self.weight
        kernel = self.weight.new_zeros(*self.weight.shape[:2], 3 ** len(whole))
        places = torch.tensor([cube(len(whole)).index(offset) for offset in self.seen], device=kernel.device)
        return kernel.index_copy(2, places, self.weight).unflatten(2, whole)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return (B, fields, *grid) for an image (B, channels, *grid), which is zero beyond the boundary."""
        return image_fields(image, self.kernel, self.bias)


def image_fields(image: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return β_o + Σ_{c,δ} W_{o,c,δ} img_c[v + δ] for weights (fields, channels, 3, …) and biases (fields,)."""
    return convolved(image, weight, bias, 1)


def convolved(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, padding: int) -> torch.Tensor:
    """Return the convolution of x (B, channels, *grid), with zeros beyond the boundary.

    On one thread torch does not give a single sample to oneDNN, which is many times faster in three dimensions.
    """
    single = len(x) == 1 and x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_grad_enabled()
    dim = x.ndim - 2
    if single and torch.backends.mkldnn.is_available():
        return torch.mkldnn_convolution(x, weight, bias, [padding] * dim, [1] * dim, [1] * dim, 1)
    convolution = CONVOLUTIONS[dim]
    assert convolution is not None
    y: torch.Tensor = convolution(x, weight, bias, padding=padding)
    return y
