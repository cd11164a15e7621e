"""What every neural operator is: a torch module from fields to fields that knows how it was made."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch

_MODES = 16
"""Fourier modes of an axis, unless told otherwise or the grid has fewer."""


class NeuralOperator(torch.nn.Module, abc.ABC):
    """A learned map from fields ``(B, c_in, *grid)`` to fields ``(B, c_out, *grid)``.

    A model is final, takes keyword options that are numbers, strings, booleans or lists of them, and implements
    `transform`. Its options are recorded as they were given, defaults included, so that a checkpoint can build it
    again: ``type(model)(**model.options)``.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    dim : int
        Dimension of the grid.
    """

    function_space: ClassVar[str]
    """What holds when the grid is refined, in one sentence."""

    options: dict[str, Any]

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Record the options of the call."""
        self: Self = super().__new__(cls)
        if options:  # none where a copy is made, which brings its own
            bound = inspect.signature(cls.__init__).bind(self, *args, **options)
            bound.apply_defaults()
            object.__setattr__(self, "options", {k: plain(v) for k, v in bound.arguments.items() if k != "self"})
        return self

    def __init__(self, *, c_in: int, c_out: int, dim: int) -> None:
        super().__init__()
        check_whole("c_in", c_in)
        check_whole("c_out", c_out)
        if dim not in (1, 2, 3):
            raise ValueError(f"{type(self).__name__} works on grids of 1, 2 or 3 dimensions, got {dim}")
        self.c_in, self.c_out, self.dim = c_in, c_out, dim

    @classmethod
    def suited_options(cls, grid: Sequence[int], positions: Sequence[str | None]) -> dict[str, Any]:
        """Return the options by which a model of this class suits a grid: dimension, modes, positions.

        Parameters
        ----------
        grid : sequence of int
            Points of each axis.
        positions : sequence of str or None
            Where they lie, as in `grids`; None if irregular.
        """
        known = inspect.signature(cls.__init__).parameters
        options: dict[str, Any] = {}
        if "dim" in known:
            options["dim"] = len(grid)
        if "n_modes" in known:
            options["n_modes"] = [min(_MODES, n - n % 2) for n in grid]
        if "positions" in known and len(set(positions)) == 1 and positions[0] is not None:
            options["positions"] = positions[0]
        return options

    def prepare(self, targets: torch.Tensor) -> None:
        """Learn what is learned before training, from targets (N, c_out, *grid) at the scale of the network."""

    prepares: ClassVar[bool] = False
    """Whether `prepare` does anything."""

    @property
    def minimum_grid(self) -> int:
        """Fewest points that an axis may have."""
        return 2

    @abc.abstractmethod
    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """Map checked fields (B, c_in, *grid) to (B, c_out, *grid)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map fields (B, c_in, *grid) to (B, c_out, *grid); ValueError for anything that does not fit."""
        name = type(self).__name__
        if x.ndim != self.dim + 2:
            axes = ", ".join("xyz"[: self.dim])
            raise ValueError(f"{name} needs fields of shape (samples, channels, {axes}), got {tuple(x.shape)}")
        if x.shape[1] != self.c_in:
            raise ValueError(f"{name} was built for {self.c_in} input channels, got {x.shape[1]}")
        if min(x.shape[2:]) < self.minimum_grid:
            raise ValueError(
                f"{name} with these options needs at least {self.minimum_grid} points a side, got a grid of "
                f"{' × '.join(str(n) for n in x.shape[2:])}"
            )
        return self.transform(x)


def plain(value: Any) -> Any:
    """Return an option as JSON has it: tuples as lists."""
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return value


def check_whole(name: str, value: Any, minimum: int = 1) -> None:
    """Raise ValueError unless `value` is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")


def check_among(name: str, value: Any, known: tuple[Any, ...]) -> None:
    """Raise ValueError, listing what there is, unless `value` is one of `known`."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")
