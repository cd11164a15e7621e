"""`resolvent verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import RESULT, DebugOption


def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Dataset made by `resolvent generate`.", show_default=False)
    ],
    debug: DebugOption = False,
) -> None:
    """Check every byte, every random draw and every equation of a dataset.

    Hashes are taken again, inputs drawn again from the seed, every problem assembled again and its residual
    recomputed. Nothing is solved, so it costs a small part of generating. Of a float32 set both residuals are
    shown: that before rounding, which was the gate, and that after it. The exit status is 1 if anything is wrong, 2
    if the file is no dataset.
    """
    from .. import datasets
    from .compilation import compilation_announced
    from .console import counted, messages, write, write_pairs
    from .progress import duration, samples_shown

    with samples_shown() as show, compilation_announced():
        report = datasets.verify(file, progress=show)
    verdict = "passed" if report.passed else f"FAILED, {counted(report.count, 'problem')}"
    write(f"{file}: {verdict} ({counted(report.samples, 'sample')} in {duration(report.seconds)})")
    write_pairs(report.checks)
    if report.passed:
        return
    from rich.text import Text

    for problem in report.problems:
        messages().print(Text.assemble(("problem: ", "bold red"), str(problem)), soft_wrap=True)
    if report.count > len(report.problems):
        messages().print(f"and {report.count - len(report.problems)} more", soft_wrap=True)
    advice = "do not use it; restore it from a copy, or generate it again into another file"
    messages().print(Text.assemble(("hint: ", "bold cyan"), advice), soft_wrap=True)
    raise typer.Exit(RESULT)
