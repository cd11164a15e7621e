"""`resolvent merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import DebugOption

EXAMPLE = "Example: resolvent merge darcy.h5"


def merge(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The --out that the shards were made for.", show_default=False)
    ],
    debug: DebugOption = False,
) -> None:
    """Put the shards made by `generate --shard` together to the finished file, and remove them.

    The file has the checksum of one uninterrupted run. Missing chunks are named together with the commands that make
    them, and nothing is published then.
    """
    from .. import datasets
    from .certificate import print_certificate, print_shares
    from .console import counted, write
    from .progress import samples_shown

    with samples_shown() as show:
        dataset = datasets.merge(out, progress=show)
        count, name = len(dataset), dataset.config["family"]["family"]
        dataset.close()
    write(f"{out}: {counted(count, 'sample')} of {name}, merged")
    description = datasets.describe(out)
    print_certificate(description)
    print_shares(description)
