"""`resolvent verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import RESULT, DebugOption


def verify(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Dataset made by `resolvent generate`; or of PDEBench, The Well or neuraloperator, file or folder.",
            show_default=False,
        ),
    ],
    target_error: Annotated[
        float | None,
        typer.Option(
            help="Relative error that a model trained on it shall reach: warn if labels are not 100 times as accurate.",
            show_default="no warning",
        ),
    ] = None,
    label_tolerance: Annotated[
        float | None,
        typer.Option(
            help="Of a foreign Darcy set: distance to the steady state up to which a label is not flagged.",
            show_default="1e-4",
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Check every byte, every random draw and every equation of a dataset.

    Hashes are taken again, inputs drawn again from the seed, every problem assembled again and its residual
    recomputed; no two splits may share inputs. Of a float32 set both residuals are shown: that before rounding, which
    was the gate, and that after it. Nothing is solved, so stationary sets cost a small part of generating; trajectories
    that are judged against half the step are marched again, two thirds of the work of generating.

    Of a foreign set the structure, the numbers and the splits are checked, and in PDEBench's Darcy layout the distance
    of every label to the discrete steady state, which is solved for anew. The exit status is 1 if anything is wrong, 2
    if the file is no dataset.
    """
    from .. import datasets
    from .compilation import compilation_announced
    from .console import counted, messages, write, write_pairs
    from .progress import duration, samples_shown

    with samples_shown() as show, compilation_announced():
        report = datasets.verify(file, target_error=target_error, label_tolerance=label_tolerance, progress=show)
    verdict = "passed" if report.passed else f"FAILED, {counted(report.count, 'problem')}"
    write(f"{file}: {verdict} ({counted(report.samples, 'sample')} in {duration(report.seconds)})")
    write_pairs(report.checks)
    from rich.text import Text

    for warning in report.warnings:
        messages().print(Text.assemble(("warning: ", "bold yellow"), warning), soft_wrap=True)
    if report.passed:
        return

    for problem in report.problems:
        messages().print(Text.assemble(("problem: ", "bold red"), str(problem)), soft_wrap=True)
    if report.count > len(report.problems):
        messages().print(f"and {report.count - len(report.problems)} more", soft_wrap=True)
    advice = "do not use it; restore it from a copy, or generate it again into another file"
    if report.label_errors is not None:
        advice = "leave flagged samples out, or solve for their labels: `resolvent generate darcy` does"
    elif report.foreign:
        advice = "its loader may refuse it or read something else than was meant: ask where it came from"
    messages().print(Text.assemble(("hint: ", "bold cyan"), advice), soft_wrap=True)
    raise typer.Exit(RESULT)
