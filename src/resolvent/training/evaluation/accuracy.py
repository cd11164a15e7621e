"""Errors of predictions, and how they change with the grid."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
import torch

from ..data.geometry import Geometry
from ..data.resampling import Degree, resample
from ..losses import H1, RelativeL2
from ..physics.physical import PhysicalOperator
from .table import Table

Model = torch.nn.Module | Callable[[Any], Any]
"""A network, or any function from inputs (N, c_in, *grid) to predictions (N, c_out, *grid)."""

GridSet = tuple[np.ndarray | torch.Tensor, np.ndarray | torch.Tensor, Geometry]
"""Inputs, targets and geometry of samples on one grid."""


@final
@dataclasses.dataclass(frozen=True)
class Errors:
    """Relative errors of each sample, (N,) arrays: in L², in H¹ (by differences), and in the largest value."""

    relative_l2: np.ndarray
    relative_h1: np.ndarray
    relative_max: np.ndarray

    def mean(self) -> dict[str, float]:
        """Return the means over samples."""
        return {field.name: float(getattr(self, field.name).mean()) for field in dataclasses.fields(self)}


def relative_errors(
    prediction: np.ndarray | torch.Tensor, target: np.ndarray | torch.Tensor, geometry: Geometry, batch_size: int = 64
) -> Errors:
    """Return the errors of predictions (N, C, *grid), in double precision; all channels together.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.training import Geometry, relative_errors
    >>> y = np.ones((2, 1, 9))
    >>> relative_errors(1.25 * y, y, Geometry.unit([9])).mean()
    {'relative_l2': 0.25, 'relative_h1': 0.25, 'relative_max': 0.25}
    """
    if len(prediction) != len(target) or len(target) == 0:
        raise ValueError(f"expected as many predictions as targets, got {len(prediction)} and {len(target)}")
    parts = []
    for start in range(0, len(target), batch_size):
        p, y = (torch.as_tensor(u[start : start + batch_size]).cpu().double() for u in (prediction, target))
        largest = y.flatten(1).abs().amax(1)
        parts.append(
            torch.stack(
                [
                    RelativeL2()(p, y, geometry),
                    H1()(p, y, geometry),
                    (p - y).flatten(1).abs().amax(1) / torch.where(largest == 0.0, 1.0, largest),
                ]
            )
        )
    l2, h1, largest = torch.cat(parts, 1).numpy()
    return Errors(l2, h1, largest)


def predict(model: Model, x: np.ndarray | torch.Tensor, batch_size: int = 16) -> np.ndarray:
    """Return the predictions of a model or of any function, batch by batch without gradients, as a numpy array.

    A module is put into evaluation mode and left as it was; a function gets the kind of array that `x` is.
    """
    if isinstance(model, PhysicalOperator):
        return np.asarray(model.predict(torch.as_tensor(x), batch_size).cpu())
    module = model if isinstance(model, torch.nn.Module) else None
    own = next(module.parameters(), None) if module is not None else None
    training = module is not None and module.training
    if module is not None:
        module.eval()
    parts = []
    try:
        with torch.no_grad():
            for start in range(0, len(x), batch_size):
                batch: Any = x[start : start + batch_size]
                if module is not None:
                    batch = torch.as_tensor(batch)
                    batch = batch if own is None else batch.to(own.device, own.dtype)
                y = model(batch)
                parts.append(y.cpu().numpy() if isinstance(y, torch.Tensor) else np.asarray(y))
    finally:
        if module is not None:
            module.train(training)
    return np.concatenate(parts)


def sweep(
    model: Model,
    sets: Mapping[str, GridSet],
    trained_on: str | None = None,
    *,
    degree: Degree = "cubic",
    batch_size: int = 16,
) -> Table:
    """Return errors and times of one model on several grids, beside the simplest way to another grid.

    That way is to predict on the grid of the training and to interpolate: a model that is not better than this has
    learned nothing about the finer grid.

    Parameters
    ----------
    model : module or function
        On physical units, as `PhysicalOperator` is.
    sets : mapping of label -> (x, y, geometry)
        The same samples on each grid, in the same order.
    trained_on : str, optional
        Label of the grid of the training; without it, there is no interpolation.
    degree : {"cubic", "linear"}
        Of the interpolating splines.
    batch_size : int

    Returns
    -------
    Table
        With columns ``grid``, ``points``, ``relative_l2``, ``relative_h1``, ``ms_per_sample``,
        ``interpolated_relative_l2`` and ``interpolated_relative_h1``. Times are those of the fastest of three passes
        over one batch, after one that warms up.

    Raises
    ------
    ValueError
        For normalisers per point, which know one grid only; for sets of different numbers of samples.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.training import Geometry, sweep
    >>> def samples(n):
    ...     geometry = Geometry.unit([n])
    ...     x = np.sin(np.pi * geometry.axes[0])[None, None]
    ...     return x, 2.0 * x, geometry
    >>> table = sweep(lambda x: 1.9 * x, {"17": samples(17), "33": samples(33)}, "17")
    >>> [round(e, 6) for e in table.column("relative_l2")]
    [0.05, 0.05]
    """
    if not sets:
        raise ValueError("a sweep needs at least one grid")
    if isinstance(model, PhysicalOperator) and not model.any_grid and len(sets) > 1:
        raise ValueError("normalisers per point know one grid only: train with kind 'scalar' for a resolution sweep")
    if trained_on is not None and trained_on not in sets:
        raise ValueError(f"trained_on must be one of {', '.join(sets)}, got {trained_on!r}")
    counts = {label: len(x) for label, (x, _, _) in sets.items()}
    if len(set(counts.values())) > 1 and trained_on is not None:
        raise ValueError(f"every grid must have the same samples in the same order, got {counts}")
    base = None
    if trained_on is not None:
        x, _, source = sets[trained_on]
        base = predict(model, x, batch_size)
    rows = []
    for label, (x, y, geometry) in sets.items():
        direct = base if base is not None and label == trained_on else predict(model, x, batch_size)
        found = relative_errors(direct, y, geometry).mean()
        around: dict[str, float | None] = {"relative_l2": None, "relative_h1": None}
        if base is not None:
            around = dict(relative_errors(resample(base, source, geometry, degree), y, geometry).mean())
        rows.append(
            (
                label,
                int(np.prod(geometry.grid)),
                found["relative_l2"],
                found["relative_h1"],
                _milliseconds(model, x[:batch_size]),
                around["relative_l2"],
                around["relative_h1"],
            )
        )
    return Table(
        (
            "grid", "points", "relative_l2", "relative_h1", "ms_per_sample", "interpolated_relative_l2",
            "interpolated_relative_h1",
        ),
        tuple(rows),
    )  # fmt: skip


def _milliseconds(model: Model, batch: np.ndarray | torch.Tensor) -> float:
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        predict(model, batch, len(batch))
        seconds.append(time.perf_counter() - start)
    return 1e3 * min(seconds[1:]) / len(batch)
