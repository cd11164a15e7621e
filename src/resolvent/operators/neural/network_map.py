"""Any network as an operator that may vary: what a flexible iteration can use as preconditioner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import torch

from .._torch import numpy_dtype, torch_dtype
from ..base import Array, LinearOperator
from ..props import Props
from .model import check_whole


@final
class NetworkMap(LinearOperator):
    """r ↦ s N(c, r/s), with N a network, c fixed channels and s the root mean square of r.

    So the network sees right-hand sides of one size, whatever is left of a residual, and the map is homogeneous:
    M(t r) = t M r for t > 0. It is not linear otherwise, and claims `Props.VARIABLE`: `CG` and `GMRES` refuse it,
    `FlexibleCG` and `FGMRES` take it. There is no adjoint. Columns go through the network together, as a batch, in its
    own precision, and in evaluation mode.

    For networks that are linear, such as `VCycle`, `NeuralMap` is better: it has an adjoint.

    Parameters
    ----------
    module : Module
        From fields (B, c, *image) to fields (B, 1, *image), with the channels of `image` first and r last; shared, not
        copied.
    grid : sequence of int
        Of the unknowns.
    image : (c, *image) array, optional
        Channels besides r: the coefficient. Its grid may be larger than that of the unknowns by an equal number of
        points at both ends of each axis, where r and the result are zero: boundary nodes.
    border : int
        That number, where there is no image.
    parts : int
        Unknowns at a point: channels of r and of the result. Vectors are fields (parts, *grid).

    Raises
    ------
    ValueError
        For an image whose grid does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from resolvent.operators.neural import FNO, NetworkMap
    >>> M = NetworkMap(FNO(c_in=2, c_out=1, n_modes=[4, 4], width=8), (7, 7), image=np.ones((1, 9, 9)))
    >>> r = np.random.default_rng(0).standard_normal(49)
    >>> M, bool(np.allclose(M @ (2e-9 * r), 2e-9 * (M @ r), rtol=1e-4))
    (NetworkMap(49 x 49, float32, FNO, variable), True)
    """

    def __init__(
        self,
        module: torch.nn.Module,
        grid: Sequence[int],
        *,
        image: Any = None,
        border: int = 0,
        parts: int = 1,
    ) -> None:
        check_whole("border", border, 0)
        check_whole("parts", parts)
        weights = next(module.parameters(), None)
        device = torch.device("cpu") if weights is None else weights.device
        kind = torch.float32 if weights is None else weights.dtype
        self._field = (parts, *(int(n) for n in grid))
        d = len(self._field) - 1
        self._image: torch.Tensor | None = None
        if image is not None:
            channels = torch.as_tensor(np.asarray(image) if not isinstance(image, torch.Tensor) else image)
            around = {m - n for m, n in zip(channels.shape[1:], self._field[1:], strict=False)}
            if channels.ndim != d + 1 or len(around) != 1 or min(around) < 0 or min(around) % 2:
                raise ValueError(
                    f"the image needs the shape (channels, *grid) with a grid of {self._field[1:]} or with equally "
                    f"many points more at both ends of each axis, got {tuple(channels.shape)}"
                )
            border = around.pop() // 2
            self._image = channels.to(device, kind)
        self.module, self.border = module, border
        size = math.prod(self._field)
        super().__init__(
            (size, size),
            numpy_dtype(kind),
            props=Props.VARIABLE,
            grid=self._field[1:] if parts == 1 else self._field,
            device=str(device),
        )
        self._on_torch = device.type != "cpu"
        self._start = self._weight_versions()

    def _holds_torch(self) -> bool:
        return self._on_torch

    def _matmat(self, X: Array) -> Array:
        x = X if isinstance(X, torch.Tensor) else torch.from_numpy(X)
        if x.is_complex():
            raise TypeError(f"{self!r} takes real vectors, got {x.dtype}: give real and imaginary part as parts=2")
        scale = torch.linalg.vector_norm(x, dim=0) / math.sqrt(x.shape[0])
        safe = torch.where(scale > 0.0, scale, 1.0)
        fields = (x / safe).to(torch_dtype(self.dtype)).T.reshape(-1, *self._field)
        y = self._evaluate(fields).flatten(1).T.to(x.dtype) * scale
        return y.contiguous() if isinstance(X, torch.Tensor) else np.ascontiguousarray(y.numpy())

    def _evaluate(self, r: torch.Tensor) -> torch.Tensor:
        d = len(self._field) - 1
        if self.border:
            r = torch.nn.functional.pad(r, [self.border] * (2 * d))
        if self._image is not None:
            r = torch.cat([self._image.expand(len(r), *self._image.shape), r], dim=1)
        training = self.module.training
        self.module.eval()
        try:
            with torch.no_grad():
                u: torch.Tensor = self.module(r)
        finally:
            self.module.train(training)
        inner: tuple[Any, ...] = (..., *[slice(self.border, n + self.border) for n in self._field[1:]])
        cut = u[inner]
        if tuple(cut.shape[1:]) != self._field:
            raise ValueError(f"{self!r} needs fields {self._field} of its network, got {tuple(cut.shape[1:])}")
        return cut

    def _weight_versions(self) -> int:
        return sum(p._version for p in self.module.parameters())

    def _foreign_state(self) -> int:
        return self._weight_versions() - self._start

    def __getstate__(self) -> dict[str, Any]:
        """Tensors that are read back count their changes from zero."""
        return {**self.__dict__, "_revision": self._revision + self._foreign_state(), "_start": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start = self._weight_versions()

    def _summary(self) -> str:
        return type(getattr(self.module, "net", self.module)).__name__
