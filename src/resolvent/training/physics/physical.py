"""A network between normalisers: fields in physical units in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, final, overload

import numpy as np
import torch

from ...operators.neural.model import check_whole
from ...operators.neural.spectral.transforms import kept_matrix
from ..data.normalisers import Normaliser, build_normaliser
from .solver_in_loop import Correction

Boundary = float | Sequence[float | None] | None


@final
class PhysicalOperator(torch.nn.Module):
    """decode(net(encode(x))), with given values on the boundary if asked.

    Parameters
    ----------
    net : Module
        From fields (B, c_in, *grid) to (B, c_out, *grid), both at the scale of the normalisers.
    inputs, outputs : Normaliser
        Fitted on the training split; see `Normaliser`.
    boundary : float, sequence of (float or None), or None
        Value of the output at the first and last points of each axis, for Dirichlet conditions on grids that include
        both ends: one for all channels, or one each, None for channels that stay free.
    boundary_axes : sequence of int, optional
        Axes that have such ends; all by default.
    correction : Correction, optional
        Steps of a solver on what is decoded.

    Notes
    -----
    Gradients at boundary points are zero, so that the network need not learn what is known.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import FNO
    >>> from resolvent.training.data.normalisers import Normaliser
    >>> from resolvent.training import PhysicalOperator
    >>> net = FNO(c_in=1, c_out=1, n_modes=[4, 4], width=8)
    >>> model = PhysicalOperator(net, Normaliser("none", 1), Normaliser("none", 1), boundary=0.0)
    >>> model(torch.ones(2, 1, 9, 9))[:, :, 0].abs().max()
    tensor(0., grad_fn=<MaxBackward1>)
    """

    def __init__(
        self,
        net: torch.nn.Module,
        inputs: Normaliser,
        outputs: Normaliser,
        *,
        boundary: Boundary = None,
        boundary_axes: Sequence[int] | None = None,
        correction: Correction | None = None,
    ) -> None:
        super().__init__()
        self.correction = correction
        self.net, self.inputs, self.outputs = net, inputs, outputs
        if isinstance(boundary, Sequence):
            if len(boundary) != outputs.channels:
                raise ValueError(f"boundary needs one value for each of {outputs.channels} channels, got {boundary!r}")
            self.boundary: list[float | None] = [None if value is None else float(value) for value in boundary]
        else:
            self.boundary = [None if boundary is None else float(boundary)] * outputs.channels
        self.boundary_axes = None if boundary_axes is None else sorted(int(i) for i in boundary_axes)
        if self.boundary_axes and not 0 <= self.boundary_axes[0] <= self.boundary_axes[-1] <= 2:
            raise ValueError(f"boundary_axes are counted from 0 and at most 2, got {boundary_axes!r}")

    @property
    def options(self) -> dict[str, Any]:
        """All but the network, as JSON has it; `with_options` takes it."""
        return {
            "inputs": self.inputs.options,
            "outputs": self.outputs.options,
            "boundary": list(self.boundary),
            "boundary_axes": self.boundary_axes,
            "correction": None if self.correction is None else self.correction.options,
        }

    @classmethod
    def with_options(cls, net: torch.nn.Module, options: dict[str, Any]) -> Self:
        """Return what `options` describes around a network, to load a state dict into."""
        inputs, outputs = build_normaliser(**options["inputs"]), build_normaliser(**options["outputs"])
        given = options.get("correction")
        return cls(
            net,
            inputs,
            outputs,
            boundary=options["boundary"],
            boundary_axes=options["boundary_axes"],
            correction=None if given is None else Correction(**given),
        )

    def corrected(self, family: Any, **options: Any) -> PhysicalOperator:
        """Return the model with steps of a solver after it, sharing its parameters; see `Correction` for options."""
        model = PhysicalOperator.with_options(self.net, {**self.options, "correction": None})
        model.inputs, model.outputs = self.inputs, self.outputs
        model.correction = Correction(family, **options)
        return model.train(self.training)

    @property
    def any_grid(self) -> bool:
        """Whether it works on other grids than that of the training."""
        return self.inputs.grid is None and self.outputs.grid is None

    def encoded(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output at the scale of the network, for losses that compare with encoded targets."""
        z: torch.Tensor = self.net(self.inputs.encode(x))
        return z

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map fields in physical units (B, c_in, *grid) to fields in physical units (B, c_out, *grid)."""
        return self.decoded(self.encoded(x), x)

    def decoded(self, z: torch.Tensor, x: torch.Tensor | None = None) -> torch.Tensor:
        """Return what `encoded` gives for x in physical units, with boundary values, corrected if it is to be."""
        y = self.with_boundary(self.outputs.decode(z))
        if self.correction is None:
            return y
        if x is None:
            raise ValueError("a model with a correction needs the inputs too: decoded(z, x)")
        corrected: torch.Tensor = self.correction(y, x)
        return corrected

    def with_boundary(self, y: torch.Tensor) -> torch.Tensor:
        """Return fields with the given values at boundary points; the mask of a grid is made once and kept."""
        if all(value is None for value in self.boundary):
            return y
        grid, values = tuple(y.shape[2:]), tuple(self.boundary)
        axes = tuple(i for i in range(len(grid)) if self.boundary_axes is None or i in self.boundary_axes)

        def free() -> torch.Tensor:
            inside = torch.ones(len(values), *grid)
            for channel, value in zip(inside, values, strict=True):
                for i in axes if value is not None else ():
                    channel.select(i, 0).zero_()
                    channel.select(i, -1).zero_()
            return inside

        def given() -> torch.Tensor:
            return torch.tensor([value or 0.0 for value in values], dtype=torch.float64).reshape(-1, *[1] * len(grid))

        inside = kept_matrix(("free points", grid, axes, tuple(v is None for v in values)), free, y)
        # where, not a product: what is not finite at a boundary point must not survive there.
        return torch.where(inside > 0.0, y, kept_matrix(("boundary values", len(grid), values), given, y))

    @overload
    def predict(self, x: np.ndarray, batch_size: int = ...) -> np.ndarray: ...

    @overload
    def predict(self, x: torch.Tensor, batch_size: int = ...) -> torch.Tensor: ...

    def predict(self, x: np.ndarray | torch.Tensor, batch_size: int = 16) -> np.ndarray | torch.Tensor:
        """Predict batch by batch without gradients, in evaluation mode and in the precision of the model.

        Parameters
        ----------
        x : (N, c_in, *grid) array or tensor
            In physical units; the axis of a single channel may be left out.
        batch_size : int
            Samples at a time; bounds the memory.

        Returns
        -------
        (N, c_out, *grid) array or tensor
            The kind of `x`, on its device.
        """
        check_whole("batch_size", batch_size)
        if len(x) == 0:
            raise ValueError("there are no samples to predict for")
        if torch.is_complex(x) if isinstance(x, torch.Tensor) else np.iscomplexobj(x):
            raise ValueError("inputs are complex: give real and imaginary part as two channels")
        if x.ndim == getattr(self.net, "dim", 0) + 1 and self.inputs.channels == 1:
            x = x[:, None]
        own = next((p for p in self.parameters()), torch.zeros(()))
        training = self.training
        self.eval()
        try:
            parts = []
            # no_grad, not inference mode: what layers keep from one call to the next must serve in training too.
            with torch.no_grad():
                for start in range(0, len(x), batch_size):
                    batch = torch.as_tensor(x[start : start + batch_size]).to(own.device, own.dtype)
                    parts.append(self(batch).cpu())
        finally:
            self.train(training)
        y = torch.cat(parts)
        return y.to(x.device) if isinstance(x, torch.Tensor) else y.numpy()
