"""Training: epochs, updates, validation, checkpoints, in an order that can be interrupted anywhere and resumed."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from ..operators.neural import NeuralOperator
from .config import TrainingConfig
from .data.pairs import Batch, Pairs
from .data.sources import as_pairs
from .errors import NonFiniteError, TrainingInterrupted
from .losses import build_loss
from .objective import Average, Objective, compiled
from .physics.physical import PhysicalOperator
from .runs import checkpoint
from .runs.batches import batches_in_parts
from .runs.card import write_card
from .runs.devices import device_of
from .runs.folder import clear_folder, make_folder
from .runs.interrupts import deferred_interrupt
from .runs.logs import CSVRecorder, Recorder
from .runs.processes import Processes, processes
from .runs.progress import Meter, ProgressCallback
from .runs.run_state import RunState, check_same, restore, stored
from .runs.tally import Tally
from .schedules import build_schedule
from .setup import physical_operator, stage_grids

_log = logging.getLogger(__name__)

LOG, CARD = "log.csv", "card.md"


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training run gives.

    Attributes
    ----------
    model : PhysicalOperator
        The best by the validation error; takes and gives fields in physical units.
    history : list of dict
        One row an epoch, with the columns of the log.
    best : float
        Validation error of `model`.
    out : Path or None
        The folder with checkpoints, log and model card.
    """

    model: PhysicalOperator
    history: list[dict[str, Any]]
    best: float
    out: Path | None

    def predict(self, x: Any, batch_size: int = 64) -> Any:
        """Return the predictions for inputs (n, c_in, *grid), an array for an array and a tensor for a tensor."""
        return self.model.predict(x, batch_size)


@final
class Trainer:
    """Trains a neural operator.

    Parameters
    ----------
    model : NeuralOperator
    config : TrainingConfig, optional
    recorders : sequence of Recorder
        Besides the CSV log of `out`.

    Notes
    -----
    On a CPU with a fixed number of threads a run that was interrupted and resumed gives the same bits as one that was
    not. The order of samples follows from seed and epoch alone.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import build
    >>> from resolvent.training import Trainer, TrainingConfig
    >>> x = torch.randn(20, 1, 16, generator=torch.Generator().manual_seed(0))
    >>> model = build("fno", c_in=1, c_out=1, n_modes=[8], width=8, layers=2)
    >>> trained = Trainer(model, TrainingConfig(epochs=2, loss="relative_l2")).fit((x, 2 * x))
    >>> len(trained.history), trained.predict(x).shape
    (2, torch.Size([20, 1, 16]))
    """

    def __init__(
        self, model: NeuralOperator, config: TrainingConfig | None = None, *, recorders: Sequence[Recorder] = ()
    ) -> None:
        self.model = model
        self.config = config or TrainingConfig()
        self.recorders = tuple(recorders)

    def fit(
        self,
        data: Any,
        *,
        out: str | Path | None = None,
        resume: bool = True,
        progress: ProgressCallback | None = None,
        checkpoint_seconds: float = 600.0,
    ) -> Trained:
        """Train on pairs, and return the best model.

        Parameters
        ----------
        data
            Whatever `as_pairs` takes.
        out : path, optional
            A folder for checkpoints, log and model card; an unfinished run of the same model, configuration and data
            in it goes on.
        resume : bool
            False begins anew.
        progress : callable, optional
            Takes a `TrainingProgress`.
        checkpoint_seconds : float
            Longest time between two checkpoints.

        Raises
        ------
        ValueError
            If model and data do not fit.
        NonFiniteError
            For data, losses or gradients that are not finite, naming the sample; earlier checkpoints are kept. A GPU
            may have made further updates before losses and gradients are looked at, at the latest at the epoch's end.
        CheckpointError
            If `out` holds a run of another model, configuration or dataset.
        TrainingInterrupted
            After Ctrl-C, when a checkpoint is written.
        """
        pairs = as_pairs(data)
        device = device_of(self.config.device, shared=self.config.ddp)
        with processes(self.config.ddp, device) as (team, warning), deferred_interrupt() as interrupted:
            if warning:
                _log.warning(warning)
            folder = None if out is None else Path(out)
            run = _Run(self, pairs, device, team, folder, resume, progress, interrupted)
            run.start()
            return run.complete(checkpoint_seconds)


class _Run:
    """One call of `fit`."""

    def __init__(
        self,
        trainer: Trainer,
        pairs: Pairs,
        device: torch.device,
        team: Processes,
        out: Path | None,
        resume: bool,
        progress: ProgressCallback | None,
        interrupted: threading.Event,
    ) -> None:
        self.config, self.pairs, self.device, self.team, self.out = trainer.config, pairs, device, team, out
        self.interrupted, self.resume, self.tally = interrupted, resume, Tally(team, device)
        self.schedule = build_schedule(self.config.schedule)
        self.last = self._last(trainer.model)
        self.model = self._model(trainer.model).to(device)
        self.average = None if self.config.ema is None else Average(self.model, self.config.ema)
        self.objective = Objective(
            self.model, build_loss(self.config.loss), encoded=self.config.loss_space == "encoded"
        )
        self.metric = build_loss(self.config.metric)
        kind = torch.optim.AdamW if self.config.optimiser == "adamw" else torch.optim.Adam
        self.optimiser = kind(self.model.parameters(), lr=self.config.lr, weight_decay=self.config.weight_decay)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.config.amp == "float16")
        self.state = RunState()
        self.grids = stage_grids(trainer.model, self.model, pairs, self.config)
        self.meter = Meter(
            progress if team.leads else None, self.config, len(pairs.splits["train"]), pairs.geometry.dim
        )
        own = [] if out is None or not team.leads else [CSVRecorder(out / LOG)]
        self.recorders: list[Recorder] = [*own, *(trainer.recorders if team.leads else ())]
        self.called: Any = self.objective
        self.saved = time.monotonic()

    def _last(self, network: NeuralOperator) -> dict[str, Any] | None:
        """Return the checkpoint to go on from, None to begin; CheckpointError if it is of another run."""
        if self.out is None or not self.resume or not (self.out / checkpoint.LAST).is_file():
            return None
        content = checkpoint.load(self.out / checkpoint.LAST)
        check_same(content, network, self.config, self.pairs, self.out / checkpoint.LAST)
        return content

    def _model(self, network: NeuralOperator) -> PhysicalOperator:
        """Return the network between normalisers, which a checkpoint holds and a new run fits."""
        if self.last is None:
            return physical_operator(network, self.pairs, self.config)
        return PhysicalOperator.with_options(network, self.last["model"]["physical"])

    def start(self) -> None:
        """Continue what is in `out`, or begin."""
        if self.out is not None and self.team.leads:
            make_folder(self.out)
        if self.last is not None:
            restore(self, self.last)
            self.last = None
        elif self.out is not None and self.team.leads:
            clear_folder(self.out, (checkpoint.LAST, checkpoint.BEST, LOG, CARD), replace=not self.resume)
        self.meter.begin(self.state)
        self.objective.geometry = self.grids[self._stride()].geometry
        if self.config.compile:
            first = self.grids[self._stride()]
            self.called = compiled(self.objective, *self._to_device(first.batch(first.splits["train"][:2])))
        if self.team.count > 1:
            from torch.nn.parallel import DistributedDataParallel

            self.called = DistributedDataParallel(self.called)
            if self.average is not None and self.state.step == 0:  # of the parameters that all processes now share
                self.average = Average(self.model, self.average.decay)

    def complete(self, checkpoint_seconds: float) -> Trained:
        """Train the epochs that are left."""
        while self.state.epoch < self.config.epochs and not self.state.stopped:
            self._epoch(checkpoint_seconds)
        best = self.state.best_content
        assert best is not None
        model = copy.deepcopy(self.model)
        model.load_state_dict(best["average"] or best["parameters"])
        model.eval()
        if self.out is not None and self.team.leads:
            write_card(self.out / CARD, model, self.config, self.pairs, self.state)
        return Trained(model, self.state.history, self.state.best, self.out)

    # Epochs ------------------------------------------------------------------------------------------------------

    def _epoch(self, checkpoint_seconds: float) -> None:
        state = self.state
        stride, size = self.config.stage_of(state.epoch)
        pairs = self.grids[stride]
        self.objective.geometry = pairs.geometry
        order = np.random.default_rng([self.config.seed, state.epoch]).permutation(self.pairs.splits["train"])
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        self.model.train()
        pinned = self.device.type == "cuda"
        for batch, parts in batches_in_parts(pairs, batches[state.batch :], self.team, self.config.accumulate, pinned):
            self._update(batch, parts)
            if self.tally.due:
                self._look()
                self._report(epoch_ends=False)
            if self.interrupted.is_set() if self.team.count == 1 else self.tally.stopping:
                self._save_last()
                raise TrainingInterrupted(state.epoch, self.config.epochs, None if self.out is None else str(self.out))
            if state.batch < len(batches) and time.monotonic() - self.saved > checkpoint_seconds:
                self._save_last()
        self._finish_epoch()

    def _finish_epoch(self) -> None:
        state = self.state
        self._look()
        valid_loss, metric = self._validate()
        train_loss = state.loss_sum / max(state.loss_count, 1)
        judged = train_loss if metric is None else metric
        margin = self.config.min_delta * abs(state.best) if math.isfinite(state.best) else 0.0
        improved = judged < state.best - margin
        row = {
            "epoch": state.epoch + 1,
            "step": state.step,
            "lr": self.optimiser.param_groups[0]["lr"],
            "train_loss": train_loss,
            "valid_loss": valid_loss,
            "valid_metric": metric,
            "gradient_norm": state.gradient_norm,
            "seconds": self.meter.seconds,
        }
        state.end_epoch(row, judged, improved, self.config.patience, self.schedule.patience)
        for recorder in self.recorders:
            recorder.record(row)
        if improved or state.best_content is None:
            state.best_content = stored(self)
            if self.out is not None and self.team.leads:
                checkpoint.save(self.out / checkpoint.BEST, state.best_content)
        self._save_last()
        self._report(epoch_ends=True)

    def _update(self, batch: np.ndarray, parts: Sequence[tuple[np.ndarray, Batch]]) -> None:
        """Change the parameters once, by the mean loss of a batch over all its parts and processes."""
        state, config = self.state, self.config
        self._set_rate()
        self.optimiser.zero_grad(set_to_none=True)
        rows: list[np.ndarray] = []
        losses: list[torch.Tensor] = []
        for i, (part, pair) in enumerate(parts):
            x, y = self._to_device(pair)
            last = i == len(parts) - 1
            quiet = self.called.no_sync() if self.team.count > 1 and not last else nullcontext()
            # Each part of a batch weighs by its samples; the average that DDP takes is undone.
            weight = 0.0 if self.team.count > 1 and part[0] < 0 else self.team.count / len(batch)
            with quiet:
                with torch.autocast(self.device.type, _AMP[config.amp], enabled=config.amp is not None):
                    values = self.called(x, y)
                self.scaler.scale(values.float().sum() * weight).backward()
            if weight:
                rows.append(part)
                losses.append(values.detach().float())
        self.scaler.unscale_(self.optimiser)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.model.parameters() if p.grad is not None])
        if config.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(self.model.parameters(), config.clip, norm)
        self.tally.note(state.step + 1, rows, losses, norm)
        if self.tally.prompt:
            self._look()  # before what is not finite can reach the parameters
        self.scaler.step(self.optimiser)
        self.scaler.update()
        state.step += 1
        state.batch += 1
        state.loss_count += len(batch)
        if self.average is not None:
            self.average.update(self.model, state.step)

    def _look(self) -> None:
        """Take the figures of the updates since the last look into account; NonFiniteError for the first bad one."""
        for figures in self.tally.read(self.interrupted.is_set()):
            if figures.broken:
                raise self._non_finite("loss", figures.step, figures.row)
            # With a scale, gradients may overflow: the update is left out and the scale lowered.
            if not self.scaler.is_enabled() and not math.isfinite(figures.norm):
                raise self._non_finite("gradient", figures.step)
            self.state.gradient_norm = figures.norm
            self.state.loss_sum += figures.loss

    def _non_finite(self, what: str, step: int, row: int = -1) -> NonFiniteError:
        where = f" for sample {row} of {self.pairs.about['source']}" if row >= 0 else ""
        best = None if self.out is None or self.state.best_content is None else self.out / checkpoint.BEST
        kept = "" if best is None else f"; {best} keeps the best model"
        return NonFiniteError(
            f"the {what} is not finite{where} in epoch {self.state.epoch + 1}, update {step}: lower lr "
            f"(now {self.config.lr:g}), or set clip{kept}"
        )

    def _set_rate(self) -> None:
        state, schedule = self.state, self.schedule
        at, total = (state.epoch, self.config.epochs) if schedule.per == "epoch" else (state.step, self.meter.steps)
        done = schedule.position(at, total)
        beta = schedule.beta(done)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.lr * schedule.factor(done, state.epoch, state.reductions)
            if beta is not None:
                group["betas"] = (beta, group["betas"][1])

    @torch.no_grad()
    def _validate(self) -> tuple[float | None, float | None]:
        """Return loss and metric on the validation split, on the whole grid; None where there is none."""
        rows = self.pairs.splits["valid"]
        if len(rows) == 0:
            return None, None
        judged = self.model if self.average is None else self.average.model
        judged.eval()
        self.objective.geometry = self.pairs.geometry
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        mine = self.team.share(rows)
        size = self.config.batch_size
        batches = [mine[i : i + size] for i in range(0, len(mine), size)]
        for _, [(_, pair)] in batches_in_parts(self.pairs, batches, Processes(), 1, self.device.type == "cuda"):
            x, y = self._to_device(pair)
            encoded = judged.encoded(x)
            prediction = judged.decoded(encoded, x)
            sums[0] += self.objective.measured(encoded, prediction, y, x).double().sum()
            sums[1] += self.metric(prediction, y, self.pairs.geometry, x).double().sum()
        loss, metric = (self.team.sum(sums) / len(rows)).tolist()
        if not math.isfinite(metric):
            raise self._non_finite("validation error", self.state.step)
        return loss, metric

    def _stride(self) -> int:
        return self.config.stage_of(min(self.state.epoch, self.config.epochs - 1))[0]

    def _to_device(self, pair: Batch) -> Batch:
        x, y = pair
        return x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)

    # Records -----------------------------------------------------------------------------------------------------

    def _save_last(self) -> None:
        self._look()  # what is not finite must not be kept
        if self.out is not None and self.team.leads:
            checkpoint.save(self.out / checkpoint.LAST, stored(self, complete=True))
        self.saved = time.monotonic()

    def _report(self, *, epoch_ends: bool) -> None:
        self.meter.report(self.state, self.optimiser.param_groups[0]["lr"], epoch_ends=epoch_ends)


_AMP = {None: torch.bfloat16, "bfloat16": torch.bfloat16, "float16": torch.float16}
