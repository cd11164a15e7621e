"""`resolvent evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import DebugOption, InputError
from .models import DeviceOption, ModelArgument, opened

if TYPE_CHECKING:
    import numpy as np

    from ..training import Pairs, PhysicalOperator, TrainedOn

EXAMPLE = "Example: resolvent evaluate darcy-mgno darcy.h5 --stride 2 --plot predictions.png"


def evaluate(
    model: ModelArgument,
    data: Annotated[list[Path], typer.Argument(metavar="DATA…", help="One dataset, or several.", show_default=False)],
    split: Annotated[str, typer.Option(metavar="train|valid|test|all", help="Samples to judge by.")] = "test",
    stride: Annotated[
        list[int] | None,
        typer.Option(help="Also judge on every so manieth point; may be repeated.", show_default="the whole grid only"),
    ] = None,
    rollout: Annotated[
        int | None, typer.Option(help="Go on for so many steps from predictions; for models of one step.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table into a file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw predictions beside truth and error.")] = None,
    spectrum: Annotated[Path | None, typer.Option(help="Draw the spectrum of the error.")] = None,
    device: DeviceOption = "cpu",
    debug: DebugOption = False,
) -> None:
    """Compare predictions with certified solutions, on one grid or several.

    Beside the model's own error on another grid stands that of predicting on the grid of the training and
    interpolating: a model that is not better has learned nothing about the other grid.
    """
    from ..training import Table
    from .console import write
    from .writing import PICTURES, check_target

    for target, endings in ((plot, PICTURES), (spectrum, PICTURES), (csv, (".csv",))):
        if target is not None:
            check_target(target, endings, data)
    if rollout is not None and set(stride or []) - {1}:
        raise InputError("--rollout goes on the whole grid, and --stride asks for others", "leave one of them out")
    tables = []
    for number, path in enumerate(data):
        operator, origin, pairs = opened(model, path, device)
        rows = _rows(pairs, split, path)
        if number == 0 and (plot is not None or spectrum is not None):
            _draw(operator, pairs, rows, plot, spectrum)
        if rollout is not None:
            tables.append(_rolled_out(operator, pairs, rows, rollout, path))
        else:
            tables.append(_swept(operator, origin, pairs, rows, sorted({1, *(stride or [])}), path))
        write(f"{model} on {path}: {len(rows)} samples of {split}")
        write(str(tables[-1]))
    for picture in (plot, spectrum):
        if picture is not None:
            write(f"plot  {picture}")
    if csv is not None:
        columns = tables[0].columns
        Table(
            ("data", *columns), tuple((str(path), *row) for path, t in zip(data, tables, strict=True) for row in t.rows)
        ).write_csv(csv)
        write(f"table {csv}")


def _rows(pairs: Pairs, split: str, path: Path) -> np.ndarray:
    import numpy as np

    if split == "all":
        return np.sort(np.concatenate(list(pairs.splits.values())))
    if split not in pairs.splits:
        raise InputError(f"there is no split {split!r}", f"choose one of {', '.join(pairs.splits)}, all")
    if len(pairs.splits[split]) == 0:
        raise InputError(f"the split {split} of {path} is empty", "choose another --split, or all")
    return pairs.splits[split]


def _swept(
    operator: PhysicalOperator, origin: TrainedOn, pairs: Pairs, rows: np.ndarray, strides: list[int], path: Path
) -> Any:
    from ..training import sweep

    sets = {}
    for stride in strides:
        try:
            coarse = pairs.strided(stride)
        except ValueError as error:
            raise InputError(f"--stride {stride} does not fit {path}: {error}", "choose another one") from error
        sets[" × ".join(map(str, coarse.geometry.grid))] = (*coarse.batch(rows), coarse.geometry)
    label = " × ".join(map(str, origin.geometry.grid))
    return sweep(operator, sets, label if label in sets and len(sets) > 1 else None)


def _rolled_out(operator: PhysicalOperator, pairs: Pairs, rows: np.ndarray, steps: int, path: Path) -> Any:
    from ..training import rollout

    if pairs.trajectories is None:
        raise InputError(
            f"--rollout needs a model of one step, and {path} was learned whole", "train with --steps, or leave it out"
        )
    truth, fixed = pairs.trajectories(rows)
    if steps > truth.shape[1] - 1:
        raise InputError(f"--rollout {steps} goes beyond the {truth.shape[1] - 1} steps stored in {path}")
    return rollout(operator, truth, pairs.geometry, steps=steps, fixed=fixed).table()


def _draw(operator: PhysicalOperator, pairs: Pairs, rows: np.ndarray, plot: Path | None, spectrum: Path | None) -> None:
    from ..training import error_spectrum, plot_fields, plot_spectra
    from .writing import write_figure

    x, y = pairs.batch(rows[:3])
    if plot is not None:
        write_figure(plot, plot_fields(operator.predict(x), y, pairs.geometry, x))
    if spectrum is not None:
        x, y = pairs.batch(rows)
        write_figure(
            spectrum, plot_spectra(error_spectrum(operator.predict(x).numpy(), y.numpy(), pairs.geometry)).get_figure()
        )
