"""`resolvent export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import DebugOption, InputError

EXAMPLE = "Example: resolvent export darcy.h5 --format pdebench --out 2D_DarcyFlow_beta1.0.hdf5"

FORMATS = ("pdebench", "the_well", "neuraloperator")
"""For the help, which is to appear without importing them; a test compares them with the library's."""
MODEL_FORMATS = ("torch_export", "onnx")


def export(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Dataset made by `resolvent generate`, or folder of `resolvent train`.",
            show_default=False,
        ),
    ],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="|".join((*FORMATS, *MODEL_FORMATS)),
            help="Who reads it; last two: models.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="A folder; for pdebench also a file, .hdf5 (Darcy, 1-D) or .h5 (groups); models: .pt2 or .onnx.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the dataset in a folder.", show_default="the family's")
    ] = None,
    steady: Annotated[
        str,
        typer.Option(
            metavar="fields|limit",
            help="the_well, stationary problems: one frame, or zero and the solution as two frames, for its trainer.",
        ),
    ] = "fields",
    loader: Annotated[
        str,
        typer.Option(
            metavar="single|multi",
            help="pdebench: which loader is to find our test samples where it takes its own, first or last.",
        ),
    ] = "single",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of the same names; never a dataset of resolvent.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Write a dataset in a format that other people's loaders read, or a trained model as a program.

    The files are in single precision, and complete or not there. Samples that are not certified are left out. Beside
    them lies a JSON record with equation, law, licence, seed, tolerance and content digest of the set, and what
    rounding changed. What a format cannot hold is refused, naming one that can.
    """
    from .. import datasets
    from .console import counted, write, write_pairs
    from .progress import samples_shown

    _check_format(data, format_)
    _check_options(
        format_, {"--name": name is not None, "--steady": steady != "fields", "--loader": loader != "single"}
    )
    if format_ in MODEL_FORMATS:
        _export_model(data, format_, out, overwrite)
        return
    with samples_shown() as show:
        done = datasets.export(
            data, format_, out, name=name, steady=steady, loader=loader, overwrite=overwrite, progress=show
        )
    write(f"{data}: {counted(done.samples, 'sample')} exported as {done.format}")
    rows = {"precision": f"float32, rounding at most {max(done.rounding.values()):.1e} of a sample"}
    if done.uncertified:
        rows["left out"] = f"{counted(done.uncertified, 'sample')} that are not certified"
    if done.left_out:
        rows["no place for"] = ", ".join(done.left_out)
    write_pairs(rows)
    for note in done.notes:
        write_pairs({"note": note})
    for path in done.files:
        write_pairs({"file": path})


def _export_model(model: Path, name: str, out: Path, overwrite: bool) -> None:
    from ..training import export_trained
    from .console import write, write_pairs
    from .writing import check_target

    ending = ".pt2" if name == "torch_export" else ".onnx"
    check_target(out, (ending,), [model])
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists", "choose another --out, or replace it with --overwrite")
    grid = export_trained(model, out, onnx=name == "onnx")
    write(f"{model}: exported as {name}")
    write_pairs(
        {
            "grid": f"{' × '.join(map(str, grid))}, any number of samples; physical units in and out",
            "file": out,
        }
    )


def _check_options(name: str, given: dict[str, bool]) -> None:
    """Raise InputError for an option that a format has no use for."""
    for option, formats in (("--name", FORMATS), ("--steady", ("the_well",)), ("--loader", ("pdebench",))):
        if given[option] and name not in formats:
            raise InputError(f"{option} is for {', '.join(formats)}, not for --format {name}", f"leave {option} out")


def _check_format(data: Path, name: str) -> None:
    """Raise InputError for a format that is not one, or is not for what is to be exported."""
    from ..datasets.foreign import is_model
    from .registry import nearest

    model = is_model(data) or any((data / file).is_file() for file in ("best.pt", "last.pt"))
    if name in (MODEL_FORMATS if model else FORMATS):
        return
    if name in FORMATS:
        raise InputError(
            f"--format {name} is for datasets, and {data} is a model",
            f"models go out as torch_export or onnx: resolvent export {data} --format torch_export --out FILE.pt2",
        )
    if name in MODEL_FORMATS:
        raise InputError(
            f"--format {name} is for models, and {data} is not one",
            f"datasets go out as {', '.join(FORMATS)}: resolvent export {data} --format {FORMATS[0]} --out FILE",
        )
    known = MODEL_FORMATS if model else FORMATS
    near = nearest(name, known)
    raise InputError(
        f"unknown format {name!r}: expected one of {', '.join(known)}",
        f"did you mean {near}?" if near else "choose one of these",
    )
