"""`resolvent train`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import DebugOption, InputError

if TYPE_CHECKING:
    from ..training import Pairs, Trained

EXAMPLE = "Example: resolvent train darcy.h5 --model mgno --epochs 25 --out darcy-mgno"


def train(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="Dataset of ours, of PDEBench, The Well or neuraloperator.", show_default=False
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for checkpoints, log, card and pictures.", show_default=False)
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="`resolvent models` lists them.")] = "fno",
    epochs: Annotated[int, typer.Option(help="Times that every sample is seen.")] = 25,
    batch_size: Annotated[int | None, typer.Option(help="Samples of an update.", show_default="the model's")] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.", show_default="the model's")] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="relative_l2, h1, h1_spectral, …; a wrong name lists them.", show_default="h1"),
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="Field to learn from; may be repeated.", show_default="all")
    ] = None,
    targets: Annotated[
        list[str] | None, typer.Option("--target", help="Field to predict; may be repeated.", show_default="all")
    ] = None,
    steps: Annotated[
        bool, typer.Option("--steps", help="Learn one step of a trajectory instead of all its frames.")
    ] = False,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="KEY=VALUE", help="Of the model: width=64, n_modes=[24,24].", show_default=False
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Of the training: ema=0.999, clip=1.0, schedule=cosine, patience=20; a wrong key lists them.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the first parameters and of the order of samples.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …; auto is a GPU where there is one.")] = "auto",
    amp: Annotated[str | None, typer.Option(metavar="bfloat16|float16", help="Mixed precision.")] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Compile the model.")] = False,
    ddp: Annotated[bool, typer.Option("--ddp", help="Share batches between the processes of torchrun.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew instead of continuing what is in OUT.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Train a neural operator on a dataset; the same command resumes an interrupted run.

    The folder OUT holds the best model (best.pt), what a resumed run needs (last.pt), the log (log.csv), a model card
    (card.md) and pictures. Errors of the test split, which training never sees, are printed in the end.
    """
    from ..operators.neural import count_params
    from ..training import TrainingConfig, as_pairs
    from ..training import train as train_model
    from .console import counted, note, write, write_pairs
    from .progress import duration, epochs_shown
    from .registry import parse_options

    given = {"batch_size": batch_size, "lr": lr, "loss": loss, "amp": amp}
    given = {name: value for name, value in given.items() if value is not None}
    given |= {"epochs": epochs, "seed": seed, "device": device, "compile": compile_, "ddp": ddp}
    settings = parse_options(setting or [], "ema=0.999", "--set")
    _check_settings(settings, given, [field.name for field in dataclasses.fields(TrainingConfig)])
    settings |= given
    TrainingConfig.of(settings)  # before the data are read
    options = parse_options(option or [], "width=64")
    _check_folder(out)
    pairs = as_pairs(data, inputs=inputs or (), targets=targets or (), steps=steps)
    note(f"{data}: {_described(pairs)}")
    if "coordinates" in pairs.about:
        note(f"{data}: coordinates {pairs.about['coordinates']}")
    with epochs_shown() as show:
        trained = train_model(
            pairs, model=model, options=options, out=out, resume=not restart, progress=show, **settings
        )
    if int(os.environ.get("RANK", "0")) > 0 and ddp:
        return  # the first process reports
    seconds = sum(row["seconds"] for row in trained.history[-1:])
    write(
        f"{out}: {model}, {count_params(trained.model.net):,} parameters, {counted(len(trained.history), 'epoch')} in "
        f"{duration(seconds)}"
    )
    what = str(settings.get("metric", "relative L2"))
    validated = trained.history[-1]["valid_metric"] is not None
    rows = {
        "validation" if validated else "training": f"{trained.best:.4g} {what if validated else 'loss'}, the best epoch"
    }
    rows |= _test_errors(trained, pairs)
    write_pairs(rows)
    for path in (*_pictures(trained, pairs, out), out / "best.pt", out / "log.csv", out / "card.md"):
        write_pairs({"file": path})


_OPTIONS_ALONE = ("epochs", "seed", "device", "compile", "ddp")
"""Settings that --set does not take: their options have a value where nothing is typed."""


def _check_settings(settings: Mapping[str, Any], given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise InputError for a setting that there is not, that is not for --set, or that its own option gives already."""
    from .registry import nearest

    offered = [name for name in known if name not in _OPTIONS_ALONE]
    for name, value in settings.items():
        option = f"--{name.replace('_', '-')}"
        if name in _OPTIONS_ALONE:
            instead = f"write {option}" if value is True else f"write {option} {value}"
            hint = "leave it out" if value is False else f"{instead} instead of --set {name}"
            raise InputError(f"{name} is given by {option}, not by --set", hint)
        if name in given:
            raise InputError(f"{name} is given twice, by {option} and by --set", "leave one of them out")
        if name not in offered:
            near = nearest(name, offered)
            raise InputError(
                f"training has no option {name}: expected some of {', '.join(offered)}",
                f"did you mean {near}?" if near else "choose from this list",
            )


def _check_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, expected a folder", "choose another --out")
    if not out.parent.is_dir():
        raise InputError(
            f"{out} cannot be made: there is no folder {out.parent}", f"make it first: mkdir -p {out.parent}"
        )


def _described(pairs: Pairs) -> str:
    grid = " × ".join(map(str, pairs.geometry.grid))
    counts = ", ".join(f"{len(rows)} {name}" for name, rows in pairs.splits.items())
    names = [", ".join(pairs.about.get(what, [])) for what in ("inputs", "targets")]
    return f"{names[0]} → {names[1]} on {grid} points; {counts}"


def _test_errors(trained: Trained, pairs: Pairs) -> dict[str, str]:
    from ..training import relative_errors

    rows = pairs.splits["test"]
    if len(rows) == 0:
        return {}
    x, y = pairs.batch(rows)
    found = relative_errors(trained.predict(x), y, pairs.geometry)
    return {
        "test": f"{found.relative_l2.mean():.4g} relative L2, {found.relative_h1.mean():.4g} relative H1, "
        f"worst sample {found.relative_l2.max():.4g}"
    }


def _pictures(trained: Trained, pairs: Pairs, out: Path) -> list[Path]:
    from ..training import plot_fields, plot_learning_curves
    from .writing import write_figure

    rows = next(part for part in (pairs.splits["test"], pairs.splits["valid"], pairs.splits["train"]) if len(part))[:3]
    x, y = pairs.batch(rows)
    made = []
    for name, figure in (
        ("learning.png", plot_learning_curves(out / "log.csv").get_figure()),
        ("predictions.png", plot_fields(trained.predict(x), y, pairs.geometry, x)),
    ):
        write_figure(out / name, figure)
        made.append(out / name)
    return made
