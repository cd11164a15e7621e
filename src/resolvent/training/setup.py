"""Putting a network between the normalisers of its training set."""

from __future__ import annotations

import numpy as np
import torch

from ..operators.neural import NeuralOperator
from .config import TrainingConfig
from .data.normalisers import Normaliser, build_normaliser
from .data.pairs import Pairs
from .losses import build_loss
from .physics.physical import PhysicalOperator
from .physics.solver_in_loop import Correction

_CHUNK = 64
"""Samples read at a time."""


def physical_operator(network: NeuralOperator, pairs: Pairs, config: TrainingConfig) -> PhysicalOperator:
    """Return the network with normalisers fitted to the training split, and the boundary values that it shares.

    Raises
    ------
    ValueError
        If network and data do not fit, or there is nothing to train on.
    """
    _check_fit(network, pairs)
    _check_labels(pairs, config)
    ends = _ends(pairs, config)
    inputs = build_normaliser(config.x_normaliser, pairs.c_in, pairs.geometry.grid)
    outputs = build_normaliser(config.y_normaliser, pairs.c_out, pairs.geometry.grid)
    zero = _fit(inputs, outputs, network, pairs, ends if config.boundary == "auto" else [])
    zero = zero or config.boundary == "zero"
    correction = None if config.correction is None else Correction(**config.correction)
    if correction is not None:
        correction.systems.check(pairs.geometry)
    return PhysicalOperator(
        network,
        inputs,
        outputs,
        boundary=0.0 if zero else None,
        boundary_axes=ends if zero else None,
        correction=correction,
    )


def stage_grids(
    network: NeuralOperator, model: PhysicalOperator, pairs: Pairs, config: TrainingConfig
) -> dict[int, Pairs]:
    """Return the set on the grid of every stage, by stride; ValueError, before any training, if one is too coarse."""
    grids = {}
    for stride in dict.fromkeys([*(stage["stride"] for stage in config.stages), 1]):
        coarse = pairs.strided(stride)
        shown = " × ".join(map(str, coarse.geometry.grid))
        if min(coarse.geometry.grid) < network.minimum_grid:
            raise ValueError(
                f"the stage of stride {stride} has {shown} points, and {type(network).__name__} with these options "
                f"needs at least {network.minimum_grid} a side: take a smaller stride"
            )
        if stride > 1 and not model.any_grid:
            raise ValueError("normalisers per point know one grid only: use 'scalar' with stages")
        grids[stride] = coarse
    return grids


def _check_fit(network: NeuralOperator, pairs: Pairs) -> None:
    name = type(network).__name__
    for what, has, needs in (("input", pairs.c_in, network.c_in), ("target", pairs.c_out, network.c_out)):
        if has != needs:
            names = pairs.about.get(f"{what}s", [])
            listed = f" ({', '.join(names)})" if names else ""
            raise ValueError(
                f"{name} was built for {needs} {what} channels, and {pairs.about['source']} has {has}{listed}: build "
                f"it with c_{'in' if what == 'input' else 'out'}={has}, or choose other {what}s"
            )
    grid = pairs.geometry.grid
    if len(grid) != network.dim:
        raise ValueError(
            f"{name} was built for {network.dim}-D grids, and {pairs.about['source']} has one of {len(grid)} axes"
        )
    if min(grid) < network.minimum_grid:
        raise ValueError(
            f"{name} with these options needs at least {network.minimum_grid} points a side, and "
            f"{pairs.about['source']} has {' × '.join(map(str, grid))}"
        )
    if len(pairs.splits["train"]) == 0:
        raise ValueError(f"the training split of {pairs.about['source']} is empty: generate more samples")


def _ends(pairs: Pairs, config: TrainingConfig) -> list[int]:
    """Return the axes whose first and last points lie on the boundary; ValueError if none does, and some should."""
    positions = pairs.geometry.positions
    ends = [i for i, places in enumerate(positions) if places == "vertices"]
    if config.boundary == "zero" and not ends:
        raise ValueError(
            f"boundary='zero' holds points on the boundary, and the grid of {pairs.about['source']} has none "
            f"({', '.join(str(place) for place in positions)}): leave it out"
        )
    return ends


def _fit(inputs: Normaliser, outputs: Normaliser, network: NeuralOperator, pairs: Pairs, axes: list[int]) -> bool:
    """Fit normalisers and network to the training split, and return whether all its targets vanish at `axes`' ends.

    One pass, since a set may be larger than memory, and none where nothing has to be known.
    """
    if inputs.kind == outputs.kind == "none" and not axes and not network.prepares:
        return False
    of_inputs, of_outputs = inputs.moments(), outputs.moments()
    labels, labelled, vanish = [], 0, bool(axes)
    rows = pairs.splits["train"]
    for i in range(0, len(rows), _CHUNK):
        x, y = pairs.batch(rows[i : i + _CHUNK])
        y = y[~y.isnan().flatten(1).all(1)]  # the labels that are there
        labelled += len(y)
        if inputs.kind != "none":
            of_inputs.add(x)
        if outputs.kind != "none":
            of_outputs.add(y)
        if network.prepares:
            labels.append(y)
        vanish = vanish and not any(bool(y.select(axis + 2, end).any()) for axis in axes for end in (0, -1))
    inputs.take(of_inputs)
    outputs.take(of_outputs)
    if network.prepares:
        network.prepare(torch.cat([outputs.encode(y) for y in labels]))
    return vanish and labelled > 0


def _check_labels(pairs: Pairs, config: TrainingConfig) -> None:
    """Raise ValueError where the labels that are missing would be needed."""
    if not len(pairs.unlabelled):
        return
    for name, spec, split in (("loss", config.loss, "train"), ("metric", config.metric, "valid")):
        rows = pairs.splits[split]
        if len(rows) and np.isin(rows, pairs.unlabelled).all() and not build_loss(spec).needs_inputs:
            raise ValueError(
                f"no sample of the split {split!r} has a label, and {name}={spec!r} compares with labels: choose "
                '{"loss": "residual", "family": …}'
            )
    if config.y_normaliser != "none" and np.isin(pairs.splits["train"], pairs.unlabelled).all():
        raise ValueError("without any label the scale of the outputs is not known: give y_normaliser='none'")
