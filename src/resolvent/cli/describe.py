"""`resolvent describe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import DebugOption

if TYPE_CHECKING:
    from ..datasets import Description


def describe(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Dataset made by `resolvent generate`.", show_default=False)
    ],
    full: Annotated[bool, typer.Option("--full", help="Print every session and option as stored.")] = False,
    debug: DebugOption = False,
) -> None:
    """Say what a dataset holds, where it comes from, how accurate it is and what it cost."""
    from .. import datasets
    from .certificate import print_certificate, print_shares
    from .console import counted, write, write_pairs

    found = datasets.describe(file)
    if full:
        write(str(found))
        return
    splits = ", ".join(f"{count} {name}" for name, count in found.splits.items())
    options = ", ".join(f"{key}={value}" for key, value in found.config["family"].items() if key != "family")
    write(f"{file}: {counted(found.samples, 'sample')} of {found.config['family']['family']} ({splits})")
    write_pairs({**found.card, "options": options})
    write("fields, with statistics over the train split")
    _print_fields(found)
    write("certificate")
    print_certificate(found)
    print_shares(found)
    sessions = found.provenance["sessions"]
    write("provenance" if len(sessions) == 1 else f"provenance ({len(sessions)} sessions, the last one)")
    write_pairs(_provenance(sessions[-1], found))


def _print_fields(found: Description) -> None:
    from rich import box
    from rich.table import Table

    from ..datasets import open as open_dataset
    from .console import write_table

    with open_dataset(found.path) as dataset:
        fields = dataset.fields
    table = Table("field", "role", "shape", "meaning", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("mean", "std", "min", "max"):
        table.add_column(name, justify="right")
    table.columns[3].overflow = "fold"
    for name, spec in fields.items():
        shape = " × ".join(map(str, spec.shape)) or "a number"
        numbers = (_number(found.statistics[name][what]) for what in ("mean", "std", "min", "max"))
        table.add_row(name, spec.role, shape, f"{spec.description} [{spec.units}]", *numbers)
    write_table(table)


def _number(value: Any) -> str:
    return f"{value:.3g}"


def _provenance(session: dict[str, Any], found: Description) -> dict[str, Any]:
    libraries = ", ".join(f"{name} {number}" for name, number in session["libraries"].items() if number)
    return {
        "seed": found.config["seed"],
        "code": f"resolvent {session['code']}" + (f", commit {session['commit']}" if session.get("commit") else ""),
        "python": session["python"],
        "libraries": libraries,
        "machine": f"{session['processor']}, {session['cores']} cores, {session['platform']}",
        "started": session["started"],
        "command": session["command"],
    }
