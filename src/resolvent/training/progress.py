"""How far a training run is, for whoever draws it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class TrainingProgress:
    """What a `progress` callback is given after each update, and after each epoch.

    Attributes
    ----------
    epoch, epochs : int
        Epochs finished, and in all.
    step, steps : int
        Updates done, and in all.
    loss : float
        Mean over the samples of this epoch so far.
    lr : float
    seconds, remaining : float
        Since the run began, and expected until its end.
    metric, best : float or None
        Validation error of the last finished epoch, and the best so far.
    epoch_ends : bool
        Whether an epoch has just ended.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    lr: float
    seconds: float
    remaining: float
    metric: float | None
    best: float | None
    epoch_ends: bool


ProgressCallback = Callable[[TrainingProgress], None]
