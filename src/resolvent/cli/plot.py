"""`resolvent plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import DebugOption

EXAMPLE = "Example: resolvent plot darcy.h5 --index 0 --index 17 --out samples.png"


def plot(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Dataset made by `resolvent generate`.", show_default=False)
    ],
    index: Annotated[
        list[int] | None,
        typer.Option("--index", "-i", help="Sample to draw, from 0; may be repeated.", show_default="three of the set"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A .png, .pdf or .svg file.", show_default="FILE with the ending .png"),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Draw samples of a dataset, input and solution side by side, and the residuals of all of them."""
    from ..datasets import open as open_dataset
    from .console import write
    from .writing import PICTURES, check_target, write_figure

    target = file.with_suffix(".png") if out is None else out
    with open_dataset(file) as dataset:
        check_target(target, PICTURES, [file])
        from ..datasets.plots import plot_dataset

        write_figure(target, plot_dataset(dataset, index))
        shown = "overview" if index is None else ", ".join(f"sample {i}" for i in index)
    write(f"{target}: {shown} of {file}")
