"""What the commands for trained models share: a model, the data it is given, and how both fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import InputError

if TYPE_CHECKING:
    from ..training import Pairs, PhysicalOperator, TrainedOn

ModelArgument = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="Folder of `resolvent train`, or a checkpoint in one.", show_default=False),
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")]


def opened(model: Path, data: Path, device: str) -> tuple[PhysicalOperator, TrainedOn, Pairs]:
    """Return a model, what it was trained on, and the same fields of a dataset.

    Raises
    ------
    InputError
        If the dataset does not hold the fields that the model takes.
    """
    from ..training import as_pairs
    from ..training.runs.checkpoint import load_trained

    operator, origin = load_trained(model, device)
    try:
        pairs = as_pairs(data, inputs=origin.inputs or (), targets=origin.targets or (), steps=origin.steps)
    except (ValueError, KeyError) as error:
        raise InputError(f"{data} does not fit {model}: {error}", "evaluate on data with the same fields") from error
    for what, has, needs in (
        ("input", pairs.c_in, operator.inputs.channels),
        ("target", pairs.c_out, operator.outputs.channels),
    ):
        if has != needs:
            raise InputError(
                f"{model} works with {needs} {what} channels, and {data} has {has}",
                "give data with the fields that it was trained on",
            )
    if len(pairs.geometry.grid) != len(origin.geometry.grid):
        raise InputError(
            f"{model} was trained on {len(origin.geometry.grid)} axes, and {data} has {len(pairs.geometry.grid)}",
            "give data of the same dimension",
        )
    if "coordinates" in pairs.about:  # assumed: the model knows how the points lie that it was trained on
        try:
            pairs = dataclasses.replace(pairs, geometry=origin.geometry.regridded(pairs.geometry.grid))
        except ValueError as error:
            raise InputError(f"{data} stores no coordinates: {error}", "give data with coordinates") from error
    return operator, origin, pairs
