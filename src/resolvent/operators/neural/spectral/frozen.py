"""Spectral weights as constants in real arithmetic, for formats that have no complex numbers."""

from __future__ import annotations

import copy
from typing import final

import torch

from .convolution import SpectralConvolution
from .weights import SpectralWeights


@final
class FrozenWeights(SpectralWeights):
    """The matrices of other weights, whatever their form, as two real buffers: nothing to train.

    A product of pairs takes four real products of each mode, which is slower than the complex one.
    """

    real: torch.Tensor
    imaginary: torch.Tensor

    def __init__(self, weights: SpectralWeights) -> None:
        super().__init__(weights.c_in, weights.c_out, weights.modes, implementation="reconstructed")
        R = weights.dense().detach().resolve_conj()
        self.register_buffer("real", R.real.clone())
        self.register_buffer("imaginary", R.imag.clone())

    def dense(self, kept: tuple[slice, ...] | None = None, layer: int | None = None) -> torch.Tensor:
        """Return the matrices."""
        return torch.complex(self.real, self.imaginary)[kept or ...]

    def contract(self, z: torch.Tensor, kept: tuple[slice, ...], layer: int | None) -> torch.Tensor:
        """Multiply mode by mode."""
        return torch.matmul(z, self.dense(kept, layer))

    def forward(self, z: torch.Tensor, kept: tuple[slice, ...], layer: int | None = None) -> torch.Tensor:
        """Multiply pairs: (a + ib)(R + iT) = aR − bT + i(aT + bR)."""
        a, b = z.unbind(-1)
        R, T = self.real[kept], self.imaginary[kept]
        return torch.stack([a @ R - b @ T, a @ T + b @ R], -1)


def real_copy(model: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of a model in evaluation mode whose spectral convolutions compute with real numbers only."""
    copied = copy.deepcopy(model).eval()
    shared = [m for m in copied.modules() if isinstance(m, SpectralWeights) and m.layers is not None]
    for module in list(copied.modules()):
        for name, child in list(module.named_children()):
            if any(child is weights for weights in shared):
                continue  # its slices are frozen where they are used
            if isinstance(child, SpectralWeights):
                setattr(module, name, FrozenWeights(child))
        if isinstance(module, SpectralConvolution):
            module.transform = "matrices"
    for module in copied.modules():
        for name, child in list(module.named_children()):
            if any(child is weights for weights in shared):
                setattr(module, name, None)
    return copied
