"""The model card: what a model is, what it was trained on, how good it is, and where it should not be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...datasets.storage.durable import storage_errors, write_atomically
from ...operators.neural import NeuralOperator, count_params
from ..data.pairs import Pairs
from ..physics.physical import PhysicalOperator

if TYPE_CHECKING:
    from ..config import TrainingConfig
    from .run_state import RunState


def write_card(path: Path, model: PhysicalOperator, config: TrainingConfig, pairs: Pairs, state: RunState) -> None:
    """Write the card of a trained model in Markdown."""
    with storage_errors("write", path):
        write_atomically(path, card(model, config, pairs, state).encode())


def card(model: PhysicalOperator, config: TrainingConfig, pairs: Pairs, state: RunState) -> str:
    """Return the card of a trained model in Markdown."""
    network, about = cast(NeuralOperator, model.net), pairs.about
    kind = type(network).__name__
    grid = " × ".join(str(n) for n in pairs.geometry.grid)
    counted = ", ".join(f"{len(rows)} {name}" for name, rows in pairs.splits.items())
    certified = (
        f"{about['certified']} of {about['samples']} samples certified" if "certified" in about else "not certified"
    )
    data: dict[str, Any] = {
        "source": about["source"],
        **{key: about[key] for key in ("title", "equation", "domain", "boundary", "law", "licence") if key in about},
        "grid": f"{grid} points",
        **({"coordinates": about["coordinates"]} if "coordinates" in about else {}),
        "samples": counted,
        "labels": certified,
        **({"content": f"sha256 {about['content_sha256']}"} if "content_sha256" in about else {}),
        "inputs": ", ".join(about.get("inputs", [f"{pairs.c_in} channels"])),
        "targets": ", ".join(about.get("targets", [f"{pairs.c_out} channels"])),
    }
    last = state.history[-1]
    judged = f"validation {config.metric}" if last["valid_metric"] is not None else "training loss"
    training = {
        "epochs": f"{state.epoch} of {config.epochs}" + (", stopped early" if state.stopped else ""),
        "updates": last["step"],
        "loss": config.loss,
        judged: f"{state.best:.4g} in epoch {state.best_epoch}",
        "seed": config.seed,
    }
    return "\n".join(
        [
            f"# {kind}, {count_params(network):,} parameters",
            "",
            f"In function space: {network.function_space}.",
            "",
            *_table("Model", network.options),
            *_table("Data", data),
            *_table("Training", training),
            *_table("Configuration", config.as_dict()),
            "## Limits",
            "",
            "Inputs from another law, another equation or a much finer grid than those above are outside of what was "
            "validated; predictions carry no certificate. A residual of the equation, or a solver started from the "
            "prediction, says how far one can be trusted.",
            "",
        ]
    )


def _table(title: str, entries: dict[str, Any]) -> list[str]:
    rows = [f"| {name} | {str(value).replace('|', chr(92) + '|')} |" for name, value in entries.items()]
    return [f"## {title}", "", "| | |", "|---|---|", *rows, ""]
