"""Where a training run stands: numbers that change, and how all of it goes into a checkpoint and comes back."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ... import __version__
from ..errors import CheckpointError
from . import checkpoint

if TYPE_CHECKING:
    from ...operators.neural import NeuralOperator
    from ..config import TrainingConfig
    from ..data.pairs import Pairs
    from ..trainer import _Run


@dataclasses.dataclass
class RunState:
    """Counters of a run.

    Attributes
    ----------
    epoch, step, batch : int
        Epochs and updates finished, and updates of the present epoch.
    loss_sum, loss_count : float, int
        Of the samples of the present epoch.
    gradient_norm : float
        Of the last update.
    best : float
        Least validation error; training loss where nothing is validated.
    best_epoch : int
        Where it was.
    waited, reductions, plateau : int
        Epochs without a better error, reductions of the rate, and epochs without a better error since the last one.
    stopped : bool
        Whether patience has ended.
    history : list of dict
        Rows of the log.
    best_content : dict or None
        The best model, as a checkpoint holds it.
    """

    epoch: int = 0
    step: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    gradient_norm: float = 0.0
    best: float = math.inf
    waited: int = 0
    reductions: int = 0
    plateau: int = 0
    stopped: bool = False
    best_epoch: int = 0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    best_content: dict[str, Any] | None = None

    def end_epoch(
        self, row: dict[str, Any], judged: float, improved: bool, patience: int | None, reduce_after: int
    ) -> None:
        """Take the figures of an epoch into account."""
        self.history.append(row)
        self.epoch += 1
        self.batch, self.loss_sum, self.loss_count = 0, 0.0, 0
        if improved:
            self.best, self.best_epoch, self.waited, self.plateau = judged, self.epoch, 0, 0
            return
        self.waited += 1
        self.plateau += 1
        if self.plateau > reduce_after:
            self.reductions, self.plateau = self.reductions + 1, 0
        self.stopped = patience is not None and self.waited >= patience

    def numbers(self) -> dict[str, Any]:
        """Return all but the best model."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "best_content"}


def stored(run: _Run, *, complete: bool = False) -> dict[str, Any]:
    """Return what a checkpoint holds: the model, and if `complete` all that training needs to go on."""
    network = run.model.net
    content: dict[str, Any] = {
        "model": {"name": type(network).__name__, "options": network.options, "physical": run.model.options},
        "parameters": _copied(run.model.state_dict()),
        "average": None if run.average is None else _copied(run.average.model.state_dict()),
        "config": run.config.as_dict(),
        "data": {"fingerprint": run.pairs.fingerprint, "about": run.pairs.about},
        "geometry": run.pairs.geometry.description(),
        "best": run.state.best,
        "versions": {"resolvent": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
    }
    if complete:
        content |= {
            "optimiser": run.optimiser.state_dict(),
            "scaler": run.scaler.state_dict(),
            "random": checkpoint.random_state(),
            "state": run.state.numbers(),
            "splits": {name: torch.from_numpy(np.asarray(rows)) for name, rows in run.pairs.splits.items()},
            "best_model": run.state.best_content,
        }
    return content


def check_same(
    content: dict[str, Any], network: NeuralOperator, config: TrainingConfig, pairs: Pairs, path: Path
) -> None:
    """Raise CheckpointError unless a checkpoint is of a run of this network, configuration and data."""
    if "state" not in content:
        raise CheckpointError(f"{path} holds a model but not its training: it cannot be continued")
    splits = {name: np.asarray(rows).tolist() for name, rows in pairs.splits.items()}
    for what, found, wanted in (
        ("model", [content["model"]["name"], content["model"]["options"]], [type(network).__name__, network.options]),
        ("configuration", content["config"], config.as_dict()),
        ("data", content["data"]["fingerprint"], pairs.fingerprint),
        ("grid", content["geometry"], pairs.geometry.description()),
        ("split", {name: rows.tolist() for name, rows in content["splits"].items()}, splits),
    ):
        if found != wanted:
            told = "" if what in ("grid", "split", "data") else f": {_difference(found, wanted)}"
            raise CheckpointError(
                f"{path} belongs to another {what}{told}. Give the same to continue, another folder, or resume=False "
                "to begin anew"
            )


def restore(run: _Run, content: dict[str, Any]) -> None:
    """Set a run to where its checkpoint stands."""
    run.model.load_state_dict(content["parameters"])
    if run.average is not None:
        run.average.model.load_state_dict(content["average"])
    run.optimiser.load_state_dict(content["optimiser"])
    run.scaler.load_state_dict(content["scaler"])
    checkpoint.restore_random_state(content["random"])
    run.state = RunState(**content["state"], best_content=content["best_model"])
    for recorder in run.recorders:
        recorder.restart(run.state.history)


def _copied(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies on the host: the best model must not change with the next update."""
    return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}


def _difference(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        rows = [
            f"{key} = {found.get(key)!r} there, {wanted.get(key)!r} now"
            for key in sorted({*found, *wanted})
            if found.get(key) != wanted.get(key)
        ]
        return "; ".join(rows)
    if isinstance(found, list):
        return _difference(found[1], wanted[1]) if found[0] == wanted[0] else f"{found[0]} there, {wanted[0]} now"
    return f"{found} there, {wanted} now"
