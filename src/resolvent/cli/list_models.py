"""`resolvent models`."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from .errors import DebugOption


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Show the options of this one.", show_default=False)
    ] = None,
    debug: DebugOption = False,
) -> None:
    """List the neural operators that can be trained, or the options of one."""
    from ..operators.neural import MODELS, entry_of
    from .console import write, write_pairs

    if name is None:
        write_pairs({each: entry.purpose for each, entry in MODELS.items()})
        return
    entry = entry_of(name)
    write(f"{name}: {entry.purpose}")
    write_pairs({"space": entry.model.function_space})
    known = inspect.signature(entry.model.__init__).parameters
    for option, parameter in known.items():
        if option not in ("self", "c_in", "c_out"):
            write_pairs({option: repr(entry.defaults.get(option, parameter.default))})
    write_pairs({"to train": f"resolvent train DATA --model {name} --out FOLDER"})
