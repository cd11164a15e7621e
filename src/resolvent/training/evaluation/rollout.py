"""Predictions from predictions: how long a model of one time step can go on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import final

import numpy as np
import torch

from ...operators.neural.model import check_whole
from ..data.geometry import Geometry
from ..losses import Loss, RelativeL2
from .accuracy import Model, predict
from .table import Table


@final
@dataclasses.dataclass(frozen=True)
class Rollout:
    """Errors of each step.

    Parameters
    ----------
    states : (B, K, C, *grid) array
        Predictions from predictions.
    errors : (K, B) array
        Of these; not a number from the first state on that is not finite.
    teacher_forced : (K, B) array
        Of predictions of the same steps from the truth: what one step adds.
    first_non_finite : (B,) array
        The first step, counted from 1, whose state is not finite; 0 where all are.
    """

    states: np.ndarray
    errors: np.ndarray
    teacher_forced: np.ndarray
    first_non_finite: np.ndarray

    def table(self) -> Table:
        """Return steps with the mean, the median and the largest error of trajectories that are finite."""
        rows = []
        for step, (own, forced) in enumerate(zip(self.errors, self.teacher_forced, strict=True), start=1):
            finite = own[np.isfinite(own)]
            some = finite.size > 0
            rows.append(
                (
                    step,
                    float(finite.mean()) if some else None,
                    float(np.median(finite)) if some else None,
                    float(finite.max()) if some else None,
                    float(forced[np.isfinite(forced)].mean()) if np.isfinite(forced).any() else None,
                    int(finite.size),
                    len(own),
                )
            )
        columns = ("step", "mean_error", "median_error", "largest_error", "teacher_forced_error", "finite", "of")
        return Table(columns, tuple(rows))

    def write_csv(self, path: str | Path) -> Path:
        """Write the table; return the path."""
        return self.table().write_csv(path)


def rollout(
    model: Model,
    truth: np.ndarray | torch.Tensor,
    geometry: Geometry,
    *,
    steps: int | None = None,
    history: int = 1,
    fixed: np.ndarray | torch.Tensor | None = None,
    loss: Loss | None = None,
    batch_size: int = 16,
) -> Rollout:
    """Apply a model of one time step to its own predictions.

    Parameters
    ----------
    model : module or function
        From the last `history` states, oldest first in the channels, then the fixed channels, to the next state.
    truth : (B, T, C, *grid) array
        Trajectories; the first `history` states are where the model starts.
    geometry : Geometry
    steps : int, optional
        All that the truth has by default, ``T − history``.
    history : int
        States that the model sees.
    fixed : (B, C', *grid) array, optional
        Channels that do not change, such as coefficients.
    loss : Loss, optional
        `RelativeL2` by default.
    batch_size : int

    Raises
    ------
    ValueError
        For more steps than the truth has, or predictions of another shape than a state.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.training import Geometry, rollout
    >>> decay = np.cumprod(np.full((1, 5, 1, 8), 0.5), axis=1)
    >>> rollout(lambda u: 0.55 * u, decay, Geometry.unit([8])).errors[:, 0].round(3)
    array([0.1  , 0.21 , 0.331, 0.464])
    """
    check_whole("history", history)
    states = np.asarray(truth.cpu() if isinstance(truth, torch.Tensor) else truth)
    if states.dtype.kind != "f":
        states = states.astype(np.float64)  # predictions are no whole numbers
    if states.ndim != geometry.dim + 3 or states.shape[3:] != geometry.grid:
        raise ValueError(
            f"truth must be (samples, times, channels, {', '.join(map(str, geometry.grid))}), got {states.shape}"
        )
    B, T = states.shape[:2]
    steps = T - history if steps is None else steps
    check_whole("steps", steps)
    if steps > T - history:
        raise ValueError(f"{T} states with a history of {history} allow {T - history} steps, got {steps}")
    beside = None if fixed is None else np.asarray(fixed.cpu() if isinstance(fixed, torch.Tensor) else fixed)
    measured = RelativeL2() if loss is None else loss
    known = states.copy()
    errors, forced = np.full((steps, B), np.nan), np.full((steps, B), np.nan)
    first = np.zeros(B, dtype=int)
    for step in range(1, steps + 1):
        at = history + step - 1
        own = _next(model, known, at, history, beside, batch_size)
        lost = ~np.isfinite(own).reshape(B, -1).all(1)
        first[(first == 0) & lost] = step
        errors[step - 1] = _errors(measured, own, states[:, at], geometry)
        errors[step - 1, first > 0] = np.nan
        # The first step starts from the truth anyway.
        given = own if step == 1 else _next(model, states, at, history, beside, batch_size)
        forced[step - 1] = _errors(measured, given, states[:, at], geometry)
        known[:, at] = own
    return Rollout(known[:, history : history + steps], errors, forced, first)


def _next(
    model: Model, states: np.ndarray, at: int, history: int, beside: np.ndarray | None, batch_size: int
) -> np.ndarray:
    """Return the predictions of the states at one time from those before."""
    x = states[:, at - history : at].reshape(len(states), -1, *states.shape[3:])
    y = predict(model, x if beside is None else np.concatenate([x, beside], axis=1), batch_size)
    if y.shape != states[:, at].shape:
        raise ValueError(f"the model must give states of shape {states[:, at].shape[1:]}, got {y.shape[1:]}")
    return y


def _errors(loss: Loss, prediction: np.ndarray, target: np.ndarray, geometry: Geometry) -> np.ndarray:
    values: np.ndarray = loss(torch.tensor(prediction).double(), torch.tensor(target).double(), geometry).numpy()
    return values
