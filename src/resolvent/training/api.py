"""Training in one call."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..operators.neural import MODELS, NeuralOperator, build
from .config import RECIPES, TrainingConfig
from .data.pairs import Pairs
from .data.sources import as_pairs
from .runs.progress import ProgressCallback
from .trainer import Trained, Trainer


def train(
    data: Any,
    y: Any = None,
    *,
    model: str | NeuralOperator = "fno",
    options: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    resume: bool = True,
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> Trained:
    """Train a neural operator on arrays or a dataset, and return it.

    Parameters
    ----------
    data : array, tuple, dict, path or dataset
        Inputs (n, channels, *grid) with targets `y`, or whatever `as_pairs` takes.
    y : array, optional
        Targets.
    model : str or NeuralOperator
        A name of `MODELS`, built to fit the data; or a model.
    options : mapping, optional
        Of a model by name.
    out : path, optional
        Folder for checkpoints, log and model card; an unfinished run in it goes on.
    resume : bool
        False begins anew.
    progress : callable, optional
        Takes a `TrainingProgress`.
    **settings
        Of `TrainingConfig`, and `inputs`, `targets`, `steps`, `geometry`, `fractions`, `unlabelled` of `as_pairs`. What
        is not given is taken from the architecture's recipe.

    Returns
    -------
    trained : Trained

    Raises
    ------
    ValueError
        For options that there are not, and data that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.training import train
    >>> x = np.random.default_rng(0).standard_normal((40, 16))
    >>> trained = train(x, np.cumsum(x, axis=1) / 16, epochs=2, options={"n_modes": [8], "width": 8})
    >>> trained.predict(x).shape
    (40, 1, 16)
    """
    if options and not isinstance(model, str):
        raise ValueError(
            f"options build a model by name, and {type(model).__name__} is built already: leave out "
            f"{', '.join(options)}, or give the name of a model"
        )
    of_data = {name: settings.pop(name) for name in _DATA_OPTIONS if name in settings}
    pairs = as_pairs(data, y, seed=settings.get("seed", 0), **of_data)
    recipe = RECIPES.get(model, {}) if isinstance(model, str) else {}
    config = TrainingConfig.of({**recipe, **settings})
    if isinstance(model, str):
        with torch.random.fork_rng(devices=[]):  # the state of everybody else's random numbers is left as it was
            torch.manual_seed(config.seed)
            model = build(model, **fitting_options(model, pairs, options or {}))
    return Trainer(model, config).fit(pairs, out=out, resume=resume, progress=progress)


_DATA_OPTIONS = tuple(name for name in inspect.signature(as_pairs).parameters if name not in ("data", "y", "seed"))


def fitting_options(name: str, pairs: Pairs, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a model by name that the data decide: channels, dimension, modes and positions.

    Options that are given win.
    """
    suited = MODELS[name].model.suited_options(pairs.geometry.grid, pairs.geometry.positions) if name in MODELS else {}
    return {"c_in": pairs.c_in, "c_out": pairs.c_out, **suited, **given}
