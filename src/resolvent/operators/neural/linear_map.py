"""Learned linear maps as linear operators."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, Literal, final

import numpy as np
import torch

from .._torch import numpy_dtype, to_tensor, torch_dtype
from ..base import Array, LinearOperator
from ..errors import StructureError
from ..props import Props
from .model import check_among


@final
class NeuralMap(LinearOperator):
    """A torch module that is linear, on one grid, as an operator for solvers; its adjoint is reverse differentiation.

    Vectors are fields (c, *grid) in C order. Columns go through the module together, as a batch. A module on the CPU
    takes and returns numpy arrays (or tensors), one on another device takes tensors of that device.

    Parameters
    ----------
    module : Module
        From fields (B, c_in, *grid) to fields (B, c_out, …), without biases, norms or activations. It is shared, not
        copied: training it changes the operator.
    grid : sequence of int
        Points of each axis.
    c_in : int
        Channels of the input.
    props : Props
        Claims about the map; none follows from the module.
    precision : {"vector", "module"}
        ``vector``: weights are converted to the precision of the vectors. ``module``: vectors are rounded to the
        precision of the weights and the result is converted back, with columns scaled to unit maximum so that small
        ones do not underflow: half the time where a float32 module is a preconditioner in a float64 iteration, which
        then is linear to seven digits only.

    Raises
    ------
    StructureError
        For a module that is not linear, tested on random fields.

    Notes
    -----
    One product is one evaluation, one adjoint product an evaluation and its backward pass. The weights are constants:
    gradients flow to vectors only.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from resolvent.operators.neural import NeuralMap
    >>> double = torch.nn.Conv2d(1, 1, 1, bias=False, dtype=torch.float64)
    >>> _ = torch.nn.init.constant_(double.weight, 2.0)
    >>> A = NeuralMap(double, (3, 2))
    >>> A @ np.arange(6.0), A.T @ np.ones(6)
    (array([ 0.,  2.,  4.,  6.,  8., 10.]), array([2., 2., 2., 2., 2., 2.]))
    """

    def __init__(
        self,
        module: torch.nn.Module,
        grid: Sequence[int],
        *,
        c_in: int = 1,
        props: Props = Props.NONE,
        precision: Literal["vector", "module"] = "vector",
    ) -> None:
        check_among("precision", precision, ("vector", "module"))
        weights = next(module.parameters(), None)
        kind = torch.float32 if weights is None else weights.dtype
        device = torch.device("cpu") if weights is None else weights.device
        self._field = (c_in, *(int(n) for n in grid))
        size = math.prod(self._field)
        image = _check_linear(module, self._field, kind, device)
        super().__init__(
            (math.prod(image), size),
            numpy_dtype(kind),
            props=props,
            grid=self._field[1:] if c_in == 1 else self._field,
            device=str(device),
        )
        self.module, self.precision, self._image = module, precision, image
        self._on_torch = device.type != "cpu"
        self._start = self._weight_versions()
        self._weights: dict[torch.dtype, tuple[int, dict[str, torch.Tensor]]] = {}

    def _holds_torch(self) -> bool:
        return self._on_torch

    def _matmat(self, X: Array) -> Array:
        with torch.set_grad_enabled(self._on_torch and torch.is_grad_enabled()):
            return self._by_parts(X, self._evaluate)

    def _rmatmat(self, X: Array) -> Array:
        return self._by_parts(X, self._pull_back)

    def _by_parts(self, X: Array, product: Any) -> Array:
        """Apply a real product to columns, real or complex, numpy or torch."""
        x = X if isinstance(X, torch.Tensor) else torch.from_numpy(X)
        columns = torch.cat([x.real, x.imag], dim=1) if x.is_complex() else x
        real = columns.dtype
        fields = columns.T
        scale = None
        if self.precision == "module" and real != torch_dtype(self.dtype):
            scale = fields.abs().amax(dim=1, keepdim=True)
            scale = torch.where(scale > 0.0, scale, torch.ones_like(scale))
            fields = (fields / scale).to(torch_dtype(self.dtype))
        y = product(fields.contiguous()).to(real)
        if scale is not None:
            y = y * scale
        y = y.T
        if x.is_complex():
            y = torch.complex(*y.chunk(2, dim=1))
        return y.contiguous() if isinstance(X, torch.Tensor) else np.ascontiguousarray(y.numpy())

    def _evaluate(self, x: torch.Tensor) -> torch.Tensor:
        return self._call(x.reshape(-1, *self._field)).flatten(1)

    def _pull_back(self, y: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            x = torch.zeros(y.shape[0], *self._field, dtype=y.dtype, device=y.device, requires_grad=True)
            image = self._call(x)
            differentiable = y.requires_grad
            (gradient,) = torch.autograd.grad(image, x, y.reshape(image.shape), create_graph=differentiable)
        return gradient.flatten(1)

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        now = self._weight_versions()
        known = self._weights.get(x.dtype)
        if known is None or known[0] != now:
            values = {k: v.detach().to(x.dtype) for k, v in self.module.state_dict().items() if v.is_floating_point()}
            known = self._weights[x.dtype] = (now, values)
        return torch.func.functional_call(self.module, known[1], (x,))

    def _weight_versions(self) -> int:
        """Return a number that grows when the weights are written to."""
        return sum(p._version for p in self.module.parameters())

    def _foreign_state(self) -> int:
        return self._weight_versions() - self._start

    def to_dense(self) -> Array:
        """Return the entries as a dense array: n products, for small operators."""
        identity = np.eye(self.shape[1], dtype=self.dtype)
        return self.matmat(to_tensor(identity, self.device) if self._on_torch else identity)

    def _stored_on(self, device: Any, dtype: torch.dtype | None) -> NeuralMap:
        moved = NeuralMap(
            copy.deepcopy(self.module).to(device=device, dtype=dtype),
            self._field[1:],
            c_in=self._field[0],
            props=self.props,
            precision=self.precision,
        )
        moved._on_torch = True
        return moved

    def __getstate__(self) -> dict[str, Any]:
        """Leave out copies of weights; tensors that are read back count their changes from zero."""
        return {**self.__dict__, "_weights": {}, "_revision": self._revision + self._foreign_state(), "_start": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start = self._weight_versions()

    def _summary(self) -> str:
        return type(self.module).__name__


def _check_linear(
    module: torch.nn.Module, field: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> tuple[int, ...]:
    """Return the shape of the image of a field; StructureError unless the module seems linear."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 1, *field, generator=generator, dtype=torch.float64).to(device=device, dtype=dtype)
    with torch.no_grad():
        at_zero, at_x, at_y, at_sum = (module(z) for z in (torch.zeros_like(x), x, y, x + 2.0 * y))
    off = max(float(at_zero.abs().max()), float((at_sum - at_x - 2.0 * at_y).abs().max()))
    size = max(float(at_x.abs().max()), float(at_y.abs().max()), torch.finfo(dtype).tiny)
    if off > 1e4 * torch.finfo(dtype).eps * size:
        raise StructureError(
            f"{type(module).__name__} is not linear: N(x + 2y) − N(x) − 2N(y) and N(0) reach {off:.1e} where N(x) "
            f"reaches {size:.1e}: leave out biases, normalisations and activations"
        )
    return tuple(at_x.shape[1:])
