"""Checkpoints: everything a run needs to go on, in a file that holds tensors, numbers, strings, lists and dicts only.

So `torch.load(weights_only=True)` reads it in any process, and reading it cannot run code. A file is written beside its
place, made durable, and renamed: a crash leaves the old one or the new one.
"""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from ...datasets.storage.durable import storage_errors, write_atomically
from ...operators.neural import MODELS
from ..data.geometry import Geometry
from ..data.pairs import STEPS
from ..errors import CheckpointError
from ..physics.physical import PhysicalOperator
from .devices import device_of

FORMAT: Final = "resolvent-model"
VERSION: Final = 1
LAST, BEST = "last.pt", "best.pt"


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; StorageError if that is not possible, and the old file is then intact."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "version": VERSION, **content}, buffer)
    with storage_errors("write", path):
        write_atomically(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the host.

    Raises
    ------
    FileNotFoundError
        If there is none.
    CheckpointError
        If it is cut short, damaged, from a newer version, or something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path} is cut short, or no checkpoint: use another one of the same run, or train again")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path} is damaged or no checkpoint of this package: {first}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} holds tensors, but is no checkpoint of this package")
    if content["version"] > VERSION:
        raise CheckpointError(
            f"{path} has format version {content['version']}, this one reads {VERSION}: upgrade resolvent"
        )
    return content


def located(path: str | Path) -> Path:
    """Return the file of a model: the path itself, or the best checkpoint of a folder."""
    path = Path(path)
    if not path.is_dir():
        return path
    for name in (BEST, LAST):
        if (path / name).is_file():
            return path / name
    raise FileNotFoundError(f"{path} holds no model: expected {BEST} or {LAST} in it")


def load_model(path: str | Path, device: str | torch.device = "cpu") -> PhysicalOperator:
    """Return a trained model that takes and gives fields in physical units.

    Parameters
    ----------
    path : path
        A checkpoint, or the folder of a run, of which the best model is taken.
    device : str
        Where to put it.

    Raises
    ------
    FileNotFoundError, CheckpointError
    """
    path = located(path)
    return _model(load(path), path, device)


@dataclasses.dataclass(frozen=True)
class TrainedOn:
    """What a model was trained on.

    Attributes
    ----------
    geometry : Geometry
        Of the training grid.
    inputs, targets : list of str or None
        Fields of the dataset; None for arrays.
    steps : bool
        Whether it predicts one step of a trajectory.
    about : dict
        Where the data came from.
    """

    geometry: Geometry
    inputs: list[str] | None
    targets: list[str] | None
    steps: bool
    about: dict[str, Any]


def trained_on(path: str | Path) -> TrainedOn:
    """Return what the model in a checkpoint or folder was trained on."""
    path = located(path)
    return _origin(load(path), path)


def load_trained(path: str | Path, device: str | torch.device = "cpu") -> tuple[PhysicalOperator, TrainedOn]:
    """Return what `load_model` and `trained_on` do, reading the file once."""
    path = located(path)
    content = load(path)
    return _model(content, path, device), _origin(content, path)


def _model(content: dict[str, Any], path: Path, device: str | torch.device) -> PhysicalOperator:
    """Build the model of a checkpoint, with the averaged parameters where there are any."""
    try:
        described = content["model"]
        known = {entry.model.__name__: entry.model for entry in MODELS.values()}
        model = PhysicalOperator.with_options(known[described["name"]](**described["options"]), described["physical"])
        model.load_state_dict(content["average"] or content["parameters"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not describe a model of this version: {error}") from error
    return model.eval().to(device_of(device))


def _origin(content: dict[str, Any], path: Path) -> TrainedOn:
    try:
        about = content["data"]["about"]
        geometry = Geometry.from_description(content["geometry"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not say what its model was trained on: {error}") from error
    steps = about.get("pairs") == STEPS
    return TrainedOn(geometry, about.get("fields", about.get("inputs")), about.get("targets"), steps, about)


def random_state() -> dict[str, Any]:
    """Return the states of all generators of random numbers, as text and tensors."""
    version, words, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 - the state of other people's code, not of ours
    numpy_text = json.dumps(numpy_state, default=lambda array: array.tolist())
    state: dict[str, Any] = {
        "python": json.dumps([version, list(words), gauss]),
        "numpy": numpy_text,
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Set all generators to stored states."""
    version, words, gauss = json.loads(state["python"])
    random.setstate((version, tuple(words), gauss))
    numpy_state = json.loads(state["numpy"])
    numpy_state["state"]["key"] = np.array(numpy_state["state"]["key"], dtype=np.uint32)
    np.random.set_state(numpy_state)  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
