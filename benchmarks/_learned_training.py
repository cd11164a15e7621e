"""The networks of benchmarks/learned.py: how each is trained, and a folder that keeps them with what it cost."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _learned_methods import obstacles
from _report import console

from resolvent.solvers.learned import DCDM, NPSD, Learned, MgNOGram, SPDCycle
from resolvent.training.preconditioners import (
    PreconditionerTraining,
    Samples,
    harvest_family,
    train_preconditioner,
)

CYCLE_2D, CYCLE_3D = "CG, learned cycle", "CG, learned cycle in 3-D"
GRAM = "CG, MgNO's Gram form"
OWN = (0, 1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64, 90)
"""Iterations of its own whose residuals a network that is not linear is trained on."""

Harvest = Callable[[Learned], Samples]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A network, and the rounds of its training: samples, made with what the rounds before gave, and options.

    `only` is the resolution that it is confined to; `start` names the plan whose weights it begins with, and whose cost
    is part of its own.
    """

    name: str
    network: Callable[[], Any]
    rounds: tuple[tuple[Harvest, dict[str, Any]], ...]
    only: int | None = None
    seed: int = 0
    start: str = ""

    @property
    def slug(self) -> str:
        """Name of its files."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@dataclasses.dataclass(frozen=True)
class Trained:
    """A recipe, the resolution it is confined to, and what the training was like."""

    recipe: Learned
    only: int | None
    log: dict[str, Any]


def harvested(family: Any, count: int, **options: Any) -> Samples:
    """Return samples of a family that know the seconds of processor time they took."""
    begin = time.process_time()
    samples = harvest_family(family, count, **options)
    return dataclasses.replace(samples, about=samples.about | {"seconds": time.process_time() - begin})


def both_walls(n: int, dim: int, count: int, **options: Any) -> Samples:
    """Return samples of both kinds of walls."""
    parts = [harvested(obstacles(n, dim, walls), count, **options) for walls in ("dirichlet", "neumann")]
    return parts[0].joined(parts[1])


def all_trained(plans: list[Plan], folder: Path) -> dict[str, Trained]:
    """Return what the plans give, from the folder where it is there already."""
    found: dict[str, Trained] = {}
    for plan in plans:
        path = folder / f"{plan.slug}.pt"
        if path.is_file():
            recipe = Learned.load(path, family="poisson_obstacles")
            found[plan.name] = Trained(recipe, plan.only, json.loads(recipe.about["log"]))
            word = f"read from {path}"
        else:
            found[plan.name] = _trained(plan, found.get(plan.start), folder)
            found[plan.name].recipe.save(path)
            word = "trained"
        log = found[plan.name].log
        console.print(
            f"  {plan.name}: {log['parameters']} parameters, {log['data seconds']:.0f} s of data, "
            f"{log['training seconds']:.0f} s of training, validation {log['validation']} ({word})"
        )
    return found


def _trained(plan: Plan, start: Trained | None, folder: Path) -> Trained:
    torch.manual_seed(plan.seed)
    network = plan.network()
    costs = {"data seconds": 0.0, "training seconds": 0.0}
    if start is not None:
        network.load_state_dict(start.recipe.network.state_dict())
        costs = {name: start.log[name] for name in costs}
    span = (plan.only, plan.only) if plan.only else (4, 4096)
    history: list[float] = []
    validation: dict[str, float] = {}
    operators, kept = 0, None
    for k, (harvest, options) in enumerate(plan.rounds):
        fresh = harvest(Learned(network, "poisson_obstacles", span))
        costs["data seconds"] += float(fresh.about["seconds"])
        samples = fresh if kept is None else kept.joined(fresh)
        kept, operators = samples, len(samples)
        begin, wall = time.process_time(), time.perf_counter()
        config = PreconditionerTraining(seed=plan.seed, **options)
        run = train_preconditioner(network, samples, config, out=folder / f"{plan.slug}-{k}")
        # Of a run that was interrupted the earlier parts are known by the clock on the wall.
        earlier = max(run.seconds - (time.perf_counter() - wall), 0.0)
        costs["training seconds"] += time.process_time() - begin + earlier
        network, validation = run.network, run.validation
        history += [row["valid_loss"] for row in run.history]
    assert kept is not None
    log = {
        "name": plan.name,
        "network": type(network).__name__,
        "options": network.options,
        "parameters": sum(p.numel() for p in network.parameters()),
        "grid": list(kept.grid),
        "operators": operators,
        "validation": validation,
        "history": history,
        "begins with": plan.start,
        **costs,
    }
    return Trained(Learned(network, "poisson_obstacles", span, costs | {"log": json.dumps(log)}), plan.only, log)


def plans(quick: bool, seeds: int) -> list[Plan]:
    """Return all trainings, in the order in which one may begin with another."""
    n = 16 if quick else 64
    cycle = {"loss": "reduction", "steps": 6, "epochs": 6 if quick else 16, "residuals": 2, "lr": 4e-3}
    shape: Any = (1, 1) if quick else (2, 2)
    found = [
        Plan(
            CYCLE_2D if seed == 0 else f"{CYCLE_2D}, seed {seed}",
            lambda: SPDCycle(dim=2, smoothing=shape),
            ((lambda _: both_walls(n, 2, 4 if quick else 20), cycle),),
            seed=seed,
        )
        for seed in range(seeds)
    ]
    small: dict[str, Any] = {"loss": "reduction", "steps": 4, "residuals": 2}
    found.append(
        Plan(
            GRAM,
            lambda: MgNOGram(dim=2, levels=3 if quick else 5, width=8),
            ((lambda _: both_walls(n, 2, 4 if quick else 20), {**small, "epochs": 2 if quick else 30, "lr": 1e-2}),),
            only=n,
        )
    )
    found.append(
        Plan(
            CYCLE_3D,
            lambda: SPDCycle(dim=3, smoothing=(1, 1) if quick else (1, 2), reach="star"),
            (
                (
                    lambda _: both_walls(8 if quick else 24, 3, 2 if quick else 8, ritz=1, krylov=30, at=(0, 1, 4)),
                    {**small, "batch_size": 2, "epochs": 2 if quick else 25, "lr": 6e-4},
                ),
            ),
        )
    )
    return found + published(quick)


@dataclasses.dataclass(frozen=True)
class Effort:
    """What the training of a published network at one resolution is given.

    Operators, residuals and steps of Lanczos for each; epochs on the mixtures, then epochs with residuals of its own.
    """

    n: int
    dim: int
    operators: int
    residuals: int
    krylov: int
    epochs: tuple[int, int]
    lr: float = 1e-3


EFFORTS = (
    Effort(64, 2, 20, 100, 600, (150, 60)),
    Effort(128, 2, 12, 100, 600, (80, 50), 6e-4),
    Effort(256, 2, 6, 60, 600, (60, 40), 4e-4),
    Effort(32, 3, 10, 60, 400, (60, 30)),
    Effort(64, 3, 4, 24, 300, (40, 20), 4e-4),
)
QUICK = (Effort(16, 2, 4, 14, 40, (2, 2)), Effort(32, 2, 3, 14, 40, (2, 1)))


def dcdm_name(n: int, dim: int) -> str:
    """Return the name of the method with DCDM of one resolution."""
    return f"FlexibleCG(2), DCDM for {n}{'²' if dim == 2 else '³'}"


def published(quick: bool) -> list[Plan]:
    """Return the trainings of DCDM, one model a resolution, each beginning with that of the next coarser grid; NPSD."""
    found = []
    last: dict[int, str] = {}
    for effort in QUICK if quick else EFFORTS:
        name = dcdm_name(effort.n, effort.dim)
        found.append(
            Plan(
                name,
                lambda e=effort: DCDM(dim=e.dim, width=4 if quick else 16),
                _rounds(effort, "residual", 10),
                only=effort.n,
                start=last.get(effort.dim, ""),
            )
        )
        last[effort.dim] = name
    n = 16 if quick else 32
    effort = Effort(n, 3, 2 if quick else 10, 14 if quick else 60, 40 if quick else 400, (1, 1) if quick else (40, 20))
    name = f"FlexibleCG(2), NPSD for {n}³"
    found.append(Plan(name, lambda: NPSD(coarsenings=2 if quick else 4), _rounds(effort, "plain", 4), only=n))
    return found


def _rounds(effort: Effort, loss: str, batch: int) -> tuple[tuple[Harvest, dict[str, Any]], ...]:
    """Return two rounds: Ritz mixtures as published, then residuals of the network's own iteration beside them."""
    family = obstacles(effort.n, effort.dim, "dirichlet")
    few: dict[str, Any] = {"loss": loss, "batch_size": 1, "residuals": batch}

    def mixtures(_: Learned) -> Samples:
        ritz = effort.residuals - 1
        return harvested(family, effort.operators, at=(0,), ritz=ritz, krylov=effort.krylov, noise=0)

    def of_its_own(recipe: Learned) -> Samples:
        at = tuple(OWN[i % len(OWN)] for i in range(effort.residuals))
        return harvested(family, effort.operators, at=at, ritz=0, noise=0, M=recipe, seed=1)

    first, second = effort.epochs
    return (
        (mixtures, {**few, "lr": effort.lr, "epochs": first}),
        (of_its_own, {**few, "lr": 0.6 * effort.lr, "epochs": second}),
    )
