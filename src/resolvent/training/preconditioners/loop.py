"""Training of preconditioner networks: batches of operators, validation by operator, checkpoints, resumption."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from ...operators.neural.model import check_among, check_whole
from ...solvers.learned.network import PreconditionerNetwork
from ..errors import CheckpointError, NonFiniteError, TrainingInterrupted
from ..runs import checkpoint
from ..runs.interrupts import deferred_interrupt
from ..runs.logs import CSVRecorder
from ..runs.progress import ProgressCallback, TrainingProgress
from ..schedules import build_schedule
from .losses import STEPS, Name, loss_of
from .samples import Samples

KIND = "preconditioner"
JUDGED = 4
"""Residuals of an operator held out that are looked at after each epoch, as a multiple of those of a batch."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreconditionerTraining:
    """Options of a training run, as plain values.

    Parameters
    ----------
    loss : {"residual", "energy", "plain", "reduction"}
        ``residual`` for any map, ``reduction`` for linear definite ones. All that apply are reported on validation.
    steps : int
        Iterations that ``reduction`` differentiates through.
    epochs, batch_size : int
        A batch holds so many operators, with `residuals` of each.
    residuals : int or None
        Drawn anew in each batch; None takes all.
    lr : float
        Of Adam.
    schedule : str or dict
        See `Schedule`; the published runs have "constant".
    clip : float or None
        Largest norm of the gradient.
    validation : float
        Part of the operators that is held out.
    seed : int
    device : str

    Examples
    --------
    >>> PreconditionerTraining(loss="reduction").loss
    'reduction'
    """

    loss: Name = "residual"
    steps: int = STEPS
    epochs: int = 20
    batch_size: int = 4
    residuals: int | None = None
    lr: float = 1e-3
    schedule: str | dict[str, Any] = "onecycle"
    clip: float | None = 1.0
    validation: float = 0.2
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_among("loss", self.loss, get_args(Name))
        for name in ("steps", "epochs", "batch_size"):
            check_whole(name, getattr(self, name))
        if self.residuals is not None:
            check_whole("residuals", self.residuals)
        if not (isinstance(self.lr, float | int) and 0.0 < self.lr < math.inf):
            raise ValueError(f"lr must be a finite number above 0, got {self.lr!r}")
        build_schedule(self.schedule)

    @classmethod
    def dcdm_published(cls, size: int) -> PreconditionerTraining:
        """Return the settings of the published DCDM networks, for a GPU: Adam 1e-4, batches of ten residuals.

        Publications report about 13 epochs for 64³ and 31 for 128³, 20,000 right-hand sides of one matrix. These take
        one operator in a batch here; published batches mix training and validation vectors, ours never do.
        """
        check_among("size", size, (64, 128))
        epochs = 13 if size == 64 else 31
        return cls(loss="residual", epochs=epochs, batch_size=1, residuals=10, lr=1e-4, schedule="constant", clip=None)


@dataclasses.dataclass(frozen=True)
class TrainedPreconditioner:
    """What training gives.

    Attributes
    ----------
    network : PreconditionerNetwork
        With the weights of the least validation loss, on the host. What is compared after each epoch is the loss on
        `JUDGED` times `residuals` of each operator held out, on all of them where a batch has all.
    history : list of dict
        A row for each epoch.
    validation : dict
        Each loss on the operators held out, all residuals of them.
    seconds : float
        Of training, earlier parts of a resumed run included.
    hashes : dict
        Of the operators of ``train`` and ``validation``.
    """

    network: PreconditionerNetwork
    history: list[dict[str, Any]]
    validation: dict[str, float]
    seconds: float
    hashes: dict[str, tuple[str, ...]]


@dataclasses.dataclass
class _State:
    epoch: int = 0
    step: int = 0
    best: float = math.inf
    seconds: float = 0.0


def train_preconditioner(
    network: PreconditionerNetwork,
    samples: Samples,
    config: PreconditionerTraining | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = True,
    progress: ProgressCallback | None = None,
) -> TrainedPreconditioner:
    """Train a network on harvested residuals.

    Parameters
    ----------
    network : PreconditionerNetwork
        Changed in place.
    samples : Samples
    config : PreconditionerTraining, optional
    out : path, optional
        Folder for ``last.pt`` and ``log.csv``. The same call continues a run that was interrupted, epoch by epoch.
    resume : bool
        Whether to continue what `out` holds.
    progress : callable, optional
        Called after each update with a `TrainingProgress`.

    Raises
    ------
    NonFiniteError
        If the loss is; the last epoch's checkpoint is kept.
    CheckpointError
        If `out` holds the run of another network, configuration, operators or residuals.
    ValueError
        For a network of another dimension, or `reduction` with one that is not linear.
    """
    config = config or PreconditionerTraining()
    if network.dim != len(samples.grid):
        raise ValueError(f"{type(network).__name__} has dimension {network.dim}, the samples {len(samples.grid)}")
    if config.loss == "reduction" and not network.definite:
        raise ValueError(
            f"reduction differentiates through conjugate gradients, which needs a linear definite map, and "
            f"{type(network).__name__} is none: take loss='residual'"
        )
    train, held = samples.split(config.validation, config.seed)
    device = torch.device(config.device)
    network.to(device).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=config.lr)
    schedule, state = build_schedule(config.schedule), _State()
    history: list[dict[str, Any]] = []
    # What is not better than at the start is not kept.
    best = _copied(network)
    state.best = _judge(network, held, config.loss, config, device)
    folder = None if out is None else Path(out)
    recorder = None
    identity = {"network": type(network).__name__, "options": network.options, "config": dataclasses.asdict(config)}
    identity["hashes"] = list(samples.hashes)
    identity["residuals"] = hashlib.sha256(np.ascontiguousarray(samples.b.numpy()).tobytes()).hexdigest()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        recorder = CSVRecorder(folder / "log.csv")
        path = folder / checkpoint.LAST
        if resume and path.is_file():
            content = checkpoint.load(path)
            if content.get("kind") != KIND or content["identity"] != identity:
                raise CheckpointError(
                    f"{path} belongs to another run: give the same network, samples and configuration to continue, "
                    "another folder, or resume=False"
                )
            network.load_state_dict(content["parameters"])
            optimiser.load_state_dict(content["optimiser"])
            state, history, best = _State(**content["state"]), content["history"], content["best"]
            recorder.restart(history)
        else:
            (folder / "log.csv").unlink(missing_ok=True)
    batches = math.ceil(len(train) / config.batch_size)
    steps = batches * config.epochs
    begin = time.perf_counter() - state.seconds
    with deferred_interrupt() as interrupted:
        for epoch in range(state.epoch, config.epochs):
            # The order depends on the epoch alone, so that a resumed run needs no state of generators.
            rng = np.random.default_rng([config.seed, epoch])
            order, total, norm, lr = rng.permutation(len(train)), 0.0, 0.0, config.lr
            for i in range(batches):
                lr = config.lr * schedule.factor(state.step / steps, epoch)
                for group in optimiser.param_groups:
                    group["lr"] = lr
                batch = _batch(train, order[i * config.batch_size : (i + 1) * config.batch_size], config, rng)
                loss, norm = _update(network, optimiser, batch, config, device)
                total += loss
                state.step += 1
                state.seconds = time.perf_counter() - begin
                if progress is not None:
                    mean, ends = total / (i + 1), i == batches - 1
                    left = state.seconds * (steps - state.step) / state.step
                    counts = (epoch, config.epochs, state.step, steps)
                    progress(TrainingProgress(*counts, mean, lr, state.seconds, left, None, state.best, ends))
            judged = _judge(network, held, config.loss, config, device)
            if judged < state.best:
                state.best, best = judged, _copied(network)
            state.epoch = epoch + 1
            row = {
                "epoch": epoch + 1,
                "step": state.step,
                "lr": lr,
                "train_loss": total / batches,
                "valid_loss": judged,
                "valid_metric": judged,
                "gradient_norm": norm,
                "seconds": state.seconds,
            }
            history.append(row)
            if recorder is not None and folder is not None:
                recorder.record(row)
                content = {
                    "kind": KIND,
                    "identity": identity,
                    "parameters": _copied(network),
                    "optimiser": optimiser.state_dict(),
                    "state": dataclasses.asdict(state),
                    "history": history,
                    "best": best,
                }
                checkpoint.save(folder / checkpoint.LAST, content)
            if interrupted.is_set():
                raise TrainingInterrupted(epoch + 1, config.epochs, None if folder is None else str(folder))
    network.load_state_dict(best)
    network.to("cpu").eval()
    names = [name for name in get_args(Name) if name != "reduction" or network.definite]
    validation = {name: _judge(network, held, name, config, torch.device("cpu"), every=True) for name in names}
    hashes = {"train": train.hashes, "validation": held.hashes}
    return TrainedPreconditioner(network, history, validation, state.seconds, hashes)


def _batch(samples: Samples, rows: np.ndarray, config: PreconditionerTraining, rng: np.random.Generator) -> Samples:
    batch = samples.take(rows.tolist())
    if config.residuals is None or config.residuals >= batch.b.shape[1]:
        return batch
    which = torch.from_numpy(rng.choice(batch.b.shape[1], config.residuals, replace=False))
    return dataclasses.replace(batch, b=batch.b[:, which], e=batch.e[:, which])


def _update(
    network: PreconditionerNetwork,
    optimiser: torch.optim.Optimizer,
    batch: Samples,
    config: PreconditionerTraining,
    device: torch.device,
) -> tuple[float, float]:
    """Take one step; return the loss and the norm of the gradient."""
    optimiser.zero_grad(set_to_none=True)
    loss = loss_of(
        config.loss, network, batch.level.to(device), batch.b.to(device), batch.e.to(device), steps=config.steps
    )
    loss.backward()
    value = float(loss.detach())
    norm = float(torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip or math.inf))
    if not (math.isfinite(value) and math.isfinite(norm)):
        raise NonFiniteError(f"the loss or its gradient is not finite (loss {value}): lower lr, now {config.lr}")
    optimiser.step()
    return value, norm


def _judge(
    network: PreconditionerNetwork,
    samples: Samples,
    name: Name,
    config: PreconditionerTraining,
    device: torch.device,
    *,
    every: bool = False,
) -> float:
    """Return a loss on the operators held out: of every residual, or of four times those of a batch, evenly spread."""
    m = samples.b.shape[1]
    count = m if every or config.residuals is None else min(m, JUDGED * config.residuals)
    which = torch.linspace(0, m - 1, count).round().long()
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(samples), config.batch_size):
            batch = samples.take(range(start, min(start + config.batch_size, len(samples))))
            b, e = batch.b[:, which].to(device), batch.e[:, which].to(device)
            total += float(loss_of(name, network, batch.level.to(device), b, e, steps=config.steps)) * len(batch)
    return total / len(samples)


def _copied(network: PreconditionerNetwork) -> dict[str, torch.Tensor]:
    return {name: value.detach().to("cpu", copy=True) for name, value in network.state_dict().items()}
