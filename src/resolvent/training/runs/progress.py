"""How far a training run is, for whoever draws it."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config import TrainingConfig
    from .run_state import RunState


@dataclasses.dataclass(frozen=True)
class TrainingProgress:
    """What a `progress` callback is given after each update, on a GPU four times a second, and after each epoch.

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


class Meter:
    """Turns the state of a run into calls of a progress callback.

    Time left is reckoned by points: samples on coarser grids take a part of the time of one on the whole grid.
    """

    def __init__(self, callback: ProgressCallback | None, config: TrainingConfig, samples: int, dim: int) -> None:
        stages = [config.stage_of(epoch) for epoch in range(config.epochs)]
        self.callback = callback
        self.steps_of = [math.ceil(samples / size) for _, size in stages]
        self.work_of = [samples / stride**dim for stride, _ in stages]
        self.steps = sum(self.steps_of)
        self.begun, self.before, self.earlier = time.monotonic(), 0.0, 0.0

    @property
    def seconds(self) -> float:
        """Time that the run has taken, earlier calls included."""
        return self.earlier + time.monotonic() - self.begun

    def begin(self, state: RunState) -> None:
        """Count from here: what a resumed run had done took no time of this one."""
        self.before = self._work(state)
        self.earlier = state.history[-1]["seconds"] if state.history else 0.0

    def report(self, state: RunState, lr: float, *, epoch_ends: bool) -> None:
        """Call the callback, if there is one."""
        if self.callback is None:
            return
        work, seconds, rows = self._work(state), self.seconds, state.history
        taken, done = seconds - self.earlier, work - self.before
        remaining = taken / done * (sum(self.work_of) - work) if done > 0.0 else 0.0
        self.callback(
            TrainingProgress(
                epoch=state.epoch,
                epochs=len(self.steps_of),
                step=state.step,
                steps=self.steps,
                loss=rows[-1]["train_loss"] if epoch_ends else state.loss_sum / max(state.loss_count, 1),
                lr=lr,
                seconds=seconds,
                remaining=remaining,
                metric=rows[-1]["valid_metric"] if rows else None,
                best=state.best if rows else None,
                epoch_ends=epoch_ends,
            )
        )

    def _work(self, state: RunState) -> float:
        part = self.work_of[state.epoch] * state.batch / self.steps_of[state.epoch] if state.batch else 0.0
        return sum(self.work_of[: state.epoch]) + part
