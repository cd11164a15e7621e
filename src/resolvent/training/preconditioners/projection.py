"""Training of a deflation network by a projection loss."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import torch

from ...operators.neural.model import check_whole
from ...solvers.learned.deflation import DeflationNetwork
from ...solvers.learned.levels import Level
from ..errors import NonFiniteError
from .samples import Samples


@dataclasses.dataclass(frozen=True)
class TrainedDeflation:
    """What training gives: the network, the validation loss by epoch, seconds, and hashes of both parts."""

    network: DeflationNetwork
    history: list[float]
    seconds: float
    hashes: dict[str, tuple[str, ...]]


def projection_loss(U: torch.Tensor, level: Level, e: torch.Tensor) -> torch.Tensor:
    """Mean part of ‖e‖²_A that deflation with U leaves: 1 − e'AU(U'AU)⁻¹U'Ae / e'Ae.

    Parameters
    ----------
    U : (B, k, *grid) tensor
        Vectors of D^−½ A D^−½.
    level : Level
    e : (B, m, *grid) tensor
        Errors of A, m of each operator: of smooth parts of solutions, for a space that holds what slows CG down.
    """
    scale = level.diagonal.rsqrt()[:, None]
    V = scale * U
    AV = level.multiply(V)
    E = V.flatten(2) @ AV.flatten(2).mT
    c = AV.flatten(2) @ e.flatten(2).mT
    # Relative to the mean diagonal entry, so that vectors that depend on one another do not stop the factorisation.
    size = E.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    eye = torch.eye(E.shape[1], dtype=E.dtype, device=E.device)
    found = (c * torch.linalg.solve(E + 1e-6 * size * eye, c)).sum(1)
    energy = (e * level.multiply(e)).flatten(2).sum(2)
    return (1.0 - found / energy.clamp_min(torch.finfo(e.dtype).tiny)).mean()


def train_deflation(
    network: DeflationNetwork,
    samples: Samples,
    *,
    epochs: int = 20,
    batch_size: int = 4,
    lr: float = 2e-3,
    validation: float = 0.2,
    seed: int = 0,
) -> TrainedDeflation:
    """Train a deflation network on errors of harvested solves; the split is by operator.

    Parameters
    ----------
    network : DeflationNetwork
        Changed in place; it keeps the weights of the least validation loss.
    samples : Samples
    epochs, batch_size : int
    lr : float
    validation : float
    seed : int

    Raises
    ------
    NonFiniteError
        If the loss is.
    """
    check_whole("epochs", epochs)
    check_whole("batch_size", batch_size)
    train, held = samples.split(validation, seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=lr)
    history: list[float] = []
    best = math.inf
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    begin = time.perf_counter()
    batches = math.ceil(len(train) / batch_size)
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(train))
        for i in range(batches):
            done = (epoch * batches + i) / (epochs * batches)
            for group in optimiser.param_groups:
                group["lr"] = lr * 0.5 * (1.0 + math.cos(math.pi * done))
            batch = train.take(order[i * batch_size : (i + 1) * batch_size].tolist())
            optimiser.zero_grad(set_to_none=True)
            loss = projection_loss(network(batch.level), batch.level, batch.e)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            if not math.isfinite(float(loss.detach())):
                raise NonFiniteError(f"the projection loss is not finite: lower lr, now {lr}")
            optimiser.step()
        with torch.no_grad():
            judged = float(projection_loss(network(held.level), held.level, held.e))
        history.append(judged)
        if judged < best:
            best, weights = judged, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(weights)
    network.eval()
    hashes = {"train": train.hashes, "validation": held.hashes}
    return TrainedDeflation(network, history, time.perf_counter() - begin, hashes)
