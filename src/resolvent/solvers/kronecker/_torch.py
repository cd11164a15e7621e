"""Factors of Kronecker-structured systems on torch storage."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..factorisations import SingularError
from .axis_bases import AxisBasis


def diagonalise(matrix: torch.Tensor, *, hermitian: bool) -> AxisBasis:
    """Return the basis of eigenvectors of a matrix, on its device."""
    matrix = matrix.detach()
    if not bool(torch.isfinite(matrix).all()):
        raise SingularError("a factor holds NaN or infinity")
    if hermitian:
        values, V = torch.linalg.eigh(matrix)
        return AxisBasis(V.mH, V, (values, torch.ones_like(values)), 1.0, (1.0, 0.0))
    values, V = torch.linalg.eig(matrix)
    inverse, info = torch.linalg.inv_ex(V)
    if int(info) != 0:
        raise SingularError("a factor has no basis of eigenvectors in this precision")
    condition = float(torch.linalg.cond(V))
    return AxisBasis(inverse, V, (values, torch.ones_like(values)), condition, (1.0, 0.0))


class FactorLU:
    """PA = LU of one factor on its device."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self._lu, self._pivots, info = torch.linalg.lu_factor_ex(matrix.detach())
        if int(info) != 0 or not bool(torch.isfinite(self._lu).all()):
            raise SingularError(f"zero pivot in row {int(info)} of a factor")

    def along(self, X: torch.Tensor, *, adjoint: bool) -> torch.Tensor:
        """Return A⁻¹ X[i], or A⁻ᴴ X[i], for the slices of an (outer, n, inner) tensor."""
        outer, n, inner = X.shape
        lines = X.movedim(1, 0).reshape(n, -1)
        solved = torch.linalg.lu_solve(self._lu.to(X.dtype), self._pivots, lines, adjoint=adjoint)
        fields: torch.Tensor = solved.reshape(n, outer, inner)
        return fields.movedim(0, 1)

    def logdet(self) -> tuple[Any, float]:
        """Return sign and log|det A|."""
        d = host(self._lu.diagonal())
        swaps = int((host(self._pivots) != np.arange(1, len(d) + 1)).sum())
        return np.prod(d / np.abs(d)) * (-1.0) ** swaps, float(np.log(np.abs(d)).sum())


def host(x: torch.Tensor) -> np.ndarray:
    """Return a copy on the host."""
    array: np.ndarray = x.detach().resolve_conj().cpu().numpy()
    return array
