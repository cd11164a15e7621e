"""The networks of benchmarks/learned.py: how each is trained, and a folder that keeps them with what it cost."""

from __future__ import annotations

import dataclasses
import functools
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
OWN = (0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80)
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
        name = self.name.lower().replace("²", "-2d").replace("³", "-3d")
        return re.sub(r"[^a-z0-9]+", "-", name).strip("-")


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


def cycles(quick: bool, seeds: int) -> list[Plan]:
    """Return the trainings of networks that are linear and definite, the cycle's on its own residuals too."""
    n = 16 if quick else 64
    cycle = {"loss": "reduction", "steps": 6, "epochs": 6 if quick else 16, "residuals": 2, "lr": 4e-3}
    found = [
        Plan(
            CYCLE_2D if seed == 0 else f"{CYCLE_2D}, seed {seed}",
            lambda: SPDCycle(dim=2),
            (
                (lambda _: both_walls(n, 2, 4 if quick else 20), cycle),
                (lambda M: both_walls(n, 2, 4 if quick else 20, M=M, seed=1), cycle | {"lr": 2e-3}),
            ),
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
    space: dict[str, Any] = {"ritz": 1, "krylov": 30, "at": (0, 1, 4)}
    m, many = (8, 2) if quick else (24, 8)
    first = {**small, "batch_size": 2, "epochs": 2 if quick else 25, "lr": 6e-4}
    found.append(
        Plan(
            CYCLE_3D,
            lambda: SPDCycle(dim=3),
            (
                (lambda _: both_walls(m, 3, many, **space), first),
                (lambda M: both_walls(m, 3, many, **space, M=M, seed=1), first | {"lr": 3e-4}),
            ),
        )
    )
    return found


@dataclasses.dataclass(frozen=True)
class Effort:
    """What the training of a network that is not linear is given on one grid.

    Operators, residuals of each and steps of Lanczos; epochs with the published loss (0: none) and with the energy that
    is left; residuals in a batch, learning rate.
    """

    n: int
    dim: int
    operators: int
    residuals: int
    krylov: int
    epochs: tuple[int, int]
    batch: int = 10
    lr: float = 8e-4


EFFORTS = (
    Effort(64, 2, 20, 100, 600, (125, 50), lr=1e-3),
    Effort(128, 2, 10, 100, 600, (100, 38)),
    Effort(256, 2, 5, 60, 500, (75, 30), lr=5e-4),
    Effort(32, 3, 8, 60, 300, (80, 30), 8, 1e-3),
    Effort(64, 3, 3, 24, 200, (0, 25), 4, 5e-4),
)
QUICK = (Effort(16, 2, 4, 14, 40, (2, 2)), Effort(32, 2, 3, 14, 40, (2, 1)))


def published(quick: bool) -> list[Plan]:
    """Return the trainings of DCDM and NPSD.

    DCDM has one model a grid, which begins with the weights of the next coarser one: by the published loss on mixtures
    of Ritz vectors; and, beginning with what that gave on the coarsest grid, by energy, on residuals of its own
    iteration too.
    """
    found = []
    last: dict[tuple[int, str], str] = {}
    for effort in QUICK if quick else EFFORTS:
        build = functools.partial(DCDM, dim=effort.dim, width=4 if quick else 16)
        grid = f"{effort.n}{'²' if effort.dim == 2 else '³'}"
        for kind, epochs in zip(("", " by energy"), effort.epochs, strict=True):
            if not epochs:
                continue
            name = f"FlexibleCG(2), DCDM{kind} for {grid}"
            start = last.get((effort.dim, kind), "") or last.get((effort.dim, ""), "")
            # The mixtures of this grid were paid for by the plan this one begins with.
            paid = start.endswith(grid)
            harvest = functools.partial(_by_energy if kind else _mixtures, effort, paid)
            found.append(Plan(name, build, ((harvest, _options(effort, kind, epochs)),), only=effort.n, start=start))
            last[effort.dim, kind] = name
    effort = QUICK_NPSD if quick else NPSD_EFFORT
    name = f"FlexibleCG(2), NPSD for {effort.n}³"
    rounds = (
        (functools.partial(_mixtures, effort, False), _options(effort, "", effort.epochs[0]) | {"loss": "plain"}),
        (functools.partial(_own_residuals, effort), _options(effort, " by energy", effort.epochs[1])),
    )
    found.append(Plan(name, functools.partial(NPSD, coarsenings=2 if quick else 4), rounds, only=effort.n))
    return found


NPSD_EFFORT = Effort(32, 3, 8, 60, 300, (40, 20), 8, 1e-3)
QUICK_NPSD = Effort(16, 3, 2, 14, 40, (1, 1), 4)


def _options(effort: Effort, kind: str, epochs: int) -> dict[str, Any]:
    loss = "energy" if kind else "residual"
    return {"loss": loss, "batch_size": 1, "residuals": effort.batch, "lr": effort.lr, "epochs": epochs}


@functools.cache
def _mixed(effort: Effort) -> Samples:
    family = obstacles(effort.n, effort.dim, "dirichlet")
    return harvested(family, effort.operators, at=(0,), ritz=effort.residuals - 1, krylov=effort.krylov, noise=0)


def _mixtures(effort: Effort, paid: bool, _: Learned) -> Samples:
    samples = _mixed(effort)
    return dataclasses.replace(samples, about=samples.about | {"seconds": 0.0}) if paid else samples


def _own_residuals(effort: Effort, recipe: Learned) -> Samples:
    at = tuple(OWN[i % len(OWN)] for i in range(effort.residuals))
    family = obstacles(effort.n, effort.dim, "dirichlet")
    return harvested(family, effort.operators, at=at, ritz=0, noise=0, M=recipe, seed=1)


def _by_energy(effort: Effort, paid: bool, recipe: Learned) -> Samples:
    return _mixtures(effort, paid, recipe).joined(_own_residuals(effort, recipe))
