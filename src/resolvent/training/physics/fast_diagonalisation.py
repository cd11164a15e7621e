"""Constant-coefficient operators on a box in torch, diagonalised axis by axis: the Poisson inverse of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...operators import StructureError
from ...solvers.separable import Axis, Reference


def coefficients_of(reference: Reference) -> tuple[tuple[Axis, ...], np.ndarray]:
    """Return the axes, and the factors of their second differences followed by the shift."""
    if any(axis.closure != "walls" for axis in reference.axes):
        raise StructureError("only boxes between walls are diagonalised by dense eigenvectors: choose another norm")
    return reference.axes, np.array([*map(float, reference.scales), float(np.real(reference.shift))])


class FastDiagonalisation:
    """L_i = Σ_a c_ia T_a + c_i = V Λ_i Vᵀ for the samples i of a batch; V is the Kronecker product of its axes'.

    Dense eigenvectors of each axis, so that a transform is d matrix products on any device: 2 n^{d+1} operations for n
    points a side, and no more than d matrices of n × n.

    Parameters
    ----------
    near : sequence of (axes, coefficients)
        Of each sample, with equal axes.
    like : (B, N) tensor
        Vectors whose precision and device are taken.
    """

    def __init__(self, near: Sequence[tuple[tuple[Axis, ...], np.ndarray]], like: torch.Tensor) -> None:
        axes = near[0][0]
        if any(other != axes for other, _ in near):
            raise StructureError("the samples of a batch have different boundaries: they share no eigenvectors")
        kind = like.real.dtype if like.is_complex() else like.dtype
        self.grid = tuple(axis.n for axis in axes)

        def stored(values: Any) -> torch.Tensor:
            return torch.tensor(np.ascontiguousarray(values), dtype=kind, device=like.device)

        self.vectors = [stored(axis.eigenvectors()) for axis in axes]
        factors = np.stack([coefficients for _, coefficients in near])
        total = factors[:, -1].reshape(-1, *[1] * len(axes))
        for a, axis in enumerate(axes):
            shape = [1] * (len(axes) + 1)
            shape[a + 1] = axis.n
            total = total + factors[:, a].reshape(-1, *[1] * len(axes)) * axis.eigenvalues().reshape(shape)
        largest = total.reshape(len(total), -1).max(axis=1).reshape(-1, *[1] * len(axes))
        zero = total <= 1e-12 * largest
        smallest = np.where(zero, np.inf, total).reshape(len(total), -1).min(axis=1).reshape(largest.shape)
        # The null space of insulated walls gets the smallest other eigenvalue, so that the inverse is definite.
        self.values = stored(np.where(zero, smallest, total))

    def squared_norm(self, r: torch.Tensor) -> torch.Tensor:
        """Return rᴴ L⁻¹ r of each sample, (B,)."""
        square = self._transform(r).abs().square()
        return (square / self.values).flatten(1).sum(1)

    def solve(self, r: torch.Tensor) -> torch.Tensor:
        """Return L⁻¹ r."""
        scaled = self._transform(r) / self.values
        for a, V in enumerate(self.vectors):
            scaled = torch.tensordot(V.to(scaled.dtype), scaled, dims=([1], [a + 1])).movedim(0, a + 1)
        return scaled.reshape(r.shape)

    def _transform(self, r: torch.Tensor) -> torch.Tensor:
        """Return Vᵀ r as fields."""
        fields = r.reshape(-1, *self.grid)
        for a, V in enumerate(self.vectors):
            fields = torch.tensordot(V.to(fields.dtype), fields, dims=([0], [a + 1])).movedim(0, a + 1)
        return fields
