"""Pairs of inputs and targets on one grid, read in batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ...operators.neural.model import check_whole
from ..errors import NonFiniteError
from .geometry import Geometry

SPLITS = ("train", "valid", "test")
STEPS = "successive frames"

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Inputs and targets of a set on one grid, read in batches.

    Attributes
    ----------
    read : callable
        Sample numbers to (x, y), float32 tensors (n, channels, *grid) on the host.
    c_in, c_out : int
        Channels.
    geometry : Geometry
        Of the grid.
    splits : dict of str to (n,) int array
        Sample numbers of ``train``, ``valid`` and ``test``; disjoint.
    fingerprint : str
        Changes when the set does.
    about : dict
        Where it comes from, as plain values, for the model card.
    trajectories : callable or None
        Of pairs of successive frames: their numbers to the trajectories (n, frames + 1, channels, *grid) that they are
        of, each once, with the inputs (n, channels, *grid) that do not change in time, or None.
    unlabelled : (n,) int array
        Samples without a label: their targets are not-a-number throughout.
    """

    read: Callable[[np.ndarray], Batch]
    c_in: int
    c_out: int
    geometry: Geometry
    splits: Mapping[str, np.ndarray]
    fingerprint: str
    about: dict[str, Any]
    trajectories: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]] | None = None
    unlabelled: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, dtype=int))

    def batch(self, rows: np.ndarray) -> Batch:
        """Return the pairs of some samples; NonFiniteError names the first that is not finite."""
        x, y = self.read(rows)
        for what, values in (("input", x), ("target", y)):
            if not bool(torch.isfinite(values).all()):
                bad = ~torch.isfinite(values).flatten(1).all(dim=1)
                if what == "target" and len(self.unlabelled):
                    bad &= torch.as_tensor(~np.isin(rows, self.unlabelled))
                    if not bool(bad.any()):
                        continue
                raise NonFiniteError(
                    f"the {what} of sample {int(rows[int(bad.nonzero()[0])])} of {self.about['source']} is not finite: "
                    "leave it out, or generate it again"
                )
        return x, y

    def strided(self, stride: int) -> Pairs:
        """Return the set on every `stride`-th point, or on cells of so many a side where points are cell centres."""
        if stride == 1:
            return self
        check_whole("stride", stride)
        geometry, cells = _coarser(self.geometry, stride)
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[geometry.dim - 1]
        every = tuple(slice(None) if cell else slice(None, None, stride) for cell in cells)

        def coarse(values: torch.Tensor) -> torch.Tensor:
            if any(cells):
                values = pool(values, tuple(stride if cell else 1 for cell in cells))
            return values[(slice(None), slice(None), *every)]

        def read(rows: np.ndarray) -> Batch:
            x, y = self.read(rows)
            return coarse(x), coarse(y)

        return dataclasses.replace(self, read=read, geometry=geometry)


def _coarser(geometry: Geometry, stride: int) -> tuple[Geometry, list[bool]]:
    """Return the geometry of every stride-th point, and of cells `stride` wide; and which axes have cells."""
    cells = [places == "centres" for places in geometry.positions]
    points = geometry.subsampled(stride) if not all(cells) else geometry
    axes, ends = list(points.axes), list(points.ends)
    for i, axis in enumerate(geometry.axes):
        if not cells[i]:
            continue
        if len(axis) % stride or len(axis) < 2 * stride:
            raise ValueError(
                f"{len(axis)} cells cannot be joined {stride} by {stride}: choose a stride that divides them, and "
                "leaves two cells"
            )
        axes[i], ends[i] = axis.reshape(-1, stride).mean(axis=1), geometry.ends[i]
    return Geometry(tuple(axes), geometry.periodic, tuple(ends)), cells
