"""One weight tensor for all layers, each of which takes its slice of the leading mode."""

from __future__ import annotations

from typing import final

import torch

from .weights import SpectralWeights


@final
class JointLayer(SpectralWeights):
    """The slice of one layer of weights that all layers share.

    The shared weights are a submodule of the model, once; this module only refers to them, so that a state dict holds
    them once too.

    Parameters
    ----------
    shared : SpectralWeights
        Of as many `layers` as take a slice.
    layer : int
        Which slice.

    References
    ----------
    Kossaifi, Kovachki, Azizzadenesheli, Anandkumar, Multi-grid tensorized Fourier neural operator for high-resolution
    PDEs, TMLR 2024, doi:10.48550/arXiv.2310.00120.

    Examples
    --------
    >>> from resolvent.operators.neural.spectral.tucker import TuckerWeights
    >>> shared = TuckerWeights(8, 8, (4, 3), rank=0.2, layers=2)
    >>> JointLayer(shared, 1).dense().shape
    torch.Size([4, 3, 8, 8])
    """

    def __init__(self, shared: SpectralWeights, layer: int) -> None:
        super().__init__(shared.c_in, shared.c_out, shared.modes, implementation=shared.implementation)
        if shared.layers is None or not 0 <= layer < shared.layers:
            raise ValueError(f"layer must be below the {shared.layers} layers that share the weights, got {layer}")
        self.layer = layer
        self._shared = (shared,)  # in a tuple, which hides it from the search for submodules

    def dense(self, kept: tuple[slice, ...] | None = None, layer: int | None = None) -> torch.Tensor:
        """Return the matrices of this layer."""
        return self._shared[0].dense(kept, self.layer)

    def contract(self, z: torch.Tensor, kept: tuple[slice, ...], layer: int | None) -> torch.Tensor:
        """Multiply with the slice of this layer."""
        return self._shared[0].contract(z, kept, self.layer)
