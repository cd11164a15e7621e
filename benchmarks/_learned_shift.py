"""Learned preconditioners away from their training: other grids, obstacles, contrasts and walls; other uses."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import statistics
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from _learned_methods import LIMIT, System, mean_iterations, obstacles, systems_of, untrained
from _learned_training import CYCLE_2D, Trained, harvested
from _report import show

from resolvent.operators import Stencil
from resolvent.solvers import AMG, CG, IC, DeflatedCG, FlexibleCG, MultigridCG, Sequence, condition_number
from resolvent.solvers.learned import DeflationNetwork, Gated, Learned, LearnedGuess, LearnedSpaces
from resolvent.training.preconditioners import train_deflation


def growth(networks: dict[str, Trained], quick: bool) -> list[dict[str, Any]]:
    """Return iterations to 1e-8 and condition numbers against the number of cells, at fixed weights."""
    rows = []
    plan = {2: (16, 32) if quick else (32, 64, 128, 256, 512), 3: (8, 16) if quick else (16, 32, 64)}
    for name, trained in networks.items():
        if trained.only is not None:
            continue
        recipe = trained.recipe
        dim = recipe.network.dim
        for walls in ("dirichlet", "neumann"):
            counts, conditions, before = {}, {}, {}
            for n in plan[dim]:
                systems = systems_of(obstacles(n, dim, walls), 3)  # the same problems on each grid
                counts[str(n)] = mean_iterations(CG(maxiter=LIMIT), systems, recipe)
                A, b = systems[0].A, systems[0].b
                # From b: solid cells are an eigenvalue of their own, which no solve meets.
                conditions[str(n)] = condition_number(A, recipe, start=b).value
                before[str(n)] = condition_number(A, untrained(dim), start=b).value
            values = list(counts.values())
            worst = max(b / a for a, b in itertools.pairwise(values))
            rows.append(
                {
                    "method": name,
                    "walls": walls,
                    "iterations": counts,
                    "condition": conditions,
                    "condition before training": before,
                    "worst growth per doubling": worst,
                }
            )
    show(
        "iterations to 1e-8 and condition numbers against the grid, one model for all",
        ["method", "walls", "iterations", "worst growth", "κ", "κ before training"],
        [
            [
                r["method"],
                r["walls"],
                _listed(r["iterations"], ".1f"),
                f"{r['worst growth per doubling']:.2f}",
                _listed(r["condition"], ".2f"),
                _listed(r["condition before training"], ".2f"),
            ]
            for r in rows
        ],
    )
    return rows


def _listed(values: dict[str, float], form: str) -> str:
    return ", ".join(f"{n}: {value:{form}}" for n, value in values.items())


def published(networks: dict[str, Trained], quick: bool) -> list[dict[str, Any]]:
    """Return iterations of DCDM and NPSD beside CG's: on the grid of each model, and once to 1e-8 on the others.

    Where they take more than CG they are stopped and have failed.
    """
    rows = []
    mine = {name: t for name, t in networks.items() if type(t.recipe.network).__name__ in ("DCDM", "NPSD")}
    grids = {(t.recipe.network.dim, t.only or 0) for t in mine.values()}
    for dim, n in sorted(grids):
        systems = systems_of(obstacles(n, dim, "dirichlet"), 1 if quick or n**dim > 50_000 else 3)
        for name, trained in mine.items():
            if trained.recipe.network.dim != dim:
                continue
            own = trained.only == n
            # A file confines a network to the grid of its training; here others are what is asked about.
            recipe = dataclasses.replace(trained.recipe, resolutions=(4, 4096))
            for tol in (1e-4, 1e-8) if own else (1e-8,):
                here = systems if own else systems[:1]
                cg = mean_iterations(CG(rtol=tol, maxiter=LIMIT), here, None)
                solver = FlexibleCG(rtol=tol, maxiter=round(cg))
                built = [recipe(s.A) for s in here]
                results = [solver.solve(s.A, s.b, M=M) for s, M in zip(here, built, strict=True)]
                rows.append(
                    {
                        "grid": f"{n}{'²' if dim == 2 else '³'}",
                        "method": name,
                        "its own grid": own,
                        "tolerance": tol,
                        "CG": cg,
                        "iterations": statistics.fmean(r.iterations for r in results),
                        "steps without the network": statistics.fmean(M.replaced for M in built),
                        "failed": sum(not r.converged for r in results),
                    }
                )
    show(
        "published networks: iterations beside CG's",
        ["grid", "method", "its own grid", "tolerance", "CG", "iterations", "without the network", "more than CG"],
        [
            [
                r["grid"],
                r["method"],
                "yes" if r["its own grid"] else "",
                f"{r['tolerance']:g}",
                f"{r['CG']:.0f}",
                f"{r['iterations']:.1f}",
                f"{r['steps without the network']:.1f}",
                str(r["failed"] or ""),
            ]
            for r in rows
        ],
    )
    return rows


def conductivities(n: int, contrast: float, walls: str, count: int) -> list[System]:
    """Return diffusion systems with a coefficient of `contrast` in inclusions where the family has obstacles.

    `walls` are "dirichlet", as in all training; or "mixed": u = 0 on one side of the square, no flux through the other
    three, which no training has seen.
    """
    found = []
    family = obstacles(n, 2, "dirichlet", (0.2, 0.3))
    for index in range(count):
        inputs = family.draw(np.random.default_rng([2025, index]))
        a = np.where(inputs["mask"], 1.0, contrast)
        faces = []
        for axis in range(2):
            low, high = (np.take(a, range(i, n - 1 + i), axis) for i in (0, 1))
            inner = 2.0 * low * high / (low + high)
            ends = [2.0 * np.take(a, [i], axis) for i in (0, n - 1)]
            if walls == "mixed":
                ends = [end * (axis == 0 and i == 0) for i, end in enumerate(ends)]
            faces.append(np.concatenate([ends[0], inner, ends[1]], axis))
        A = Stencil.from_transmissibilities(faces)
        matrix = sp.csr_array(A.to_sparse())
        found.append(System(A, matrix, inputs["f"].reshape(-1) * 1.0, A))
    return found


def shift(networks: dict[str, Trained], quick: bool) -> list[dict[str, Any]]:
    """Return iterations to 1e-8 outside of the training, weights fixed."""
    n, count = (16, 1) if quick else (128, 3)
    cases: dict[str, list[System]] = {}
    for fraction in (0.0, 0.1, 0.2, 0.3, 0.45):
        low = max(fraction - 0.02, 0.0)
        side = "inside" if fraction <= 0.3 else "outside"
        cases[f"{side}, obstacles of {fraction:.0%}"] = systems_of(obstacles(n, 2, "dirichlet", (low, fraction)), count)
    for contrast in (1e-4, 1e-2, 1e2, 1e4):
        cases[f"outside, inclusions of {contrast:g}"] = conductivities(n, contrast, "dirichlet", count)
    for contrast in (1.0, 1e2):
        cases[f"outside, mixed walls, inclusions of {contrast:g}"] = conductivities(n, contrast, "mixed", count)
    rows = []
    seeds = [t.recipe for name, t in networks.items() if name.startswith(CYCLE_2D) and t.recipe.network.dim == 2]
    dcdm = [t.recipe for name, t in networks.items() if "by energy" in name and t.only == n]
    for case, systems in cases.items():
        solver = CG(maxiter=LIMIT)
        learned = [mean_iterations(solver, systems, recipe) for recipe in seeds]
        row: dict[str, Any] = {
            "case": case,
            "learned cycle": statistics.median(learned),
            "least of the seeds": min(learned),
            "most of the seeds": max(learned),
            "the same in double precision": mean_iterations(solver, systems, _double(seeds[0])),
            "untrained cycle": mean_iterations(solver, systems, untrained(2)),
            "MultigridCG": mean_iterations(MultigridCG(maxiter=LIMIT), systems, None),
            "CG, AMG": mean_iterations(solver, systems, AMG()),
            "CG, IC(0)": mean_iterations(solver, systems, IC()),
        }
        if dcdm:
            row["DCDM by energy"] = mean_iterations(FlexibleCG(maxiter=300), systems, dcdm[0])
        rows.append(row)
    columns = [name for name in rows[0] if name != "case"]
    show(
        f"iterations to 1e-8 inside and outside of the training, {n}²",
        ["case", *columns],
        [[r["case"], *(f"{r[name]:.1f}" for name in columns)] for r in rows],
    )
    return [{k: None if v == np.inf else v for k, v in row.items()} for row in rows]


def _double(recipe: Learned) -> Learned:
    """Return the recipe with its network in double precision."""
    return dataclasses.replace(recipe, network=copy.deepcopy(recipe.network).double())


def other_uses(networks: dict[str, Trained], quick: bool) -> dict[str, Any]:
    """Return what a learned guess and a learned deflation space save, in iterations to 1e-8 on a sequence."""
    n, k = (16, 4) if quick else (64, 12)
    family = obstacles(n, 2, "dirichlet", (0.1, 0.3))
    steps = 30 if quick else 60
    samples = harvested(family, 6 if quick else 40, at=(0,), ritz=6, krylov=steps, noise=1)
    torch.manual_seed(0)
    untrained_space = DeflationNetwork(dim=2, k=k, depth=2)
    torch.manual_seed(0)
    trained = train_deflation(DeflationNetwork(dim=2, k=k, depth=2), samples, epochs=3 if quick else 15)
    systems = systems_of(family, 3 if quick else 6)
    guess = LearnedGuess(networks[CYCLE_2D].recipe)

    def spaces(network: Any) -> Sequence:
        return Sequence(DeflatedCG(k=k, update=False), spaces=LearnedSpaces(network), cold_every=None)

    ways = {
        "CG": Sequence(CG()),
        "CG, learned guess": Sequence(CG(), warm_start=guess),
        "DeflatedCG, recycled": Sequence(DeflatedCG(k=k), cold_every=None),
        "DeflatedCG, learned space": spaces(trained.network),
        "DeflatedCG, space before training (masked sines)": spaces(untrained_space),
    }
    found: dict[str, Any] = {"training seconds": trained.seconds, "history": trained.history, "ways": {}}
    for name, sequence in ways.items():
        results = [sequence.solve(s.A, s.b) for s in systems]
        found["ways"][name] = {
            "iterations": statistics.fmean(r.iterations for r in results),
            "products": statistics.fmean(r.counts.products for r in results),
        }
    show(
        f"other uses, {n}²: means over a sequence, to 1e-8",
        ["way", "iterations", "products with set-up"],
        [[name, f"{v['iterations']:.1f}", f"{v['products']:.1f}"] for name, v in found["ways"].items()],
    )
    return found


def gates(networks: dict[str, Trained], quick: bool) -> list[dict[str, Any]]:
    """Return the gate's verdicts beside IC(0) and AMG as incumbents, on systems of 64² and, where it may, 256²."""
    rows = []
    for n in (16,) if quick else (64, 256):
        A = systems_of(obstacles(n, 2, "dirichlet"), 1)[0].A
        for name, trained in networks.items():
            if trained.recipe.network.dim != 2 or "seed" in name or trained.only not in (None, n):
                continue
            for incumbent in (IC(), AMG()):
                v = Gated(trained.recipe, incumbent)(A).verdict
                rows.append(
                    {"grid": n, "method": name, "incumbent": str(incumbent), "open": v.open, "reason": v.reason}
                )
    show("gate", ["grid", "method", "incumbent", "open", "reason"], [list(r.values()) for r in rows])
    return rows
