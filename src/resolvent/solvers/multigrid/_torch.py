"""Multigrid on torch storage: the array operations, and the entries of a tensor as couplings on a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, final

import numpy as np
import torch

from ...operators import StructureError
from ...operators._torch import Tensor, numpy_dtype, torch_dtype
from ..separable.couplings import Couplings, NonFiniteError, along
from .backend import Backend


@final
class TorchBackend(Backend):
    """Tensors on one device."""

    def __init__(self, device: str) -> None:
        self.device = device

    def zeros(self, shape: Sequence[int], dtype: np.dtype) -> Any:
        """Return zeros."""
        return torch.zeros(tuple(shape), dtype=torch_dtype(dtype), device=self.device)

    def empty(self, shape: Sequence[int], dtype: np.dtype) -> Any:
        """Return a tensor with any contents."""
        return torch.empty(tuple(shape), dtype=torch_dtype(dtype), device=self.device)

    def cast(self, x: Any, dtype: np.dtype) -> Any:
        """Return x as a tensor on this device in the given dtype."""
        return torch.as_tensor(x).to(device=self.device, dtype=torch_dtype(dtype)).resolve_conj().contiguous()

    def dtype(self, x: Any) -> np.dtype:
        """Return the dtype of x as numpy calls it."""
        return numpy_dtype(x.dtype)

    def multiply(self, a: Any, b: Any, out: Any) -> None:
        """Set out to a b."""
        torch.mul(a, b, out=out)

    def add_product(self, a: Any, b: Any, out: Any, scratch: Any) -> None:
        """Add a b to out; one kernel, without scratch."""
        out.addcmul_(a, b)

    def subtract(self, a: Any, b: Any, out: Any) -> None:
        """Set out to a − b."""
        torch.sub(a, b, out=out)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """Return a where the condition holds, else b."""
        return torch.where(condition, a, b)

    def reciprocal(self, x: Any) -> Any:
        """Return 1/x."""
        if x.is_complex():
            x = torch.where(x == 0, torch.finfo(x.dtype).tiny ** 0.5, x)
        return 1.0 / x

    def number(self, x: Any) -> float:
        """Return a number on the host."""
        return float(x)

    def quiet(self) -> AbstractContextManager[Any]:
        """Return a context without derivatives: work arrays are overwritten, which autograd could not follow."""
        return torch.no_grad()

    def powers_of_two(self, x: Any) -> Any:
        """Return the power of two next to the largest modulus of each column."""
        largest = x.abs().amax(dim=0, keepdim=True)
        usable = torch.isfinite(largest) & (largest > 0.0)
        exponent = torch.frexp(torch.where(usable, largest, 0.5))[1]
        return torch.ldexp(torch.ones_like(largest), exponent)


def couplings_of_tensor(A: Tensor, grid: tuple[int, ...]) -> Couplings:
    """Take a tensor with the entries of a 3-, 5- or 7-point stencil apart, on its device.

    Raises
    ------
    StructureError
        If entries do not link neighbours on the grid.
    ValueError
        If an entry is not finite.
    """
    coo = A.tensor.detach().to_sparse_coo().coalesce()
    row, column = coo.indices()
    values = coo.values()
    if not bool(torch.isfinite(values).all()):
        raise NonFiniteError(f"finite entries are needed, but {A!r} holds NaN or infinity: check how it was made")
    offset = column - row
    counted = (values == 0) | (offset == 0)

    def field(chosen: Any) -> Any:
        nonlocal counted
        counted = counted | chosen
        whole = values.new_zeros(math.prod(grid))
        whole[row[chosen]] = values[chosen]
        return whole.reshape(grid)

    diagonal = field(offset == 0)
    upper, lower, wrap = [], [], []
    for a, n in enumerate(grid):
        stride = math.prod(grid[a + 1 :])
        place = (row // stride) % n
        upper.append(field((offset == stride) & (place < n - 1))[along(a, slice(None, n - 1))])
        # Kept at the row it belongs to, the upper point of the pair.
        lower.append(field((offset == -stride) & (place > 0))[along(a, slice(1, None))])
        pair = None
        if n > 2:
            ahead = (offset == stride * (n - 1)) & (place == 0)
            back = (offset == -stride * (n - 1)) & (place == n - 1)
            if bool(ahead.any()) or bool(back.any()):
                pair = (field(ahead)[along(a, slice(None, 1))], field(back)[along(a, slice(n - 1, None))])
        wrap.append(pair)
    if not bool(counted.all()):
        raise StructureError(
            f"{int((~counted).sum())} entries of {A!r} do not link neighbours on a grid of "
            f"{' x '.join(map(str, grid))}: geometric multigrid takes 3-, 5- and 7-point stencils; use AMG"
        )
    return Couplings(diagonal, tuple(upper), tuple(lower), tuple(wrap))
