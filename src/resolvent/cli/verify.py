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
    recomputed. Nothing is solved, so it costs a small part of generating. The exit status is 1 if anything is wrong.
    """
    from .. import datasets
    from .compilation import compilation_announced
    from .console import messages, write, write_pairs
    from .progress import duration, samples_shown

    with samples_shown() as show, compilation_announced():
        report = datasets.verify(file, progress=show)
    verdict = "passed" if report.passed else f"FAILED, {report.count} problem{'s' if report.count > 1 else ''}"
    write(f"{file}: {verdict} ({report.samples} samples in {duration(report.seconds)})")
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
