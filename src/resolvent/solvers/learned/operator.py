"""A learned preconditioner for one operator."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch

from ...operators import Array, LinearOperator, Props
from .compiled import compiled_cycle
from .levels import Level
from .network import PreconditionerNetwork

DESCENT = 0.2
"""Least cosine between residual and correction. DCDM trained for minutes, on 64² with obstacles, stood still at 0.5 to
0.7 ‖b‖ without a bound; after 300 steps it was at 2e-2 with 0.02, at 2e-3 with 0.05, at 4e-4 with 0.2."""


@final
class LearnedOperator(LinearOperator):
    """M r ≈ A⁻¹ r by a network prepared for A: its precision inside, that of r outside.

    The claims are those of the network, with which rounding in single precision is consistent to seven digits. Vectors
    are of the host; a network on another device has them copied there and back.

    Parameters
    ----------
    network : PreconditionerNetwork
    level : Level
        Of A.
    compiled : bool
        Whether to use compiled code where there is some: an `SPDCycle` on the host.
    descent : float
        Of networks that are not linear: a correction z with |z'r| ≤ descent ‖z‖‖r‖, or not finite, is replaced by r, so
        that a flexible method takes a step of its own. Without it DCDM stands still where z turns orthogonal to r.

    Attributes
    ----------
    replaced : int
        Corrections replaced so far.
    """

    def __init__(
        self, network: PreconditionerNetwork, level: Level, *, compiled: bool = True, descent: float = DESCENT
    ) -> None:
        n = int(np.prod(level.grid))
        weight = next(network.parameters())
        super().__init__((n, n), str(weight.dtype).removeprefix("torch."), props=network.props, grid=level.grid)
        self.network, self.descent, self.replaced = network, float(descent), 0
        self._torch_device = weight.device
        self._compiled = compiled_cycle(network, level) if compiled else None
        self._prepared: Any = None
        if self._compiled is None:
            with torch.no_grad():
                self._prepared = network.prepare(level.to(weight.device))

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        if X.dtype.kind == "c":
            real, imaginary = self._matmat(np.ascontiguousarray(X.real)), self._matmat(np.ascontiguousarray(X.imag))
            out[...] = real + 1j * imaginary
        elif self._compiled is None:
            Z = self._by_torch(X)
            out[...] = self._checked(Z, X) if Props.VARIABLE in self.props and self.descent > 0.0 else Z
        elif X.shape[1] == 1 and X.flags.c_contiguous and out.flags.c_contiguous:
            self._compiled.product_into(X.reshape(-1), out.reshape(-1))
        else:
            for k in range(X.shape[1]):
                column = np.empty(X.shape[0], X.dtype)
                self._compiled.product_into(np.ascontiguousarray(X[:, k]), column)
                out[:, k] = column

    def _by_torch(self, X: Array) -> Array:
        # Unit columns: small ones would underflow in single precision.
        size = np.abs(X).max(axis=0, initial=0.0)
        size[size == 0.0] = 1.0
        assert self.grid is not None
        fields = np.ascontiguousarray((X / size).T).reshape(1, X.shape[1], *self.grid)
        with torch.no_grad():
            z = self.network.correct(self._prepared, torch.from_numpy(fields).to(self._torch_device))
        return np.asarray(z.cpu().numpy(), X.dtype).reshape(X.shape[1], -1).T * size

    def _checked(self, Z: Array, X: Array) -> Array:
        """Return Z with columns that are of no use replaced by those of X."""
        with np.errstate(all="ignore"):
            useful = np.abs((Z * X).sum(0)) > self.descent * np.linalg.norm(Z, axis=0) * np.linalg.norm(X, axis=0)
        self.replaced += int((~useful).sum())
        return np.where(useful, Z, X)

    def _summary(self) -> str:
        variable = ", not linear" if Props.VARIABLE in self.props else ""
        return f"{type(self.network).__name__}{variable}"
