"""`resolvent calibrate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import DebugOption, InputError

if TYPE_CHECKING:
    from ..solvers.costs import CostModel

_PATIENCE = 1.5
"""Seconds for all repeats of one method at one size."""


def calibrate(
    show: Annotated[
        bool, typer.Option("--show", help="Print the calibration of this machine; measure nothing.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Remove it: choices follow the figures of the package again.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Measure how long the methods take on this machine, for `solve` and `choose` to decide by.

    It takes about a minute on one thread; leave the machine alone meanwhile. Ctrl-C keeps what was there before. The
    figures are kept for this user in ~/.cache/resolvent ($XDG_CACHE_HOME). `resolvent generate` never uses them: how a
    dataset is made must not depend on the machine.
    """
    from ..solvers import costs
    from .console import note, write

    if show and reset:
        raise InputError("--show and --reset exclude each other", "give one of them")
    path = costs.calibration_path()
    if reset:
        write(f"{path}: removed" if costs.remove_calibration() else f"{path}: there is no calibration")
        return
    if show:
        try:
            local = costs.read_calibration()
        except costs.CalibrationError as error:
            raise InputError(str(error), "choices follow the figures of the package meanwhile") from error
        write(f"{path}: measured on {_machine(local)}")
        _print_table(local, costs.packaged_model(), ("package", "here"))
        return
    before = costs.calibrated_model()
    local = _measure()
    costs.write_calibration(local)
    write(f"{path}: measured on {_machine(local)}")
    _print_table(local, before, ("before", "now"))
    note("`resolvent solve` and `resolvent.choose` decide by these figures from now on; --reset removes them")


def _measure() -> CostModel:
    from ..solvers.costs import measure
    from .compilation import compilation_announced

    found: list[measure.Measured] = []
    with compilation_announced(), _points_shown(measure.steps(measure.SHORT)) as advance:
        for point in measure.measurements(measure.SHORT, patience=_PATIENCE, repeats=2):
            advance("" if point is None else f"{point.kind}, {point.way}")
            if point is not None:
                found.append(point)
    return measure.fitted(found)


@contextmanager
def _points_shown(total: int) -> Iterator[Any]:
    """Yield a function that counts a measured point; a bar on terminals only."""
    from .console import messages, note

    console = messages()
    if not console.is_terminal:
        note("measuring on one thread, for about a minute…")
        yield lambda text: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("measuring"), BarColumn(bar_width=30), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda text: progress.update(task, advance=1, description=text)


def _machine(model: CostModel) -> str:
    return ", ".join(
        f"{name} {value}" if name in ("python", "numpy", "scipy") else value for name, value in model.machine.items()
    )


def _print_table(local: CostModel, other: CostModel, names: tuple[str, str]) -> None:
    """Print seconds a further system at the largest size measured, by two models."""
    from rich import box
    from rich.table import Table

    from ..solvers.candidates import duration
    from .console import write, write_table

    table = Table("problem", "method", "unknowns", *names, "ratio", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for kind, ways in local.curves.items():
        for way, curve in ways.items():
            n, known = curve.points[-1].unknowns, other.curve(kind, way)
            now = curve.seconds(n, float("inf"))
            old = None if known is None else known.seconds(n, float("inf"))
            row = ("–", duration(now), "") if old is None else (duration(old), duration(now), f"{now / old:.2f}")
            table.add_row(kind, way, str(n), *row)
    write("seconds of one more system of a sequence, set-up included, to 1e-8")
    write_table(table)
