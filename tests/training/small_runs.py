"""Small data and runs."""

import numpy as np
import torch

from resolvent.operators.neural import build
from resolvent.training import Trainer, TrainingConfig


def smooth(n=24, grid=(12, 11), seed=0, channels=1):
    """Random smooth inputs and what a local average makes of them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, channels, *grid)).astype(np.float32)
    for axis in range(2, x.ndim):
        x = (x + np.roll(x, 1, axis) + np.roll(x, -1, axis)) / 3
    return x, x[:, :1] - 0.5 * x[:, :1] ** 2


def tiny(seed=0, **options):
    """A model that trains in no time."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build("fno", **{"c_in": 1, "c_out": 1, "n_modes": [4, 4], "width": 6, "layers": 2, **options})


def fitted(data, out=None, *, model=None, progress=None, resume=True, **config):
    """Train a tiny model."""
    settings = {"epochs": 4, "batch_size": 8, "loss": "relative_l2", **config}
    trainer = Trainer(tiny() if model is None else model, TrainingConfig(**settings))
    return trainer.fit(data, out=out, progress=progress, resume=resume)
