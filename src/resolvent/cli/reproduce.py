"""`resolvent reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import RESULT, DebugOption


def reproduce(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Dataset made by `resolvent generate`.", show_default=False)
    ],
    index: Annotated[int, typer.Option("--index", "-i", help="Sample to make again, from 0.", show_default=False)],
    debug: DebugOption = False,
) -> None:
    """Make one sample again from its seed and compare it with the stored one.

    The samples of its chunk up to it are solved again too. The exit status is 1 if the new solution differs by more
    than two solvers within the tolerance may.
    """
    from .. import datasets
    from ..datasets.settings import changes_text
    from .compilation import compilation_announced
    from .console import counted, messages, write, write_pairs

    with compilation_announced():
        if messages().is_terminal:
            with messages().status(f"making sample {index} again"):
                found = datasets.reproduce(file, index)
        else:
            found = datasets.reproduce(file, index)
    verdict = "the same within tolerance" if found.passed else "DIFFERENT"
    verdict = "identical in every bit" if found.identical else verdict
    write(f"{file}, sample {index}: {verdict}")
    rows = {"replayed": f"{counted(found.replayed, 'sample')} of its chunk, this one the last"}
    if not found.identical:
        rows["residual"] = f"‖A(u_new − u_stored)‖/‖b‖ = {found.residual_change:.2e}, rtol {found.tolerance:.1e}"
        changed = [f"{path} by {change:.1e}" for path, change in found.changes.items() if change != 0.0]
        rows["differ"] = ", ".join(changed) + ", relative to their largest values"
    if found.environment:
        rows["changed"] = f"{changes_text(found.environment)}, since it was made"
    write_pairs(rows)
    if not found.passed:
        raise typer.Exit(RESULT)
